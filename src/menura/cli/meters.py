"""Levels on a terminal."""

from menura.units import gain_to_db

__all__ = ["bar", "clock"]

FLOOR_DB = -60.0


def bar(level: float, width: int = 24) -> str:
    """A level, RMS 0…1, as a bar from −60 dBFS to full scale, and in figures.

    >>> bar(0.1, 12)
    '████████░░░░  -20 dB'
    """
    level_db = gain_to_db(level, FLOOR_DB)
    full = round(width * (1.0 - min(level_db, 0.0) / FLOOR_DB))
    figures = f"{level_db:4.0f}" if level_db > FLOOR_DB else " -∞ "
    return f"{'█' * full}{'░' * (width - full)} {figures} dB"


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(75.25)
    '1:15.2'
    """
    minutes, rest = divmod(int(10 * seconds) / 10, 60)
    return f"{int(minutes)}:{rest:04.1f}"
