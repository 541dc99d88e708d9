"""Neural pitch, loaded."""

import numpy as np
from numpy.typing import NDArray

from menura.neural.nets.config import RmvpeConfig
from menura.neural.nets.graph import Weights
from menura.neural.nets.mel import THRESHOLD, log_mel, pitch_of
from menura.neural.nets.rmvpe import rmvpe
from menura.neural.options import RuntimeOptions
from menura.neural.runtime import open_session

__all__ = ["RmvpePitch"]


class RmvpePitch:
    """Pitch by RMVPE; for any number of streams and threads.

    Args:
        config: Its sizes.
        weights: Its checkpoint; may be dropped afterwards.
        options: Where and how it runs.

    Raises:
        ModelError: A weight is missing or of another shape.
        ConfigError: This installation lacks the provider.
    """

    RATE = 16_000
    HOP = 160

    def __init__(self, config: RmvpeConfig, weights: Weights, options: RuntimeOptions | None = None) -> None:
        self.config = config
        self._session = open_session(rmvpe(config, weights), options)

    def salience(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Salience of every pitch class ``[batch, frames, bins]`` for log-mel rows ``[batch, frames, mels]``."""
        frames = mel.shape[1]
        # to whole strides, with zeros as the network was trained
        padded = np.pad(mel, ((0, 0), (0, -frames % self.config.stride), (0, 0)))
        return self._session.run(mel=padded)[0][:, :frames]

    def pitch(self, wav: NDArray[np.float32], threshold: float = THRESHOLD) -> NDArray[np.float64]:
        """Pitch in Hz, 0 where there is none.

        Args:
            wav: ``[batch, samples]`` at 16 kHz, more than 512 samples.
            threshold: Least salience of a pitch.

        Returns:
            ``[batch, samples // 160 + 1]``, a frame every 10 ms, the first at the first sample.

        Raises:
            FormatError: The audio is too short.
        """
        return pitch_of(self.salience(log_mel(wav)), threshold)
