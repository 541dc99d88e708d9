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
HELD_S = 5.0
"""What a network may hold back: a pause is worth no more, so that the file that follows it loses nothing either."""
HASTE = 1.05
"""Who sends no faster than this speaks, by a clock of its own; so does again, after a while, whoever a network held up
for longer."""
SPOKEN_S = 2.0
"""Before that nobody is taken for one who speaks."""
FADE_MS = 5.0


class Shedding:
    """Knows who speaks, as against who sends a file, and joins what is left when something is left out.

    Who has sent no more than one can have spoken of late speaks: for them late is worse than missing. Whoever has sent
    more gets all of it, however long it takes.

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
        self._seen_s: float | None = None
        self._ahead_s = self._sent_s = 0.0
        self.frames = 0
        self._last = silence(1, channels)
        self._faded = len(self._curve)  # frames of the fade that is under way, in or out
        self._hole = False

    def arrived(self, now_s: float, frames: int) -> bool:
        """Note a block; returns whether its sender speaks."""
        if self._seen_s is not None:
            self._ahead_s = max(-HELD_S, self._ahead_s - HASTE * (now_s - self._seen_s))
        self._seen_s = now_s
        speaks = self._ahead_s <= AHEAD_S
        self._ahead_s += frames / self._rate
        self._sent_s += frames / self._rate
        return speaks and self._sent_s >= SPOKEN_S

    @staticmethod
    def stale(now_s: float, due_s: float) -> bool:
        """Whether a block that was due then is too old."""
        return now_s - due_s > STALE_S

    def leave_out(self, frames: int) -> Samples:
        """What is heard in the place of a block: what was heard last falls to silence, ``[frames, channels]``."""
        if not self._hole:
            self._hole, self._faded = True, len(self._curve) - self._faded
        self.frames += frames
        y = silence(frames, self._channels)
        part = self._curve[::-1][self._faded : self._faded + frames]
        y[: len(part)] = self._last * part
        self._faded += len(part)
        return y

    def heard(self, y: Samples) -> Samples:
        """Note a block that was changed; the first after a hole fades in."""
        if not len(y):
            return y
        if self._hole:
            self._hole, self._faded = False, len(self._curve) - self._faded
        part = self._curve[self._faded : self._faded + len(y)]
        if len(part):
            y = np.concatenate([y[: len(part)] * part, y[len(part) :]])
            self._faded += len(part)
        self._last = y[-1:]
        return y
