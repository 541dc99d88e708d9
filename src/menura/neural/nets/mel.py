"""The pitch networks' front and back ends in numpy: audio to log-mel rows, salience to pitch."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from menura.errors import FormatError
from menura.neural.nets.config import FcpeConfig

__all__ = ["CENTS", "HOP", "RATE", "fcpe_mel", "log_mel", "pitch_of"]

RATE = 16_000
HOP = 160
"""Samples between RMVPE's frames: 10 ms."""
WINDOW = 1024
BANDS = 128
LOWEST_HZ, HIGHEST_HZ = 30.0, 8000.0
FLOOR = 1e-5
"""Least magnitude of a band."""
CENTS = 20.0 * np.arange(360) + 1997.3794084376191
"""Of each class of RMVPE, above 10 Hz."""
PIECE = 256
"""Frames whose bands are made at once."""
REACH = 4
"""Classes to each side of the best that its pitch is averaged over."""


def _mel_htk(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """O'Shaughnessy 1987, as HTK has it."""
    mel: NDArray[np.float64] = 2595.0 * np.log10(1.0 + hz / 700.0)
    return mel


def _hz_htk(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    hz: NDArray[np.float64] = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return hz


def _mel_slaney(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney 1998: even steps up to 1 kHz, even ratios above, 27 of them for a factor of 6.4."""
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, 15.0 + 27.0 * np.log(np.maximum(hz, 1.0) / 1000.0) / np.log(6.4))


def _hz_slaney(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


@dataclass(frozen=True, slots=True)
class _Bank:
    """Bands of a spectrum.

    Attributes:
        bins: Those that a band is made of, ``[bands, most]``; some stand there for nothing.
        weights: Of them, ``[bands, most]``.
    """

    bins: NDArray[np.int64]
    weights: NDArray[np.float32]

    def of(self, magnitude: NDArray[np.floating]) -> NDArray[np.float32]:
        """Bands ``[batch, frames, bands]`` of magnitudes ``[batch, frames, bins]``.

        Not as a product of matrices: numpy's would wait for threads of its own, on a busy machine for longer than all
        else takes.
        """
        batch, frames, _ = magnitude.shape
        made = np.empty((batch, frames, len(self.bins)), np.float32)
        for row in range(batch):
            for at in range(0, frames, PIECE):
                part = magnitude[row, at : at + PIECE].astype(np.float32, copy=False)[:, self.bins]
                np.einsum("tbw,bw->tb", part, self.weights, out=made[row, at : at + PIECE])
        return made


@lru_cache(maxsize=8)
def _bank(rate: int, fft: int, bands: int, ends_hz: tuple[float, float], htk: bool) -> _Bank:
    """Triangular filters of equal area."""
    to_mel, to_hz = (_mel_htk, _hz_htk) if htk else (_mel_slaney, _hz_slaney)
    low, high = to_mel(np.array(ends_hz))
    corners = to_hz(np.linspace(low, high, bands + 2))
    bins = np.linspace(0.0, rate / 2, fft // 2 + 1)[:, None]
    rising = (bins - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - bins) / np.diff(corners)[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (corners[2:] - corners[:-2]))
    first = np.argmax(triangles > 0.0, axis=0)
    most = int((triangles > 0.0).sum(axis=0).max(initial=1))
    places = first[:, None] + np.arange(most)
    held = np.minimum(places, len(bins) - 1)
    weights = np.where(places < len(bins), triangles[held, np.arange(bands)[:, None]], 0.0).astype(np.float32)
    held.flags.writeable = weights.flags.writeable = False
    return _Bank(held, weights)


@lru_cache(maxsize=8)
def _hann(frames: int) -> NDArray[np.float32]:
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frames) / frames)).astype(np.float32)
    window.flags.writeable = False
    return window


def _spectrum(padded: NDArray[np.float32], window: int, fft: int, hop: int) -> NDArray[np.complexfloating]:
    """Spectra ``[batch, frames, bins]``, one a ``hop``; a window narrower than the transform is in its middle."""
    shape = np.pad(_hann(window), ((fft - window) // 2, fft - window - (fft - window) // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, fft, axis=1)[:, ::hop]
    return np.fft.rfft(windows * shape, axis=-1)


def log_mel(wav: NDArray[np.float32]) -> NDArray[np.float32]:
    """RMVPE's logarithm of the mel spectrogram: a row every 10 ms, each window's middle at its frame's instant.

    Shape:
        wav: ``[batch, samples]`` at 16 kHz, more than 512 samples; the ends are mirrored.

    Returns:
        ``[batch, samples // 160 + 1, 128]``.

    Raises:
        FormatError: The audio is too short to mirror.
    """
    half = WINDOW // 2
    if wav.ndim != 2 or wav.shape[1] <= half:
        raise FormatError(f"pitch is found in [batch, samples] of more than {half} samples, not in {wav.shape}")
    padded = np.pad(wav.astype(np.float32, copy=False), ((0, 0), (half, half)), mode="reflect")
    magnitude = np.abs(_spectrum(padded, WINDOW, WINDOW, HOP))
    bank = _bank(RATE, WINDOW, BANDS, (LOWEST_HZ, HIGHEST_HZ), True)
    mel: NDArray[np.float32] = np.log(np.maximum(bank.of(magnitude), FLOOR), dtype=np.float32)
    return mel


def fcpe_mel(config: FcpeConfig, wav: NDArray[np.float32]) -> NDArray[np.float32]:
    """FCPE's logarithm of the mel spectrogram: a row a hop, each window's middle half a hop after its frame's instant.

    Shape:
        wav: ``[batch, samples]`` at ``config.rate``, at least one hop. The ends are mirrored, or where the audio is
            shorter than that, zero.

    Returns:
        ``[batch, samples // hop + 1, mels]``; the last row stands twice.

    Raises:
        FormatError: The audio is shorter than a hop.
    """
    if wav.ndim != 2 or wav.shape[1] < config.hop:
        raise FormatError(f"pitch is found in [batch, samples] of at least {config.hop} samples, not in {wav.shape}")
    samples = wav.shape[1]
    before = (config.window - config.hop) // 2
    after = max((config.window - config.hop + 1) // 2, config.window - samples - before)
    ends = ((0, 0), (before, after))
    padded = np.pad(wav.astype(np.float32, copy=False), ends, mode="reflect" if after < samples else "constant")
    spectrum = _spectrum(padded, config.window, config.fft, config.hop)
    magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2 + np.float32(1e-9))
    bank = _bank(config.rate, config.fft, config.mels, (config.mel_min, config.mel_max), False)
    mel: NDArray[np.float32] = np.log(np.maximum(bank.of(magnitude), FLOOR), dtype=np.float32)
    frames = samples // config.hop + 1
    return np.concatenate([mel, mel[:, -1:]], axis=1)[:, :frames]


def pitch_of(
    salience: NDArray[np.float32], threshold: float, cents: NDArray[np.floating] = CENTS, *, held_ends: bool = False
) -> NDArray[np.float64]:
    """Pitch from salience: the mean of the classes about the best, weighted by their salience.

    Args:
        salience: Of every class, 0…1.
        threshold: Frames whose best class has no more than this have no pitch.
        cents: Of every class, above 10 Hz.
        held_ends: Beyond the first and last class these count again, as FCPE has it; else nothing does.

    Shape:
        salience: ``[..., classes]``.

    Returns:
        Hz, ``[...]``; 0 where there is no pitch.
    """
    best = np.argmax(salience, axis=-1)[..., None]
    near = best + np.arange(-REACH, REACH + 1)
    within = held_ends | ((near >= 0) & (near < len(cents)))
    near = np.clip(near, 0, len(cents) - 1)
    weights = np.where(within, np.take_along_axis(salience, near, axis=-1), np.float32(0.0))
    # in single precision, as RVC has it: in double the pitch differs by 4e-7, which a phase adds up to −70 dB
    total = weights.sum(axis=-1)
    voiced = salience.max(axis=-1) > threshold
    mean = (weights * cents[near]).sum(axis=-1) / np.where(total > 0, total, np.float32(1.0))
    return np.where(voiced, 10.0 * np.exp2(mean / 1200.0), 0.0)
