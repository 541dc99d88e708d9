"""Parameters that change while audio runs arrive without a click."""

import math
from ctypes import c_double, c_int64, c_void_p

import numpy as np

from menura.audio.block import Samples
from menura.dsp.native import declare, pointer

__all__ = ["Glide", "corner", "one_pole"]

GLIDE_MS = 3.0
"""Time constant: within 1 % of a new value after 14 ms, and no step that one hears."""
_glide = declare("mn_glide", [c_void_p, c_int64, c_void_p, c_double, c_double])


def one_pole(time_ms: float, rate: int) -> float:
    """Coefficient per frame of a one-pole smoother that reaches 1 − 1/e of a step in ``time_ms``."""
    return 1.0 - math.exp(-1000.0 / (max(time_ms, 1e-3) * rate))


def corner(freq_hz: float, rate: int) -> float:
    """Coefficient per frame of a one-pole low-pass with its corner there."""
    return 1.0 - math.exp(-2.0 * math.pi * freq_hz / rate)


class Glide:
    """A value that follows its target exponentially."""

    def __init__(self, value: float, rate: int) -> None:
        self._step = one_pole(GLIDE_MS, rate)
        self._value = np.array([value])

    @property
    def value(self) -> float:
        """Where it is now."""
        return float(self._value[0])

    def jump(self, value: float) -> None:
        """Be there at once."""
        self._value[0] = value

    def curve(self, target: float, frames: int) -> Samples | np.float32:
        """The next ``frames`` values on the way to ``target``, ``[frames, 1]``; a scalar once it is there."""
        if self.value == target:
            return np.float32(target)
        out = np.empty((frames, 1), np.float32)
        _glide(pointer(out), frames, pointer(self._value), target, self._step)
        return out
