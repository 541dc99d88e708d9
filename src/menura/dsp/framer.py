"""Re-chunking: blocks of any length in, blocks of one length out."""

import numpy as np

from menura.audio.block import Samples, silence
from menura.errors import ConfigError

__all__ = ["Framer"]


class Framer:
    """Cuts a stream into blocks of ``size`` frames, ``hop`` frames apart.

    >>> framer = Framer(4)
    >>> [len(block) for block in framer.push(silence(10))], len(framer.rest())
    ([4, 4], 2)
    """

    def __init__(self, size: int, hop: int | None = None, channels: int = 1) -> None:
        self.size = size
        self.hop = size if hop is None else hop
        if not 1 <= self.hop <= size:
            raise ConfigError(f"need 1 <= hop <= size, got hop {self.hop}, size {size}")
        self._held = silence(0, channels)

    @property
    def held(self) -> int:
        """Frames held that are not yet a whole frame's."""
        return len(self._held)

    def push(self, x: Samples) -> list[Samples]:
        """Add a block, ``[n, c]``, and return each frame now complete, ``[size, c]``."""
        held = np.concatenate([self._held, x])
        count = max(0, (len(held) - self.size) // self.hop + 1)
        self._held = held[count * self.hop :]
        return [held[i * self.hop : i * self.hop + self.size] for i in range(count)]

    def rest(self) -> Samples:
        """Take what is held and not yet a whole frame."""
        held, self._held = self._held, self._held[:0]
        return held
