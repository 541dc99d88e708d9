"""WebRTC's echo canceller and noise suppressor on frames of 10 ms, at the rates that they know."""

import numpy as np

from menura.audio.block import Samples
from menura.errors import ConfigError

__all__ = ["EchoCanceller", "NoiseSuppressor", "native_rate"]

ECHO_DELAY = {16_000: 128, 32_000: 260, 48_000: 430}
NOISE_DELAY = {16_000: 96, 32_000: 196, 48_000: 334}
"""Frames by which the library's output lags, as measured; the tests measure it again."""


def native_rate(rate: int) -> int:
    """The library's rate that keeps all of a stream's band, Hz; at others than its three it ends the process."""
    return 16_000 if rate <= 16_000 else 32_000 if rate <= 32_000 else 48_000


def _flat(frame: Samples) -> Samples:
    return np.ascontiguousarray(frame).reshape(-1)


class EchoCanceller:
    """AEC3: takes what is played out of what the microphone hears, and with it all below 100 Hz.

    Args:
        rate: 16,000, 32,000 or 48,000 Hz.
        delay_ms: Hint of the time from a reference to its echo.
    """

    def __init__(self, rate: int, channels: int, delay_ms: float) -> None:
        self.delay = ECHO_DELAY[rate]
        self._rate, self._channels, self._delay_ms = rate, channels, round(delay_ms)
        self.renew()

    def renew(self) -> None:
        """Forget everything: a new object, for the library's own reset leaves audio in its band filters."""
        from pywebrtc_audio import EchoCanceller as Canceller

        self._library = Canceller(self._rate, self._channels, self._delay_ms)

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
        rate: 16,000, 32,000 or 48,000 Hz.
        level: Most suppression: 0 is 6 dB, 1 is 12, 2 is 18, 3 is 21.

    Raises:
        ConfigError: There is no such level.
    """

    def __init__(self, rate: int, channels: int, level: int) -> None:
        if level not in range(4):
            raise ConfigError(f"noise_level is 0, 1, 2 or 3, not {level!r}")
        self.delay = NOISE_DELAY[rate]
        self._rate, self._channels, self._level = rate, channels, level
        self.renew()

    def renew(self) -> None:
        """Forget everything."""
        from pywebrtc_audio import NoiseSuppressor as Suppressor

        self._library = Suppressor(self._rate, self._channels, self._level)

    @property
    def speech_probability(self) -> float:
        """Of the last frame."""
        return self._library.speech_probability

    def clean(self, frame: Samples) -> Samples:
        """From ``[10 ms, channels]`` to the same."""
        return self._library.process(_flat(frame)).reshape(-1, self._channels)
