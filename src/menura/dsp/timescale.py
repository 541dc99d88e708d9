"""Speech made a little shorter or longer by whole pitch periods: catching up and holding back without a click."""

from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples
from menura.dsp.period import blend, find_period

__all__ = ["Scaled", "lengthen", "shorten"]

WINDOW_MS = 10.0
"""Of the cross-fade, and of what must repeat."""
ALIKE = 0.6
"""Correlation from which a period may be cut out or said twice without being heard."""
QUIET = 1.5e-3
"""RMS below which anything may be cut or repeated: −56 dBFS."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """A block whose length was changed, or left where nothing in it repeats.

    Attributes:
        samples: ``[n ± change, channels]``.
        change: Frames cut out or put in, 0 if none.
    """

    samples: Samples
    change: int


def _rms(x: Samples) -> float:
    return float(np.sqrt(np.vdot(x, x) / max(1, x.size)))


def _ramp(frames: int) -> Samples:
    return ((np.arange(frames, dtype=np.float32) + 1.0) / (frames + 1.0))[:, None]


def shorten(x: Samples, rate: int, most: int, *, alike: float = ALIKE) -> Scaled:
    """Cut one pitch period out of a block; of near silence, as much as is asked.

    Args:
        most: Frames to be cut at most.
        alike: Correlation the period needs, 0…1.

    Shape:
        x: ``[n, c]``; 30 ms let any voice above 50 Hz be cut.

    Source:
        Waveform-similarity overlap-add: Verhelst and Roelands, ICASSP 1993.
    """
    window = round(WINDOW_MS * rate / 1000.0)
    longest = min(most, len(x) - window)
    if longest < 1:
        return Scaled(x, 0)
    if _rms(x) < QUIET:
        cut = longest
    else:
        cut, score = find_period(x, rate, window, longest)
        if score < alike:
            return Scaled(x, 0)
    end = len(x) - window
    joint = blend(x[end - cut : len(x) - cut], x[end:], _ramp(window))
    return Scaled(np.concatenate([x[: end - cut], joint]), cut)


def lengthen(x: Samples, rate: int, past: Samples, *, alike: float = ALIKE) -> Scaled:
    """Say the last pitch period of a block twice; of near silence, 10 ms.

    Args:
        past: What went before ``x``, so that a short block may repeat a long period.

    Shape:
        x: ``[n, c]``, 10 ms or more; past: ``[m, c]``.
    """
    window = round(WINDOW_MS * rate / 1000.0)
    if len(x) < window:
        return Scaled(x, 0)
    known = np.concatenate([past, x])
    if _rms(x) < QUIET:
        add = min(window, len(known) - window)
    else:
        add, score = find_period(known, rate, window)
        if score < alike:
            return Scaled(x, 0)
    if add < 1:
        return Scaled(x, 0)
    end = len(known) - window
    joint = blend(known[end:], known[end - add : len(known) - add], _ramp(window))
    return Scaled(np.concatenate([x[: len(x) - window], joint, known[len(known) - add :]]), add)
