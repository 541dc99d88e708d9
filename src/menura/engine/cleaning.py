"""Noise and loudness of whole recordings, and the best noise suppression there is here."""

import numpy as np

from menura.audio.block import Samples
from menura.dsp.denoise import Denoiser
from menura.dsp.dynamics import Limiter
from menura.dsp.frontend import Frontend
from menura.dsp.loudness import loudness_lufs
from menura.dsp.stage import Stage, process_whole
from menura.errors import MissingExtraError
from menura.units import db_to_gain

__all__ = ["best_denoiser", "clean_whole", "integrated_lufs"]

TARGET_LUFS = -20.0
CEILING_DB = -1.0
MAX_GAIN_DB = 40.0
SILENT_LUFS = -70.0
"""The absolute gate of ITU-R BS.1770: what is below has no loudness."""


def best_denoiser(rate: int, channels: int) -> Stage:
    """RNNoise where the extra ``denoise`` is installed, else WebRTC's noise suppressor."""
    try:
        return Denoiser(rate, channels)
    except MissingExtraError:
        return Frontend(rate, channels, noise=True)


def integrated_lufs(x: Samples, rate: int) -> float | None:
    """Integrated loudness of a recording by ITU-R BS.1770; ``None`` for silence, and for less than 400 ms."""
    loudness = loudness_lufs(x, rate)
    return loudness if loudness > SILENT_LUFS else None


def clean_whole(x: Samples, rate: int, *, enhance: bool, normalize: bool) -> Samples:
    """Clean a recording, aligned with what it was.

    Args:
        enhance: Suppress noise.
        normalize: Bring the integrated loudness to −20 LUFS, by at most 40 dB, and keep peaks at or below −1 dBFS.

    Shape:
        x: ``[frames, channels]``.
    """
    channels = x.shape[1]
    y = process_whole(best_denoiser(rate, channels), x) if enhance else x
    loudness = integrated_lufs(y, rate) if normalize else None
    if loudness is None:
        return y
    gain = db_to_gain(min(MAX_GAIN_DB, TARGET_LUFS - loudness))
    return process_whole(Limiter(rate, channels, ceiling_db=CEILING_DB), np.asarray(y * np.float32(gain), np.float32))
