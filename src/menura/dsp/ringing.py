"""What still sounds in a stage, given on to one of the same kind with other parameters."""

from typing import Protocol, Self, runtime_checkable

import numpy as np

from menura.audio.block import Samples
from menura.dsp.fade import fade_in_curve
from menura.dsp.inplace import InPlace
from menura.dsp.stage import Stage
from menura.units import ms_to_frames

__all__ = ["RingOut", "Ringing", "resized", "unrolled"]

LOOK_MS = 50.0
"""How often it is looked whether something still rings."""
QUIET = 3e-6
"""−110 dBFS: what is below is cut."""
LONGEST_MS, LAST_MS = 10_000.0, 2000.0
"""Of what would ring for minutes: so long, the last of it fading."""


@runtime_checkable
class Ringing(Stage, Protocol):
    """A stage without latency that sounds long after its input, and may begin with what sounds in another."""

    @property
    def loudest(self) -> float:
        """About the highest peak that is still to come, without input."""

    def take_over(self, old: Self) -> None:
        """Go on with what rings in ``old``, of the same rate and channels, which stays as it is."""


class RingOut(InPlace):
    """In the place of a stage that is no longer wanted: passes everything, and what still rings in that stage.

    What goes into the stage fades out while what passes it by fades in. What rings for minutes fades within 10 s.

    Args:
        stage: Of this from now on.
        channels: Of its blocks.
        fade_ms: Of both fades.

    Attributes:
        over: Nothing rings any more.
    """

    def __init__(self, stage: Ringing, channels: int = 1, *, fade_ms: float = 30.0) -> None:
        super().__init__(stage.rate_in, channels)
        self.stage = stage
        self._curve = fade_in_curve(ms_to_frames(fade_ms, stage.rate_in))
        self._look = ms_to_frames(LOOK_MS, stage.rate_in)
        self._begin()

    def _begin(self) -> None:
        self.over = False
        self._end, self._end_frames = (ms_to_frames(ms, self.rate_in) for ms in (LONGEST_MS - LAST_MS, LAST_MS))

    @property
    def age(self) -> int:
        """Frames since it began."""
        return self._at

    @property
    def fed(self) -> float:
        """The share of the input that goes into the stage now."""
        return 1.0 - float(self._curve[self._at, 0]) if self._at < len(self._curve) else 0.0

    def reset(self) -> None:
        """Forget all audio."""
        super().reset()
        self.stage.reset()
        self._begin()

    def end(self, fade_ms: float) -> None:
        """Fade out from the next block on."""
        frames = ms_to_frames(fade_ms, self.rate_in)
        if self._at + frames < self._end + self._end_frames:
            self._end, self._end_frames = self._at, frames

    def _run(self, y: Samples) -> None:
        start = 0
        while start < len(y) and not self.over:
            at = self._at + start
            if at % self._look == 0 and at >= len(self._curve):
                self.over = self.stage.loudest < QUIET or at >= self._end + self._end_frames
            part = y[start : start + self._look - at % self._look]
            part[:] = self._ring(part, at)
            start += len(part)

    def _ring(self, x: Samples, at: int) -> Samples:
        if self.over:
            return x
        where = at + np.arange(len(x))
        share = np.ones((len(x), 1), np.float32)
        begins = where < len(self._curve)
        share[begins] = self._curve[where[begins]]
        passed = share * x
        y = self.stage.process(x - passed)
        if where[-1] >= self._end:
            left = np.clip(1.0 - (where + 1.0 - self._end) / (self._end_frames + 1.0), 0.0, 1.0)
            y *= np.square(np.sin(0.5 * np.pi * left)).astype(np.float32)[:, None]
        return np.asarray(y + passed, np.float32)


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
