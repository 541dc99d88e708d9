"""A resonant filter whose corner swings."""

from ctypes import c_double, c_int, c_int64, c_void_p
from enum import StrEnum

import numpy as np

from menura.audio.block import Samples
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError

__all__ = ["Sweep", "SweepKind"]

_D, _I, _L, _P = c_double, c_int, c_int64, c_void_p
_sweep = declare("mn_sweep", [_P, _L, _I, _P, _L, _D, _D, _D, _D, _I])


class SweepKind(StrEnum):
    """What of a state-variable filter is heard."""

    LOW_PASS = "low_pass"
    BAND_PASS = "band_pass"
    HIGH_PASS = "high_pass"


class Sweep(InPlace):
    """The filter of an analogue synthesizer, its corner moved by a slow sine; without delay.

    Args:
        freq_hz: Corner, or centre, around which it swings.
        q: Resonance: height of the peak at the corner, 0.5 to 30.
        octaves: How far it swings to each side, 0 to 5; it stays below 0.45 of the rate.
        lfo_hz: How often.
        kind: What passes.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        freq_hz: float = 800.0,
        q: float = 4.0,
        octaves: float = 1.5,
        lfo_hz: float = 0.5,
        kind: SweepKind | str = SweepKind.LOW_PASS,
    ) -> None:
        super().__init__(rate, channels)
        if not (10.0 <= freq_hz < 0.45 * rate and 0.5 <= q <= 30.0 and 0.0 <= octaves <= 5.0):
            raise ConfigError(f"sweep: {freq_hz=} is 10 to 0.45 of the rate, {q=} 0.5 to 30, {octaves=} 0 to 5")
        if not 0.0 <= lfo_hz <= 50.0:
            raise ConfigError(f"sweep: {lfo_hz=} is 0 to 50")
        try:
            mode = list(SweepKind).index(SweepKind(kind))
        except ValueError:
            raise ConfigError(f"sweep: kind is one of {', '.join(SweepKind)}, not {kind!r}") from None
        self._settings = freq_hz / rate, octaves, lfo_hz / rate, 1.0 / q, mode
        self.reset()

    def reset(self) -> None:
        """Forget all audio, and begin the swing anew."""
        super().reset()
        self._state = np.zeros((self.channels, 2))

    def _run(self, y: Samples) -> None:
        _sweep(pointer(y), len(y), self.channels, pointer(self._state), self._at, *self._settings)
