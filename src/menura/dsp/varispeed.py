"""Reading audio a little faster or slower than it came: the correction of a clock that runs at another rate."""

from ctypes import Structure, addressof, c_int, c_int64, c_void_p
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, finite, silence
from menura.audio.format import check_channels, check_rate
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError

__all__ = ["Varispeed"]

_reach = declare("mn_varispeed_reach", [c_void_p, c_int64], c_int64)
_read = declare("mn_varispeed", [c_void_p, c_void_p, c_int, c_void_p, c_int, c_int, c_int64, c_void_p])
_drop = declare("mn_varispeed_drop", [c_void_p, c_int64])

ONE = 1 << 40
HALF = 32
"""Frames to each side: 4 ms at 8 kHz, 0.7 ms at 48 kHz. Images of what lies below 0.9 of Nyquist fall by 100 dB."""
KAISER_BETA = 10.06
"""Stop band −100 dB (Kaiser 1974)."""
ROWS = 1024
"""Linear interpolation between rows errs by (π / 1024)² / 8, −118 dB."""
SLOWEST, FASTEST = 0.98, 1.02
SLEW_PER_S = 0.5
"""A change of 1 % takes 20 ms: the ear hears a glide of a sixth of a semitone, and no step."""


@lru_cache(maxsize=1)
def _table() -> NDArray[np.float32]:
    """Windowed sinc, ``[ROWS + 1, 2 · HALF]``; row 0 is the frame itself."""
    distance = np.arange(2 * HALF) - HALF + 1 - (np.arange(ROWS + 1) / ROWS)[:, None]
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1.0 - (distance / HALF) ** 2, 0.0, 1.0))) / np.i0(KAISER_BETA)
    table = np.sinc(distance) * window
    return np.ascontiguousarray(table / table.sum(axis=1, keepdims=True), np.float32)


class _Speed(Structure):
    _fields_ = (("at", c_int64), ("speed", c_int64), ("target", c_int64), ("slew", c_int64))


class Varispeed:
    """Pull side of a stream whose speed is nearly 1: ask how much a read needs, push that, read.

    At speed 1 from the start on, frames come out as they went in, bit for bit. Tones below 0.9 of Nyquist keep 90 dB
    and more at any speed. Cutting pushes and reads anywhere changes nothing.

    Args:
        rate: Hz, on both sides.
        channels: Of every block.

    Attributes:
        look_ahead: Frames that must be held beyond the one read, so that it can be read between two.

    >>> stream = Varispeed(24_000)
    >>> stream.push(np.ones((stream.needed(480), 1), np.float32))
    >>> stream.read(480).shape, stream.needed(480)
    ((480, 1), 480)
    """

    look_ahead = HALF

    def __init__(self, rate: int, channels: int = 1) -> None:
        self.rate = check_rate(rate)
        self.channels = check_channels(channels)
        self._state = _Speed(slew=max(1, round(SLEW_PER_S / rate * ONE)))
        self._address = addressof(self._state)
        self._rows = _table()
        self.speed = 1.0
        self.reset()

    def reset(self) -> None:
        """Forget all audio; the speed is the target at once."""
        self._held = silence(HALF - 1, self.channels)
        self._state.at = (HALF - 1) * ONE
        self._state.speed = self._state.target

    @property
    def speed(self) -> float:
        """Input frames per output frame, 0.98…1.02; a new value is reached by a glide, 1 % in 20 ms.

        Raises:
            ConfigError: It lies outside.
        """
        return self._target

    @speed.setter
    def speed(self, value: float) -> None:
        if not SLOWEST <= value <= FASTEST:
            raise ConfigError(f"speed must be 0.98 to 1.02, not {value!r}")
        self._target = value
        self._state.target = round(value * ONE)

    @property
    def held(self) -> int:
        """Whole frames pushed and not yet passed by the reader."""
        return len(self._held) - int(self._state.at >> 40)

    def needed(self, frames: int) -> int:
        """Frames to be pushed before ``frames`` can be read."""
        if frames < 1:
            return 0
        return max(0, int(_reach(self._address, frames)) + HALF + 1 - len(self._held))

    def push(self, x: Samples) -> None:
        """Add a block, ``[n, channels]``."""
        if len(x):
            self._held = np.concatenate([self._held, finite(x)])

    def read(self, frames: int) -> Samples:
        """Take so many frames, or as many as what was pushed allows.

        Returns:
            ``[frames, channels]``; fewer where less was pushed than ``needed`` said.
        """
        count = frames if not self.needed(frames) else self._possible(frames)
        y = np.empty((count, self.channels), np.float32)
        if count:
            held = np.ascontiguousarray(self._held, np.float32)
            _read(self._address, pointer(held), self.channels, pointer(self._rows), HALF, ROWS, count, pointer(y))
            drop = (self._state.at >> 40) - HALF + 1
            self._held = self._held[drop:]
            _drop(self._address, drop)
        return y

    def _possible(self, frames: int) -> int:
        low, high = 0, frames  # the largest count that needs nothing more
        while low < high:
            middle = (low + high + 1) // 2
            if self.needed(middle):
                high = middle - 1
            else:
                low = middle
        return low
