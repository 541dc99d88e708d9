"""The cleaning stages: what they take away, what they leave, how late they are and what they cost.

python -m benchmarks.enhance [--quick]

Noise is added to the fixtures' speech at a signal-to-noise ratio over the whole utterances; figures compare with the
clean speech. SI-SDR: Le Roux et al., ICASSP 2019. STOI: Taal et al., IEEE TASLP 19 (7), 2011, the share of the speech's
envelope that is left, which predicts intelligibility.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import cache

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from pywebrtc_audio import AudioProcessor
from scipy.signal import fftconvolve

from benchmarks.corpus import by_speaker, fixtures
from benchmarks.tables import machine, number, table
from menura.audio.block import Samples
from menura.dsp.autogain import AutoGain
from menura.dsp.denoise import Denoiser
from menura.dsp.frontend import Frontend, FrontendConfig
from menura.dsp.loudness import LoudnessNormalizer
from menura.dsp.stage import Stage, process_whole

Mono = NDArray[np.float32]
RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
QUALITY_RATES = (16_000, 24_000, 48_000)
NOISES = ("white", "pink", "fan", "babble")
SNRS_DB = (5.0, 10.0, 30.0)
LEAD_S = 1.0
PAUSE_S = 0.6


def colored(frames: int, rate: int, slope: float, seed: int) -> Mono:
    """Noise whose power falls with frequency to the power of ``slope``, from 50 Hz; unit power."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(frames))
    hz = np.fft.rfftfreq(frames, 1 / rate)
    x = np.fft.irfft(spectrum * np.maximum(hz, 50.0) ** (-slope / 2), frames)
    return (x / x.std()).astype(np.float32)


def noise(kind: str, frames: int, rate: int, seed: int = 7) -> Mono:
    """White and pink noise, a fan (blades at 97 Hz over brown noise), eight people talking at once; unit power."""
    if kind == "white":
        return colored(frames, rate, 0.0, seed)
    if kind == "pink":
        return colored(frames, rate, 1.0, seed)
    if kind == "fan":
        t = np.arange(frames) / rate
        hum = sum(np.sin(2 * np.pi * 97 * k * t + k * k) / k for k in range(1, 9))
        x = colored(frames, rate, 1.7, seed) + 0.5 * hum + 0.1 * colored(frames, rate, 0.0, seed + 1)
        return (x / x.std()).astype(np.float32)
    rng = np.random.default_rng(seed)
    voices = np.concatenate([one.audio for one in fixtures(rate)])
    x = sum(np.roll(voices, int(rng.integers(len(voices)))) for _ in range(8))
    return np.resize(x / x.std(), frames).astype(np.float32)


@cache
def talks(rate: int) -> list[tuple[Mono, NDArray[np.bool_]]]:
    """Each speaker's utterances with pauses around them, and where the pauses are (without their first 200 ms)."""
    found = []
    for own in by_speaker(fixtures(rate)).values():
        parts, quiet = [np.zeros(int(LEAD_S * rate), np.float32)], []
        at = len(parts[0])
        for one in own:
            gap = np.zeros(int(PAUSE_S * rate), np.float32)
            parts += [one.audio, gap]
            at += len(one.audio) + len(gap)
            quiet.append((at - int(0.4 * rate), at))
        mask = np.zeros(at, bool)
        for start, stop in quiet:
            mask[start:stop] = True
        found.append((np.concatenate(parts), mask))
    return found


def si_sdr_db(clean: Mono, y: Mono) -> float:
    """Scale-invariant ratio of speech to everything else."""
    c, v = clean.astype(np.float64), y.astype(np.float64)
    part = np.dot(c, v) / np.dot(c, c) * c
    return float(10 * np.log10(np.dot(part, part) / max(np.dot(v - part, v - part), 1e-20)))


def stoi(clean: Mono, y: Mono, rate: int) -> float:
    """Short-time objective intelligibility, 0 to 1, on 26 ms frames half over one another."""
    size = 2 * round(0.0128 * rate)
    hop = size // 2
    window = np.hanning(size + 2)[1:-1]

    def bands(x: Mono) -> NDArray[np.float64]:
        frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), size)[::hop] * window
        power = np.abs(np.fft.rfft(frames, 2 * size)) ** 2
        hz = np.fft.rfftfreq(2 * size, 1 / rate)
        centres = 150 * 2 ** (np.arange(15) / 3)
        inside = (hz >= centres[:, None] * 2 ** (-1 / 6)) & (hz < centres[:, None] * 2 ** (1 / 6))
        return np.sqrt(inside @ power.T)

    a, b = bands(clean), bands(y)
    level = 20 * np.log10(np.linalg.norm(a, axis=0) + 1e-12)
    a, b = a[:, level > level.max() - 40], b[:, level > level.max() - 40]
    scores = []
    for end in range(30, a.shape[1] + 1):
        p, q = a[:, end - 30 : end], b[:, end - 30 : end]
        q = q * np.linalg.norm(p, axis=1, keepdims=True) / (np.linalg.norm(q, axis=1, keepdims=True) + 1e-12)
        q = np.minimum(q, p * (1 + 10 ** (15 / 20)))
        p, q = p - p.mean(axis=1, keepdims=True), q - q.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(p, axis=1) * np.linalg.norm(q, axis=1) + 1e-12
        scores.append(((p * q).sum(axis=1) / norms).mean())
    return float(np.mean(scores))


