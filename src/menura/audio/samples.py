"""Samples of an ``AudioStream`` as numbers and back, by the names FFmpeg gives to raw PCM."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from menura.audio.block import finite
from menura.audio.pcm import FULL_SCALE, float_to_int16
from menura.errors import FormatError

__all__ = ["FORMATS", "from_samples", "to_samples"]

_Bytes = bytes | bytearray | memoryview
_DTYPES = ("int16", "float32", "float64")


class _Pcm(NamedTuple):
    width: int
    full_scale: float
    read: Callable[[_Bytes], NDArray[Any]]  # to the numbers as stored, signed


def _read_u8(data: _Bytes) -> NDArray[np.int16]:
    return np.frombuffer(data, np.uint8).astype(np.int16) - np.int16(128)


def _read_s24(data: _Bytes) -> NDArray[np.int32]:
    padded = np.zeros((len(data) // 3, 4), np.uint8)
    padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return padded.view("<i4")[:, 0] >> np.int32(8)


def _read_f32(data: _Bytes) -> NDArray[np.float32]:
    return finite(np.frombuffer(data, "<f4"))


FORMATS: dict[str, _Pcm] = {
    "pcm_u8": _Pcm(1, 2.0**7, _read_u8),
    "pcm_s16le": _Pcm(2, FULL_SCALE, lambda data: np.frombuffer(data, "<i2")),
    "pcm_s24le": _Pcm(3, 2.0**23, _read_s24),
    "pcm_s32le": _Pcm(4, 2.0**31, lambda data: np.frombuffer(data, "<i4")),
    "pcm_f32le": _Pcm(4, 1.0, _read_f32),
}


def _dtype(dtype: DTypeLike) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    if name not in _DTYPES:
        raise FormatError(f"Unsupported dtype: {name}; use {', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}")
    return name


def to_samples(data: _Bytes, form: str, dtype: DTypeLike = "float32") -> NDArray[Any]:
    """Samples of raw PCM, channels interleaved, ``[frames · channels]``; a copy.

    Floats are the stored number over full scale, −1…1, ``float64`` without loss from every format; of ``pcm_f32le``
    what lies beyond ±1 stays, NaN becomes silence and infinity full scale. ``int16`` is rounded and clipped.

    Raises:
        FormatError: ``Unsupported dtype``.

    >>> to_samples(bytes([0, 128, 192]), "pcm_u8")
    array([-1. ,  0. ,  0.5], dtype=float32)
    """
    name, pcm = _dtype(dtype), FORMATS[form]
    stored = pcm.read(data)
    if name == "int16" and pcm.width <= 2:
        return np.array(stored, np.int16) * np.int16(FULL_SCALE / pcm.full_scale)
    # float32 holds 24 bits: what has more is scaled in float64, so that it is rounded once
    exact = np.float64 if form == "pcm_s32le" or name == "float64" else np.float32
    scaled = np.multiply(stored, exact(1.0 / pcm.full_scale), dtype=exact)
    return float_to_int16(scaled) if name == "int16" else scaled.astype(name, copy=False)


def from_samples(samples: NDArray[Any], form: str = "pcm_s16le") -> bytes:
    """Raw PCM of samples in C order.

    ``int16`` goes into wider formats without loss. Floats are scaled by full scale, rounded and clipped; NaN becomes
    silence. ``pcm_f32le`` keeps what lies beyond ±1; infinity becomes full scale there too.

    Raises:
        FormatError: ``Unsupported dtype``.

    >>> from_samples(np.array([-1.0, 0.0, 2.0, np.nan]), "pcm_u8").hex()
    '0080ff80'
    """
    name = _dtype(samples.dtype)
    if form == "pcm_s16le":
        whole = samples if name == "int16" else float_to_int16(samples)
        return whole.astype("<i2", copy=False).tobytes()
    if name == "int16":
        samples = np.multiply(samples, 1.0 / FULL_SCALE, dtype=np.float32)
    if form == "pcm_f32le":
        with np.errstate(over="ignore"):
            return finite(samples.astype("<f4", copy=False)).astype("<f4", copy=False).tobytes()
    stored = _whole(samples, FORMATS[form].full_scale)
    if form == "pcm_u8":
        return (stored + 128).astype(np.uint8).tobytes()
    if form == "pcm_s24le":
        return np.ascontiguousarray(stored.astype("<i4").reshape(-1, 1)).view(np.uint8)[:, :3].tobytes()
    return stored.astype("<i4").tobytes()


def _whole(samples: NDArray[Any], full_scale: float) -> NDArray[np.int64]:
    scaled = np.clip(samples.astype(np.float64), -1.0, 1.0) * full_scale
    np.rint(scaled, out=scaled)
    np.minimum(scaled, full_scale - 1.0, out=scaled)
    return np.nan_to_num(scaled, copy=False, nan=0.0).astype(np.int64)
