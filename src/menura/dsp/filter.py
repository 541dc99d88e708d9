"""Second-order filters and their cascades."""

import math
from collections.abc import Sequence
from ctypes import c_int, c_int64, c_void_p
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from menura.audio.block import Samples
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError

__all__ = ["Band", "BandKind", "Equalizer", "biquad"]

_sos = declare("mn_sos", [c_void_p, c_int64, c_int, c_void_p, c_int, c_void_p])


class BandKind(StrEnum):
    """Shape of a second-order filter."""

    LOW_PASS = "low_pass"
    HIGH_PASS = "high_pass"
    PEAK = "peak"
    LOW_SHELF = "low_shelf"
    HIGH_SHELF = "high_shelf"


@dataclass(frozen=True, slots=True)
class Band:
    """One band of an equalizer: corner or centre in Hz, quality, and gain where the kind has one."""

    kind: BandKind
    freq_hz: float
    gain_db: float = 0.0
    q: float = math.sqrt(0.5)

    def __post_init__(self) -> None:
        if not self.freq_hz > 0 or not self.q > 0:
            raise ConfigError(f"a band needs freq_hz > 0 and q > 0: {self}")


def biquad(band: Band, rate: int) -> list[float]:
    """Coefficients b0 b1 b2 a1 a2, with a0 = 1. A corner beyond 0.45 of the rate is moved there.

    Source:
        R. Bristow-Johnson, Cookbook formulae for audio equalizer biquad filter coefficients (W3C note, 2021).
    """
    w = 2.0 * math.pi * min(band.freq_hz, 0.45 * rate) / rate
    cos, alpha = math.cos(w), math.sin(w) / (2.0 * band.q)
    a = 10.0 ** (band.gain_db / 40.0)
    if band.kind is BandKind.LOW_PASS:
        b, d = [(1 - cos) / 2, 1 - cos, (1 - cos) / 2], [1 + alpha, -2 * cos, 1 - alpha]
    elif band.kind is BandKind.HIGH_PASS:
        b, d = [(1 + cos) / 2, -1 - cos, (1 + cos) / 2], [1 + alpha, -2 * cos, 1 - alpha]
    elif band.kind is BandKind.PEAK:
        b, d = [1 + alpha * a, -2 * cos, 1 - alpha * a], [1 + alpha / a, -2 * cos, 1 - alpha / a]
    else:
        # the high shelf is the low shelf with cos → −cos and every second sign turned
        sign = 1.0 if band.kind is BandKind.LOW_SHELF else -1.0
        c, root = sign * cos, 2.0 * math.sqrt(a) * alpha
        up, down = a + 1, a - 1
        b = [a * (up - down * c + root), 2 * a * sign * (down - up * c), a * (up - down * c - root)]
        d = [up + down * c + root, -2 * sign * (down + up * c), up + down * c - root]
    return [v / d[0] for v in (b[0], b[1], b[2], d[1], d[2])]


class Equalizer(InPlace):
    """Bands in series, without delay."""

    def __init__(self, rate: int, channels: int = 1, *, bands: Sequence[Band] = ()) -> None:
        super().__init__(rate, channels)
        self._count = len(bands)
        self._sos = np.array([biquad(band, rate) for band in bands], np.float64).reshape(-1, 5)
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        super().reset()
        self._state = np.zeros((self._count, self.channels, 2))

    def _run(self, y: Samples) -> None:
        _sos(pointer(y), len(y), self.channels, pointer(self._sos), self._count, pointer(self._state))
