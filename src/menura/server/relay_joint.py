"""One kind of audio after another, without a click and without a sample of the one in the other."""

from menura.audio.block import Samples
from menura.dsp.fade import fade_in_curve
from menura.units import ms_to_frames

__all__ = ["Joint"]

FADE_MS = 5.0


class Joint:
    """What comes next fades in; of what came before only its last value remains, and falls to silence.

    A crossfade would do the same with what was said: where a voice begins, the speaker's own must not be heard on.

    Shape:
        last: The last frame before, ``[1, channels]``, or none.

    >>> import numpy as np
    >>> joint = Joint(np.full((1, 1), 0.5, np.float32), 8000)
    >>> x = np.ones((40, 1), np.float32)
    >>> joint.rise(x)
    >>> y = np.zeros((40, 1), np.float32)
    >>> joint.fall(y)
    >>> bool(x[0] < 0.01), bool(y[0] > 0.49), bool(y[39] < 0.01), joint.done
    (True, True, True, True)
    """

    def __init__(self, last: Samples, rate: int) -> None:
        self._curve = fade_in_curve(ms_to_frames(FADE_MS, rate))
        self._last = last[-1:]
        self._risen = 0
        self._fallen = 0 if len(last) else len(self._curve)

    @property
    def done(self) -> bool:
        """Whether nothing more is to be done."""
        return self._risen == self._fallen == len(self._curve)

    def rise(self, x: Samples) -> None:
        """Let what comes next fade in, in place; before it is changed in any way."""
        k = min(len(x), len(self._curve) - self._risen)
        x[:k] *= self._curve[self._risen : self._risen + k]
        self._risen += k

    def fall(self, y: Samples) -> None:
        """Add what remains of before, in place."""
        k = min(len(y), len(self._curve) - self._fallen)
        y[:k] += self._last * self._curve[::-1][self._fallen : self._fallen + k]
        self._fallen += k
