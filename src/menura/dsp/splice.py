"""Joining overlapping blocks where they match best (SOLA)."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from menura.audio.block import Samples, silence
from menura.dsp.fade import Fade, crossfade
from menura.errors import ConfigError, FormatError

__all__ = ["Splicer", "best_offset"]


def best_offset(tail: Samples, candidates: Samples) -> int:
    """Offset at which ``candidates`` continues ``tail`` best: the maximum of the normalised cross-correlation.

    Shape:
        tail: ``[n, c]``; candidates: ``[n + search, c]``.

    Returns:
        0…search; 0 where nothing correlates.
    """
    a = tail.mean(axis=1)
    windows = sliding_window_view(candidates.mean(axis=1), len(a))
    energy = np.einsum("ij,ij->i", windows, windows)
    score = (windows @ a) / np.sqrt(energy + 1e-8)
    return int(np.argmax(score)) if np.any(score > 0) else 0


class Splicer:
    """Joins blocks that each begin ``fade + search`` frames before the last one's end.

    Each call gives ``[fade + search + block, c]``: the splicer finds within ``search`` frames where the new block
    continues what it kept of the last, fades over ``fade`` frames and returns ``block`` frames. Output lags by
    ``fade`` frames.

    Source:
        Synchronous overlap-add: Roucos and Wilgus, ICASSP 1985.
    """

    def __init__(self, block: int, fade: int, search: int, channels: int = 1) -> None:
        if min(block, fade) < 1 or search < 0 or fade > block:
            raise ConfigError(f"need 1 <= fade <= block and search >= 0: {block=} {fade=} {search=}")
        self.block, self.fade, self.search, self.channels = block, fade, search, channels
        self.latency = fade
        self.offset = 0
        self._tail: Samples | None = None

    def push(self, x: Samples) -> Samples:
        """Join the next block.

        Raises:
            FormatError: ``x`` is not ``[fade + search + block, channels]``.
        """
        need = (self.fade + self.search + self.block, self.channels)
        if x.shape != need:
            raise FormatError(f"expected {list(need)}, got {list(x.shape)}")
        if self._tail is None:
            self._tail = silence(self.fade, self.channels)
        self.offset = best_offset(self._tail, x[: self.fade + self.search])
        piece = x[self.offset : self.offset + self.block + self.fade].copy()
        piece[: self.fade] = crossfade(self._tail, piece[: self.fade], Fade.EQUAL_GAIN)
        self._tail = piece[self.block :]
        return piece[: self.block]

    def flush(self) -> Samples:
        """Return the ``fade`` frames kept, and be as new."""
        tail = silence(self.fade, self.channels) if self._tail is None else self._tail
        self._tail = None
        return tail
