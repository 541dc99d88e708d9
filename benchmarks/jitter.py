"""Gaps filled and networks hidden: menura's concealment and jitter buffer beside what Python's peers do.

    python -m benchmarks.jitter [--quick]

*Gaps*: 20 ms packets lost at random, or in bursts. Beside ours: silence (what most do), the last packet once more, and
pitch repetition as ITU-T G.711 Appendix I describes it, written here from the standard (it needs 3.75 ms of delay).
``ours, both sides`` knows what follows the gap, as a buffer with some delay does.

- *LSD*: log-spectral distance to the original in 20 ms windows that touch a gap, dB.
- *SNR*: waveform against the original in the lost packets, dB, mean over those with speech.
- *clicks*: more than the original has. *voice lost*, *F0 gross*: frames voiced in the original and not in the output;
  frames more than 20 % off; by swift-f0, per cent.
- *WER*: Whisper tiny.en, per cent; the original's stands in the title.

*Networks*: a sender's packets over simulated paths (``tests/network.py``), read every 20 ms. Beside ours: buffers of a
fixed depth that play silence when empty, and none at all.

- *delay*: from the earliest a frame could have come to when it is heard, ms, mean. *made up*: concealed or silent, per
  cent of what is played from the first sound on. *gaps*: times a minute that it ran empty. *hurried*: cut out to catch
  up, per cent. *µs*: CPU of one put and one get, median.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks import corpus
from benchmarks.measures import f0_errors
from benchmarks.tables import machine, number, table
from menura.audio.block import Samples
from menura.audio.config import AudioConfig
from menura.clock import VirtualClock
from menura.dsp.conceal import Concealer
from menura.engine.jitter import JitterBuffer
from tests.listen import clicks
from tests.network import PATHS, FixedBuffer, Packet, Path, Sender, looped, needed_delay_ms, play
from tests.speech import spectral_distance_db

RATE = 24_000
BLOCK = RATE // 50
CLICK_S = 40
Filled = Callable[[Samples, NDArray[np.bool_]], Samples]
"""Speech ``[n, 1]`` and which 20 ms are lost; the same length out."""


# ---- gaps


def gaps(lost: NDArray[np.bool_]) -> list[tuple[int, int, bool]]:
    """Runs of blocks: first, behind the last, lost or not."""
    edges = np.flatnonzero(np.diff(lost.astype(int))) + 1
    bounds = [0, *edges.tolist(), len(lost)]
    return [(a, b, bool(lost[a])) for a, b in pairwise(bounds)]


def silence_filled(x: Samples, lost: NDArray[np.bool_]) -> Samples:
    return np.where(np.repeat(lost, BLOCK)[:, None], np.float32(0.0), x)


def repeat_filled(x: Samples, lost: NDArray[np.bool_]) -> Samples:
    y = x.copy()
    for at in np.flatnonzero(lost):
        y[at * BLOCK : (at + 1) * BLOCK] = y[(at - 1) * BLOCK : at * BLOCK]
    return y


def one_sided(x: Samples, lost: NDArray[np.bool_]) -> Samples:
    concealer, out = Concealer(RATE), []
    for a, b, gone in gaps(lost):
        here = x[a * BLOCK : b * BLOCK]
        out.append(concealer.conceal(len(here)) if gone else concealer.good(here))
    return np.concatenate(out)


def two_sided(x: Samples, lost: NDArray[np.bool_]) -> Samples:
    concealer, out = Concealer(RATE), []
    for a, b, gone in gaps(lost):
        here = x[a * BLOCK : b * BLOCK]
        known = x[b * BLOCK : (b + 2) * BLOCK]
        if not gone:
            out.append(concealer.good(here))
        elif b - a <= 5:
            out.append(concealer.bridge(len(here), known))
        else:
            out.append(concealer.conceal(len(here)))
    return np.concatenate(out)


def appendix_filled(x: Samples, lost: NDArray[np.bool_]) -> Samples:
    """G.711 Appendix I: its delay of 3.75 ms is used, and taken off, here."""
    y = x[:, 0].astype(np.float64)
    y[np.repeat(lost, BLOCK)] = 0.0
    for a, b, gone in gaps(lost):
        if gone and a * BLOCK >= 0.0488 * RATE:
            _appendix_fill(y, a * BLOCK, b * BLOCK)
    return y.astype(np.float32)[:, None]


def _appendix_lag(past: NDArray[np.float64]) -> int:
    """2.3: correlation over 20 ms at lags of 5 to 15 ms."""
    width = RATE // 50
    now = past[-width:]
    lags = np.arange(RATE // 200, RATE * 15 // 1000 + 1)
    then = np.stack([past[-width - lag : len(past) - lag] for lag in lags])
    return int(lags[np.argmax(then @ now / np.sqrt((then**2).sum(axis=1) + 1e-3))])


def _appendix_fill(y: NDArray[np.float64], start: int, end: int) -> None:
    past = y[start - int(0.0488 * RATE) : start].copy()
    lag = _appendix_lag(past)
    quarter = lag // 4
    ramp = (np.arange(quarter) + 1.0) / (quarter + 1.0)
    fade = min(RATE // 100, quarter + RATE * 4 // 1000 * max(0, (end - start) // (RATE // 100) - 1))
    made, ten = np.empty(0), RATE // 100
    for periods in (1, 2, 3):  # of 10, 10 and the remaining ms: one, two, three periods
        span = periods * lag
        source = past[-span:].copy()
        before = past[-span - quarter : -span] if len(past) >= span + quarter else source[:quarter]
        source[-quarter:] = source[-quarter:] * (1 - ramp) + before * ramp
        length = ten if periods < 3 else max(0, end - start + fade - 2 * ten)
        made = np.concatenate([made, source[(len(made) % lag + np.arange(length)) % span]])
        if periods == 1:
            y[start - quarter : start] = source[-quarter:]
    made = made[: end - start + fade]
    ms = np.arange(len(made)) * 1000.0 / RATE
    made *= np.clip(1.0 - 0.2 * np.maximum(0.0, ms - 10.0) / 10.0, 0.0, 1.0)
    y[start:end] = made[: end - start]
    tail = min(fade, len(y) - end)
    up = (np.arange(tail) + 1.0) / (fade + 1.0)
    y[end : end + tail] = y[end : end + tail] * up + made[end - start :][:tail] * (1 - up)


METHODS: dict[str, Filled] = {
    "silence": silence_filled,
    "repetition": repeat_filled,
    "G.711 Appendix I": appendix_filled,
    "ours": one_sided,
    "ours, both sides": two_sided,
}
CONDITIONS = {"5 % x 20 ms": (0.05, 1), "10 % x 20 ms": (0.1, 1), "20 % x 20 ms": (0.2, 1), "10 % x 60 ms": (0.1, 3),
              "10 % x 100 ms": (0.1, 5)}  # fmt: skip


def losses(blocks: int, share: float, burst: int, seed: int) -> NDArray[np.bool_]:
    """Bursts at random, none in the first 60 ms."""
    rng = np.random.default_rng(seed)
    lost, at = np.zeros(blocks, bool), 3
    while at < blocks - burst - 2:
        hit = rng.random() < share / burst
        lost[at : at + burst] = hit
        at += burst + 1 if hit else 1
    return lost


@dataclass
class Judged:
    """Figures over all utterances of one method and condition."""

    distance: list[float] = field(default_factory=list)
    snr: list[float] = field(default_factory=list)
    clicks: int = 0
    gone: list[float] = field(default_factory=list)
    gross: list[float] = field(default_factory=list)
    said: list[tuple[NDArray[np.float32], str]] = field(default_factory=list)

    def hear(self, x: Samples, y: Samples, lost: NDArray[np.bool_], text: str) -> None:
        self.distance.append(spectral_distance_db(x, y, RATE, np.repeat(lost, BLOCK)))
        self.clicks += clicks(y, RATE) - clicks(x, RATE)
        errors = f0_errors(x[:, 0], y[:, 0], RATE, 0.0)
        self.gone.append(errors.lost_percent)
        self.gross.append(errors.gross_percent)
        self.said.append((y[:, 0], text))
        for at in np.flatnonzero(lost):
            piece = slice(at * BLOCK, (at + 1) * BLOCK)
            power = float((x[piece] ** 2).sum())
            if power > 1e-4 * BLOCK:
                rest = float(((x[piece] - y[piece]) ** 2).sum())
                self.snr.append(min(35.0, 10 * np.log10(power / (rest + 1e-9))))

    def cells(self, wer: Callable[[list[tuple[NDArray[np.float32], str]]], float] | None) -> list[str]:
        heard = wer(self.said) if wer else None
        return [
            number(float(np.mean(self.distance)), 2), number(float(np.mean(self.snr)), 1), str(self.clicks),
            number(float(np.mean(self.gone))), number(float(np.nanmean(self.gross))), number(heard),
        ]  # fmt: skip


def gap_table(quick: bool) -> str:
    """All methods under all conditions."""
    spoken = corpus.fixtures(RATE, 4 if quick else None) + corpus.prompts(RATE, 4 if quick else 24)
    wer = None
    if not quick:
        from benchmarks.intelligibility import word_errors

        wer = lambda said: word_errors(said, RATE).percent  # noqa: E731
    rows = []
    for condition, (share, burst) in CONDITIONS.items():
        for name, fill in METHODS.items():
            judged = Judged()
            for seed, one in enumerate(spoken):
                x = one.audio[: len(one.audio) // BLOCK * BLOCK, None]
                lost = losses(len(x) // BLOCK, share, burst, seed)
                if lost.any():
                    judged.hear(x, fill(x, lost), lost, one.text)
            rows.append([f"{condition}: {name}", *judged.cells(wer)])
    head = ["gaps", "LSD dB", "SNR dB", "clicks", "voice lost %", "F0 gross %", "WER %"]
    clean = f", WER without loss {wer([(one.audio, one.text) for one in spoken]):.1f} %" if wer else ""
    return table(head, rows, f"Concealment, {len(spoken)} utterances{clean}")


# ---- networks


@dataclass
class Seen:
    """What a buffer has given at a read."""

    taken: int
    made_up: int
    gaps: int
    hurried: int


def _ours_seen(buffer: JitterBuffer) -> Seen:
    stats = buffer.stats()
    taken = stats.received_frames + stats.lost_frames - stats.held_frames - stats.late_frames
    return Seen(taken, stats.concealed_frames + stats.silent_frames, stats.underflows, stats.accelerated_frames)


class _Fixed(FixedBuffer):
    """A fixed buffer that counts."""

    def __init__(self, delay_ms: float) -> None:
        super().__init__(RATE, delay_ms)
        self.received = 0
        self.gaps = 0

    def put(self, data: Samples, *, sequence: int | None, timestamp_frames: int | None) -> None:
        self.received += len(data)
        super().put(data, sequence=sequence, timestamp_frames=timestamp_frames)

    def get(self, frames: int) -> Samples:
        before = self.silent
        y = super().get(frames)
        self.gaps += self.silent > before
        return y

    def seen(self) -> Seen:
        return Seen(self.received - self.held_frames, self.silent, self.gaps, 0)


@cache
def _source_clicks(size: int) -> int:
    return clicks(looped(_speech())(0, size), RATE)


def _extra_clicks(y: Samples) -> int:
    """Clicks of the first 40 s, in which each buffer is worst, that are not the speech's own."""
    size = min(len(y), CLICK_S * RATE)
    return clicks(y[:size], RATE) - _source_clicks(size)


