"""A stream buffer that hides a network: even audio from packets that come late, bunched, twice or not at all.

Audio passes: packets in order → concealment of what is missing → pitch periods cut out or said twice, to reach the
target delay → a resampler, against the drift of the clocks. The structure is that of WebRTC's NetEQ, the estimators are
our own: everything is measured in frames on the reader's clock (see :mod:`menura.engine.arrival`), so neither the
reader's own unevenness nor a clock that is not the sound card's disturbs it.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, as_block, silence
from menura.audio.config import AudioConfig
from menura.audio.pcm import Data, decode
from menura.clock import Clock, monotonic_s
from menura.dsp.conceal import Concealer
from menura.dsp.ring import Overflow
from menura.dsp.timescale import ALIKE, lengthen, shorten
from menura.dsp.varispeed import Varispeed
from menura.engine.arrival import Arrivals
from menura.engine.jitter_config import JitterConfig, JitterStats
from menura.engine.packets import Packets
from menura.engine.sequence import Placer
from menura.errors import ConfigError, LimitError

__all__ = ["JitterBuffer", "JitterConfig", "JitterStats"]

MARGIN_MS = 3.0
"""A packet that comes so shortly before a read is counted on for the next one only."""
SLACK_MS = 15.0
"""Deviation from the target up to which only the speed is trimmed."""
TRIM_S = 8.0
"""Time constant of that trim."""
TRIM_MOST = 0.005
FALL = 0.015
"""The target falls by so much of the time that passes: 15 ms a second. It rises at once."""
SCALE_MS = 30.0
"""A block in which any voice above 50 Hz repeats."""
BRIDGE_MOST_MS = 60.0
HURRY_MS = 60.0
"""Delay in excess from which every fourth period may be cut out, below it every eighth."""
LEAST_ALIKE = 0.3


@dataclass(slots=True)
class _Counts:
    received_packets: int = 0
    received_frames: int = 0
    played_frames: int = 0
    concealed_frames: int = 0
    silent_frames: int = 0
    accelerated_frames: int = 0
    expanded_frames: int = 0
    dropped_frames: int = 0
    late_frames: int = 0
    duplicate_frames: int = 0
    lost_frames: int = 0
    late: int = 0
    duplicate: int = 0
    concealments: int = 0
    underflows: int = 0
    overflows: int = 0


class JitterBuffer:
    """Takes packets as they come, gives exactly the frames asked for, at once.

    After each put and get the buffer steers: its delay is the least at which the configured share of the audio comes in
    time, found from the arrivals and adapted to them. It grows by saying pitch periods twice and shrinks by cutting
    some out, at most a quarter of the audio; what is missing is concealed for 100 ms and silent then; the drift of the
    sender's clock against the reader's is resampled away.

    Nothing here waits. One thread may put while another gets if ``lock`` is a lock of theirs: each call holds it for
    its own length, some 10 to 50 µs.

    Args:
        config: Rate, channels and encoding of the audio.
        jitter: Bounds and aims.
        clock: Seconds; only refines when a packet came between two reads.
        lock: A context manager entered around every call, such as a ``threading.Lock``.

    >>> buffer = JitterBuffer(AudioConfig(sample_rate=24_000))
    >>> buffer.put(bytes(960))
    >>> buffer.get(480).shape
    (480, 1)
    """

    def __init__(
        self,
        config: AudioConfig | None = None,
        *,
        jitter: JitterConfig | None = None,
        clock: Clock = monotonic_s,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        config = config or AudioConfig()
        self.config, self.jitter = config, jitter or JitterConfig()
        self.rate, self.channels = config.sample_rate, config.channels
        self._form = config.stream_format
        self._clock = clock
        self._lock: AbstractContextManager[object] = nullcontext() if lock is None else lock
        ms = self.rate / 1000.0
        self._capacity = max(
            1, min(self.jitter.max_size_bytes // config.frame_bytes, int(self.jitter.max_duration_ms * ms))
        )
        self._most = min(self.jitter.max_delay_ms * ms, 0.8 * self._capacity)
        self._least = min(self.jitter.min_delay_ms * ms, self._most)
        self._target = min(self.jitter.initial_delay_ms * ms, self._most)
        self._slack, self._margin, self._hurried = SLACK_MS * ms, MARGIN_MS * ms, HURRY_MS * ms
        self._scale, self._bridge = round(SCALE_MS * ms), round(BRIDGE_MOST_MS * ms)
        self._arrivals = Arrivals(self.rate, round(self._most), self.jitter.quantile)
        self._packets = Packets(self.channels)
        self._placer = Placer(self.jitter, self._capacity, round(self._most))
        self._concealer = Concealer(self.rate, self.channels)
        self._varispeed = Varispeed(self.rate, self.channels)
        self._counts = _Counts()
        self._ready = silence(0, self.channels)  # made, and not yet asked for
        self._asked = self._last_asked = 0  # frames: by all reads, by the last one
        self._asked_s = 0.0
        self._pushed = 0
        self._filling, self._ended = True, False
        self._rest = 0  # frames to be played before the next change of length
        self._alike = ALIKE

    def put(
        self,
        data: Data | NDArray[np.floating],
        *,
        sequence: int | None = None,
        timestamp_frames: int | None = None,
    ) -> None:
        """Take a packet.

        Args:
            data: Bytes in the configured encoding, or floating-point ``[frames]`` or ``[frames, channels]``.
            sequence: Number of the packet, one more each time: tells loss and order.
            timestamp_frames: Sender's time of its first frame: tells pauses too. With neither, packets are taken in
                the order in which they come.

        Raises:
            FormatError: The bytes end within a frame, or the array has another shape.
            LimitError: It does not fit and the policy is ``ERROR``; it was not taken.
        """
        if isinstance(data, bytes | bytearray | memoryview):
            x = decode(data, self._form)
        else:
            x = np.array(as_block(data, self.channels))
        if len(x):
            with self._lock:
                self._put(x, sequence, timestamp_frames)

    def get(self, frames: int) -> Samples:
        """Take exactly ``frames``, at once: ``[frames, channels]``, silent where there is nothing to be said.

        Raises:
            ConfigError: ``frames`` is negative.
        """
        if frames < 0:
            raise ConfigError(f"cannot read {frames} frames")
        with self._lock:
            return self._get(frames)

    def mark_end(self) -> None:
        """The sender pauses after what it has sent: running empty is no loss, and the next packet begins anew."""
        with self._lock:
            self._ended = True

    def clear(self) -> None:
        """Drop all that is held, counted as dropped; the next read fades out. What is known of the network stays."""
        with self._lock:
            self._counts.dropped_frames += self._packets.clear() + len(self._ready)
            self._ready = self._ready[:0]
            self._pause()

    def flush(self) -> Samples:
        """Take all that is held, gaps filled, ``[n, channels]``; afterwards it fills anew."""
        with self._lock:
            return self._flush()

    def stats(self) -> JitterStats:
        """What it has seen and done."""
        with self._lock:
            return self._stats()

    @property
    def held_frames(self) -> int:
        """Frames held, those in the resampler included."""
        return self._packets.held + len(self._ready) + self._varispeed.held

    # ---- in

    def _put(self, x: Samples, sequence: int | None, timestamp: int | None) -> None:
        n, packets, counts = len(x), self._packets, self._counts
        if packets.held + n > self._capacity:
            counts.overflows += 1
            if self.jitter.overflow is Overflow.ERROR:
                raise LimitError(
                    f"jitter buffer is full: {n} frames do not fit into {self._capacity - packets.held}; "
                    "read faster, or choose drop_oldest or drop_newest"
                )
        counts.received_packets += 1
        counts.received_frames += n
        start, anew = self._placer.place(n, sequence, timestamp, packets.head)
        if anew or self._ended:
            self._arrivals.paused()
        self._ended = False
        now, wait = self._moment()
        self._arrivals.note(now, start, n, wait, timed=timestamp is not None)
        raw = min(self._most, max(self._least, self._arrivals.excess()))
        self._target = max(self._target, raw)
        start, x = self._fit(start, x)
        placed = packets.insert(start, x)
        counts.late_frames += placed.late
        counts.duplicate_frames += placed.duplicate
        counts.late += placed.late == len(x) > 0
        counts.duplicate += placed.duplicate == len(x) > 0

    def _fit(self, start: int, x: Samples) -> tuple[int, Samples]:
        """Make room by the policy; what is too long by itself loses its own end or beginning."""
        excess = self._packets.held + len(x) - self._capacity
        if excess <= 0:
            return start, x
        self._counts.dropped_frames += excess
        if self.jitter.overflow is Overflow.DROP_NEWEST:
            return start, x[: len(x) - excess]
        old = min(excess, self._packets.held)
        if old:
            self._packets.drop(old)
            self._concealer.seam()
        return start + excess - old, x[excess - old :]

    def _moment(self) -> tuple[float, float]:
        """The reader's time now, and how long the next read is away."""
        passed = (self._clock() - self._asked_s) * self.rate
        passed = min(max(passed, 0.0), float(self._last_asked))
        wait = self._last_asked - passed
        return self._asked - wait, wait + (self._last_asked if wait < self._margin else 0.0)

    # ---- out

    def _get(self, frames: int) -> Samples:
        self._asked += frames
        self._last_asked = frames
        self._asked_s = self._clock()
        self._steer(frames)
        need = self._varispeed.needed(frames)
        while need > 0:
            block = self._next(need)
            self._varispeed.push(block)
            self._pushed += len(block)
            need -= len(block)
        self._counts.played_frames += frames
        return self._varispeed.read(frames)

    def _delay(self, need: int) -> float:
        """How much later the next frame is read than the fastest network would allow, ``need`` still to be read now."""
        position = self._packets.head - len(self._ready)
        return self._asked - need - position - self._arrivals.base(self._asked)

    def _excess(self, need: int) -> float:
        """Delay beyond the target, as far as it is to be worked off."""
        excess = self._delay(need) - self._target
        return excess if self.jitter.catch_up else min(0.0, excess)

    def _steer(self, frames: int) -> None:
        raw = min(self._most, max(self._least, self._arrivals.excess()))
        self._target = max(raw, self._target - FALL * frames)
        trim = 0.0 if self._filling else self._excess(frames) / (TRIM_S * self.rate)
        self._varispeed.speed = 1.0 + min(TRIM_MOST, max(-TRIM_MOST, trim - self._arrivals.drift))

    def _next(self, need: int) -> Samples:
        """The next block of the sender's audio, or what stands for it, at most ``need`` frames."""
        if not len(self._ready):
            if self._filling and (wait := self._wait(need)):
                self._counts.silent_frames += wait
                return self._concealer.conceal(wait)
            hole = self._packets.hole
            if hole is None:
                return self._empty(need)
            self._ready = self._missing(need, hole) if hole else self._play(need)
            self._rest -= len(self._ready)
        block, self._ready = self._ready[:need], self._ready[need:]
        return block

    def _wait(self, need: int) -> int:
        """Frames of silence before the audio held may begin, up to ``need``; 0 where it begins now."""
        if not self._packets.held:
            return need
        missing = 0 if self._ended else round(self._target - self._delay(need))
        if missing <= need:
            self._filling = False
        return min(need, max(0, missing))

    def _empty(self, need: int) -> Samples:
        """Nothing is held: the audio has ended, or comes late."""
        if self._ended:
            self._pause()
            self._counts.silent_frames += need
            return self._concealer.conceal(need)
        if not self._concealer.concealing:
            self._counts.underflows += 1
        y = self._conceal(need)
        self._filling = self._concealer.silent
        return y

    def _conceal(self, frames: int) -> Samples:
        if not self._concealer.concealing:
            self._counts.concealments += 1
        said = min(frames, self._concealer.left)
        self._counts.concealed_frames += said
        self._counts.silent_frames += frames - said
        return self._concealer.conceal(frames)

    def _pause(self) -> None:
        self._concealer.end()
        self._filling = True

    def _missing(self, need: int, hole: int) -> Samples:
        """Audio is held, but not what comes next. Time lost already by waiting for it is not lost twice."""
        excess = self._excess(need)
        if excess > self._slack:
            cut = min(hole, round(excess))
            self._pass(cut)
            if cut == hole:
                self._concealer.seam()
                return self._play(need)
            hole -= cut
        future = self._packets.peek(2 * self._scale, beyond_hole=True)
        if hole <= self._bridge and not self._concealer.concealing and 3 * len(future) >= 2 * self._scale:
            self._counts.concealments += 1
            self._counts.concealed_frames += hole
            self._pass(hole)
            return self._concealer.bridge(hole, future)
        frames = min(need, hole)
        self._pass(frames)
        return self._conceal(frames)

    def _pass(self, frames: int) -> None:
        end = self._packets.head + (self._packets.hole or 0)
        if end not in self._placer.resumed:
            self._counts.lost_frames += frames
        self._packets.skip(frames)
        if self._packets.head == end:
            self._placer.resumed.discard(end)

    def _play(self, need: int) -> Samples:
        """Audio as it was sent, or a period shorter or longer where the delay is wrong."""
        ready = self._packets.ready
        if self._rest <= 0 and not self._concealer.joining:
            excess = self._excess(need)
            if excess > self._slack and ready >= self._scale:
                return self._hurry(max(need, self._scale), excess)
            if excess < -self._slack and ready >= self._scale // 3:
                return self._linger(max(need, self._scale // 3))
        return self._concealer.good(self._packets.take(need))

    def _hurry(self, frames: int, excess: float) -> Samples:
        scaled = shorten(self._packets.take(frames), self.rate, int(excess), alike=self._alike)
        self._counts.accelerated_frames += scaled.change
        self._paced(scaled.change, 3 if excess > self._hurried else 7)
        return self._concealer.good(scaled.samples)

    def _linger(self, frames: int) -> Samples:
        scaled = lengthen(self._packets.take(frames), self.rate, self._concealer.history, alike=self._alike)
        self._counts.expanded_frames += scaled.change
        self._paced(scaled.change, 3)
        return self._concealer.good(scaled.samples)

    def _paced(self, change: int, times: int) -> None:
        """After a change, leave ``times`` as much alone; the longer none was found, the less alike need it be."""
        self._alike = ALIKE if change else max(LEAST_ALIKE, self._alike - 0.02)
        self._rest = times * change if change else self._scale

    def _flush(self) -> Samples:
        while self._packets.held or len(self._ready):
            self._filling = False
            hole = self._packets.hole
            if hole and hole > self._bridge:
                self._pass(hole - self._bridge)
            block = self._next(self._scale)
            self._varispeed.push(block)
            self._pushed += len(block)
        rest = self._varispeed.held
        self._varispeed.push(silence(self._varispeed.needed(rest), self.channels))
        y = self._varispeed.read(rest)
        self._counts.played_frames += len(y)
        self._asked += len(y)
        self._varispeed.reset()
        self._concealer.reset()
        self._filling, self._rest = True, 0
        return y

    def _stats(self) -> JitterStats:
        held, counts = self.held_frames, self._counts
        arrivals, ms = self._arrivals, 1000.0 / self.rate
        return JitterStats(
            **asdict(counts),
            target_ms=self._target * ms,
            depth_ms=0.0 if self._filling else self._delay(0) * ms,
            held_ms=held * ms,
            held_frames=held,
            jitter_ms=arrivals.jitter * ms,
            drift_ppm=1e6 * arrivals.drift,
            speed=self._varispeed.speed,
            stretched_frames=counts.played_frames - self._pushed + self._varispeed.held,
            lost=max(0, self._placer.missing + counts.duplicate),
        )
