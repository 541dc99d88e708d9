"""Base of stages whose output is as long as their input."""

from abc import ABC, abstractmethod

import numpy as np

from menura.audio.block import Samples, finite, silence
from menura.audio.format import check_channels, check_rate

__all__ = ["InPlace"]


class InPlace(ABC):
    """n frames in, n frames out, at one rate: a subclass overwrites the block it is given.

    A subclass with a latency sets ``latency`` before its first ``reset``. What is not a number, which a recursion would
    keep for ever, is silenced here, before it reaches any of them.
    """

    latency = 0

    def __init__(self, rate: int, channels: int) -> None:
        self.rate_in = self.rate_out = check_rate(rate)
        self.channels = check_channels(channels)
        self._at = 0

    def process(self, x: Samples) -> Samples:
        """Process the next block, ``[n, channels]``."""
        y = np.array(finite(x), np.float32, order="C")
        self._run(y)
        self._at += len(y)
        return y

    @abstractmethod
    def _run(self, y: Samples) -> None:
        """Overwrite the block that begins ``self._at`` frames after the start."""

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held, and be as new."""
        y = self.process(silence(self.latency, self.channels)) if self.latency else silence(0, self.channels)
        self.reset()
        return y

    def reset(self) -> None:
        """Forget all audio; parameters stay."""
        self._at = 0
