"""Pitch by swift-f0, whose network comes in its package: nothing to download, a twentieth of RMVPE's time.

Source:
    Nieradzik, "SwiftF0: fast and accurate monophonic pitch detection", 2025; MIT licence.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

from menura.errors import ConfigError, FormatError
from menura.extras import find
from menura.neural.nets.graph import Network
from menura.neural.options import RuntimeOptions
from menura.neural.runtime import open_session

__all__ = ["SwiftPitch"]

LOWEST_HZ, HIGHEST_HZ = 46.875, 2093.75
"""What the network knows."""
OWN_HOP = 256
SILENCE = 1e-3
"""Peak of a frame below which the network's answer is chance."""


class SwiftPitch:
    """Pitch by swift-f0; for any number of streams and threads.

    Args:
        fmin_hz, fmax_hz: Range of pitch, within 46.9 and 2093.8.
        options: Where and how it runs.

    Attributes:
        grid: Frames of 10 ms after which one of the network's begins together with one of them.

    Raises:
        ConfigError: The range is empty or too wide, or this installation lacks the provider.
        MissingExtraError: swift-f0 is not installed.
    """

    RATE = 16_000
    HOP = 160

    def __init__(
        self, fmin_hz: float = 50.0, fmax_hz: float = 1100.0, *, options: RuntimeOptions | None = None
    ) -> None:  # fmt: skip
        if not LOWEST_HZ <= fmin_hz < fmax_hz <= HIGHEST_HZ:
            raise ConfigError(f"swift-f0 finds pitch from {LOWEST_HZ} to {HIGHEST_HZ} Hz, not {fmin_hz} to {fmax_hz}")
        self.grid = OWN_HOP // gcd(OWN_HOP, self.HOP)
        self._range = {"fmin": np.array(fmin_hz, np.float32), "fmax": np.array(fmax_hz, np.float32)}
        model = find("swift_f0", extra="swift") / "model.onnx"
        self._session = open_session(Network("swift-f0", model.read_bytes(), {}), options)

    def pitch(self, wav: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float64]:
        """Pitch in Hz, 0 where there is none.

        Args:
            wav: ``[batch, samples]`` at 16 kHz, at least 256 samples.
            threshold: Least confidence of a pitch.

        Returns:
            ``[batch, samples // 160 + 1]``, a frame every 10 ms, the first at the first sample: between the network's
            frames, 16 ms apart, the nearest one decides whether there is a pitch, and two pitches are joined by a
            straight line in octaves.

        Raises:
            FormatError: The audio is too short.
        """
        if wav.ndim != 2 or wav.shape[1] < OWN_HOP:
            raise FormatError(f"swift-f0 takes [batch, samples] of at least {OWN_HOP} samples, not {wav.shape}")
        return np.stack([self._one(np.ascontiguousarray(window, np.float32), threshold) for window in wav])

    def _one(self, window: NDArray[np.float32], threshold: float) -> NDArray[np.float64]:
        pitch, confidence = (found[0] for found in self._session.run(audio=window[None], **self._range))
        count = len(window) // OWN_HOP
        loud = np.abs(window[: count * OWN_HOP].reshape(count, OWN_HOP)).max(axis=1) >= SILENCE
        voiced = (confidence[:count] >= threshold) & loud
        octaves = np.log2(np.maximum(pitch[:count].astype(np.float64), 1.0))
        at = np.arange(len(window) // self.HOP + 1) * (self.HOP / OWN_HOP)
        nearest = np.minimum(np.rint(at).astype(np.int64), count - 1)
        left = np.minimum(at.astype(np.int64), count - 1)
        right = np.minimum(left + 1, count - 1)
        # a neighbour without pitch has nothing to add
        left, right = np.where(voiced[left], left, nearest), np.where(voiced[right], right, nearest)
        part = np.clip(at - np.floor(at), 0.0, 1.0)
        return np.where(voiced[nearest], np.exp2(octaves[left] * (1 - part) + octaves[right] * part), 0.0)
