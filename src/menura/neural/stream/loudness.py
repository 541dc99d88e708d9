"""Levels in frames of 10 ms: the gate before the model, and the speaker's loudness after it."""

import numpy as np
from numpy.typing import NDArray

from menura.units import db_to_gain

__all__ = ["QUIETEST", "WINDOW", "Gate", "frame_rms", "match_loudness"]

QUIETEST = 1e-3
"""Of the model's own level, in the quotient: below it is silence that nothing brings up."""
WINDOW = 4
"""Frames a level is taken over."""
Floats = NDArray[np.float32]


def frame_rms(x: Floats, hop: int, before: int = 0) -> NDArray[np.float64]:
    """RMS level of each frame of ``hop`` samples, over the 40 ms that end with it.

    Args:
        x: ``[samples]``, whole frames.
        hop: Samples a frame.
        before: Frames at the beginning that are only for the levels after them.
    """
    power = np.square(x.astype(np.float64)).reshape(-1, hop).mean(axis=1)
    sums = np.concatenate([np.zeros(1), np.cumsum(power)])
    ends = np.arange(1, len(power) + 1)
    starts = np.maximum(0, ends - WINDOW)
    level: NDArray[np.float64] = np.sqrt(np.maximum(0.0, sums[ends] - sums[starts]) / (ends - starts))
    return level[before:]


class Gate:
    """Silences frames below a level, with ramps of a frame, and tells which are silent.

    Args:
        hop: Samples a frame.
    """

    def __init__(self, hop: int) -> None:
        self._hop = hop
        self._tail = np.zeros((WINDOW - 1) * hop, np.float32)
        self._open = 0.0

    def process(self, x: Floats, gate_db: float) -> Floats:
        """Of whole frames, ``[samples]``."""
        level = frame_rms(np.concatenate([self._tail, x]), self._hop, WINDOW - 1)
        kept = (WINDOW - 1) * self._hop
        self._tail = np.concatenate([self._tail, x])[-kept:]
        opened = (level >= db_to_gain(gate_db)).astype(np.float64) if gate_db > -120.0 else np.ones(len(level))
        before = np.concatenate([[self._open], opened[:-1]])
        self._open = float(opened[-1])
        if opened.all() and before.all():
            return x
        ramp = (np.arange(self._hop) + 1.0) / self._hop
        # open at once, so that no onset is lost; close over a frame
        gains = np.where(opened[:, None] >= before[:, None], opened[:, None], before[:, None] * (1.0 - ramp))
        return (x.reshape(-1, self._hop) * gains).reshape(-1).astype(np.float32)


def match_loudness(y: Floats, made: NDArray[np.float64], spoken: NDArray[np.float64], rate: float) -> Floats:
    """Bring a model's audio towards the speaker's loudness.

    Args:
        y: ``[samples]``, of the frames between the first level and the last.
        made: Levels of the model's audio, one more than frames.
        spoken: Levels of the speaker, as many.
        rate: 1 changes nothing.

    Source:
        RVC: gain (spoken / max(made, 0.001)) to the power 1 − rate.
    """
    places = np.linspace(0.0, len(made) - 1.0, len(y), endpoint=False)
    at = np.arange(len(made))
    quotient = np.interp(places, at, spoken) / np.maximum(np.interp(places, at, made), QUIETEST)
    return (y * np.power(quotient, 1.0 - rate)).astype(np.float32)
