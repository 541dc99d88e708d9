"""The sound of a room."""

from ctypes import c_double, c_int, c_int64, c_void_p
from typing import Self

import numpy as np

from menura.audio.block import Samples
from menura.dsp.glide import corner
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.dsp.ringing import resized, unrolled
from menura.errors import ConfigError
from menura.units import ms_to_frames

__all__ = ["Reverb"]

_reverb = declare(
    "mn_reverb",
    [c_void_p, c_int64, c_int, c_void_p, c_int64, c_void_p, c_int64, c_void_p, c_double, c_double, c_double],
)

DIFFUSERS_MS = (4.9, 7.3)
LINES_MS = (29.3, 33.1, 37.7, 41.3, 45.1, 49.7, 53.9, 59.1)
"""Times without common factors, so that the echoes never fall together."""
TURN_MS = 5.0
"""Of the fades within lines whose length changes."""


def _prime_from(n: int) -> int:
    while any(n % d == 0 for d in range(2, int(n**0.5) + 1)):
        n += 1
    return n


class Reverb(InPlace):
    """Reverberation by a feedback delay network; the voice itself comes undelayed.

    Args:
        room: Size, 0 a closet to 1 a cathedral: reverberation takes 0.3 s to 3 s to fall by 60 dB.
        damping: How much of the treble the walls swallow, 0 to 1.
        wet: Share of the room against the voice, 0 to 1; at 1 the room carries as much energy as the voice did.

    Source:
        J.-M. Jot and A. Chaigne, Digital delay networks for designing artificial reverberators, AES 90, 1991.
    """

    def __init__(
        self, rate: int, channels: int = 1, *, room: float = 0.5, damping: float = 0.4, wet: float = 0.25
    ) -> None:
        super().__init__(rate, channels)
        if not (0.0 <= room <= 1.0 and 0.0 <= damping <= 1.0 and 0.0 <= wet <= 1.0):
            raise ConfigError(f"reverb: {room=}, {damping=} and {wet=} are 0 to 1")
        scale = 0.4 + 0.6 * room
        lines = [_prime_from(ms_to_frames(time_ms * scale, rate)) for time_ms in LINES_MS]
        diffusers = [_prime_from(ms_to_frames(time_ms, rate)) for time_ms in DIFFUSERS_MS]
        decay_s = 0.3 * 10.0**room
        self._lengths = np.array(diffusers + lines, np.int32)
        self._gains = (10.0 ** (-3.0 * np.array(lines) / (decay_s * rate))).astype(np.float32)
        self._dull = corner(16_000.0 * 10.0**-damping, rate)
        # the energy that leaves a loop of gain g in all its rounds is g² / (1 − g²) of what went in
        power = float(np.mean(self._gains.astype(np.float64) ** 2))
        self._mix = 1.0 - wet, wet * ((1.0 - power) / power) ** 0.5
        self.reset()

    def reset(self) -> None:
        """Let the room fall silent."""
        super().reset()
        self._memory = np.zeros((self.channels, int(self._lengths.sum()) + len(LINES_MS)), np.float32)

    @property
    def loudest(self) -> float:
        """The highest peak in the room; those that are to come add up of several, each of which has lost more."""
        return float(self._mix[1] * max(self._memory.max(), -self._memory.min()))

    def take_over(self, old: Self) -> None:
        """Go on with what sounds in another room, in this one's size."""
        self.reset()
        fade_frames = ms_to_frames(TURN_MS, self.rate_in)
        start = old_start = 0
        for length, old_length in zip(self._lengths, old._lengths, strict=True):
            held = unrolled(old._memory[:, old_start : old_start + old_length].T, old._at)
            self._memory[:, start : start + length] = resized(held, int(length), fade_frames).T
            start, old_start = start + length, old_start + old_length
        self._memory[:, start:] = old._memory[:, old_start:]

    def _run(self, y: Samples) -> None:
        _reverb(
            pointer(y), len(y), self.channels, pointer(self._memory), self._memory.shape[1], pointer(self._lengths),
            self._at, pointer(self._gains), self._dull, *self._mix,
        )  # fmt: skip
