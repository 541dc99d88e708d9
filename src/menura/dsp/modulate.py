"""Effects that multiply by a slow or a fast sine: tremolo, ring modulation."""

from ctypes import c_double, c_int, c_int64, c_void_p

from menura.audio.block import Samples
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError

__all__ = ["RingModulator", "Tremolo"]

_modulate = declare("mn_modulate", [c_void_p, c_int64, c_int, c_int64, c_double, c_double, c_double])


class _Sine(InPlace):
    def __init__(self, rate: int, channels: int, freq_hz: float, base: float, depth: float) -> None:
        super().__init__(rate, channels)
        self._sine = freq_hz / rate, base, depth

    def _run(self, y: Samples) -> None:
        _modulate(pointer(y), len(y), self.channels, self._at, *self._sine)


class RingModulator(_Sine):
    """The voice times a sine: each partial becomes two, and speech an alien's.

    Args:
        freq_hz: Of the sine.
        mix: Share of the product against the voice, 0 to 1.
    """

    def __init__(self, rate: int, channels: int = 1, *, freq_hz: float = 50.0, mix: float = 1.0) -> None:
        if not (0.0 < freq_hz <= 0.5 * rate and 0.0 <= mix <= 1.0):
            raise ConfigError(f"ring modulator: {freq_hz=} lies below half the rate, {mix=} is 0 to 1")
        super().__init__(rate, channels, freq_hz, 1.0 - mix, mix)


class Tremolo(_Sine):
    """Loudness that swings.

    Args:
        rate_hz: Swings a second.
        depth: How much of the level goes at the quietest point, 0 to 1.
    """

    def __init__(self, rate: int, channels: int = 1, *, rate_hz: float = 5.0, depth: float = 0.5) -> None:
        if not (0.0 < rate_hz <= 50.0 and 0.0 <= depth <= 1.0):
            raise ConfigError(f"tremolo: {rate_hz=} is up to 50, {depth=} 0 to 1")
        super().__init__(rate, channels, rate_hz, 1.0 - 0.5 * depth, 0.5 * depth)
