"""A stream buffer that hides a network: even audio from packets that come late, bunched, twice or not at all.

Audio passes: packets in order → concealment of what is missing → pitch periods cut out or said twice, to reach the
target delay → a resampler, against the drift of the clocks. The structure is that of WebRTC's NetEQ, the estimators are
our own: everything is measured in frames on the reader's clock (see :mod:`menura.engine.arrival`), so neither the
reader's own unevenness nor a clock that is not the sound card's disturbs it.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, as_block, finite, silence
from menura.audio.config import AudioConfig
from menura.audio.pcm import Data, decode
from menura.clock import Clock, monotonic_s
from menura.dsp.ring import Overflow
from menura.dsp.varispeed import Varispeed
from menura.engine.arrival import Arrivals
from menura.engine.jitter_config import JitterConfig, JitterStats
from menura.engine.playout import Counts, Playout
from menura.engine.sequence import Placer
from menura.errors import ConfigError, LimitError

__all__ = ["JitterBuffer", "JitterConfig", "JitterStats"]

MARGIN_MS = 3.0
"""A packet that comes so shortly before a read is counted on for the next one only."""
TRIM_S = 5.0
"""Time constant with which the speed works off what is left of the deviation from the target."""
TRIM_MOST = 0.005
FALL = 0.015
"""The target falls by so much of the time that passes: 15 ms a second. It rises at once."""
_COUNTED = tuple(field.name for field in fields(Counts))


class JitterBuffer:
    """Takes packets as they come, gives exactly the frames asked for, at once.

    It adapts to what it sees arrive: its delay is where more of it would cost a conversation more than the audio that
    comes late. It grows by saying pitch periods twice and shrinks by cutting some out, at most every fourth (of near
    silence two thirds). What is missing is concealed for 100 ms and silent then; the drift of the sender's clock
    against the reader's is resampled away.

    Nothing here waits. One thread may put while another gets if ``lock`` is a lock of theirs: each call holds it for
    its own length, some 10 to 50 µs.

    Args:
        config: Rate, channels and encoding of the audio.
        jitter: Bounds and aims.
        clock: Seconds; only refines when a packet came between two reads.
        lock: A context manager entered around every call, such as a ``threading.Lock``.

    >>> buffer = JitterBuffer(AudioConfig(sample_rate=24_000))
    >>> buffer.put(bytes(960))
    0
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
        self._margin = MARGIN_MS * ms
        price = 100.0 * self.jitter.late_price_ms * ms  # per lot, not per cent
        self._arrivals = Arrivals(
            self.rate, round(self._most), self.jitter.quantile, price, self.jitter.easy_delay_ms * ms
        )
        self._placer = Placer(self.jitter, self._capacity, round(self._most))
        self._playout = Playout(self.rate, self.channels, catch_up=self.jitter.catch_up, resumed=self._placer.resumed)
        self._varispeed = Varispeed(self.rate, self.channels)
        self._counts = self._playout.counts
        self._asked = self._last_asked = 0  # frames: by all reads, by the last one
        self._asked_s = 0.0
        self._pushed = 0

    def put(
        self,
        data: Data | NDArray[np.floating[Any]],
        *,
        sequence: int | None = None,
        timestamp_frames: int | None = None,
    ) -> int:
        """Take a packet.

        Args:
            data: Bytes in the configured encoding, or floating-point ``[frames]`` or ``[frames, channels]``.
            sequence: Number of the packet, one more each time: tells loss and order.
            timestamp_frames: Sender's time of its first frame: tells pauses too. With neither, packets are taken in
                the order in which they come.

        Returns:
            Frames dropped for want of room, the oldest or the newest.

        Raises:
            FormatError: The bytes end within a frame, or the array has another shape.
            LimitError: It does not fit and the policy is ``ERROR``; it was not taken.
        """
        if isinstance(data, bytes | bytearray | memoryview):
            x = decode(data, self._form)
        else:
            x = np.array(finite(as_block(data, self.channels)))
        if not len(x):
            return 0
        with self._lock:
            dropped = self._counts.dropped_frames
            self._put(x, sequence, timestamp_frames)
            return self._counts.dropped_frames - dropped

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
            self._playout.ended = True

    def clear(self) -> None:
        """Drop all that is held, counted as dropped; the next read fades out. What is known of the network stays."""
        with self._lock:
            self._counts.dropped_frames += self._playout.clear()

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
        return self._playout.held + self._varispeed.held

    @property
    def received_packets(self) -> int:
        """Packets that came."""
        return self._counts.received_packets

    # ---- in

    def _put(self, x: Samples, sequence: int | None, timestamp: int | None) -> None:
        n, packets, counts = len(x), self._playout.packets, self._counts
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
        if anew or self._playout.ended:
            self._arrivals.paused()
        self._playout.ended = False
        now, wait = self._moment()
        self._arrivals.note(now, start, n, wait, timed=timestamp is not None)
        start, x = self._fit(start, x)
        placed = packets.insert(start, x)
        counts.late_frames += placed.late
        counts.duplicate_frames += placed.duplicate
        counts.late += placed.late == len(x) > 0
        counts.duplicate += placed.duplicate == len(x) > 0

    def _fit(self, start: int, x: Samples) -> tuple[int, Samples]:
        """Make room by the policy; what is too long by itself loses its own end or beginning."""
        held = self._playout.packets.held
        excess = held + len(x) - self._capacity
        if excess <= 0:
            return start, x
        self._counts.dropped_frames += excess
        if self.jitter.overflow is Overflow.DROP_NEWEST:
            return start, x[: len(x) - excess]
        old = min(excess, held)
        if old:
            self._playout.room(old)
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
        raw = min(self._most, max(self._least, self._arrivals.excess))
        self._target = max(raw, self._target - FALL * frames)
        goal = self._asked - self._arrivals.base(self._asked) - self._target
        self._steer(frames, goal)
        need = self._varispeed.needed(frames)
        while need > 0:
            need -= self._push(self._playout.next(need, goal))
        self._counts.played_frames += frames
        return self._varispeed.read(frames)

    def _steer(self, frames: int, goal: float) -> None:
        trim = 0.0 if self._playout.filling else self._playout.excess(frames, goal) / (TRIM_S * self.rate)
        self._varispeed.speed = 1.0 + min(TRIM_MOST, max(-TRIM_MOST, trim - self._arrivals.drift))

    def _push(self, block: Samples) -> int:
        self._varispeed.push(block)
        self._pushed += len(block)
        return len(block)

    def _flush(self) -> Samples:
        while (block := self._playout.rest()) is not None:
            self._push(block)
        rest = self._varispeed.held
        self._varispeed.push(silence(self._varispeed.needed(rest), self.channels))
        y = self._varispeed.read(rest)
        self._counts.played_frames += len(y)
        self._asked += len(y)
        self._varispeed.reset()
        self._playout.restart()
        return y

    def _stats(self) -> JitterStats:
        held, counts, playout = self.held_frames, self._counts, self._playout
        arrivals, ms = self._arrivals, 1000.0 / self.rate
        depth = self._asked - playout.position - arrivals.base(self._asked)
        return JitterStats(
            **{name: getattr(counts, name) for name in _COUNTED},
            target_ms=self._target * ms,
            depth_ms=0.0 if playout.filling else float(depth) * ms,
            held_ms=held * ms,
            held_frames=held,
            jitter_ms=float(arrivals.jitter) * ms,
            drift_ppm=1e6 * arrivals.slope,
            speed=self._varispeed.speed,
            stretched_frames=counts.played_frames - self._pushed + self._varispeed.held,
            lost=max(0, self._placer.missing + counts.duplicate),
        )
