"""A stage beside the unchanged signal."""

import numpy as np

from menura.audio.block import Samples, finite
from menura.dsp.glide import Glide
from menura.dsp.stage import Stage
from menura.errors import ConfigError

__all__ = ["Blend"]


class Blend:
    """Mixes what a stage gives with what it got, which is delayed by the stage's latency.

    Args:
        stage: With equal rates in and out.
        mix: 0 is the unchanged signal, 1 the stage; may be set at any time and glides there.
    """

    def __init__(self, stage: Stage, *, mix: float = 1.0) -> None:
        if stage.rate_in != stage.rate_out:
            raise ConfigError(f"only a stage of one rate can be blended: {stage.rate_in} Hz in, {stage.rate_out} out")
        self.stage = stage
        self.rate_in = self.rate_out = stage.rate_in
        self.latency = stage.latency
        self.mix = mix
        self._glide = Glide(self._mix, stage.rate_in)
        self._held: Samples | None = None

    @property
    def mix(self) -> float:
        """Share of the stage's output, 0 to 1."""
        return self._mix

    @mix.setter
    def mix(self, mix: float) -> None:
        if not 0.0 <= mix <= 1.0:
            raise ConfigError(f"mix is 0 to 1, not {mix}")
        self._mix = float(mix)

    def reset(self) -> None:
        """Forget all audio and arrive at the set mix."""
        self.stage.reset()
        self._glide.jump(self._mix)
        self._held = None

    def process(self, x: Samples) -> Samples:
        """Process the next block, ``[n, c]``."""
        x = finite(x)
        return self._join(x, self.stage.process(x))

    def _join(self, x: Samples, wet: Samples) -> Samples:
        if self._held is None:
            self._held = np.zeros((self.latency, x.shape[1]), np.float32)
        held = np.concatenate([self._held, x])
        dry, self._held = held[: len(wet)], held[len(wet) :]
        share = self._glide.curve(self._mix, len(wet))
        if isinstance(share, np.float32) and share in (0.0, 1.0):
            return wet if share else dry.copy()
        mixed: Samples = dry + share * (wet - dry)
        return mixed

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held, and be as new."""
        wet = self.stage.flush()
        y = self._join(wet[:0], wet)
        self.reset()
        return y
