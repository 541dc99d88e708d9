"""Stages one after another, as one Stage."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from menura.audio.block import Samples, finite
from menura.dsp.stage import Stage
from menura.errors import ConfigError

__all__ = ["Chain"]


class Chain:
    """Stages run in order.

    A latency that a rate change turns into no whole number of frames is declared as the nearest one. A chain that goes
    to a lower rate and back gives whole frames of the lower rate: up to one of them less than it took.

    Args:
        stages: In the order of the signal; each takes the rate that the one before it gives.
        rate: Needed only when ``stages`` is empty, which passes everything through.

    Raises:
        ConfigError: Rates do not meet.
    """

    def __init__(self, stages: Sequence[Stage], rate: int = 48_000) -> None:
        self.stages = tuple(stages)
        self.rate_in = stages[0].rate_in if stages else rate
        self.rate_out = stages[-1].rate_out if stages else rate
        for left, right in zip(self.stages, self.stages[1:], strict=False):
            if left.rate_out != right.rate_in:
                raise ConfigError(
                    f"{type(left).__name__} gives {left.rate_out} Hz, {type(right).__name__} takes {right.rate_in}"
                )
        self.latency = self._latency()

    def _latency(self) -> int:
        total = Fraction(0)
        for stage in self.stages:
            total = total * Fraction(stage.rate_out, stage.rate_in) + stage.latency
        return round(total)

    def process(self, x: Samples) -> Samples:
        """Process the next block, ``[n, c]``."""
        x = finite(x)
        for stage in self.stages:
            x = stage.process(x)
        return x

    def flush(self) -> Samples:
        """Return what all stages still hold: each one's rest runs through those after it."""
        rest: Samples | None = None
        for stage in self.stages:
            tail = stage.flush() if rest is None else np.concatenate([stage.process(rest), stage.flush()])
            rest = tail
        return rest if rest is not None else np.zeros((0, 1), np.float32)

    def reset(self) -> None:
        """Forget all audio."""
        for stage in self.stages:
            stage.reset()
