"""Effects of a delay line: echo, chorus, vibrato."""

import math
from ctypes import c_double, c_int, c_int64, c_void_p
from typing import Self

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.glide import corner
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.dsp.ringing import resized, unrolled
from menura.errors import ConfigError
from menura.units import ms_to_frames, st_to_ratio

__all__ = ["Chorus", "Echo", "Vibrato"]

_D, _I, _L, _P = c_double, c_int, c_int64, c_void_p
_echo = declare("mn_echo", [_P, _L, _I, _P, _L, _L, _D, _D, _D])
_chorus = declare("mn_chorus", [_P, _L, _I, _P, _L, _L, _I, _D, _D, _D, _D, _D])

TURN_MS = 20.0
"""Of the fades within an echo's line whose length changes."""


class Echo(InPlace):
    """Echoes that repeat, each quieter and duller than the one before.

    Args:
        delay_ms: From one echo to the next, up to 5 s.
        feedback: Level of an echo against the one before it, 0 to 0.95.
        mix: Level of the first echo against the voice, 0 to 1; the voice itself stays as it is.
        damp_hz: Corner of the low-pass that each round passes.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        delay_ms: float = 280.0,
        feedback: float = 0.35,
        mix: float = 0.35,
        damp_hz: float = 5000.0,
    ) -> None:
        super().__init__(rate, channels)
        if not (1.0 <= delay_ms <= 5000.0 and 0.0 <= feedback <= 0.95 and 0.0 <= mix <= 1.0):
            raise ConfigError(f"echo: {delay_ms=} is 1 to 5000, {feedback=} 0 to 0.95, {mix=} 0 to 1")
        self._delay = ms_to_frames(delay_ms, rate)
        self._levels = feedback, corner(damp_hz, rate), mix
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        super().reset()
        self._line = silence(self._delay + 1, self.channels)  # and its low-pass

    @property
    def loudest(self) -> float:
        """The highest peak among the echoes to come."""
        return float(self._levels[2] * max(self._line.max(), -self._line.min()))

    def take_over(self, old: Self) -> None:
        """Go on with the echoes of another, at this one's delay."""
        held = unrolled(old._line[:-1], old._at)
        fade_frames = ms_to_frames(TURN_MS, self.rate_in)
        self._at, self._line = 0, np.concatenate([resized(held, self._delay, fade_frames), old._line[-1:]])

    def _run(self, y: Samples) -> None:
        _echo(pointer(y), len(y), self.channels, pointer(self._line), self._delay, self._at, *self._levels)


class _Swinging(InPlace):
    """Taps on a delay line whose delays swing."""

    def __init__(
        self,
        rate: int,
        channels: int,
        taps: int,
        delay: float,
        swing: float,
        lfo_hz: float,
        levels: tuple[float, float],
    ) -> None:
        super().__init__(rate, channels)
        self._size = math.ceil(delay + swing) + 4  # four-point interpolation reaches two frames further
        self._swing = taps, delay, swing, lfo_hz / rate, *levels
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        super().reset()
        self._line = silence(self._size, self.channels)

    def _run(self, y: Samples) -> None:
        _chorus(pointer(y), len(y), self.channels, pointer(self._line), self._size, self._at, *self._swing)


class Chorus(_Swinging):
    """Several voices from one: copies whose delays, and so pitches, drift apart.

    Args:
        rate_hz: How often a copy's delay swings.
        depth_ms: How far it swings to each side.
        delay_ms: Around which delay.
        mix: Share of the copies, 0 to 1.
        voices: Copies, 1 to 8.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        rate_hz: float = 0.8,
        depth_ms: float = 2.0,
        delay_ms: float = 16.0,
        mix: float = 0.5,
        voices: int = 3,
    ) -> None:
        if not (0.0 <= depth_ms < delay_ms <= 100.0 and 0.0 < rate_hz <= 20.0):
            raise ConfigError(f"chorus: {depth_ms=} lies below {delay_ms=}, at most 100; {rate_hz=} is up to 20")
        if not (0.0 <= mix <= 1.0 and 1 <= voices <= 8):
            raise ConfigError(f"chorus: {mix=} is 0 to 1, {voices=} is 1 to 8")
        frames = rate / 1000.0
        delay = max(delay_ms * frames, depth_ms * frames + 1.0)
        super().__init__(rate, channels, voices, delay, depth_ms * frames, rate_hz, (1.0 - mix, mix))


class Vibrato(_Swinging):
    """Pitch that swings around the voice's own.

    Args:
        rate_hz: Swings a second.
        depth_st: How far the pitch goes to each side, semitones, up to 2. A deep, slow swing needs a long delay: the
            latency is that of its deepest point.
    """

    def __init__(self, rate: int, channels: int = 1, *, rate_hz: float = 5.5, depth_st: float = 0.4) -> None:
        if not (0.5 <= rate_hz <= 20.0 and 0.0 <= depth_st <= 2.0):
            raise ConfigError(f"vibrato: {rate_hz=} is 0.5 to 20, {depth_st=} 0 to 2")
        # a delay of A sin(2π f t) frames changes the frequency by at most 2π f A / rate
        swing = (st_to_ratio(depth_st) - 1.0) * rate / (2.0 * math.pi * rate_hz)
        self.latency = math.ceil(swing) + 1
        super().__init__(rate, channels, 1, float(self.latency), swing, rate_hz, (0.0, 1.0))
