"""Fades: equal-gain for what is alike, equal-power for what is not."""

from enum import StrEnum

import numpy as np

from menura.audio.block import Samples
from menura.errors import FormatError

__all__ = ["Fade", "crossfade", "fade_in_curve"]


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
