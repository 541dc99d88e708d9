"""Conversions between the units that names carry: ``_db``, ``_st``, ``_ms``, frames."""

import math

__all__ = ["db_to_gain", "frames_to_ms", "gain_to_db", "ms_to_frames", "ratio_to_st", "st_to_ratio"]


def db_to_gain(level_db: float) -> float:
    """Linear gain of a level in decibels.

    >>> round(db_to_gain(-6.0206), 4)
    0.5
    """
    return float(10.0 ** (level_db / 20.0))


def gain_to_db(gain: float, floor_db: float = -120.0) -> float:
    """Level in decibels of a linear gain; ``floor_db`` for silence.

    >>> gain_to_db(0.0)
    -120.0
    """
    return max(floor_db, 20.0 * math.log10(gain)) if gain > 0.0 else floor_db


def st_to_ratio(semitones: float) -> float:
    """Frequency ratio of an interval in equal-tempered semitones.

    >>> st_to_ratio(12.0)
    2.0
    """
    return float(2.0 ** (semitones / 12.0))


def ratio_to_st(ratio: float) -> float:
    """Interval in semitones of a frequency ratio."""
    return 12.0 * math.log2(ratio)


def ms_to_frames(duration_ms: float, rate: int) -> int:
    """Whole frames nearest to a duration.

    >>> ms_to_frames(20, 44100)
    882
    """
    return round(duration_ms * rate / 1000.0)


def frames_to_ms(frames: int, rate: int) -> float:
    """Duration of so many frames."""
    return 1000.0 * frames / rate
