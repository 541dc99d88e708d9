"""Speech-like signals whose pitch and formants are known exactly: the truth the measures are checked against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyworld
from numpy.typing import NDArray

from benchmarks.measures import ANALYSIS_RATE, Mono, Track, to_analysis_rate

VOWELS_HZ = np.array(
    [
        [730, 1090, 2440],
        [530, 1840, 2480],
        [270, 2290, 3010],
        [570, 840, 2410],
        [300, 870, 2240],
        [490, 1350, 1690],
    ]
)
"""Mean formants of men's vowels (Peterson and Barney, JASA 24, 1952)."""
HIGHER_HZ = np.array([3500.0, 4500.0])
BANDWIDTHS_HZ = np.array([70.0, 90.0, 130.0, 200.0, 250.0])


def intonation(seconds: float, base_hz: float, rate: int) -> Track:
    """A declining F0 contour with accents, in Hz per frame."""
    t = np.arange(int(seconds * rate)) / rate
    accents = 2.0 * np.sin(2 * np.pi * 0.9 * t) + 0.3 * np.sin(2 * np.pi * 5.5 * t)
    return np.asarray(base_hz * 2 ** ((accents - 1.5 * t / max(seconds, 1e-9)) / 12))


def vowels(f0_hz: Track, rate: int, factor: float = 1.0, vowel_s: float = 0.35) -> Mono:
    """Vowels gliding into each other, summed harmonic by harmonic, so that F0 and formants are what was asked.

    Args:
        f0_hz: Per frame.
        factor: On every formant frequency and bandwidth; the source's tilt (-6 dB/octave) stays.

    Shape:
        ``[n]`` like ``f0_hz``, peak 0.5; nothing above 7.5 kHz.
    """
    t = np.arange(len(f0_hz)) / rate
    at = t / vowel_s
    low = at.astype(int)
    glide = np.clip((at - low - 0.6) / 0.4, 0, 1)[:, None]
    here, there = VOWELS_HZ[low % len(VOWELS_HZ)], VOWELS_HZ[(low + 1) % len(VOWELS_HZ)]
    formants = factor * np.concatenate(
        [here * (1 - glide) + there * glide, np.broadcast_to(HIGHER_HZ, (len(t), 2))], axis=1
    )
    phase = 2 * np.pi * np.cumsum(f0_hz) / rate
    out = np.zeros(len(t))
    for k in range(1, int(7500 / f0_hz.min()) + 1):
        hz = k * f0_hz
        response = _response(hz, formants, factor * BANDWIDTHS_HZ) * np.clip((7500 - hz) / 500, 0, 1) / hz
        out += np.real(response * np.exp(1j * k * phase))
    return np.asarray(0.5 * out / np.abs(out).max())


def _response(hz: NDArray[Any], formants: NDArray[Any], bandwidths: NDArray[Any]) -> NDArray[np.complex128]:
    """All-pole resonators of unit gain at 0 Hz, at the frequency ``hz`` of each frame."""
    s = 1j * hz[:, None]
    pole = -bandwidths / 2 + 1j * formants
    return np.asarray(np.prod(np.abs(pole) ** 2 / ((s - pole) * (s - pole.conj())), axis=1))


def world_change(x: Mono, rate: int, semitones: float, factor: float) -> Mono:
    """Real speech with pitch and formants changed by WORLD, offline: near-true answers on real speech.

    Returns:
        At 16 kHz, as long as the input at 16 kHz.
    """
    x = to_analysis_rate(x, rate)
    f0, t = pyworld.harvest(x, ANALYSIS_RATE, frame_period=5.0)
    envelope = pyworld.cheaptrick(x, f0, t, ANALYSIS_RATE)
    noise = pyworld.d4c(x, f0, t, ANALYSIS_RATE)
    bins = np.arange(envelope.shape[1])
    moved = np.stack([np.exp(np.interp(bins / factor, bins, np.log(frame))) for frame in envelope])
    y = pyworld.synthesize(f0 * 2 ** (semitones / 12), moved, noise, ANALYSIS_RATE, 5.0)
    return np.asarray(y[: len(x)])