def run(stage: Stage, x: Mono) -> Mono:
    """All of it, aligned, in 20 ms chunks."""
    return process_whole(stage, x[:, None], block=stage.rate_in // 50)[:, 0]


class Library:
    """WebRTC's noise suppressor as the library applies it at the stream's own rate, in blocks of whole 10 ms."""

    def __init__(self, rate: int, level: int = 1) -> None:
        self.rate_in = self.rate_out = rate
        self._level = level
        self.latency = 0
        self.reset()
        self.latency = lag_frames(self, talks(rate)[0][0])
        self.reset()

    def reset(self) -> None:
        self._library = AudioProcessor(self.rate_in, 1, noise_suppression=True, ns_level=self._level)

    def process(self, x: Samples) -> Samples:
        return self._library.process(np.ascontiguousarray(x[:, 0]))[:, None]

    def flush(self) -> Samples:
        frame = self.rate_in // 100
        y = self.process(np.zeros((-(-self.latency // frame) * frame, 1), np.float32))[: self.latency]
        self.reset()
        return y


Make = Callable[[int], Stage]
CLEANERS: dict[str, Make | None] = {
    "as it came": None,
    "the library alone, 12 dB": Library,
    "WebRTC 12 dB": lambda rate: Frontend(rate, noise=True, config=FrontendConfig(noise_level=1)),
    "WebRTC 18 dB": lambda rate: Frontend(rate, noise=True, config=FrontendConfig(noise_level=2)),
    "RNNoise": Denoiser,
}


def cleaned(rate: int, kind: str, snr_db: float) -> list[list[str]]:
    """Rows of every cleaner on one noise: SI-SDR and STOI over whole talks, level of the pauses."""
    rows = []
    for name, make in CLEANERS.items():
        sdr, share, cut = [], [], []
        for speech, quiet in talks(rate):
            hiss = noise(kind, len(speech), rate)
            active = speech[~quiet][int(LEAD_S * rate) :]
            hiss *= np.float32(np.sqrt(np.mean(active**2)) * 10 ** (-snr_db / 20))
            heard = speech + hiss
            heard = heard[: len(heard) // (rate // 50) * (rate // 50)]
            speech, quiet = speech[: len(heard)], quiet[: len(heard)]  # noqa: PLW2901
            hiss = hiss[: len(heard)]
            y = heard if make is None else run(make(rate), heard)
            sdr.append(si_sdr_db(speech, y))
            share.append(stoi(speech, y, rate))
            cut.append(10 * np.log10(np.mean(hiss[quiet] ** 2) / np.mean(y[quiet] ** 2)))
        cells = [number(float(np.mean(values)), digits) for values, digits in ((sdr, 1), (share, 3), (cut, 1))]
        rows.append([f"{rate} {kind} {snr_db:.0f} dB, {name}", *cells])
    return rows


STAGES: dict[str, Make] = {
    "noise": lambda rate: Frontend(rate, noise=True),
    "noise, whole frames": lambda rate: Frontend(rate, noise=True, config=FrontendConfig(step=rate // 100)),
    "echo": lambda rate: Frontend(rate, echo=True),
    "gain": AutoGain,
    "echo, noise, gain": lambda rate: Frontend(rate, echo=True, noise=True, gain=True),
    "RNNoise": Denoiser,
    "loudness": LoudnessNormalizer,
}


def lag_frames(stage: Stage, speech: Mono) -> int:
    """By how much what leaves lags what comes, by cross-correlation."""
    chunk = stage.rate_in // 50
    x = speech[: len(speech) // chunk * chunk]
    y = np.concatenate([stage.process(x[at : at + chunk, None])[:, 0] for at in range(0, len(x), chunk)])
    n = 2 * len(x)
    return int(np.argmax(np.fft.irfft(np.fft.rfft(y, n) * np.conj(np.fft.rfft(x, n)), n)[: len(x)]))


def cost_us(stage: Stage, speech: Mono) -> float:
    """Median time of a 20 ms chunk, µs; the echo part gets a reference."""
    chunk = stage.rate_in // 50
    x = np.ascontiguousarray(speech[:, None])
    times = []
    for at in range(0, len(x) - chunk, chunk):
        block = x[at : at + chunk]
        if isinstance(stage, Frontend) and stage.echo:
            stage.reference(block)
        begun = time.perf_counter_ns()
        stage.process(block)
        times.append(time.perf_counter_ns() - begun)
    return float(np.median(times)) / 1e3


def timing(rate: int) -> list[list[str]]:
    """Latency and cost of each stage at one rate."""
    speech = talks(rate)[0][0]
    rows = []
    for name, make in STAGES.items():
        stage = make(rate)
        declared, measured = stage.latency / rate * 1e3, lag_frames(make(rate), speech) / rate * 1e3
        rows.append([f"{rate} {name}", number(declared, 2), number(measured, 2), number(cost_us(stage, speech), 0)])
    off = Frontend(rate, echo=True, noise=True, gain=True)
    off.echo = off.noise = off.gain = False
    off.process(np.zeros((rate, 1), np.float32))
    rows.append(
        [f"{rate} echo, noise, gain: off", number(off.latency / rate * 1e3, 2), "-", number(cost_us(off, speech), 0)]
    )
    return rows


def room(rate: int, delay_ms: float) -> NDArray[np.float64]:
    """Reflections and a tail of 150 ms, as long after the reference as told."""
    t = np.arange(rate // 5) / rate
    h = 0.03 * np.random.default_rng(4).standard_normal(len(t)) * np.exp(-6.9 * t / 0.15) * (16_000 / rate) ** 0.5
    for after_ms, gain in ((0, 0.6), (4, 0.3), (11, -0.2), (17, 0.15)):
        h[rate * after_ms // 1000] += gain
    return np.concatenate([np.zeros(int(rate * delay_ms / 1000)), h])


def echo_rows(rate: int) -> list[list[str]]:
    """Echo taken away while the far end talks alone, and what is left of the near end while both talk."""
    voices = [speech for speech, _ in talks(rate)]
    far, near = np.concatenate(voices[:2]), np.concatenate(voices[2:])
    n = min(len(far), len(near))
    far, near = far[:n], near[:n].copy()
    near[: n // 2] = 0.0

    def through(x: Mono, played: Mono, **parts: bool) -> Mono:
        stage = Frontend(rate, echo=True, config=FrontendConfig(reference_ms=60_000), **parts)
        stage.reference(played[:, None])
        return run(stage, x)

    rows = []
    for delay_ms in (0, 50, 100, 200):
        echo = (0.3 * fftconvolve(far, room(rate, delay_ms))[:n]).astype(np.float32)
        echo += (1e-4 * np.random.default_rng(5).standard_normal(n)).astype(np.float32)
        after = slice(5 * rate, None)
        erle = [
            10 * np.log10(np.sum(echo[after] ** 2) / np.sum(through(echo, far, noise=on)[after] ** 2))
            for on in (False, True)
        ]
        both, alone = through(echo + near, far)[n // 2 :], through(near, np.zeros_like(far))[n // 2 :]
        level = 10 * np.log10(np.sum(both**2) / np.sum(alone**2))
        heard = stoi(near[n // 2 :], (echo + near)[n // 2 :], rate), stoi(alone, both, rate)
        cells = [number(value, 1) for value in (*erle, level)] + [number(value, 3) for value in heard]
        rows.append([f"{rate}, echo after {delay_ms} ms", *cells])
    return rows


def level_rows(rate: int) -> list[list[str]]:
    """Loudness in and out, of the second half of each speaker's talk, twice; highest peak out."""
    meter = pyloudnorm.Meter(rate)
    rows = []
    for name, make in (("gain", AutoGain), ("loudness", LoudnessNormalizer)):
        for lufs in (-50.0, -40.0, -30.0, -20.0, -12.0):
            out, peaks = [], []
            for speech, _ in talks(rate):
                x = np.tile(speech, 2)
                x = x * np.float32(10 ** ((lufs - meter.integrated_loudness(x)) / 20))
                y = run(make(rate), x)
                out.append(meter.integrated_loudness(y[len(y) // 2 :]))
                peaks.append(np.abs(y).max())
            cells = [number(value) for value in (float(np.mean(out)), min(out), max(out))]
            rows.append([f"{rate} {name}, {lufs:.0f} LUFS in", *cells, number(20 * np.log10(max(peaks)))])
    return rows


def main() -> None:
    """Print the tables."""
    quick = "--quick" in sys.argv
    print(f"Cleaning stages, mono, 20 ms chunks, one thread; {machine()}\n")
    rates = (24_000,) if quick else RATES
    rows = [row for rate in rates for row in timing(rate)]
    print(table(["stage", "declared ms", "measured ms", "µs a chunk"], rows), "\n")
    rates, snrs = ((24_000,), (5.0,)) if quick else (QUALITY_RATES, SNRS_DB)
    rows = [row for rate in rates for kind in NOISES for snr in snrs for row in cleaned(rate, kind, snr)]
    print(table(["noise", "SI-SDR dB", "STOI", "pauses down dB"], rows), "\n")
    head = ["echo", "ERLE dB", "with noise part", "both talk: level dB", "STOI before", "STOI after"]
    print(table(head, [row for rate in rates for row in echo_rows(rate)]), "\n")
    print(table(["level", "LUFS out", "lowest", "highest", "peak dBFS"], level_rows(24_000)))


if __name__ == "__main__":
    main()
