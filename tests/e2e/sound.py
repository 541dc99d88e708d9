"""What recordings of a page tell: how late, how high, how whole. Signals are mono, at 48 kHz."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, correlate, correlation_lags, resample_poly, sosfiltfilt

from tests.hearing import lag_of
from tests.listen import f0_track

RATE = 48_000
TRACK_RATE = 16_000
HOP = RATE // 100
SAME = 0.85
"""How alike two parts are that are the same: the page plays up to 0.5 % faster or slower."""
Signal = NDArray[np.float32]


def envelope(x: Signal) -> Signal:
    """Level over time: rectified, below 25 Hz, at 1 kHz."""
    low = butter(2, 25, fs=RATE, output="sos")
    return np.asarray(sosfiltfilt(low, np.abs(x))[:: RATE // 1000], np.float32)


def lag(x: Signal, y: Signal, most: float = 0.3) -> tuple[float, float]:
    """By how much ``y`` comes after ``x`` in seconds, from the envelopes, and how alike they are (0–1)."""
    a, b = (envelope(v) - envelope(v).mean() for v in (x, y))
    lags = correlation_lags(len(b), len(a))
    likeness = correlate(b, a) / np.sqrt(np.dot(a, a) * np.dot(b, b))
    near = (lags >= 0) & (lags <= most * 1000)
    best = int(np.argmax(likeness[near]))
    return float(lags[near][best]) / 1000, float(likeness[near][best])


def exact_lags(said: Signal, heard: Signal, most: float = 0.4) -> NDArray[np.float64]:
    """By how much ``heard`` comes after, to the sample, where it is the same waveform and not another voice.

    What is most alike in a fifth of a second says where to begin; from there parts are followed to both ends, each
    looked for within 5 ms of where its neighbour was.

    Returns:
        For each loud part of 25 ms its moment in seconds, the lag in ms, and how alike they are.
    """
    size, near = RATE // 40, RATE // 200
    below = butter(4, 1200, fs=RATE, output="sos")  # a speed 0.5 % off turns the phase of higher tones within a part
    said, heard = (sosfiltfilt(below, x).astype(np.float32) for x in (said, heard))
    begin, start = _surest(said, heard, round(most * RATE))
    last = min(len(said), len(heard)) - 2 * size - near
    found = []
    for places in (range(begin, last, size), range(begin - size, size, -size)):  # not the edges of the filter
        late = start
        for at in places:
            part = said[at : at + size].astype(float)
            if level_db(said[at : at + size]) < -34 or at + late < near or at + late + size + near > len(heard):
                continue
            place, alike = lag_of(heard[at + late - near : at + late + size + near].astype(float), part)
            if alike > SAME:
                late += place - near
            found.append((at / RATE, 1000 * late / RATE, alike))
    return np.array(sorted(found)).reshape(-1, 3)


def _surest(said: Signal, heard: Signal, most: int) -> tuple[int, int]:
    """Where a fifth of a second of what was said is heard most alike, and how many frames later."""
    size = RATE // 5
    fits = []
    for at in range(size // 2, len(said) - size, size):
        part = said[at : at + size]
        if level_db(part) > -34:
            place, alike = lag_of(heard[at : at + size + most].astype(float), part.astype(float))
            fits.append((alike, at, place))
    _, at, place = max(fits)
    return at, place


def gaps(found: NDArray[np.float64]) -> list[float]:
    """Moments of what ``exact_lags`` found at which something was lost, said twice or not heard at all."""
    moments, late, alike = found.T
    jumps = np.abs(np.diff(late)) > 5 * np.diff(moments) + 0.5  # 0.5 % of the time is what the page may gain or lose
    return sorted({*moments[alike < SAME].tolist(), *moments[1:][jumps].tolist()})


def level_db(x: Signal) -> float:
    """RMS level, dB of full scale."""
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-12)) if len(x) else -120.0


def band_db(x: Signal, low_hz: float, high_hz: float) -> float:
    """RMS level between two frequencies."""
    return level_db(sosfiltfilt(butter(4, [low_hz, high_hz], "band", fs=RATE, output="sos"), x).astype(np.float32))


def pitch_track(x: Signal) -> NDArray[np.float64]:
    """Pitch every 10 ms, 0 where there is none."""
    return f0_track(np.asarray(resample_poly(x, 1, RATE // TRACK_RATE), np.float32)[:, None], TRACK_RATE)


def pitch_hz(x: Signal) -> float:
    """Median pitch of the voiced parts; 0 if there are none."""
    track = pitch_track(x)
    return float(np.median(track[track > 0])) if (track > 0).any() else 0.0


def raised_st(said: Signal, heard: Signal, late_s: float) -> float:
    """By how many semitones the pitch is raised: median over the moments at which both are voiced."""
    x, y = pitch_track(said), pitch_track(heard[round(late_s * RATE) :])
    length = min(len(x), len(y))
    x, y = x[:length], y[:length]
    both = (x > 0) & (y > 0)
    assert both.sum() >= 20, f"{both.sum()} moments are voiced on both sides, {(x > 0).sum()} in what was said"
    return float(np.median(12 * np.log2(y[both] / x[both])))


def voiced_share(said: Signal, heard: Signal, late_s: float) -> float:
    """How much of what was voiced still is."""
    x, y = pitch_track(said), pitch_track(heard[round(late_s * RATE) :])
    length = min(len(x), len(y))
    voiced = x[:length] > 0
    assert voiced.sum() >= 20
    return float(np.mean(y[:length][voiced] > 0))


def _levels(x: Signal) -> NDArray[np.float64]:
    blocks = x[: len(x) // HOP * HOP].reshape(-1, HOP)
    return 10 * np.log10(np.mean(np.square(blocks, dtype=np.float64), axis=1) + 1e-12)


def dropouts(said: Signal, heard: Signal, late_s: float, *, depth_db: float = 35.0) -> list[float]:
    """Moments, in seconds, of 10 ms at which nothing is heard though somebody has been speaking all around them.

    Args:
        depth_db: By how much it is quieter than the speech that is heard otherwise.
    """
    x, y = _levels(said), _levels(heard[round(late_s * RATE) :])
    length = min(len(x), len(y))
    x, y = x[:length], y[:length]
    speech = np.median(x[x > -45])
    around = 6  # blocks before and after: what is late by a few ms is no gap
    pauses = np.pad(x < speech - 20, around, constant_values=True)  # what was before and after is not known
    steady = np.convolve(pauses, np.ones(2 * around + 1), "valid") == 0
    usual = np.median(y[steady])
    return [float(at) * HOP / RATE for at in np.flatnonzero(steady & (y < usual - depth_db))]


def longest_zero_run(x: Signal) -> float:
    """Longest run of exact zeros between the first and the last sound, in seconds."""
    sound = np.flatnonzero(x)
    return float(np.diff(sound).max() - 1) / RATE if len(sound) > 1 else float("inf")
