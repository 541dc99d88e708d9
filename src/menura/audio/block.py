"""The one currency inside menura: float32 ``[frames, channels]`` in −1…1."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menura.errors import FormatError

__all__ = ["Samples", "as_block", "finite", "remix", "silence"]

Samples = NDArray[np.float32]


def silence(frames: int, channels: int = 1) -> Samples:
    """A block of zeros, ``[frames, channels]``."""
    return np.zeros((frames, channels), np.float32)


def as_block(x: ArrayLike, channels: int | None = None) -> Samples:
    """View or convert an array as a block.

    Args:
        x: Floating-point samples.
        channels: Channels it must have, if that matters.

    Shape:
        x: ``[frames]`` or ``[frames, channels]``.

    Returns:
        C-contiguous float32 ``[frames, channels]``; ``x`` itself where it is that already.

    Raises:
        FormatError: ``x`` has another shape, or integers, whose full scale would be a guess.

    >>> as_block(np.zeros(4)).shape
    (4, 1)
    """
    try:
        block: NDArray[Any] = np.asarray(x)
    except ValueError as error:
        raise FormatError(f"a block has the shape [frames, channels]: {error}") from error
    if block.dtype.kind != "f" and block.size:
        raise FormatError(f"a block holds floating-point samples in −1…1, not {block.dtype}")
    if block.ndim == 1:
        block = block[:, None]
    if block.ndim != 2:
        raise FormatError(f"a block has the shape [frames, channels], not {list(block.shape)}")
    if channels is not None and block.shape[1] != channels:
        raise FormatError(f"expected {channels} channel{'s' if channels > 1 else ''}, got {block.shape[1]}")
    with np.errstate(over="ignore"):  # beyond float32 is infinite: that is finite()'s
        return np.ascontiguousarray(block, np.float32)


LOUDEST = 1e6
"""120 dB above full scale: what is beyond is no audio, and its square might overflow."""


def finite(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples with NaN as silence, and infinities and the like as full scale; ``x`` itself where there are none.

    >>> finite(np.array([0.5, np.nan, -np.inf], np.float32))
    array([ 0.5,  0. , -1. ], dtype=float32)
    """
    if not x.size or np.abs(x).max() < LOUDEST:  # false for NaN too
        return x
    return np.where(np.abs(x) < LOUDEST, x, np.clip(np.nan_to_num(x, nan=0.0), -1.0, 1.0))


def remix(x: Samples, channels: int) -> Samples:
    """Change the number of channels: the mean to make mono, copies to widen mono.

    Raises:
        FormatError: Neither side is mono, so that any mapping would be a guess.
    """
    have = x.shape[1]
    if have == channels:
        return x
    if channels == 1:
        return np.asarray(x.mean(axis=1, keepdims=True), np.float32)
    if have == 1:
        return np.repeat(x, channels, axis=1)
    raise FormatError(f"cannot map {have} channels to {channels}: mix to mono first")
