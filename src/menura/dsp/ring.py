"""Keep the last, or the next, N frames: one ring for pre-buffers, context, streams and device callbacks."""

from enum import StrEnum

import numpy as np

from menura.audio.block import Samples, silence
from menura.errors import ConfigError, LimitError

__all__ = ["Overflow", "Ring"]


class Overflow(StrEnum):
    """What happens to audio that does not fit."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    ERROR = "error"


class Ring:
    """Bounded FIFO of frames.

    One thread may write while another reads without a lock, as long as the policy is ``DROP_NEWEST``: the writer
    alone moves ``written``, the reader alone moves ``consumed``, and each is one Python integer. ``DROP_OLDEST`` moves
    the reader's end from the writer's side and belongs in one thread.

    Args:
        capacity: Frames it holds at most.
        channels: Of every block.
        overflow: What to do with what does not fit; each frame lost is counted in ``dropped``.
    """

    def __init__(self, capacity: int, channels: int = 1, overflow: Overflow = Overflow.DROP_OLDEST) -> None:
        if capacity < 1:
            raise ConfigError(f"a ring holds at least 1 frame, not {capacity}")
        self.capacity = capacity
        self.overflow = overflow
        self.written = 0
        self.consumed = 0
        self.dropped = 0
        self._data = silence(capacity, channels)

    def __len__(self) -> int:
        return self.written - self.consumed

    @property
    def free(self) -> int:
        """Frames that fit without loss."""
        return self.capacity - len(self)

    def write(self, x: Samples) -> int:
        """Append a block.

        Returns:
            Frames lost: the oldest held or the newest given, by the policy.

        Raises:
            LimitError: It does not fit and the policy is ``ERROR``; nothing was written.
        """
        excess = max(0, len(x) - self.free)
        if excess and self.overflow is Overflow.ERROR:
            raise LimitError(f"ring is full: {len(x)} frames do not fit into {self.free}")
        self.dropped += excess
        if excess and self.overflow is Overflow.DROP_NEWEST:
            x = x[: len(x) - excess]
        elif excess:
            self.written += max(0, len(x) - self.capacity)
            x = x[-self.capacity :]
            self.consumed = self.written + len(x) - self.capacity
        start = self.written % self.capacity
        first = min(len(x), self.capacity - start)
        self._data[start : start + first] = x[:first]
        self._data[: len(x) - first] = x[first:]
        self.written += len(x)  # last: what a reader sees is complete
        return excess

    def peek(self, frames: int | None = None) -> Samples:
        """Copy of the oldest ``frames`` held (all by default, fewer if fewer are held), which stay."""
        n = len(self) if frames is None else min(frames, len(self))
        start = self.consumed % self.capacity
        first = min(n, self.capacity - start)
        return np.concatenate([self._data[start : start + first], self._data[: n - first]])

    def read(self, frames: int | None = None) -> Samples:
        """Take the oldest ``frames`` held (all by default, fewer if fewer are held)."""
        x = self.peek(frames)
        self.consumed += len(x)
        return x

    def read_into(self, out: Samples) -> int:
        """Take the oldest frames into ``out``, allocating nothing; what is beyond them in ``out`` stays as it was.

        Returns:
            Frames taken: ``len(out)``, or fewer if fewer are held.
        """
        n = min(len(out), len(self))
        start = self.consumed % self.capacity
        first = min(n, self.capacity - start)
        out[:first] = self._data[start : start + first]
        out[first:n] = self._data[: n - first]
        self.consumed += n  # last: what the writer may overwrite has been copied
        return n

    def skip(self, frames: int) -> int:
        """Drop the oldest ``frames`` without a copy; returns how many there were."""
        n = min(frames, len(self))
        self.consumed += n
        return n

    def clear(self) -> None:
        """Empty the ring; counters of loss stay."""
        self.consumed = self.written
