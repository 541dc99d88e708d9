"""A network in simulated time: packets of a sender, late, bunched, lost, and read by a clock of its own.

Nothing here waits: a run of minutes takes a second, and the same seed gives the same run.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, silence
from menura.clock import VirtualClock

PACKET_MS = 20.0
READ_MS = 20.0


@dataclass(frozen=True)
class Path:
    """What a network does to packets.

    `jitter_ms` gives each its delay beyond `fixed_ms`; `in_order` holds a packet back until all before it have come,
    as TCP does; `stall_every_s` and `stall_ms` stop the path now and then; `loss` never delivers a packet, `resend`
    delivers it `resend_ms` later; `bunch` sends so many packets at once; `pauses_ms` are the sender's, after `spurt_ms`
    of audio.
    """

    name: str
    fixed_ms: float = 30.0
    jitter_ms: Callable[[np.random.Generator, int], NDArray[np.float64]] = lambda rng, n: np.zeros(n)
    in_order: bool = True
    stall_every_s: float = 0.0
    stall_ms: tuple[float, float] = (100.0, 300.0)
    loss: float = 0.0
    resend: float = 0.0
    resend_ms: tuple[float, float] = (80.0, 200.0)
    bunch: int = 1
    spurt_ms: tuple[float, float] = (0.0, 0.0)
    pauses_ms: tuple[float, float] = (0.0, 0.0)

    def __str__(self) -> str:
        return self.name


def gamma(shape: float, scale_ms: float) -> Callable[[np.random.Generator, int], NDArray[np.float64]]:
    """Delays as Wi-Fi has them: most short, some long."""
    return lambda rng, n: rng.gamma(shape, scale_ms, n)


PATHS = {
    path.name: path
    for path in (
        Path("ideal"),
        Path("wifi", jitter_ms=gamma(1.2, 6.0)),
        Path("busy wifi", jitter_ms=gamma(0.8, 20.0)),
        Path("stalls", jitter_ms=gamma(1.2, 3.0), stall_every_s=6.0),
        Path("tcp resend", jitter_ms=gamma(1.2, 3.0), resend=0.01),
        Path("bunched", jitter_ms=gamma(1.2, 2.0), bunch=5),
        Path("talk spurts", jitter_ms=gamma(1.2, 4.0), spurt_ms=(800.0, 3000.0), pauses_ms=(300.0, 2500.0)),
        Path("lossy", jitter_ms=gamma(1.2, 4.0), loss=0.03),
        Path("reordered", jitter_ms=gamma(0.8, 15.0), in_order=False),
    )
}


@dataclass(frozen=True)
class Packet:
    """A packet: when it was sent and came (real time, s), and which frames of the audio it holds."""

    sent_s: float
    came_s: float
    sequence: int
    timestamp: int
    first: int
    frames: int


@dataclass(frozen=True)
class Sender:
    """Sends audio in packets, by a sound card that runs `ppm` fast (its second is shorter)."""

    rate: int = 24_000
    ppm: float = 0.0
    packet_ms: float = PACKET_MS

    def packets(self, path: Path, seconds: float, seed: int = 1) -> list[Packet]:
        """All that a path delivers, in the order of arrival."""
        rng = np.random.default_rng(seed)
        frames = round(self.packet_ms * self.rate / 1000.0)
        count = int(seconds * self.rate) // frames
        pause = self._pauses(path, count, rng)
        # a packet can be sent once its last frame was captured; its timestamp counts the pauses, its audio does not
        stamps = np.arange(count) * frames + np.round(pause * self.rate / 1000.0).astype(int)
        sent = (stamps + frames) / (self.rate * (1.0 + 1e-6 * self.ppm))
        leave = sent[np.minimum((np.arange(count) // path.bunch + 1) * path.bunch - 1, count - 1)]
        came = leave + (path.fixed_ms + path.jitter_ms(rng, count)) / 1000.0
        again = rng.random(count) < path.resend
        came += again * rng.uniform(*path.resend_ms, count) / 1000.0
        came = _stalled(came, path, rng)
        if path.in_order:
            came = np.maximum.accumulate(came)
        lost = rng.random(count) < path.loss
        found = [
            Packet(float(sent[i]), float(came[i]), i, int(stamps[i]), i * frames, frames)
            for i in range(count)
            if not lost[i]
        ]
        return sorted(found, key=lambda packet: (packet.came_s, packet.sequence))

    def _pauses(self, path: Path, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        pause = np.zeros(count)
        at = 0.0
        while path.spurt_ms[1]:
            at += rng.uniform(*path.spurt_ms)
            first = int(at / self.packet_ms)
            if first >= count:
                break
            pause[first:] += np.round(rng.uniform(*path.pauses_ms))
        return pause


def _stalled(came: NDArray[np.float64], path: Path, rng: np.random.Generator) -> NDArray[np.float64]:
    at = 0.0
    while path.stall_every_s:
        at += rng.exponential(path.stall_every_s)
        if at > came[-1]:
            break
        until = at + rng.uniform(*path.stall_ms) / 1000.0
        came = np.where((came >= at) & (came < until), until, came)
        at = until
    return came


class Buffer(Protocol):
    """What a run drives: packets in, frames out."""

    def put(self, data: Samples, *, sequence: int | None, timestamp_frames: int | None) -> object: ...

    def get(self, frames: int) -> Samples: ...


@dataclass
class Run:
    """What a reader got: the audio, and what `watch` returned at each read."""

    audio: Samples
    seen: list[object] = field(default_factory=list)


@dataclass(frozen=True)
class Reader:
    """Reads `read_ms` every `read_ms` of its own clock, `ppm` fast, late by up to `late_ms`, from `begin_s` on."""

    rate: int = 24_000
    ppm: float = 0.0
    read_ms: float = READ_MS
    late_ms: float = 0.0
    begin_s: float = 0.0


def play(
    make: Callable[[VirtualClock], Buffer],
    packets: list[Packet],
    audio: Callable[[int, int], Samples],
    reader: Reader | None = None,
    *,
    seconds: float,
    by: str = "order",
    watch: Callable[[Buffer], object] | None = None,
    seed: int = 2,
) -> Run:
    """Put each packet when it comes and read at the reader's pace.

    Args:
        audio: Frames from a first one on, so many.
        seconds: Real time to run.
        by: What a packet tells: "order" (nothing), "sequence", "timestamp" or "both".
        watch: Called after every read.
    """
    reader = reader or Reader()
    clock = VirtualClock()
    buffer = make(clock)
    frames = round(reader.read_ms * reader.rate / 1000.0)
    step = frames / (reader.rate * (1.0 + 1e-6 * reader.ppm))
    late = np.random.default_rng(seed).uniform(0.0, reader.late_ms / 1000.0 + 1e-12, int(seconds / step) + 2)
    out, seen, next_packet = [], [], 0
    for k in range(int(seconds / step)):
        now = float(reader.begin_s + k * step + late[k])
        while next_packet < len(packets) and packets[next_packet].came_s <= now:
            packet = packets[next_packet]
            clock.advance(max(0.0, packet.came_s - clock()))
            buffer.put(
                audio(packet.first, packet.frames),
                sequence=packet.sequence if by in ("sequence", "both") else None,
                timestamp_frames=packet.timestamp if by in ("timestamp", "both") else None,
            )
            next_packet += 1
        clock.advance(max(0.0, now - clock()))
        out.append(buffer.get(frames))
        if watch:
            seen.append(watch(buffer))
    return Run(np.concatenate(out), seen)


def looped(x: Samples) -> Callable[[int, int], Samples]:
    """Audio for a run of any length: ``x`` over and over."""
    return lambda first, frames: x[np.arange(first, first + frames) % len(x)]


def needed_delay_ms(packets: list[Packet], share: float) -> float:
    """Delay beyond the fastest packet's that has this share of the packets in time, reads of no length assumed."""
    lag = np.array([packet.came_s - packet.sent_s for packet in packets])
    return float(1000.0 * np.quantile(lag - lag.min(), share))


class FixedBuffer:
    """The peers' way: a FIFO that starts at a fixed depth, and plays silence where it is empty."""

    def __init__(self, rate: int, delay_ms: float) -> None:
        self._want = round(delay_ms * rate / 1000.0)
        self._held = silence(0)
        self._started = False
        self.silent = 0
        self.played = 0

    def put(self, data: Samples, *, sequence: int | None, timestamp_frames: int | None) -> None:
        """Append."""
        self._held = np.concatenate([self._held, data])

    def get(self, frames: int) -> Samples:
        """What is held, then silence."""
        self._started = self._started or len(self._held) >= self._want
        y = silence(frames)
        if self._started:
            n = min(frames, len(self._held))
            y[:n], self._held = self._held[:n], self._held[n:]
            self.silent += frames - n
            self.played += frames
        return y

    @property
    def held_frames(self) -> int:
        """Frames held."""
        return len(self._held)
