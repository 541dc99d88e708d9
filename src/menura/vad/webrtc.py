"""Speech by the Gaussian mixtures of WebRTC's detector."""

import numpy as np

from menura.audio.block import Samples, finite
from menura.audio.format import check_rate
from menura.audio.pcm import float_to_int16
from menura.extras import need
from menura.vad.detector import Probabilities
from menura.vad.windows import WindowFeed

__all__ = ["WebRTC"]

RATES = (8000, 16_000, 32_000, 48_000)
OTHERWISE = 16_000
MODES = 4


class WebRTC:
    """Detector by WebRTC's: the probability is the share of its four modes, from lenient to strict, that hear speech.

    It is cheap, and takes much steady noise for speech: adaptive energy does better there.

    Args:
        rate: Hz; other rates than 8, 16, 32 and 48 kHz are converted to 16 kHz.

    Raises:
        MissingExtraError: ``webrtcvad`` is not installed.
    """

    threshold = 0.75
    release = 0.5
    noise_floor = None
    model_runs = 0

    def __init__(self, rate: int) -> None:
        self._vad = need("webrtcvad", extra="vad").Vad
        self.rate = check_rate(rate)
        self._own_rate = rate if rate in RATES else OTHERWISE
        self._feed = WindowFeed(rate, self._own_rate, self._own_rate // 100)
        self.hop = self._feed.hop
        self.lag = self._feed.latency + self.hop  # it smooths over about as much
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._modes = [self._vad(mode) for mode in range(MODES)]
        self._feed.reset()
        self.level = 0.0

    def process(self, x: Samples) -> Probabilities:
        """Take the next block, ``[n, 1]``; a probability for each hop of 10 ms that ends within it."""
        hops = self._feed.push(finite(x))
        if not hops:
            return np.zeros(0)
        windows = self._feed.windows(hops[0], hops[-1])
        last = windows[-1]
        self.level = float(np.sqrt(np.dot(last, last) / len(last)))
        frames = [window.tobytes() for window in float_to_int16(windows).astype("<i2", copy=False)]
        return np.array([self._hear(frame) for frame in frames], np.float64)

    def _hear(self, frame: bytes) -> float:
        return sum(1.0 for mode in self._modes if mode.is_speech(frame, self._own_rate)) / MODES
