"""Fades: equal-gain for what is alike, equal-power for what is not."""

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menura.audio.block import Samples, as_block, finite
from menura.errors import FormatError

__all__ = ["Fade", "apply_crossfade", "crossfade", "fade_in_curve"]


class Fade(StrEnum):
    """Shape of a fade; in and out sum to 1 in gain, or in power."""

    LINEAR = "linear"
    EQUAL_GAIN = "equal_gain"
    EQUAL_POWER = "equal_power"


def fade_in_curve(frames: int, shape: Fade = Fade.EQUAL_GAIN) -> Samples:
    """Gains of a fade-in, ``[frames, 1]``, without its end points 0 and 1.

    ``EQUAL_GAIN`` is sin² and ``EQUAL_POWER`` sin, whose counterparts are the reversed curves.
    """
    t = (np.arange(frames) + 1.0) / (frames + 1.0)
    curve = t if shape is Fade.LINEAR else np.sin(0.5 * np.pi * t)
    if shape is Fade.EQUAL_GAIN:
        curve = curve * curve
    return curve.astype(np.float32)[:, None]


def crossfade(old: Samples, new: Samples, shape: Fade = Fade.EQUAL_GAIN) -> Samples:
    """Fade from one block to another of the same time.

    Shape:
        old, new: ``[n, c]`` both; the fade is as long as they are.

    Raises:
        FormatError: The shapes differ.
    """
    if old.shape != new.shape:
        raise FormatError(f"blocks of one time have one shape, not {list(old.shape)} and {list(new.shape)}")
    gain = fade_in_curve(len(new), shape)
    return old * gain[::-1] + new * gain


def apply_crossfade(current: ArrayLike, previous: NDArray[np.float32], fade_samples: int) -> NDArray[np.float32]:
    """Fade from the beginning of one block into the next, and remember that for the one after.

    The blocks are of different times, so this hides a step where two blocks meet and spoils what was no step: a clean
    tone is left with 19 dB. Streams here overlap instead (:class:`~menura.dsp.splice.Splicer`).

    Args:
        current: The new block; NaN is silence, infinities are full scale, and so in ``previous``.
        previous: What was remembered; the end of ``current`` is written over it, from its beginning on.
        fade_samples: Length of the fade, a whole number; no longer than either block.

    Shape:
        current: ``[n]`` or ``[n, channels]``; previous: the same but for its length.

    Returns:
        A new array, ``current`` with a sin² fade from ``previous`` at its beginning.

    Raises:
        FormatError: ``previous`` is no writable array of floats, the two have other channels, or the fade has no
            length.

    Source:
        The audio callback document; like it, sample i of the fade has the gain sin²(π/2 · i / length).

    >>> previous = np.zeros(4, np.float32)
    >>> apply_crossfade(np.ones(4), previous, 2), previous
    (array([0. , 0.5, 1. , 1. ], dtype=float32), array([1., 1., 1., 1.], dtype=float32))
    """
    if not isinstance(previous, np.ndarray) or previous.dtype.kind != "f" or not previous.flags.writeable:
        raise FormatError("previous must be a NumPy array of floats that can be written to")
    if isinstance(fade_samples, bool) or not isinstance(fade_samples, int | np.integer):
        raise FormatError(f"fade_samples must be a whole number, not {fade_samples!r}")
    block, before = finite(as_block(current)), finite(as_block(previous))
    x = np.asarray(current)
    if x.ndim != previous.ndim or block.shape[1] != before.shape[1]:
        raise FormatError(f"both blocks have the same channels, not {list(x.shape)} and {list(previous.shape)}")
    result = block.copy()
    fade = max(0, min(fade_samples, len(block), len(before)))
    gain = (np.sin(0.5 * np.pi * np.arange(fade) / max(1, fade)) ** 2).astype(np.float32)[:, None]
    result[:fade] = block[:fade] * gain + before[:fade] * (1.0 - gain)
    kept = min(len(block), len(before))
    previous[:kept] = block[len(block) - kept :].reshape(kept, *previous.shape[1:])
    return result.reshape(x.shape)
