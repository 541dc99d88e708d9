"""Speech by the Gaussian mixtures of WebRTC's detector."""

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, finite
from menura.audio.format import check_rate
from menura.audio.pcm import float_to_int16, int16_to_float
from menura.extras import need
from menura.vad.detector import Probabilities
from menura.vad.windows import WindowFeed

__all__ = ["WebRTC"]

RATES = (8000, 16_000, 32_000, 48_000)
OTHERWISE = 16_000
MODES = (1, 3)


class WebRTC:
    """Detector by WebRTC's: 1 where its strictest mode hears speech, ½ where only a lenient one does, else 0.

    It is cheap, and takes much steady noise for speech: adaptive energy does better there.

    Args:
        rate: Hz; other rates than 8, 16, 32 and 48 kHz are converted to 16 kHz.

    Raises:
        MissingExtraError: ``webrtcvad`` is not installed.
    """

    threshold = 0.75
    release = 0.25
    noise_floor = None
    model_runs = 0

    def __init__(self, rate: int) -> None:
        self._vad = need("webrtcvad", extra="vad").Vad
        self.rate = check_rate(rate)
        self._own_rate = rate if rate in RATES else OTHERWISE
        self._frame_bytes = 2 * self._own_rate // 100
        self._feed = None if rate in RATES else WindowFeed(rate, OTHERWISE, OTHERWISE // 100)
        self.hop = self._feed.hop if self._feed else rate // 100
        self.lag = (self._feed.latency if self._feed else 0) + self.hop  # it smooths over about a hop
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._modes = [self._vad(mode) for mode in MODES]
        self._heard = b""
        self._rest = b""
        if self._feed:
            self._feed.reset()

    @property
    def level(self) -> float:
        """RMS level of the last hop, 0…1."""
        x = int16_to_float(np.frombuffer(self._heard, "<i2"))
        return float(np.sqrt(np.dot(x, x) / max(1, len(x))))

    def process(self, x: Samples) -> Probabilities:
        """Take the next block, ``[n, 1]``; a probability for each hop of 10 ms that ends within it."""
        x = finite(x)
        pcm = self._convert(self._feed, x) if self._feed else _bytes(x)
        return np.array(self._hear_each(pcm), np.float64)

    def process_pcm16(self, data: bytes) -> list[float]:
        """As :meth:`process`, of mono 16-bit bytes."""
        return self._hear_each(self._convert(self._feed, data) if self._feed else data)

    @staticmethod
    def _convert(feed: WindowFeed, block: Samples | bytes) -> bytes:
        hops = feed.push(block)
        return _bytes(feed.windows(hops[0], hops[-1])) if hops else b""

    def _hear_each(self, pcm: bytes) -> list[float]:
        pcm, size = self._rest + pcm, self._frame_bytes
        whole = len(pcm) // size * size
        self._rest = pcm[whole:]
        frames = [pcm[at : at + size] for at in range(0, whole, size)]
        self._heard = frames[-1] if frames else self._heard
        return [self._hear(frame) for frame in frames]

    def _hear(self, frame: bytes) -> float:
        return sum(1.0 for mode in self._modes if mode.is_speech(frame, self._own_rate)) / len(self._modes)


def _bytes(x: NDArray[np.float32]) -> bytes:
    return float_to_int16(x).astype("<i2", copy=False).tobytes()
