"""RMVPE's front and back end in numpy: audio to log-mel rows, salience to pitch."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from menura.errors import FormatError

__all__ = ["HOP", "RATE", "THRESHOLD", "log_mel", "pitch_of"]

RATE = 16_000
HOP = 160
"""Samples between frames: 10 ms."""
WINDOW = 1024
BANDS = 128
LOWEST_HZ, HIGHEST_HZ = 30.0, 8000.0
FLOOR = 1e-5
THRESHOLD = 0.03
"""Least salience of a pitch."""
CENTS = 20.0 * np.arange(360) + 1997.3794084376191
"""Of each class, above 10 Hz."""
REACH = 4
"""Classes to each side of the best that its pitch is averaged over."""


@lru_cache(maxsize=1)
def _bank() -> NDArray[np.float32]:
    """Triangular filters of equal area, ``[bins, bands]``, on the mel scale of HTK (O'Shaughnessy 1987)."""
    ends = 2595.0 * np.log10(1.0 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700.0)
    corners = 700.0 * (10.0 ** (np.linspace(ends[0], ends[1], BANDS + 2) / 2595.0) - 1.0)
    bins = np.linspace(0.0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising = (bins - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - bins) / np.diff(corners)[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    bank: NDArray[np.float32] = (triangles * (2.0 / (corners[2:] - corners[:-2]))).astype(np.float32)
    bank.flags.writeable = False
    return bank


@lru_cache(maxsize=1)
def _hann() -> NDArray[np.float32]:
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)
    window.flags.writeable = False
    return window


def log_mel(wav: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithm of the mel spectrogram, one row for every 10 ms, each window's middle at its frame's instant.

    Shape:
        wav: ``[batch, samples]`` at 16 kHz, more than 512 samples; the ends are mirrored.

    Returns:
        ``[batch, samples // 160 + 1, 128]``.

    Raises:
        FormatError: The audio is too short to mirror.
    """
    if wav.ndim != 2 or wav.shape[1] <= WINDOW // 2:
        raise FormatError(f"pitch is found in [batch, samples] of more than {WINDOW // 2} samples, not in {wav.shape}")
    half = WINDOW // 2
    padded = np.pad(wav.astype(np.float32, copy=False), ((0, 0), (half, half)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, ::HOP]
    magnitude = np.abs(np.fft.rfft(windows * _hann(), axis=-1))
    mel: NDArray[np.float32] = np.log(np.maximum(magnitude @ _bank(), FLOOR), dtype=np.float32)
    return mel


def pitch_of(salience: NDArray[np.float32], threshold: float = THRESHOLD) -> NDArray[np.float64]:
    """Pitch from salience: the mean of the classes about the best, weighted by their salience.

    Args:
        salience: Of every class, 0…1.
        threshold: Frames whose best class has no more than this have no pitch.

    Shape:
        salience: ``[..., 360]``.

    Returns:
        Hz, ``[...]``; 0 where there is no pitch.
    """
    best = np.argmax(salience, axis=-1)[..., None]
    near = best + np.arange(-REACH, REACH + 1)
    within = (near >= 0) & (near < len(CENTS))
    near = np.clip(near, 0, len(CENTS) - 1)
    weights = np.where(within, np.take_along_axis(salience, near, axis=-1).astype(np.float64), 0.0)
    total = weights.sum(axis=-1)
    voiced = salience.max(axis=-1) > threshold
    cents = (weights * CENTS[near]).sum(axis=-1) / np.where(total > 0, total, 1.0)
    return np.where(voiced, 10.0 * np.exp2(cents / 1200.0), 0.0)
