"""Noise that belongs to a voice: the hiss and crackle of a radio."""

from ctypes import c_double, c_int, c_int64, c_size_t, c_void_p

import numpy as np

from menura.audio.block import Samples
from menura.dsp.glide import one_pole
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError
from menura.units import db_to_gain, ms_to_frames

__all__ = ["Hiss"]

_D, _I, _L, _P = c_double, c_int, c_int64, c_void_p
_size = declare("mn_hiss_size", [], c_size_t)
_hiss = declare("mn_hiss", [_P, _L, _I, _P, _L, _D, _D, _L, _D, _D, _D])


class Hiss(InPlace):
    """White noise and crackle under the voice, silent when the voice is.

    Args:
        level_db: RMS level of the noise, dBFS.
        crackle_hz: Crackles a second.
        threshold_db: RMS level of the voice above which the noise comes, dBFS.
        hold_ms: How long it stays after the voice.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        level_db: float = -46.0,
        crackle_hz: float = 0.0,
        threshold_db: float = -55.0,
        hold_ms: float = 300.0,
    ) -> None:
        super().__init__(rate, channels)
        if not (level_db <= 0.0 and 0.0 <= crackle_hz <= 1000.0 and hold_ms >= 0.0):
            raise ConfigError(f"hiss: {level_db=} is at most 0, {crackle_hz=} 0 to 1000, {hold_ms=} not negative")
        self._follow = (
            one_pole(5, rate), db_to_gain(threshold_db) ** 2, max(1, ms_to_frames(hold_ms, rate)), one_pole(15, rate),
            db_to_gain(level_db), crackle_hz / rate,
        )  # fmt: skip
        self.reset()

    def reset(self) -> None:
        """Silent, and the same noise again."""
        super().reset()
        self._state = np.zeros(_size(), np.uint8)

    def _run(self, y: Samples) -> None:
        _hiss(pointer(y), len(y), self.channels, pointer(self._state), self._at, *self._follow)
