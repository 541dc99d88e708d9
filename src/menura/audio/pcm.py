"""Samples to bytes and back. int16 and float meet here and nowhere else, by 32768 both ways, rounded and clipped."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from menura.audio import g711
from menura.audio.block import Samples, finite
from menura.audio.format import AudioFormat, StreamFormat
from menura.errors import FormatError

__all__ = ["decode", "encode", "float_to_int16", "int16_to_float"]

FULL_SCALE = 32768.0
Data = bytes | bytearray | memoryview


def int16_to_float(x: NDArray[np.int16]) -> NDArray[np.float32]:
    """Samples in −1…1 of 16-bit samples, any shape.

    >>> int16_to_float(np.array([-32768, 16384], np.int16))
    array([-1. ,  0.5], dtype=float32)
    """
    return np.multiply(x, np.float32(1.0 / FULL_SCALE), dtype=np.float32)


def float_to_int16(x: NDArray[np.float32]) -> NDArray[np.int16]:
    """16-bit samples, any shape: rounded to nearest, clipped at full scale, NaN as silence.

    >>> float_to_int16(np.array([0.5, 2.0, np.nan], np.float32))
    array([16384, 32767,     0], dtype=int16)
    """
    scaled = np.clip(x, -1.0, 1.0)
    scaled *= np.float32(FULL_SCALE)
    np.rint(scaled, out=scaled)
    np.minimum(scaled, FULL_SCALE - 1.0, out=scaled)
    if np.isnan(scaled.sum()):  # a sum is the cheapest test: clipped values cannot overflow it
        np.nan_to_num(scaled, copy=False, nan=0.0)
    return scaled.astype(np.int16)


def _decode_f32(data: Data) -> NDArray[np.float32]:
    return finite(np.frombuffer(data, "<f4").astype(np.float32))


def _encode_f32(x: NDArray[np.float32]) -> bytes:
    return x.astype("<f4", copy=False).tobytes()


_DECODE: dict[AudioFormat, Callable[[Data], NDArray[np.float32]]] = {
    AudioFormat.PCM16: lambda data: int16_to_float(np.frombuffer(data, "<i2")),
    AudioFormat.PCM_F32: _decode_f32,
    AudioFormat.G711_ULAW: lambda data: int16_to_float(g711.decode_ulaw(data)),
    AudioFormat.G711_ALAW: lambda data: int16_to_float(g711.decode_alaw(data)),
}
_ENCODE: dict[AudioFormat, Callable[[NDArray[np.float32]], bytes]] = {
    AudioFormat.PCM16: lambda x: float_to_int16(x).astype("<i2", copy=False).tobytes(),
    AudioFormat.PCM_F32: _encode_f32,
    AudioFormat.G711_ULAW: lambda x: g711.encode_ulaw(float_to_int16(x)),
    AudioFormat.G711_ALAW: lambda x: g711.encode_alaw(float_to_int16(x)),
}


def decode(data: Data, form: StreamFormat) -> Samples:
    """Bytes to a block; NaN becomes silence and infinity full scale.

    Returns:
        float32 ``[frames, channels]``, a copy.

    Raises:
        FormatError: ``data`` ends within a frame.
    """
    frames = form.frames_in(data)
    return _DECODE[form.encoding](data).reshape(frames, form.channels)


def encode(x: Samples, form: StreamFormat) -> bytes:
    """A block to bytes; integer encodings round and clip.

    Shape:
        x: ``[frames, channels]``.

    Raises:
        FormatError: ``x`` has other channels than ``form``.
    """
    if x.ndim != 2 or x.shape[1] != form.channels:
        raise FormatError(f"expected [frames, {form.channels}], got {list(x.shape)}")
    return _ENCODE[form.encoding](x.reshape(-1))