@cache
def _speech() -> Samples:
    return np.concatenate([one.audio for one in corpus.fixtures(RATE)])[:, None]


def _row(name: str, path: Path, packets: list[Packet], seconds: float) -> list[str]:
    x = _speech()
    by = "sequence" if path.name in ("lossy", "reordered") else "order"
    if name == "ours":
        run = play(
            lambda clock: JitterBuffer(AudioConfig(sample_rate=RATE), clock=clock),
            packets, looped(x), seconds=seconds, by=by, watch=_ours_seen,
        )  # fmt: skip
    else:
        depth = {"fixed 200 ms": 200.0, "fixed 60 ms": 60.0, "none": 0.0}[name]
        run = play(lambda _: _Fixed(depth), packets, looped(x), seconds=seconds, by=by, watch=_Fixed.seen)
    seen: list[Seen] = run.seen
    sounding = next(k for k, one in enumerate(seen) if one.taken > 0)
    base_s = min(packet.came_s - packet.first / RATE for packet in packets)
    # at the end of read k all up to `taken` is heard 20 ms on
    heard = [one.taken for one in seen]
    if name != "ours":  # which counts what was lost
        heard = [packets[min(taken // BLOCK, len(packets) - 1)].first + taken % BLOCK for taken in heard]
    delays = [1000 * ((k + 1) * 0.02 - at / RATE - base_s) for k, at in enumerate(heard)][sounding + 500 :]
    first, end = seen[sounding], seen[-1]
    minutes = (len(seen) - sounding) / 3000
    return [
        f"{path.name}: {name}",
        "-" if path.pauses_ms[1] else number(float(np.mean(delays)), 0),
        number(100 * (end.made_up - first.made_up) / (minutes * 60 * RATE), 2),
        number((end.gaps - first.gaps) / minutes, 1),
        number(100 * end.hurried / (minutes * 60 * RATE), 2),
        str(_extra_clicks(run.audio)),
    ]


BUFFERS = ("ours", "fixed 60 ms", "fixed 200 ms", "none")


def network_table(quick: bool) -> str:
    """Every path, ours and the fixed buffers."""
    seconds = 60.0 if quick else 300.0
    rows = []
    for path in PATHS.values():
        packets = Sender().packets(path, seconds)
        need = [f"{needed_delay_ms(packets, share):.0f}" for share in (0.95, 0.99)]
        rows += [[*_row(name, path, packets, seconds), "/".join(need)] for name in BUFFERS]
    head = ["network", "delay ms", "made up %", "gaps /min", "hurried %", "clicks", "95/99 % of delays"]
    return table(head, rows, f"Networks, {seconds:.0f} s of speech each")


def drift_table(quick: bool) -> str:
    """Clocks apart, over the Wi-Fi path."""
    minutes = 5.0 if quick else 30.0
    t = np.arange(RATE) / RATE
    x = 0.1 * np.sin(2 * np.pi * 200 * t).astype(np.float32)[:, None]
    rows = []
    for ppm in (-1000.0, -300.0, 0.0, 300.0, 1000.0):
        packets = Sender(ppm=ppm).packets(PATHS["wifi"], 60 * minutes)
        run = play(
            lambda clock: JitterBuffer(AudioConfig(sample_rate=RATE), clock=clock),
            packets, looped(x), seconds=60 * minutes, watch=JitterBuffer.stats,
        )  # fmt: skip
        found = [stats.drift_ppm for stats in run.seen]
        close = np.abs(np.array(found) + ppm) < 50.0
        settled = (len(close) - int(np.argmax(~close[::-1]))) / 50 if not close.all() else 0.0
        depths = [stats.depth_ms - stats.target_ms for stats in run.seen[1500:]]
        fixed = [stats.speed for stats in run.seen[1500:]]
        rows.append([
            f"{ppm:+.0f} ppm", number(found[-1], 0), number(settled, 0), number(float(np.mean(depths))),
            number(float(np.percentile(np.abs(depths), 99))), number(100 * float(np.abs(np.array(fixed) - 1).max()), 2),
        ])  # fmt: skip
    head = [
        "sender's clock",
        "found ppm",
        "within 50 ppm after s",
        "delay - target ms",
        "99 % of that",
        "speed off by %",
    ]
    return table(head, rows, f"Drift over {minutes:.0f} minutes, Wi-Fi path")


def cost_table() -> str:
    """CPU of 20 ms in and out, by this thread's clock."""
    rows = []
    for rate in (8000, 16_000, 24_000, 48_000):
        for drift in (0.0, 300e-6):
            clock = VirtualClock()
            buffer = JitterBuffer(AudioConfig(sample_rate=rate), clock=clock)
            rng = np.random.default_rng(1)
            data = [(3000 * rng.standard_normal(rate // 50)).astype("<i2").tobytes() for _ in range(50)]
            times = []
            for k in range(4000):
                clock.advance(0.01 * (1 + drift))
                began = time.thread_time_ns()
                buffer.put(data[k % 50])
                half = time.thread_time_ns() - began
                clock.advance(0.01 * (1 + drift))
                began = time.thread_time_ns()
                buffer.get(rate // 50)
                times.append(half + time.thread_time_ns() - began)
            p50, p99 = np.percentile(np.array(times[1000:]) / 1e3, [50, 99])
            rows.append([f"{rate} Hz, {'clocks apart' if drift else 'clocks equal'}", number(p50), number(p99)])
    return table(["put and get of 20 ms", "µs median", "µs 99 %"], rows)


def main() -> None:
    """Print the tables."""
    quick = "--quick" in sys.argv
    print(f"Jitter buffer; {machine()}\n")
    print(cost_table() + "\n", flush=True)
    print(drift_table(quick) + "\n", flush=True)
    print(network_table(quick) + "\n", flush=True)
    print(gap_table(quick), flush=True)


if __name__ == "__main__":
    main()
