"""Levels."""

import math

import numpy as np

from menura.audio.block import Samples
from menura.units import gain_to_db

__all__ = ["Meter", "peak", "rms", "rms_db"]


def rms(x: Samples) -> float:
    """Root-mean-square level of a block over all channels, linear; 0 for an empty one.

    >>> rms(np.full((4, 1), 0.5, np.float32))
    0.5
    """
    flat = x.reshape(-1)
    return math.sqrt(float(np.dot(flat, flat)) / flat.size) if flat.size else 0.0


def rms_db(x: Samples, floor_db: float = -120.0) -> float:
    """Root-mean-square level in dBFS, where a full-scale square wave has 0."""
    return gain_to_db(rms(x), floor_db)


def peak(x: Samples) -> float:
    """Largest magnitude of a block; 0 for an empty one."""
    return float(np.abs(x).max()) if x.size else 0.0


class Meter:
    """RMS level over the last ``window`` frames, exponentially weighted, whatever the block sizes.

    >>> meter = Meter(100)
    >>> for _ in range(150): meter.push(np.full((10, 1), 0.5, np.float32))
    >>> round(meter.level, 3)
    0.5
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._power = 0.0

    def push(self, x: Samples) -> None:
        """Measure a block."""
        if len(x):
            level = rms(x)
            keep = math.exp(-len(x) / self._window)
            self._power = keep * self._power + (1.0 - keep) * level * level

    @property
    def level(self) -> float:
        """Level 0…1 (more if the audio is beyond full scale)."""
        return math.sqrt(self._power)

    def reset(self) -> None:
        """Back to silence."""
        self._power = 0.0
