"""Pitch networks, loaded."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from menura.errors import ModelError
from menura.neural.cache import Recipe
from menura.neural.nets.config import FcpeConfig, RmvpeConfig
from menura.neural.nets.fcpe import fcpe
from menura.neural.nets.graph import Weights
from menura.neural.nets.mel import fcpe_mel, log_mel, pitch_of
from menura.neural.nets.rmvpe import rmvpe
from menura.neural.options import RuntimeOptions
from menura.neural.runtime import open_session
from menura.neural.session import Session

__all__ = ["FcpePitch", "RmvpePitch"]

RMVPE_THRESHOLD, FCPE_THRESHOLD = 0.03, 0.006
"""Least salience of a pitch, as RVC has it."""


class RmvpePitch:
    """Pitch by RMVPE; for any number of streams and threads.

    Args:
        config: Its sizes.
        weights: Its checkpoint; may be dropped afterwards.
        options: Where and how it runs.
        again: Reads the checkpoint again. With it, what is loaded is a network for windows of up to ``step`` frames,
            which needs less than half of the memory; the one for longer windows is loaded when the first comes, or is
            told to come (:meth:`prepare`).

    Attributes:
        step: It computes in steps of so many frames.

    Raises:
        ModelError: A weight is missing or of another shape.
        ConfigError: This installation lacks the provider.
    """

    RATE = 16_000
    HOP = 160

    def __init__(
        self,
        config: RmvpeConfig,
        weights: Weights,
        options: RuntimeOptions | None = None,
        *,
        again: Callable[[], Weights] | None = None,
    ) -> None:
        self.config, self.step, self._options, self._again = config, config.stride, options, again
        self._short: Session | None = None
        self._long: Session | None = None
        if again is None:
            self._long = self._open(weights, False)
        else:
            self._short = self._open(weights, True)

    def _open(self, weights: Weights, one_step: bool) -> Session:
        name = "rmvpe-short" if one_step else "rmvpe"
        recipe = Recipe.of(name, weights, lambda: rmvpe(self.config, weights, one_step=one_step), self.config)
        return open_session(recipe, self._options)

    def prepare(self, frames: int) -> None:
        """Load what windows of so many frames of audio need, where it is not.

        Raises:
            ModelError: The checkpoint is no longer what it was.
        """
        if frames >= self.step:
            self._of(frames + 1)

    def _of(self, rows: int) -> Session:
        if rows <= self.step and self._short is not None:
            return self._short
        if self._long is None:
            assert self._again is not None
            self._long = self._open(self._again(), False)
        return self._long

    def salience(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Salience of every pitch class ``[batch, frames, bins]`` for log-mel rows ``[batch, frames, mels]``."""
        rows = mel.shape[1]
        # to whole steps, with zeros as the network was trained
        padded = np.pad(mel, ((0, 0), (0, -rows % self.step), (0, 0)))
        return self._of(rows).run(mel=padded)[0][:, :rows]

    def pitch(self, wav: NDArray[np.float32], threshold: float = RMVPE_THRESHOLD) -> NDArray[np.float64]:
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


class FcpePitch:
    """Pitch by FCPE; for any number of streams and threads.

    Args:
        config: Its sizes.
        weights: Its checkpoint; may be dropped afterwards.
        options: Where and how it runs.

    Raises:
        ModelError: A weight is missing or of another shape, or the network is not of convolutions only.
        ConfigError: This installation lacks the provider.
    """

    RATE = 16_000
    HOP = 160

    def __init__(self, config: FcpeConfig, weights: Weights, options: RuntimeOptions | None = None) -> None:
        if (config.rate, config.hop) != (self.RATE, self.HOP):
            raise ModelError(f"pitch is found at 16 kHz every 10 ms; this FCPE works at {config.rate} Hz, {config.hop}")
        self.config = config
        self._cents = np.array(weights["cent_table"], np.float64) if "cent_table" in weights else self._even_cents()
        self._session = open_session(fcpe(config, weights), options)

    def _even_cents(self) -> NDArray[np.float64]:
        low, high = (1200.0 * np.log2(hz / 10.0) for hz in (self.config.f0_min, self.config.f0_max))
        return np.linspace(low, high, self.config.bins)

    def salience(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Salience of every pitch class ``[batch, frames, bins]`` for log-mel rows ``[batch, frames, mels]``."""
        return self._session.run(mel=mel)[0]

    def pitch(self, wav: NDArray[np.float32], threshold: float = FCPE_THRESHOLD) -> NDArray[np.float64]:
        """Pitch in Hz, 0 where there is none.

        Args:
            wav: ``[batch, samples]`` at 16 kHz, at least 160 samples.
            threshold: Least salience of a pitch.

        Returns:
            ``[batch, samples // 160 + 1]``, a frame every 10 ms, the first at the first sample.

        Raises:
            FormatError: The audio is too short.
        """
        return pitch_of(self.salience(fcpe_mel(self.config, wav)), threshold, self._cents, held_ends=True)
