"""The contract of everything that processes audio."""

from typing import Protocol, runtime_checkable

import numpy as np

from menura.audio.block import Samples, silence

__all__ = ["Stage", "process_whole", "read_only"]


@runtime_checkable
class Stage(Protocol):
    """A signal processor that keeps its state between blocks.

    Cutting the input anywhere changes nothing in the output. After ``flush`` or ``reset`` a stage is as new. A stage
    is used from one thread at a time.
    """

    @property
    def rate_in(self) -> int:
        """Sample rate of what ``process`` takes, Hz."""

    @property
    def rate_out(self) -> int:
        """Sample rate of what ``process`` returns, Hz."""

    @property
    def latency(self) -> int:
        """Frames at ``rate_out`` by which the output lags the input; constant, and true (the tests measure it)."""

    def process(self, x: Samples) -> Samples:
        """Process the next block.

        Shape:
            x: ``[n, channels]``, float32; ``n`` may be 0.

        Returns:
            ``[m, channels]``: at equal rates ``m = n``, else so many that the total is ``floor(total · out / in)``.
        """

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held; then be as new."""

    def reset(self) -> None:
        """Forget all audio; parameters stay."""


def process_whole(stage: Stage, x: Samples, *, block: int = 4096) -> Samples:
    """Run all of ``x`` through a fresh stage, with its latency taken off.

    Returns:
        ``[floor(n · rate_out / rate_in), channels]``, aligned with ``x``; the stage is as new afterwards.
    """
    parts = [stage.process(x[i : i + block]) for i in range(0, len(x), block)]
    parts.append(stage.flush())
    return np.concatenate(parts)[stage.latency :] if parts else silence(0, x.shape[1])


def read_only(x: Samples) -> Samples:
    """A view of ``x`` that cannot be written through."""
    view = x.view()
    view.flags.writeable = False
    return view
