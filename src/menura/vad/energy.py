"""Speech by energy: against a fixed level, or against the noise as it is."""

import math
from ctypes import addressof, c_char_p, c_double, c_int32, c_int64, c_void_p

import numpy as np

from menura.audio.block import Samples, finite
from menura.audio.format import check_rate
from menura.dsp.native import declare, pointer
from menura.units import ms_to_frames
from menura.vad.detector import Probabilities

__all__ = ["AdaptiveEnergy", "Energy", "scan_pcm16"]

_size = declare("mn_vad_size", [], c_int64)
_init = declare("mn_vad_init", [c_void_p, c_int32, c_int32, c_int32, c_void_p])
_reset = declare("mn_vad_reset", [c_void_p])
_figures = declare("mn_vad_figures", [c_void_p, c_void_p])
_float = declare("mn_vad_float", [c_void_p, c_void_p, c_int64, c_void_p], c_int32)
scan_pcm16 = declare("mn_vad_pcm16", [c_void_p, c_char_p, c_int64, c_void_p], c_int32)

HOP_MS = 20.0
"""Longer than the period of the lowest voice, so that the level does not follow the single pulses."""
POWER_S, RISE_S, FALL_S = 0.029, 0.022, 0.056
"""Time constants: of the power that is searched for its minimum, of evidence that grows, of evidence that fades."""
LIMIT_DB, BIAS_DB = 12.0, 2.0
"""Most evidence of one band; a minimum lies so far below the mean."""
SLOPE_PER_DB, MIDDLE_DB = 0.9, 1.2
"""The logistic curve from evidence to probability."""
QUIET_DB, START_DB = -72.0, -40.0
"""Level of a band that counts as silence; level at which noise is assumed to lie before it has been heard."""
WINDOW_S = 2.4
"""How far back the noise is searched for: longer than speech goes on in a band, and noise that rises is known after."""
LOW_HZ, HIGH_HZ, QUALITY, HIGH_PASS_HZ = 220.0, 3400.0, 1.0, 150.0
BATCH = 512
"""Probabilities that one call can return."""


class _Kernel:
    """State of ``native/vad.c`` and the calls into it."""

    __slots__ = ("_figures", "_memory", "address", "hop", "out", "out_address")

    def __init__(self, rate: int, hop: int, threshold: float, *, adaptive: bool, lasting: bool) -> None:
        # fmt: off
        settings = np.array([
            threshold, POWER_S, RISE_S, FALL_S, LIMIT_DB, SLOPE_PER_DB, MIDDLE_DB, BIAS_DB, QUIET_DB, WINDOW_S,
            LOW_HZ, HIGH_HZ, QUALITY, HIGH_PASS_HZ, START_DB, lasting,
        ])
        # fmt: on
        self._memory = np.zeros(_size() // 8 + 1, np.float64)
        self._figures = np.zeros(3)
        self.out = (c_double * BATCH)()
        self.address = c_void_p(pointer(self._memory))
        self.out_address = c_void_p(addressof(self.out))
        self.hop = hop
        _init(self.address, rate, hop, adaptive, pointer(settings))

    def figures(self) -> tuple[float, float]:
        """Level and noise floor."""
        _figures(self.address, pointer(self._figures))
        return float(self._figures[0]), float(self._figures[1])

    def process_pcm16(self, data: bytes) -> list[float]:
        step = 2 * self.hop * (BATCH - 1)
        if len(data) <= step:
            return self.out[: scan_pcm16(self.address, data, len(data) >> 1, self.out_address)]
        return [p for at in range(0, len(data), step) for p in self.process_pcm16(data[at : at + step])]

    def process(self, x: Samples) -> Probabilities:
        x = np.ascontiguousarray(finite(x), np.float32)
        batch = self.hop * (BATCH - 1)
        made = []
        for start in range(0, len(x), batch):
            part = x[start : start + batch]
            count = _float(self.address, pointer(part), len(part), self.out_address)
            made.append(np.array(self.out[:count]))
        return np.concatenate(made) if made else np.zeros(0)

    def reset(self) -> None:
        _reset(self.address)


class Energy:
    """Detector by the RMS level of each hop: the probability is ½ at the threshold, whatever the noise.

    With level L and threshold T it is L² / (L² + T²).

    Args:
        rate: Hz.
        level_threshold: RMS level from which sound is speech, 0…1.
        hop: Frames; 20 ms by default.

    >>> Energy(8000, 0.1).process(np.full((320, 1), 0.1, np.float32)).round(3)
    array([0.5, 0.5])
    """

    threshold = 0.5
    release = 0.35  # 2.7 dB lower
    model_runs = 0
    adaptive = False

    def __init__(self, rate: int, level_threshold: float = 0.02, hop: int | None = None) -> None:
        self._open(rate, hop, level_threshold)

    def _open(self, rate: int, hop: int | None, level_threshold: float, *, lasting: bool = False) -> None:
        self.rate = check_rate(rate)
        self.hop = ms_to_frames(HOP_MS, rate) if hop is None else hop
        self.lag = self.hop // 2 if lasting else 0
        self.kernel = _Kernel(rate, self.hop, level_threshold, adaptive=self.adaptive, lasting=lasting)

    @property
    def level(self) -> float:
        """RMS level of the last hop, 0…1."""
        return self.kernel.figures()[0]

    @property
    def noise_floor(self) -> float | None:
        """RMS level of the noise in the bands of speech, 0…1; ``None`` where it is not followed."""
        return self.kernel.figures()[1] if self.adaptive else None

    def process(self, x: Samples) -> Probabilities:
        """Take the next block, ``[n, 1]``; a probability for each hop that ends within it."""
        return self.kernel.process(x)

    def process_pcm16(self, data: bytes) -> list[float]:
        """As :meth:`process`, of mono 16-bit bytes."""
        return self.kernel.process_pcm16(data)

    def reset(self) -> None:
        """Forget all audio, and the noise."""
        self.kernel.reset()


class AdaptiveEnergy(Energy):
    """Detector by how far the level stands above the noise, in four bands of speech from 150 Hz to 4 kHz.

    The noise of a band is its lowest smoothed power of the last 2.4 s: noise that falls is followed at once, noise that
    rises is speech until then, and speech, which pauses in every band more often, is not followed. What a stream begins
    with counts as noise up to −40 dBFS a band.

    Args:
        rate: Hz.
        hop: Frames; 20 ms by default.
        lasting: Whether only what lasts two hops is evidence, so that typing is not taken for speech; for half a hop of
            lag.

    Source:
        R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics", IEEE
        Trans. Speech and Audio Processing 9(5), 2001, with a fixed smoothing and bias.
    """

    adaptive = True
    release = 0.3

    def __init__(self, rate: int, hop: int | None = None, *, lasting: bool = True) -> None:
        self._open(rate, hop, 0.0, lasting=lasting)

    @staticmethod
    def evidence_db(probability: float) -> float:
        """Mean decibels above the noise that a probability stands for."""
        chance = min(max(probability, 1e-12), 1.0 - 1e-12)
        return MIDDLE_DB + math.log(chance / (1.0 - chance)) / SLOPE_PER_DB
