"""What still sounds in a stage, given on to one of the same kind with other parameters."""

from typing import Protocol, Self, runtime_checkable

import numpy as np

from menura.audio.block import Samples
from menura.dsp.fade import fade_in_curve
from menura.dsp.stage import Stage

__all__ = ["Ringing", "resized", "unrolled"]


@runtime_checkable
class Ringing(Stage, Protocol):
    """A stage that sounds long after its input, and may begin with what sounds in another."""

    def take_over(self, old: Self) -> None:
        """Go on with what rings in ``old``, of the same rate and channels, which stays as it is."""


def unrolled(line: Samples, at: int) -> Samples:
    """What a circular line ``[n, c]`` holds, the oldest first, where ``at`` frames have been written to it."""
    return np.roll(line, -(at % len(line)), axis=0)


def resized(held: Samples, frames: int, fade_frames: int) -> Samples:
    """What a delay line holds, for one of another length.

    The newest stays, so that a shorter line repeats it earlier and a longer one later. What is read first goes over
    from what would have been read without the change, and what begins late fades in: nothing in the line leaps.

    Args:
        held: ``[n, c]``, the oldest first.
        frames: Of the other line.
        fade_frames: Of both fades, at most.

    Returns:
        ``[frames, c]``, the oldest first; ``held`` itself where the length stays.
    """
    more = frames - len(held)
    if not more:
        return held
    fade = fade_in_curve(min(fade_frames, len(held), frames))
    y = np.zeros((frames, held.shape[1]), np.float32)
    if more > 0:
        y[more:] = held
        y[more : more + len(fade)] *= fade
    else:
        y[:] = held[-more:]
    y[: len(fade)] += (1.0 - fade) * (held[: len(fade)] - y[: len(fade)])
    return y
