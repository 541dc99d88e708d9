"""The pitch of a stream: found again with each block, and kept once it was heard."""

import numpy as np
from numpy.typing import NDArray

from menura.neural.stream.settings import RvcSettings, Unvoiced
from menura.neural.stream.shape import StreamShape

__all__ = ["PitchTrack", "as_pitch", "pitch_window"]

HIGHEST_HZ = 4000.0
"""What is above is no pitch."""
SPEAKER_FRAMES = 300
"""Voiced frames of which the speaker's median is taken, about 3 s of speech."""

LEAST_BEFORE = 3
"""Frames that a network hears at least before those whose pitch is found anew, as in RVC's own client: what it says of
its window's first is worse."""


def pitch_window(shape: StreamShape, step: int = 1, grid: int = 1, end: int = 0) -> int:
    """Frames of audio in which pitch is looked for.

    Args:
        shape: How the stream is cut.
        step: Rows in which the network computes; there is one more of them than frames. It is given no audio that
            fills a further step only in part, if what it must hear fits into less.
        grid: Frames after which the network's own begin again on one of ours. Windows begin there, so that a moment has
            the same place in the network's frames in every computation.
        end: Of the window, in frames since the stream's beginning.

    >>> shape = StreamShape(block=24, right=4, pitch_context=32)
    >>> pitch_window(shape), pitch_window(shape, step=32)
    (56, 31)
    >>> pitch_window(StreamShape(block=26), 32), pitch_window(StreamShape(block=24, pitch_context=60), 32)
    (58, 63)
    >>> [(end, end - pitch_window(StreamShape(block=10), grid=8, end=end)) for end in (100, 110, 120)]
    [(100, 56), (110, 64), (120, 72)]
    """
    frames, least = shape.block + shape.pitch_context, shape.block + shape.right + LEAST_BEFORE
    full = (frames + 1) // step * step
    needed = -(-(least + 1) // step) * step
    frames = min(frames, max(full, needed) - 1, shape.window)
    frames += (end - frames) % grid
    return frames if frames <= shape.window else frames - grid


def as_pitch(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """What can be a pitch; 0 for the rest, and for what is no number."""
    return np.where((found > 0.0) & (found < HIGHEST_HZ), found, 0.0)


class PitchTrack:
    """Hz for each frame of a window that moves; 0 where there is none.

    What was heard keeps its pitch, so that the excitation's phase runs on; only the rest is found anew.

    Args:
        frames: Of the window.
    """

    def __init__(self, frames: int) -> None:
        self._f0: NDArray[np.float64] = np.zeros(frames)
        self._voiced = np.zeros(0)

    @property
    def speaker_hz(self) -> float:
        """Median of the speaker's pitch; 0 while unknown."""
        return float(np.median(self._voiced)) if len(self._voiced) else 0.0

    def seed(self, hz: float) -> None:
        """Take a median of before for that of the first third of what is remembered; 0 for none."""
        if hz > 0.0:
            self._voiced = np.full(SPEAKER_FRAMES // 3, hz)

    def advance(self, block: int) -> None:
        """Move the window."""
        self._f0 = np.concatenate([self._f0[block:], np.zeros(block)])

    def hear(self, new: NDArray[np.float64]) -> None:
        """Learn who speaks from new frames."""
        self._voiced = np.concatenate([self._voiced, new[new > 0]])[-SPEAKER_FRAMES:]

    def shift_st(self, settings: RvcSettings) -> float:
        """From what is spoken to what is sung, semitones."""
        shift_st = settings.key_st - settings.formant_st
        if settings.target_hz and self.speaker_hz:
            shift_st += 12.0 * float(np.log2(settings.target_hz / self.speaker_hz))
        return shift_st

    def update(self, found: NDArray[np.float64], settings: RvcSettings, fresh: int, block: int) -> NDArray[np.float64]:
        """Take over what was found.

        Args:
            found: Hz of the last frames of the window, as spoken.
            settings: Key, register and rule for what is unvoiced.
            fresh: Frames at the end that were not heard yet; those before stay.
            block: Frames that are new altogether.

        Returns:
            Pitch to be sung, of the whole window.
        """
        found = as_pitch(found)
        self.hear(found[-block:])
        sung = found * 2.0 ** (self.shift_st(settings) / 12.0)
        taken = min(fresh, len(found))
        self._f0[-taken:] = sung[-taken:]
        if settings.unvoiced is Unvoiced.INTERPOLATE:
            self._fill(taken)
        return self._f0

    def _fill(self, taken: int) -> None:
        """Give unvoiced frames what lies between their neighbours."""
        voiced = np.flatnonzero(self._f0)
        if len(voiced):
            places = np.arange(len(self._f0) - taken, len(self._f0))
            self._f0[places] = np.interp(places, voiced, self._f0[voiced])
