"""WebRTC's echo canceller and noise suppressor, on frames of 10 ms at 16 kHz."""

from functools import cache

import numpy as np

from menura.audio.block import Samples
from menura.errors import ConfigError
from menura.units import db_to_gain

__all__ = ["ECHO_DELAY", "NOISE_DELAY", "RATE", "EchoCanceller", "NoiseSuppressor"]

RATE = 16_000
"""The library also knows 32 and 48 kHz, where its band filters delay and colour; at any other it ends the process."""
ECHO_DELAY, NOISE_DELAY = 128, 96
"""Frames by which the library's output lags, as measured; the tests measure it again."""


QUIET_DB, QUIET_FRAMES = -60.0, 25


@cache
def _quiet_room() -> Samples:
    """A quarter of a second of faint noise, then silence that pushes it out, ``[frames, 160]``.

    The suppressor takes what it first hears for noise, be it speech. It is shown a quiet room first: speech from the
    first moment is then left as it is within −25 dB instead of −13, and noise from the first moment goes half a second
    later.
    """
    room = np.random.default_rng(1).standard_normal((QUIET_FRAMES + 2, RATE // 100)) * db_to_gain(QUIET_DB)
    room[QUIET_FRAMES:] = 0.0
    return room.astype(np.float32)


def _flat(frame: Samples) -> Samples:
    return np.ascontiguousarray(frame).reshape(-1)


class EchoCanceller:
    """AEC3: takes what is played out of what the microphone hears, and with it all below 100 Hz.

    Args:
        delay_ms: Hint of the time from a reference to its echo.
    """

    delay = ECHO_DELAY

    def __init__(self, channels: int, delay_ms: float) -> None:
        self._channels, self._delay_ms = channels, round(delay_ms)
        self.renew()

    def renew(self) -> None:
        """Forget everything."""
        from pywebrtc_audio import EchoCanceller as Canceller

        self._library = Canceller(RATE, self._channels, self._delay_ms)

    def set_delay_ms(self, delay_ms: float) -> None:
        """Give another hint."""
        self._delay_ms = self._library.stream_delay_ms = round(delay_ms)

    def clean(self, frame: Samples) -> Samples:
        """From ``[10 ms, near and far channels]`` to ``[10 ms, channels]``."""
        near, far = frame[:, : self._channels], frame[:, self._channels :]
        return self._library.process(_flat(near), _flat(far)).reshape(-1, self._channels)


class NoiseSuppressor:
    """WebRTC's noise suppressor.

    Args:
        level: Most suppression: 0 is 6 dB, 1 is 12, 2 is 18, 3 is 21.

    Raises:
        ConfigError: There is no such level.
    """

    delay = NOISE_DELAY

    def __init__(self, channels: int, level: int) -> None:
        if level not in range(4):
            raise ConfigError(f"noise_level is 0, 1, 2 or 3, not {level!r}")
        self._channels, self._level = channels, level
        self.renew()

    def renew(self) -> None:
        """Forget everything, as in a quiet room."""
        from pywebrtc_audio import NoiseSuppressor as Suppressor

        self._library = Suppressor(RATE, self._channels, self._level)
        for frame in _quiet_room():
            self._library.process(np.repeat(frame, self._channels))

    @property
    def speech_probability(self) -> float:
        """Of the last frame."""
        return self._library.speech_probability

    def clean(self, frame: Samples) -> Samples:
        """From ``[10 ms, channels]`` to the same."""
        return self._library.process(_flat(frame)).reshape(-1, self._channels)
