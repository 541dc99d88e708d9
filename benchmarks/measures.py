"""What a voice change does to speech, as numbers: pitch, formants, clicks, tone purity, latency.

Everything here is a pure function of mono ``[n]`` arrays and works on any processor. Each measure is checked against
known truth in ``benchmarks/validate.py``, which prints the measure's own error: quote a figure no finer than that.

``source`` is what went in, ``shifted`` what came out, both at ``rate`` and both starting at the first frame processed;
``delay`` is how many frames ``shifted`` lags.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyworld
import soxr
from numpy.typing import NDArray
from scipy import ndimage, optimize, signal
from swift_f0 import SwiftF0

Mono = NDArray[np.floating[Any]]
Track = NDArray[np.float64]
Process = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""``[n, 1]`` in, ``[m, 1]`` out."""

ANALYSIS_RATE = 16_000
HOP_S = 0.016
GROSS = 0.20
"""An F0 more than 20 % off is a gross error (Chu and Alwan, ICASSP 2009)."""


class F0Errors(NamedTuple):
    """Pitch error of a shift over the frames voiced on both sides."""

    median_cents: float
    gross_percent: float
    frames: int
    lost_percent: float
    """Frames voiced in the source that the judge finds unvoiced in the output."""


class FormantFactor(NamedTuple):
    """How far the spectral envelope moved, as a factor on frequency."""

    factor: float
    correlation: float
    """Agreement of the envelopes at that factor, 0..1; below about 0.5 the factor means nothing."""
    frames: int


class Clicks(NamedTuple):
    """Discontinuities in the output."""

    count: int
    worst_db: float
    """Height of the largest jump found, as a step in dBFS (a floor, not a click, when ``count`` is 0)."""


class ToneFit(NamedTuple):
    """A tone fitted to a signal."""

    snr_db: float
    error_cents: float


class Latency(NamedTuple):
    """Delay of a stream in milliseconds."""

    total_ms: float
    content_ms: float
    """By how much the sample sequence lags."""
    starve_ms: float
    """What a player must hold back in addition so that it never runs dry."""


class Cost(NamedTuple):
    """Time taken to process a stream block by block."""

    cpu_percent: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    first_ms: float


def align(source: Mono, shifted: Mono, delay: int) -> tuple[Mono, Mono]:
    """Drop the delay and cut both to the common length."""
    shifted = shifted[max(0, delay) :]
    n = min(len(source), len(shifted))
    return source[:n], shifted[:n]


def to_analysis_rate(x: Mono, rate: int) -> Mono:
    """Resample to 16 kHz, float64."""
    if rate == ANALYSIS_RATE:
        return x.astype(np.float64)
    return np.asarray(soxr.resample(x.astype(np.float64), rate, ANALYSIS_RATE, quality="VHQ"))


@cache
def _swift() -> SwiftF0:
    return SwiftF0(threads=1)


def swift_track(x: Mono) -> Track:
    """F0 in Hz every 16 ms of 16 kHz audio by swift-f0, 0 where unvoiced."""
    found = _swift().detect(x.astype(np.float32), ANALYSIS_RATE)
    return np.where(found.confidence >= 0.5, found.pitch_hz, 0.0)


def harvest_track(x: Mono) -> Track:
    """F0 in Hz every 16 ms of 16 kHz audio by WORLD's Harvest, where swift-f0 too finds it voiced, else 0.

    Harvest alone draws its track on through unvoiced sounds, where no F0 is right.
    """
    f0, _ = pyworld.harvest(x, ANALYSIS_RATE, f0_floor=50.0, f0_ceil=1000.0, frame_period=1000 * HOP_S)
    voiced = swift_track(x) > 0
    n = min(len(f0), len(voiced))
    return np.where(voiced[:n], f0[:n], 0.0)


