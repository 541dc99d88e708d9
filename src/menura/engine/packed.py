"""A queue of frames that are kept as they are encoded."""

from collections import deque

from menura.audio.block import Samples
from menura.audio.format import StreamFormat
from menura.audio.pcm import decode, encode

__all__ = ["Packed"]

SMALL = 512
"""Bytes below which neighbours are joined: each piece has a cost of its own, and a sender may send single frames."""


class Packed:
    """FIFO of encoded frames; a piece that is read whole is the very object that was written.

    >>> packed = Packed(StreamFormat(rate=8000))
    >>> packed.write_bytes(bytes(2000))
    >>> len(packed.read_bytes(400)), len(packed.read(100)), len(packed)
    (800, 100, 500)
    """

    def __init__(self, form: StreamFormat) -> None:
        self._form = form
        self.frame_bytes = form.frame_bytes
        self._pieces: deque[bytes] = deque()
        self._start = 0  # of what is held, in the first piece
        self._size = 0

    def __len__(self) -> int:
        return self._size // self.frame_bytes

    def write(self, x: Samples) -> None:
        """Append a block, ``[n, channels]``."""
        self.write_bytes(encode(x, self._form))

    def write_bytes(self, data: bytes) -> None:
        """Append whole frames."""
        if not data:
            return
        pieces = self._pieces
        if pieces and len(pieces[-1]) < SMALL:
            pieces[-1] += data
        else:
            pieces.append(data)
        self._size += len(data)

    def read(self, frames: int) -> Samples:
        """Take the oldest ``frames``, or fewer if fewer are held, as a block."""
        return decode(self.read_bytes(frames), self._form)

    def read_bytes(self, frames: int) -> bytes:
        """Take the oldest ``frames``, or fewer if fewer are held."""
        left = min(frames * self.frame_bytes, self._size)
        self._size -= left
        if not self._start and self._pieces and len(self._pieces[0]) == left:
            return self._pieces.popleft()
        parts = []
        while left:
            part = self._pieces[0][self._start : self._start + left]
            parts.append(part)
            left -= len(part)
            self._start += len(part)
            if self._start == len(self._pieces[0]):
                self._pieces.popleft()
                self._start = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def keep(self, frames: int) -> None:
        """Drop all but the oldest ``frames``."""
        kept = self.read_bytes(frames)
        self._pieces.clear()
        self._start = self._size = 0
        self.write_bytes(kept)
