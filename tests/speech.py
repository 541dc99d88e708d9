"""The speech fixtures as blocks, and how far two of them differ."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from menura.audio.block import Samples
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole

FOLDER = Path(__file__).parent / "fixtures" / "speech"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.flac")))


@lru_cache(maxsize=32)
def speech(name: str, rate: int = 24_000) -> Samples:
    """One utterance, ``[n, 1]``, not to be written to."""
    x, own = soundfile.read(FOLDER / f"{name}.flac", dtype="float32", always_2d=True)
    y = process_whole(Resampler(own, rate), x) if own != rate else x
    y.flags.writeable = False
    return y


@lru_cache(maxsize=4)
def all_speech(rate: int = 24_000) -> Samples:
    """Every utterance, one after the other."""
    y = np.concatenate([speech(name, rate) for name in NAMES])
    y.flags.writeable = False
    return y


def spectral_distance_db(x: Samples, y: Samples, rate: int, where: NDArray[np.bool_]) -> float:
    """Mean log-spectral distance of the 20 ms windows that touch a frame of ``where``."""
    size, hop = rate // 50, rate // 100
    window = np.hanning(size)
    levels = []
    for signal in (x, y):
        pieces = np.lib.stride_tricks.sliding_window_view(signal[:, 0], size)[::hop] * window
        levels.append(10.0 * np.log10(np.abs(np.fft.rfft(pieces)) ** 2 + 1e-4))
    touched = np.lib.stride_tricks.sliding_window_view(where, size)[::hop].any(axis=1)
    return float(np.sqrt(((levels[0] - levels[1]) ** 2).mean(axis=1))[touched].mean())