def f0_errors(
    source: Mono,
    shifted: Mono,
    rate: int,
    semitones: float,
    delay: int = 0,
    judge: Callable[[Mono], Track] = swift_track,
) -> F0Errors:
    """Pitch of the output against pitch of the input times the asked ratio.

    Args:
        semitones: The shift asked for.
        delay: Frames by which ``shifted`` lags.
        judge: ``swift_track``, or ``harvest_track`` as the second opinion.

    Shape:
        source, shifted: ``[n]``.

    Returns:
        Median of the absolute error in cents; the share of frames more than 20 % off; frames compared; frames lost.
        All over frames voiced in the source, the first two over those voiced in the output too.
    """
    before, after = (judge(to_analysis_rate(x, rate)) for x in align(source, shifted, delay))
    n = min(len(before), len(after))
    voiced = before[:n] > 0
    both = voiced & (after[:n] > 0)
    if not both.any():
        return F0Errors(np.nan, np.nan, 0, 100.0)
    ratio = after[:n][both] / (before[:n][both] * 2 ** (semitones / 12))
    cents = 1200 * np.abs(np.log2(ratio))
    gross = np.abs(ratio - 1) > GROSS
    lost = 100 * (1 - both.sum() / voiced.sum())
    return F0Errors(float(np.median(cents)), float(100 * gross.mean()), int(both.sum()), float(lost))


FORMANT_LOW_HZ, FORMANT_HIGH_HZ = 300.0, 4500.0
FORMANT_FACTORS = 2 ** np.arange(-0.55, 0.5501, 0.01)
_STEP = 1 / 96
_GRID_HZ = FORMANT_LOW_HZ * 2 ** np.arange(0, np.log2(FORMANT_HIGH_HZ / FORMANT_LOW_HZ), _STEP)


def _envelopes(x: Mono, f0: Track) -> NDArray[np.float64]:
    """Natural-log spectral envelope at each F0 frame, ``[frames, bins]``, by CheapTrick (Morise 2015)."""
    times = HOP_S * np.arange(len(f0))
    return np.asarray(0.5 * np.log(pyworld.cheaptrick(x, f0, times, ANALYSIS_RATE, f0_floor=60.0) + 1e-12))


def _slopes(envelopes: NDArray[np.float64], grid_hz: NDArray[np.float64], blur: float) -> NDArray[np.float64]:
    """Blurred slope of each envelope over log-frequency on the grid, zero mean and unit length, ``[frames, grid]``."""
    bins = grid_hz * 2 * (envelopes.shape[1] - 1) / ANALYSIS_RATE
    low = np.minimum(bins.astype(int), envelopes.shape[1] - 2)
    part = bins - low
    on_grid = envelopes[:, low] * (1 - part) + envelopes[:, low + 1] * part
    slope = ndimage.gaussian_filter1d(on_grid, blur / _STEP, axis=1, order=1)
    slope -= slope.mean(1, keepdims=True)
    return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)


def formant_factor(source: Mono, shifted: Mono, rate: int, delay: int = 0) -> FormantFactor:
    """The factor by which the spectral envelope of voiced speech moved on the frequency axis.

    The slope of the log envelope over log-frequency (so that gain and spectral tilt fall away) is compared between
    300 and 4500 Hz of the source and the same range times a trial factor of the output, frame by frame; the factor
    where the mean correlation is highest wins.

    Args:
        delay: Frames by which ``shifted`` lags.

    Shape:
        source, shifted: ``[n]``, at least about a second of speech: one frame's harmonics mask its formants.

    Returns:
        Factor within 0.68..1.46, the mean correlation there, frames used.

    Source:
        CheapTrick envelopes: Morise, Speech Communication 67, 2015.
    """
    a, b = (to_analysis_rate(x, rate) for x in align(source, shifted, delay))
    f0_a, f0_b = swift_track(a), swift_track(b)
    n = min(len(f0_a), len(f0_b))
    voiced = (f0_a[:n] > 0) & (f0_b[:n] > 0)
    if voiced.sum() < 5:
        return FormantFactor(np.nan, 0.0, int(voiced.sum()))
    env_a, env_b = _envelopes(a, f0_a[:n])[voiced], _envelopes(b, f0_b[:n])[voiced]
    return _best_factor(env_a, env_b)


