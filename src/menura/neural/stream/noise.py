"""Noise that belongs to a moment, not to a computation: whoever asks for it again hears the same."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeyedNoise"]

ROWS = 64


class KeyedNoise:
    """Gaussian noise of unit deviation, a row for each frame, the same whenever it is asked for.

    Args:
        seed: Another, another noise.
        width: Numbers of a row.

    Source:
        Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011 (Philox).

    >>> noise = KeyedNoise(7, 3)
    >>> bool((noise.rows(10, 90)[50:] == noise.rows(60, 40)).all())
    True
    """

    def __init__(self, seed: int, width: int) -> None:
        self._seed, self._width = seed, width
        self._page = lru_cache(maxsize=8)(self._draw)

    def _draw(self, page: int) -> NDArray[np.float32]:
        bits = np.random.Philox(key=self._seed, counter=np.array([0, 0, 0, page % 2**64], np.uint64))
        return np.random.Generator(bits).standard_normal((ROWS, self._width), np.float32)

    def rows(self, first: int, count: int) -> NDArray[np.float32]:
        """Rows ``[count, width]`` from frame ``first`` on, which may be negative."""
        low, high = first // ROWS, (first + count - 1) // ROWS
        pages = [self._page(page) for page in range(low, high + 1)]
        start = first - low * ROWS
        return np.concatenate(pages)[start : start + count] if pages else np.zeros((0, self._width), np.float32)
