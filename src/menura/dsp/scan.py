"""What a chunk of 16-bit bytes contains, in one pass and without making an array of it."""

import math
from ctypes import Structure, addressof, c_char_p, c_double, c_int32, c_int64, c_void_p, memset, sizeof

import numpy as np

from menura.dsp.native import declare, pointer

__all__ = ["Scanner"]

_scan_bytes = declare("mn_scan_pcm16", [c_char_p, c_int64, c_int32, c_void_p])
_scan_at = declare("mn_scan_pcm16", [c_void_p, c_int64, c_int32, c_void_p])


class _Sums(Structure):
    _fields_ = (("squares", c_double), ("total", c_double), ("peak", c_double), ("clipped", c_double))


class Scanner:
    """Measures chunks of 16-bit little-endian samples; the figures are those of the last chunk.

    Used from one thread at a time.

    Args:
        clip: Magnitude, 1…32768, from which a sample counts as clipped.

    Attributes:
        count: Samples.

    >>> scanner = Scanner()
    >>> scanner.scan(bytes([0, 64, 0, 192]))
    0.5
    """

    __slots__ = ("_address", "_clip", "_sums", "count")

    def __init__(self, clip: int = 32768) -> None:
        self._clip = clip
        self._sums = _Sums()
        self._address = addressof(self._sums)
        self.count = 0

    def scan(self, data: bytes | bytearray | memoryview) -> float:
        """Measure a chunk (an odd last byte is left out); returns its RMS level, 0 for an empty one."""
        count = self.count = len(data) >> 1
        if not count:
            memset(self._address, 0, sizeof(_Sums))
            return 0.0
        if type(data) is bytes:
            _scan_bytes(data, count, self._clip, self._address)
        else:
            view = np.frombuffer(data, np.uint8)
            _scan_at(pointer(view), count, self._clip, self._address)
        return math.sqrt(self._sums.squares / count) / 32768.0

    @property
    def level(self) -> float:
        """RMS, 0…1."""
        return math.sqrt(self._sums.squares / self.count) / 32768.0 if self.count else 0.0

    @property
    def peak(self) -> float:
        """Largest magnitude, 0…1."""
        return float(self._sums.peak) / 32768.0

    @property
    def mean(self) -> float:
        """Constant offset, −1…1."""
        return float(self._sums.total) / self.count / 32768.0 if self.count else 0.0

    @property
    def clipped(self) -> int:
        """Samples that count as clipped."""
        return int(self._sums.clipped)