def _best_factor(env_a: NDArray[np.float64], env_b: NDArray[np.float64], blur: float = 0.06) -> FormantFactor:
    reference = _slopes(env_a, _GRID_HZ, blur)
    scores = np.array([(reference * _slopes(env_b, f * _GRID_HZ, blur)).sum(1).mean() for f in FORMANT_FACTORS])
    k = int(np.clip(scores.argmax(), 1, len(scores) - 2))
    left, mid, right = scores[k - 1 : k + 2]
    shift = 0.5 * (left - right) / min(left - 2 * mid + right, -1e-12)
    step = np.log2(FORMANT_FACTORS[1] / FORMANT_FACTORS[0])
    return FormantFactor(float(FORMANT_FACTORS[k] * 2 ** (np.clip(shift, -1, 1) * step)), float(mid), len(env_a))


CLICK_STEP_DB = -46.0
CLICK_OVER_MEDIAN = 8.0


def _jump_envelope(x: Mono, rate: int) -> NDArray[np.float64]:
    """Size of the discontinuity at each frame: the band above 0.33 of the rate, scaled so that a step reads its height.

    A step's energy falls as 1/f and reaches the top of the band; speech recorded at 24 kHz or less does not.
    """
    taps = signal.firwin(63, 0.33 * rate, fs=rate, pass_zero=False, window=("kaiser", 10.0))
    step_peak = np.abs(np.cumsum(taps)).max()
    return np.abs(signal.fftconvolve(x.astype(np.float64), taps, mode="same")) / step_peak


