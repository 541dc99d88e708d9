"""Windows of one rate and length out of a stream of any rate."""

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, silence
from menura.audio.format import check_rate
from menura.dsp.resample import Resampler
from menura.units import ms_to_frames

__all__ = ["WindowFeed"]

LEAD_MS = 10.0
"""Audio that a window needs from before its context: the resampler's delay and half its filter."""


class WindowFeed:
    """Cuts a stream of any rate into windows at the detector's rate, one for each hop, and converts what is asked for.

    Where a window is no whole number of frames of the stream, windows overlap or miss by a frame now and then, so that
    the hop is constant.

    Args:
        rate: Of the stream, Hz.
        target_rate: Of the windows, Hz.
        window: Frames at ``target_rate``.
        context: Frames before a window that come with it.

    Attributes:
        hop: Frames at ``rate``.
        latency: Frames at ``rate`` by which the windows lag.
        hops: Whole hops taken so far.
    """

    def __init__(self, rate: int, target_rate: int, window: int, context: int = 0) -> None:
        self.rate = check_rate(rate)
        self._target_rate = target_rate
        self._context = context
        self._size = window + context
        self.hop = ms_to_frames(1000.0 * window / target_rate, rate)
        self._resampler = Resampler(rate, target_rate)
        self.latency = -(-self._resampler.latency * rate // target_rate)
        self._lead = ms_to_frames(LEAD_MS + 1000.0 * context / target_rate, rate)
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._raw = silence(self._lead)
        self._raw_at = -self._lead  # frame of the first in it
        self.hops = 0
        self._restart(-self._lead)

    def _restart(self, frame: int) -> None:
        self._resampler.reset()
        self._start = self._fed = frame
        self._made = np.zeros(0, np.float32)
        self._made_at = 0  # number of its first since the start, at the target rate

    def push(self, x: Samples) -> range:
        """Add a block, ``[n, 1]``; returns the numbers of the hops that it completes."""
        oldest = self.hops * self.hop - self._lead
        drop = max(0, oldest - self._raw_at)
        self._raw = np.concatenate([self._raw[drop:], x])
        self._raw_at += drop
        first, self.hops = self.hops, (self._raw_at + len(self._raw)) // self.hop
        return range(first, self.hops)

    def windows(self, first: int, last: int) -> NDArray[np.float32]:
        """The windows that end with these hops, the last included, each with the context before it.

        Successive calls go forwards; what they leave out between is never converted.

        Shape:
            ``[last − first + 1, context + window]``; silence before the start of the stream.
        """
        begin, end = first * self.hop - self._lead, (last + 1) * self.hop
        if begin > self._fed:
            self._restart(max(begin, self._raw_at))
        fresh = self._resampler.process(self._raw[self._fed - self._raw_at : end - self._raw_at])[:, 0]
        self._fed = end
        needed = self._count(first) - self._size
        drop = max(0, min(needed - self._made_at, len(self._made)))
        self._made = np.concatenate([self._made[drop:], fresh])
        self._made_at += drop
        ends = [self._count(hop) - self._made_at for hop in range(first, last + 1)]
        return np.stack([self._made[at - self._size : at] for at in ends])

    def _count(self, hop: int) -> int:
        return ((hop + 1) * self.hop - self._start) * self._target_rate // self.rate
