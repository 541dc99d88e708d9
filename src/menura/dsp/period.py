"""The period at which a piece of speech repeats itself, by which it is mended and cut, and the joining of repeats."""

from ctypes import POINTER, byref, c_double, c_int, c_int32, c_int64, c_void_p

import numpy as np

from menura.audio.block import Samples
from menura.dsp.native import declare, pointer

__all__ = ["blend", "find_period"]

_period = declare("mn_period", [c_void_p, c_int64, c_int, c_int, c_int, c_int, POINTER(c_int32)], c_double)

SHORTEST_MS, LONGEST_MS = 2.5, 20.0
"""Of voices from 400 down to 50 Hz; a higher one is found at a multiple of its period, which repeats as well."""
SLOW_HZ = 8000


def _mono(x: Samples) -> Samples:
    """The channels' mean, contiguous ``[n]``."""
    return np.ascontiguousarray(x[:, 0] if x.shape[1] == 1 else x.mean(axis=1), np.float32)


def find_period(x: Samples, rate: int, window: int, longest: int | None = None) -> tuple[int, float]:
    """Lag at which the last ``window`` frames resemble best what lies before them, by normalised cross-correlation.

    Args:
        longest: Longest lag, frames; by default that of 50 Hz, and always so that lag and window lie within ``x``.

    Shape:
        x: ``[n, c]``; the channels share one lag.

    Returns:
        Lag in frames, and the correlation there, 0…1. Where nothing repeats, the longest lag and 0.
    """
    limit = len(x) - window
    longest = min(limit, round(LONGEST_MS * rate / 1000.0) if longest is None else longest)
    shortest = round(SHORTEST_MS * rate / 1000.0)
    if longest < shortest:
        return max(1, longest), 0.0
    lag = c_int32()
    flat = _mono(x)
    dec = max(1, rate // SLOW_HZ)
    window -= window % dec
    score = _period(pointer(flat), len(flat), dec, shortest, longest - longest % dec, window, byref(lag))
    return max(1, lag.value), float(score)


def blend(old: Samples, new: Samples, t: Samples) -> Samples:
    """Fade from ``old`` to ``new`` by ``t`` (0…1, ``[n, 1]``), keeping the power however alike the two are.

    What is alike sums in amplitude, what is not in power: the gains are divided by what their sum would have, given
    the correlation of the two. Neither is ever raised.
    """
    gain = np.sin(0.5 * np.pi * t) ** 2
    power = float(np.vdot(old, old)) * float(np.vdot(new, new))
    alike = max(0.0, float(np.vdot(old, new)) / power**0.5) if power > 1e-18 else 0.0
    scale = np.sqrt(gain**2 + (1.0 - gain) ** 2 + 2.0 * min(1.0, alike) * gain * (1.0 - gain))
    return np.asarray((old * (1.0 - gain) + new * gain) / scale, np.float32)
