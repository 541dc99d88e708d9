"""Listening by measuring."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.signal import butter, correlate, sosfilt


def lag_frames(x: NDArray[np.float32], y: NDArray[np.float32]) -> int:
    """Frames by which ``y`` lags ``x``: the peak of their cross-correlation."""
    full = correlate(y[:, 0], x[:, 0], mode="full", method="fft")
    return int(np.argmax(full)) - (len(x) - 1)


def clicks(y: NDArray[np.float32], rate: int) -> int:
    """Number of moments whose energy above 6 kHz leaps to 12 times the loudest of the 20 ms around, and is audible.

    20 ms hold a period of the lowest voice: its pulses are no clicks.
    """
    high = sosfilt(butter(4, min(6000, 0.35 * rate), "high", fs=rate, output="sos"), y[:, 0])
    window = max(1, rate // 2000)
    power = np.convolve(high**2, np.ones(window) / window, mode="same")
    reach = rate // 50
    length = reach - 2 * window
    highest = maximum_filter1d(np.pad(power, reach), length)[length // 2 :]  # of the `length` from there on, padded
    around = np.maximum(highest[: len(power)], highest[reach + 2 * window :][: len(power)])
    count, last = 0, -rate
    for at in np.flatnonzero((power > 1e-5) & (power > 12 * around)):
        if at - last > window:
            count, last = count + 1, at
    return count


def f0_track(y: NDArray[np.float32], rate: int, low_hz: float = 60.0, high_hz: float = 500.0) -> NDArray[np.float64]:
    """F0 every 10 ms by plain autocorrelation over 40 ms, 0 where unvoiced: slow, simple and not the product's own."""
    x = y[:, 0].astype(np.float64)
    width, hop = int(0.04 * rate), rate // 100
    shortest, longest = int(rate / high_hz), int(rate / low_hz)
    energy = np.concatenate([[0.0], np.cumsum(x**2)])
    energy = energy[width:] - energy[:-width]
    track = []
    for start in range(0, len(x) - width - longest, hop):
        a = x[start : start + width]
        alike = np.correlate(x[start + shortest : start + longest - 1 + width], a, "valid")
        score = alike / np.sqrt(energy[start + shortest : start + longest] * (a @ a) + 1e-9)
        best = score.max()
        if best < 0.8 or np.sqrt(a @ a / width) < 0.01:
            track.append(0.0)
            continue
        peaks = (
            np.flatnonzero((score[1:-1] >= score[:-2]) & (score[1:-1] >= score[2:]) & (score[1:-1] > 0.9 * best)) + 1
        )
        track.append(rate / (shortest + (peaks[0] if len(peaks) else int(score.argmax()))))
    return np.array(track)


def median_f0(y: NDArray[np.float32], rate: int) -> float:
    """Median F0 of the voiced frames."""
    track = f0_track(y, rate)
    return float(np.median(track[track > 0])) if (track > 0).any() else 0.0
