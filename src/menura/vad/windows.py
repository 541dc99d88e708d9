"""Windows of one rate and length out of a stream of any rate."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, silence
from menura.audio.format import check_rate
from menura.audio.pcm import int16_to_float
from menura.dsp.resample import Resampler
from menura.units import ms_to_frames

__all__ = ["WindowFeed"]

LEAD_MS = 10.0
"""Audio that a window needs from before its context: the resampler's delay and half its filter."""
Block = Samples | bytes


def _frames(block: Block) -> int:
    return len(block) >> 1 if isinstance(block, bytes) else len(block)


def _samples(block: Block) -> Samples:
    return int16_to_float(np.frombuffer(block, "<i2"))[:, None] if isinstance(block, bytes) else block


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
        self._size = window + context
        self.hop = ms_to_frames(1000.0 * window / target_rate, rate)
        self._resampler = Resampler(rate, target_rate)
        self.latency = -(-self._resampler.latency * rate // target_rate)
        self._lead = ms_to_frames(LEAD_MS + 1000.0 * context / target_rate, rate)
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._blocks: deque[Block] = deque([silence(self._lead)])
        self._first = -self._lead  # frame of the first in them
        self._end = 0  # frame after the last
        self.hops = 0
        self._restart(-self._lead)

    def _restart(self, frame: int) -> None:
        self._resampler.reset()
        self._start = self._fed = frame
        self._made = np.zeros(0, np.float32)
        self._made_at = 0  # number of its first since the start, at the target rate

    def push(self, block: Block) -> range:
        """Add a block, ``[n, 1]`` or 16-bit bytes; returns the numbers of the hops that it completes.

        What comes before those hops, and their lead, can no longer be asked for.
        """
        first, oldest = self.hops, self.hops * self.hop - self._lead
        blocks = self._blocks
        while blocks and self._first + _frames(blocks[0]) <= oldest:
            self._first += _frames(blocks.popleft())
        blocks.append(block)
        self._end += _frames(block)
        self.hops = self._end // self.hop
        return range(first, self.hops)

    def windows(self, first: int, last: int) -> NDArray[np.float32]:
        """The windows that end with these hops, the last included, each with the context before it.

        Successive calls go forwards; what they leave out between is never converted.

        Shape:
            ``[last − first + 1, context + window]``; silence before the start of the stream.
        """
        begin, end = first * self.hop - self._lead, (last + 1) * self.hop
        if begin > self._fed:
            self._restart(begin)
        fresh = self._resampler.process(self._between(self._fed, end))[:, 0]
        self._fed = end
        drop = max(0, min(self._count(first) - self._size - self._made_at, len(self._made)))
        self._made = np.concatenate([self._made[drop:], fresh])
        self._made_at += drop
        ends = [self._count(hop) - self._made_at for hop in range(first, last + 1)]
        if len(ends) == 1:
            return self._made[None, ends[0] - self._size : ends[0]]
        return np.stack([self._made[at - self._size : at] for at in ends])

    def _between(self, start: int, end: int) -> Samples:
        parts, at = [], self._first
        for block in self._blocks:
            size = _frames(block)
            if at + size > start and at < end:
                parts.append(_samples(block)[max(0, start - at) : end - at])
            at += size
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _count(self, hop: int) -> int:
        return ((hop + 1) * self.hop - self._start) * self._target_rate // self.rate
