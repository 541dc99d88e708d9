"""Sound from nothing: oscillators and noise."""

import math
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples
from menura.audio.format import check_rate
from menura.errors import ConfigError
from menura.units import st_to_ratio

__all__ = ["Noise", "Oscillator", "Shape"]

_Floats = NDArray[np.float64]


class Shape(StrEnum):
    """One period of an oscillator."""

    SINE = "sine"
    TRIANGLE = "triangle"
    SAW = "saw"
    SQUARE = "square"


def _step(phase: _Floats, width: _Floats) -> _Floats:
    """What to take from an upward step of 2 at phase 0, so that it has a width of two frames."""
    before, after = phase > 1.0 - width, phase < width
    t = np.where(after, phase / width, (phase - 1.0) / width)
    return np.where(after, 2.0 * t - t * t - 1.0, np.where(before, t * t + 2.0 * t + 1.0, 0.0))


def _bend(phase: _Floats, width: _Floats) -> _Floats:
    """What to add to a slope that rises by 1 a period at phase 0, so that it does so within two frames."""
    t = np.minimum(phase, 1.0 - phase) / width
    return width * np.where(t < 1.0, (1.0 - t) ** 3, 0.0) / 6.0


def _saw(phase: _Floats, width: _Floats) -> _Floats:
    return 2.0 * phase - 1.0 - _step(phase, width)


def _square(phase: _Floats, width: _Floats) -> _Floats:
    return np.where(phase < 0.5, 1.0, -1.0) + _step(phase, width) - _step((phase + 0.5) % 1.0, width)


def _triangle(phase: _Floats, width: _Floats) -> _Floats:
    bends = _bend((phase + 0.5) % 1.0, width) - _bend(phase, width)
    return 2.0 * np.abs(2.0 * phase - 1.0) - 1.0 + 8.0 * bends


_SHAPES = {
    Shape.SINE: lambda phase, width: np.sin(2.0 * np.pi * phase),
    Shape.TRIANGLE: _triangle,
    Shape.SAW: _saw,
    Shape.SQUARE: _square,
}


class Oscillator:
    """A periodic tone whose pitch may swing; corners are rounded over two frames, which keeps aliases low.

    Its phase is computed from the count of frames, so that it does not drift, and cutting changes nothing.

    Args:
        rate: Hz.
        freq_hz: Up to a quarter of the rate; well below 20 Hz it is a control signal for others.
        shape: Of a period.
        level: Peak, 0 to 1.
        phase: Where it begins, in periods.
        vibrato_hz: How often the pitch swings.
        vibrato_st: How far, to each side.

    Source:
        V. Välimäki and A. Huovilainen, Antialiasing oscillators in subtractive synthesis, IEEE Signal Processing
        Magazine 24 (2), 2007 (polynomial band-limited steps); F. Esqueda, V. Välimäki and S. Bilbao, Rounding corners
        with BLAMP, DAFx-16, 2016.

    >>> Oscillator(8000, 2000.0).read(4)[:, 0].round(3).tolist()
    [0.0, 0.5, 0.0, -0.5]
    """

    channels = 1

    def __init__(
        self,
        rate: int,
        freq_hz: float,
        *,
        shape: Shape | str = Shape.SINE,
        level: float = 0.5,
        phase: float = 0.0,
        vibrato_hz: float = 5.0,
        vibrato_st: float = 0.0,
    ) -> None:
        self.rate = check_rate(rate)
        try:
            self._shape = _SHAPES[Shape(shape)]
        except ValueError:
            raise ConfigError(f"shape is one of {', '.join(Shape)}, not {shape!r}") from None
        if not (0.0 < freq_hz <= rate / 4 and 0.0 <= level <= 1.0):
            raise ConfigError(
                f"an oscillator has freq_hz up to a quarter of the rate, level 0 to 1: {freq_hz=} {level=}"
            )
        if not (0.0 < vibrato_hz <= 100.0 and 0.0 <= vibrato_st <= 12.0):
            raise ConfigError(f"vibrato_hz is up to 100, vibrato_st 0 to 12: {vibrato_hz=} {vibrato_st=}")
        self._freq, self._level, self._phase = freq_hz, level, phase
        self._swing = vibrato_hz, st_to_ratio(vibrato_st) - 1.0
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self._at = 0

    def read(self, frames: int) -> Samples:
        """The next frames, ``[frames, 1]``."""
        t = np.arange(self._at, self._at + frames) / self.rate
        self._at += frames
        swing_hz, depth = self._swing
        phase = self._phase + self._freq * t
        width = np.full(frames, self._freq / self.rate)
        if depth:
            angle = 2.0 * math.pi * swing_hz * t
            phase += self._freq * depth / (2.0 * math.pi * swing_hz) * (1.0 - np.cos(angle))
            width *= 1.0 + depth * np.sin(angle)
        y = self._level * self._shape(phase % 1.0, np.maximum(width, 1e-9))
        return np.asarray(y[:, None], np.float32)


class Noise:
    """White noise, the same each time; cutting changes nothing.

    Args:
        rate: Hz.
        level: Its RMS, 0 to 0.25, so that a peak hardly ever passes full scale.
        seed: Another gives other noise.
        channels: Each has its own.
    """

    def __init__(self, rate: int, *, level: float = 0.1, seed: int = 0, channels: int = 1) -> None:
        if not 0.0 <= level <= 0.25:
            raise ConfigError(f"level is 0 to 0.25, not {level}")
        self.rate, self.channels = check_rate(rate), channels
        self._level, self._seed = level, seed
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self._random = np.random.default_rng(self._seed)

    def read(self, frames: int) -> Samples:
        """The next frames, ``[frames, channels]``."""
        y = self._level * self._random.standard_normal((frames, self.channels))
        return y.astype(np.float32)
