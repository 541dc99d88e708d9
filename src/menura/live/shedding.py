"""Audio that is too old to be worth changing: left out, so that who speaks is not heard later and later."""

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.fade import fade_in_curve
from menura.units import ms_to_frames

__all__ = ["Shedding"]

STALE_S = 1.5
"""How late a block may be before it is left out: a machine that is busy for a moment leaves out nothing."""
AHEAD_S = 0.5
"""By which somebody who speaks may be ahead of the clock: networks send what they held back at once."""
SPOKEN_S = 2.0
"""Before that nobody is taken for one who speaks."""
FADE_MS = 5.0


class Shedding:
    """Knows who speaks, as against who sends a file, and joins what is left when something is left out.

    Who has sent no more than one can have spoken since the first block speaks: for them late is worse than missing.
    Whoever has sent more gets all of it, however long it takes.

    Args:
        rate: Of the audio.
        channels: Of it.

    Attributes:
        frames: Left out so far.

    >>> shedding = Shedding(1000, 1)
    >>> [shedding.arrived(second, 1000) for second in (0.0, 1.0, 2.0)], shedding.stale(12.0, 10.0)
    ([False, True, True], True)
    >>> file = Shedding(1000, 1)
    >>> [file.arrived(0.0, 1000) for _ in range(3)]
    [False, False, False]
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._channels = rate, channels
        self._curve = fade_in_curve(ms_to_frames(FADE_MS, rate))
        self._begun_s: float | None = None
        self._sent = self.frames = 0
        self._last = silence(1, channels)
        self._hole = False

    def arrived(self, now_s: float, frames: int) -> bool:
        """Note a block; returns whether its sender speaks."""
        if self._begun_s is None:
            self._begun_s = now_s
        self._sent += frames
        sent_s, elapsed_s = self._sent / self._rate, now_s - self._begun_s
        return sent_s >= SPOKEN_S and sent_s - frames / self._rate <= elapsed_s + AHEAD_S

    @staticmethod
    def stale(now_s: float, due_s: float) -> bool:
        """Whether a block that was due then is too old."""
        return now_s - due_s > STALE_S

    def leave_out(self, frames: int) -> Samples:
        """What is heard in the place of a block: what was heard last falls to silence, ``[frames, channels]``."""
        y = silence(frames, self._channels)
        if not self._hole:
            k = min(frames, len(self._curve))
            y[:k] = self._last * self._curve[::-1][:k]
        self._hole = True
        self.frames += frames
        return y

    def heard(self, y: Samples) -> Samples:
        """Note a block that was changed; the first after a hole fades in."""
        if not len(y):
            return y
        if self._hole:
            k = min(len(y), len(self._curve))
            y = np.concatenate([y[:k] * self._curve[:k], y[k:]])
            self._hole = False
        self._last = y[-1:]
        return y
