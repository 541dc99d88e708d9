"""From content features of 50 frames a second to what the synthesizer is given, 100 a second."""

import numpy as np
from numpy.typing import NDArray

from menura.neural.files.index import VoiceIndex

__all__ = ["mix_index", "protect", "widen"]

NEIGHBOURS = 8
Floats = NDArray[np.float32]


def widen(features: Floats, frames: int) -> Floats:
    """Twice as many frames, the last one repeated, cut or filled to ``frames``.

    Shape:
        features: ``[n, width]`` → ``[frames, width]``.
    """
    doubled = np.repeat(np.concatenate([features, features[-1:]]), 2, axis=0)
    short = frames - len(doubled)
    if short > 0:
        doubled = np.concatenate([doubled, np.repeat(doubled[-1:], short, axis=0)])
    return np.ascontiguousarray(doubled[:frames])


def mix_index(features: Floats, index: VoiceIndex, rate: float) -> Floats:
    """Mix with the mean of the nearest of the training's own features, weighted by 1 / distance⁴.

    Shape:
        features: ``[n, width]``.

    Source:
        RVC's formula: the weights are the squares of the inverse squared distances, normalised.
    """
    if not len(features) or rate <= 0.0:
        return features
    distances, ids = index.search(features, NEIGHBOURS)
    with np.errstate(divide="ignore", over="ignore"):
        weight = np.square(1.0 / distances.astype(np.float64))
    exact = ~np.isfinite(weight) & (ids >= 0)  # one of them is there to the bit
    weight = np.where(exact.any(axis=1, keepdims=True), exact.astype(np.float64), np.where(ids >= 0, weight, 0.0))
    total = weight.sum(axis=1, keepdims=True)
    known = total[:, 0] > 0.0
    weight = weight / np.where(total > 0.0, total, 1.0)
    nearest = np.einsum("nk,nkw->nw", weight, index.vectors(ids).astype(np.float64)).astype(np.float32)
    mixed = rate * nearest + (1.0 - rate) * features
    return np.where(known[:, None], mixed, features).astype(np.float32)


def protect(mixed: Floats, plain: Floats, voiced: NDArray[np.bool_], share: float) -> Floats:
    """Where there is no pitch, take back all but ``share`` of the mixing.

    Shape:
        mixed, plain: ``[n, width]``; voiced: ``[n]``.
    """
    weight = np.where(voiced, 1.0, share).astype(np.float32)[:, None]
    return mixed * weight + plain * (1.0 - weight)
