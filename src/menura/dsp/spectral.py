"""Voices whose larynx is replaced: a whisper's noise, a robot's buzz."""

import math
from ctypes import c_double, c_int, c_int64, c_uint64, c_void_p
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, silence
from menura.dsp.filter import Band, BandKind, Equalizer
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError

__all__ = ["Robot", "Whisper"]

_D, _I, _L, _P = c_double, c_int, c_int64, c_void_p
_vocode_size = declare("mn_vocode_size", [_I, _I], _I)
_vocode = declare("mn_vocode", [_P, _P, _L, _I, _P, _L, _I, _I, _P, _P, _I, _D])
_noise = declare("mn_noise", [_P, _L, _L, c_uint64])
_wave = declare("mn_wave", [_P, _L, _L, _P, _I, _D])

LONGEST_MS = 12.0
"""Of the window, which is the latency: long enough to tell formants apart, too short for a man's harmonics."""
BLUR_HZ = 170.0
"""Half-width of the smoothing over frequency that hides the harmonics of higher voices."""
HOPS = 4


@lru_cache(maxsize=8)
def _tables(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sine window, used twice, whose squares add up to a constant; and the turns exp(−2πi k / size) as pairs."""
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    turn = np.exp(-2j * np.pi * np.arange(size // 2) / size)
    return window.astype(np.float32), np.stack([turn.real, turn.imag], axis=1).astype(np.float32)


class _Vocoder(InPlace):
    """Gives a carrier of flat spectrum and unit power the voice's spectral envelope, and so its level.

    A carrier filtered by the envelope, rather than the voice's own phases made random, stays one continuous signal: the
    frames overlap in phase and nothing flutters.

    Source:
        H. Dudley, Remaking speech, J. Acoust. Soc. Am. 11, 1939; here with bands as narrow as the transform's.
    """

    def __init__(self, rate: int, channels: int) -> None:
        super().__init__(rate, channels)
        self._size = 1 << int(math.log2(LONGEST_MS * rate / 1000.0))
        self.latency = self._size
        self._window, self._turn = _tables(self._size)
        self._blur = max(1, round(BLUR_HZ * self._size / rate))
        # what two transforms, the window's power and its overlaps multiply by
        self._scale = 1.0 / (self._size * math.sqrt(self._size / 2) * HOPS / 2)
        self.reset()

    def reset(self) -> None:
        """Forget all audio; the carrier starts again."""
        super().reset()
        self._memory = np.zeros(_vocode_size(self._size, self.channels), np.float32)

    def _carrier(self, frames: int) -> Samples:
        """The next frames of the carrier, ``[frames, 1]``."""
        carrier = silence(frames)
        _noise(pointer(carrier), frames, self._at, 0)
        return carrier

    def _run(self, y: Samples) -> None:
        carrier = self._carrier(len(y))
        _vocode(
            pointer(y), pointer(carrier), len(y), self.channels, pointer(self._memory), self._at,
            self._size, self._size // HOPS, pointer(self._window), pointer(self._turn), self._blur, self._scale,
        )  # fmt: skip


class Whisper(_Vocoder):
    """Speech without voice: noise in the envelope of what is said, as loud as it was said."""

    def __init__(self, rate: int, channels: int = 1) -> None:
        super().__init__(rate, channels)


SPLIT_HZ = 5000.0
"""Below, speech is mostly voiced and gets the buzz; above are the sibilants, which only noise makes understood."""


@lru_cache(maxsize=8)
def _pulses(pitch_hz: float, rate: int) -> NDArray[np.float32]:
    """One period of a pulse train of unit power density, without what would alias, its treble left to the noise."""
    harmonic = np.arange(1, int(0.47 * rate / pitch_hz) + 1)
    level = (1.0 + (harmonic * pitch_hz / SPLIT_HZ) ** 8) ** -0.5
    spectrum = np.zeros(8193, np.complex128)
    # each harmonic stands for pitch_hz of noise whose unit power spreads over rate / 2
    spectrum[1 : len(harmonic) + 1] = level * np.sqrt(2.0 * pitch_hz / (0.5 * rate)) * 8192
    period = np.fft.irfft(spectrum)
    return np.append(period, period[0]).astype(np.float32)


class Robot(_Vocoder):
    """Speech on one pitch: pulses in the envelope of what is said, with noise for the sibilants.

    Args:
        pitch_hz: Of the buzz, 40 to 500.
    """

    def __init__(self, rate: int, channels: int = 1, *, pitch_hz: float = 110.0) -> None:
        if not 40.0 <= pitch_hz <= 500.0:
            raise ConfigError(f"robot: {pitch_hz=} is 40 to 500")
        self._turns = pitch_hz / rate
        self._table = _pulses(pitch_hz, rate)
        q = (0.54119610, 1.30656296)  # Butterworth of fourth order
        self._air = Equalizer(rate, bands=[Band(BandKind.HIGH_PASS, SPLIT_HZ, q=value) for value in q])
        super().__init__(rate, channels)

    def reset(self) -> None:
        """Forget all audio; the carrier starts again."""
        super().reset()
        self._air.reset()

    def _carrier(self, frames: int) -> Samples:
        pulses = silence(frames)
        _wave(pointer(pulses), frames, self._at, pointer(self._table), len(self._table) - 1, self._turns)
        pulses += self._air.process(super()._carrier(frames))
        return pulses