def clicks(source: Mono, shifted: Mono, rate: int, delay: int = 0) -> Clicks:
    """Discontinuities in the output that the input has not.

    A click is a jump that reads above -46 dBFS as a step, stands 8 times above the median of its surroundings
    (50 ms; so noise is none), and has no like in the source within 5 ms.

    Args:
        delay: Frames by which ``shifted`` lags.

    Shape:
        source, shifted: ``[n]``; the source's own bandwidth must end below a third of ``rate`` (24 kHz speech
        resampled to 48 kHz does), for there the measure listens.

    Returns:
        Number of clicks, and the largest jump as a step in dBFS.
    """
    a, b = (_jump_envelope(x, rate) for x in align(source, shifted, delay))
    near = int(0.005 * rate)
    inherited = ndimage.maximum_filter1d(a, 2 * near + 1)
    step = max(1, rate // 4000)
    coarse = ndimage.maximum_filter1d(b, step)[::step]
    around = ndimage.median_filter(coarse, 200)
    floor = np.maximum(CLICK_OVER_MEDIAN * np.repeat(around, step)[: len(b)], 10 ** (CLICK_STEP_DB / 20))
    found = b > np.maximum(floor, 2 * inherited)
    joined = ndimage.binary_closing(found, np.ones(2 * (rate // 500) + 1))
    worst = float(20 * np.log10(max(float(b.max(initial=0.0)), 1e-9)))
    return Clicks(int(ndimage.label(joined | found)[1]), worst)


def tone_fit(x: Mono, rate: int, expected_hz: float, harmonics: int = 1) -> ToneFit:
    """Least-squares tone near ``expected_hz`` (within 2 %) against all that is left.

    A shifter that keeps formants has nothing to make a lone sine's new frequency from: test it with formants moved
    along, or with a vowel and its ``harmonics``.

    Shape:
        x: ``[n]``, the steady part of a tone.

    Returns:
        Power of the tone over the power of the rest in dB, and its frequency error in cents.
    """
    x = x.astype(np.float64)
    t = 2 * np.pi * np.arange(len(x)) / rate

    def residual(hz: float, count: int) -> float:
        angles = hz * t[:, None] * np.arange(1, count + 1)
        basis = np.concatenate([np.cos(angles), np.sin(angles), np.ones((len(x), 1))], 1)
        return float(((x - basis @ np.linalg.solve(basis.T @ basis, basis.T @ x)) ** 2).sum())

    def search(around: float, reach: float, step: float, count: int) -> tuple[float, float]:
        trials = np.arange(around - reach, around + reach + step, step)
        start = trials[np.argmin([residual(f, count) for f in trials])]
        # searched as an offset: the optimiser's precision is relative to the variable
        best = optimize.minimize_scalar(
            lambda d: residual(start + d, count), bounds=(-step, step), method="bounded", options={"xatol": 1e-9}
        )
        return float(start + best.x), float(best.fun)

    half = rate / len(x) / 2
    hz, rest = search(expected_hz, 0.02 * expected_hz, half, 1)
    if harmonics > 1:
        hz, rest = search(hz, 4 * half / harmonics, half / harmonics, harmonics)
    rest = max(rest, 1e-20)
    power = max(float(((x - x.mean()) ** 2).sum()) - rest, 1e-20)
    return ToneFit(float(10 * np.log10(power / rest)), float(1200 * np.log2(hz / expected_hz)))


def tone_snr(shifted: Mono, rate: int, expected_hz: float) -> float:
    """Signal-to-noise of a shifted tone in dB; see ``tone_fit``."""
    return tone_fit(shifted, rate, expected_hz).snr_db


def lag(source: Mono, shifted: Mono) -> int:
    """Frames by which ``shifted`` lags, by the highest cross-correlation. For outputs that keep the waveform."""
    corr = signal.correlate(shifted.astype(np.float64), source.astype(np.float64), mode="full", method="fft")
    return int(np.abs(corr[len(source) - 1 :]).argmax())


def envelope_lag(source: Mono, shifted: Mono, rate: int) -> int:
    """Frames by which the loudness contour of ``shifted`` lags: coarse (about 2 ms), but blind to pitch and phase."""
    step = rate // 1000
    width = 10 * step
    levels = [
        np.log(ndimage.uniform_filter1d(x.astype(np.float64) ** 2, width)[::step] + 1e-5) for x in (source, shifted)
    ]
    a, b = (level - level.mean() for level in levels)
    corr = signal.correlate(b, a, mode="full", method="fft")
    return int(corr.argmax() - (len(a) - 1)) * step


def latency(
    process: Callable[[NDArray[np.float32]], NDArray[np.float32]], source: Mono, rate: int, block: int
) -> Latency:
    """True delay of a stream at neutral settings: what a listener who must not run dry has to wait.

    Feeds ``source`` in blocks. The sequence that comes back lags by ``content`` (cross-correlation); where blocks come
    back short, a player that starts at once runs dry, and must hold back the largest deficit too.

    Args:
        process: ``[n, 1]`` in, ``[m, 1]`` out; ``m`` may differ from ``n``.
        source: Wide-band audio, a second or more: a periodic or narrow one has many equal lags.

    Returns:
        The sum and its two parts in ms; the time to collect a block is not in it.
    """
    out, fed, came, deficit = [], 0, 0, 0
    for start in range(0, len(source) - block + 1, block):
        y = process(np.ascontiguousarray(source[start : start + block, None], np.float32))
        fed, came = fed + block, came + len(y)
        out.append(y[:, 0])
        deficit = max(deficit, fed - came)
    content = lag(source[:fed], np.concatenate(out))
    return Latency(1e3 * (content + deficit) / rate, 1e3 * content / rate, 1e3 * deficit / rate)


def cost(process: Process, source: Mono, rate: int, block: int) -> tuple[Mono, Cost]:
    """Run a stream in blocks and time each in CPU time of this thread, which other work on the machine hardly moves.

    Args:
        process: ``[n, 1]`` in, ``[m, 1]`` out; single-threaded, or its other threads' work is not seen.

    Returns:
        The output, and CPU per cent of one core with the block times in ms (the first apart from the rest).
    """
    out, times = [], []
    for start in range(0, len(source) - block + 1, block):
        x = np.ascontiguousarray(source[start : start + block, None], np.float32)
        began = time.thread_time_ns()
        y = process(x)
        times.append(time.thread_time_ns() - began)
        out.append(y[:, 0].copy())
    ms = np.array(times) / 1e6
    rest = ms[1:] if len(ms) > 1 else ms
    percent = 100 * ms.sum() / (1e3 * len(ms) * block / rate)
    p50, p99 = np.percentile(rest, [50, 99])
    return np.concatenate(out), Cost(float(percent), float(p50), float(p99), float(rest.max()), float(ms[0]))
