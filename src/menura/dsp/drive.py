"""Saturation: the warmth of a valve, the rasp of a small loudspeaker."""

import math
from ctypes import c_double, c_int, c_int64, c_void_p
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples
from menura.dsp.glide import corner
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError
from menura.units import db_to_gain

__all__ = ["Drive"]

_D, _I, _L, _P = c_double, c_int, c_int64, c_void_p
_drive_span = declare("mn_drive_span", [], _I)
_drive_size = declare("mn_drive_size", [_I], _I)
_drive = declare("mn_drive", [_P, _L, _I, _P, _I, _P, _P, _D, _D, _D, _D])

INNER_RATE = 160_000
"""At least so fast runs the curve: at 20 dB of drive what a full-scale 3.4 kHz tone folds back is then below −60 dB."""
KAISER_BETA = 6.0
"""Stop band about −63 dB (Kaiser 1974)."""


@lru_cache(maxsize=8)
def _tables(factor: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The interpolating filter by phases, ``[factor, row]``; the decimating one, ``[row · factor]``: oldest first."""
    span = _drive_span()
    row = -(-(span + 1) // 4) * 4
    t = (np.arange(span * factor + 1) - span * factor / 2) / factor
    # half of the transition lies above Nyquist, where speech has nothing to fold
    h = np.sinc(0.96 * t) * np.kaiser(len(t), KAISER_BETA)
    h /= h.sum()
    phases = np.zeros((row, factor))
    phases.reshape(-1)[: len(h)] = factor * h
    up = np.ascontiguousarray(phases.T[:, ::-1], np.float32)
    # the newest value of the last `factor` belongs to phase factor − 1, the filter's newest tap to phase 0
    down = np.zeros(row * factor, np.float32)
    last = row * factor - factor + 1
    down[last - len(h) : last] = h
    return up, down


class Drive(InPlace):
    """Saturation by tanh, full scale staying full scale, computed at several times the rate so that nothing folds back.

    Args:
        drive_db: Gain before the curve, −40 (clean) to 40.
        bias: Shifts the curve, −1 to 1, and so adds even harmonics.
        level_db: Gain after it.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        drive_db: float = 12.0,
        bias: float = 0.0,
        level_db: float = 0.0,
    ) -> None:
        super().__init__(rate, channels)
        if not (-40.0 <= drive_db <= 40.0 and -1.0 <= bias <= 1.0):
            raise ConfigError(f"drive: {drive_db=} is −40 to 40, {bias=} is −1 to 1")
        self.latency = _drive_span()
        self._factor = math.ceil(INNER_RATE / rate)
        self._up, self._down = _tables(self._factor)
        gain, rest = db_to_gain(drive_db), math.tanh(bias)
        highest = max(math.tanh(gain + bias) - rest, math.tanh(gain - bias) + rest)
        self._curve = gain, bias, db_to_gain(level_db) / highest, corner(15.0, rate) if bias else 0.0
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        super().reset()
        self._memory = np.zeros((self.channels, _drive_size(self._factor)), np.float32)

    def _run(self, y: Samples) -> None:
        _drive(
            pointer(y), len(y), self.channels, pointer(self._memory), self._factor, pointer(self._up),
            pointer(self._down), *self._curve,
        )  # fmt: skip
