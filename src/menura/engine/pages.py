"""A queue of frames that grows as it fills and shrinks as it is read."""

from collections import deque

import numpy as np

from menura.audio.block import Samples, silence

__all__ = ["Pages"]

PAGE = 8192
"""Frames of a page: 32 KB a channel, so that many short blocks cost no more than few long ones."""


class Pages:
    """FIFO of frames in pages of one size; what is given is copied.

    >>> pages = Pages()
    >>> pages.write(np.ones((10_000, 1), np.float32))
    >>> len(pages.read(4_000)), len(pages)
    (4000, 6000)
    """

    def __init__(self, channels: int = 1) -> None:
        self.channels = channels
        self._pages: deque[Samples] = deque()
        self._start = 0  # of what is held, from the first page's first frame
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def write(self, x: Samples) -> None:
        """Append a block, ``[n, channels]``."""
        at = 0
        while at < len(x):
            end = self._start + self._held
            page, offset = divmod(end, PAGE)
            if page == len(self._pages):
                self._pages.append(np.empty((PAGE, self.channels), np.float32))
            n = min(len(x) - at, PAGE - offset)
            self._pages[page][offset : offset + n] = x[at : at + n]
            self._held += n
            at += n

    def read(self, frames: int) -> Samples:
        """Take the oldest ``frames``, or fewer if fewer are held."""
        n = min(frames, self._held)
        out = silence(n, self.channels)
        at = 0
        while at < n:
            step = min(n - at, PAGE - self._start)
            out[at : at + step] = self._pages[0][self._start : self._start + step]
            at += step
            self._start += step
            if self._start == PAGE:
                self._pages.popleft()
                self._start = 0
        self._held -= n
        return out

    def keep(self, frames: int) -> None:
        """Drop all but the oldest ``frames``."""
        self._held = min(frames, self._held)
        needed = -(-(self._start + self._held) // PAGE)
        while len(self._pages) > needed:
            self._pages.pop()
        if not self._pages:
            self._start = 0
