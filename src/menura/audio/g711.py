"""G.711 µ-law and A-law, by table.

Source:
    ITU-T G.711 (11/1988), tables 1a–2b. How 16-bit samples fall between decision values is that of ITU-T G.191's
    reference software: the two (µ-law) or four (A-law) lowest bits are cut off, for negative samples after one's
    complement.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_alaw", "decode_ulaw", "encode_alaw", "encode_ulaw"]

Data = bytes | bytearray | memoryview


def _ulaw_decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF  # µ-law codes travel inverted
    segment, step = code >> 4 & 7, code & 15
    magnitude = ((2 * step + 33 << segment) - 33) * 4  # 14-bit values, as 16-bit
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_decode_table() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ 0x55  # even bits travel inverted
    segment, step = code >> 4 & 7, code & 15
    magnitude = np.where(segment == 0, 2 * step + 1, 2 * step + 33 << np.maximum(segment - 1, 0)) * 8
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _magnitudes(bits: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Every int16 in the order of its two's complement bits: magnitude without the lowest ``bits``, and its sign."""
    x = np.arange(65536, dtype=np.int32).astype(np.uint16).view(np.int16).astype(np.int32)
    negative = x < 0
    return np.where(negative, ~x, x) >> bits, negative


def _log2_floor(x: NDArray[np.int32]) -> NDArray[np.int32]:
    return (np.frexp(x.astype(np.float64))[1] - 1).astype(np.int32)


def _ulaw_encode_table() -> NDArray[np.uint8]:
    magnitude, negative = _magnitudes(2)
    biased = np.minimum(magnitude + 33, 0x1FFF)
    segment = _log2_floor(biased) - 5
    code = segment << 4 | biased >> segment + 1 & 15
    return (~np.where(negative, code | 0x80, code) & 0xFF).astype(np.uint8)


def _alaw_encode_table() -> NDArray[np.uint8]:
    magnitude, negative = _magnitudes(4)
    segment = np.maximum(_log2_floor(np.maximum(magnitude, 1)) - 4, 0) + (magnitude > 15)
    code = np.where(magnitude > 15, segment << 4 | magnitude >> np.maximum(segment - 1, 0) & 15, magnitude)
    return (np.where(negative, code, code | 0x80) ^ 0x55).astype(np.uint8)


_ULAW_TO_INT16 = _ulaw_decode_table().astype("<i2")
_ALAW_TO_INT16 = _alaw_decode_table().astype("<i2")
_INT16_TO_ULAW = _ulaw_encode_table()
_INT16_TO_ALAW = _alaw_encode_table()


def decode_ulaw(data: Data) -> NDArray[np.int16]:
    """µ-law bytes to 16-bit samples, ``[n]``."""
    return _ULAW_TO_INT16.take(np.frombuffer(data, np.uint8))


def decode_alaw(data: Data) -> NDArray[np.int16]:
    """A-law bytes to 16-bit samples, ``[n]``."""
    return _ALAW_TO_INT16.take(np.frombuffer(data, np.uint8))


def encode_ulaw(x: NDArray[np.int16]) -> bytes:
    """16-bit samples to µ-law bytes."""
    return _INT16_TO_ULAW.take(x.view(np.uint16)).tobytes()


def encode_alaw(x: NDArray[np.int16]) -> bytes:
    """16-bit samples to A-law bytes."""
    return _INT16_TO_ALAW.take(x.view(np.uint16)).tobytes()
