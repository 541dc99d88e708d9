"""What every detector of speech is: a stream of samples in, a probability for each hop out."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples

__all__ = ["Detector", "Probabilities"]

Probabilities = NDArray[np.float64]


@runtime_checkable
class Detector(Protocol):
    """Tells how likely speech is, hop by hop. Cutting the input anywhere changes nothing.

    A detector is used from one thread at a time.

    Attributes:
        rate: Sample rate of what it takes, Hz.
        hop: Frames from one probability to the next; constant.
        lag: Frames by which a decision trails the sound: the probability that is given with frame ``(k + 1) · hop``
            is about the sound ``lag`` frames before.
        threshold: Probability from which a hop is speech.
        release: Probability below which speech has stopped.
        level: RMS level of the last hop, 0…1.
        noise_floor: RMS level of the noise as it is known, 0…1; ``None`` to a detector that follows none.
        model_runs: How often a model was asked; 0 to a detector that has none.
    """

    rate: int
    hop: int
    lag: int
    threshold: float
    release: float

    @property
    def level(self) -> float:
        """See above."""

    @property
    def noise_floor(self) -> float | None:
        """See above."""

    @property
    def model_runs(self) -> int:
        """See above."""

    def process(self, x: Samples) -> Probabilities:
        """Take the next block, ``[n, 1]``; ``n`` may be 0.

        Returns:
            ``[m]``, 0…1: one for each hop that ends within the block.
        """

    def process_pcm16(self, data: bytes) -> list[float]:
        """As :meth:`process`, of 16-bit little-endian bytes, mono and whole samples: the same to the bit, for less."""

    def reset(self) -> None:
        """Forget all audio."""
