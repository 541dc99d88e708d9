"""One proof for every Stage: however its input is cut, it gives the same, and as late as it says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.stage import Stage, read_only

CUTS: dict[str, tuple[int, ...]] = {
    "1": (1,),
    "7": (7,),
    "160": (160,),
    "511": (511,),
    "512": (512,),
    "4096": (4096,),
    "mixed": (1, 0, 512, 3, 4096, 480, 0, 77, 1024, 2),
}


@dataclass(frozen=True)
class Case:
    """A stage and what may be asked of it.

    `clear` makes it at its most transparent setting, where the delay can be measured; `lag_ms` is what the measurement
    itself leaves open, 0 where it finds whole frames.
    """

    name: str
    make: Callable[[], Stage]
    clear: Callable[[], Stage] | None = None
    channels: int = 1
    tolerance: float = 0.0
    lag_ms: float = 0.0
    pulses: bool = False

    def __str__(self) -> str:
        return self.name


def speechlike(frames: int, rate: int, channels: int = 1, seed: int = 1) -> Samples:
    """Gliding harmonics in syllables with pauses and a little noise, −20 dBFS or so."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames) / rate
    phase = 2 * np.pi * np.cumsum(130 + 40 * np.sin(2 * np.pi * 0.9 * t)) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20) if k * 170 < rate / 2)
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * t) + 0.4, 0, 1)
    x = 0.15 * voice * syllables + 0.003 * rng.standard_normal(frames)
    return np.stack([np.roll(x, 37 * c) for c in range(channels)], axis=1).astype(np.float32)


def pieces(x: Samples, sizes: tuple[int, ...]) -> Iterator[Samples]:
    """Cut `x` into blocks of these sizes, over and over."""
    at = 0
    for size in cycle(sizes):
        if at >= len(x):
            return
        yield x[at : at + size]
        at += size


def run(stage: Stage, x: Samples, sizes: tuple[int, ...] = (480,)) -> Samples:
    """All that comes out, the rest included; input that cannot be written, output checked."""
    out, taken, given = [], 0, 0
    for piece in pieces(x, sizes):
        y = stage.process(read_only(piece))
        taken, given = taken + len(piece), given + len(y)
        assert y.dtype == np.float32
        assert y.ndim == 2
        assert y.shape[1] == x.shape[1]
        assert given == taken * stage.rate_out // stage.rate_in, "the cadence is broken"
        out.append(y)
    rest = stage.flush()
    assert rest.dtype == np.float32
    assert rest.shape == (stage.latency, x.shape[1]), "flush does not return the frames owed"
    return np.concatenate([*out, rest])


def assert_same(y: Samples, z: Samples, tolerance: float) -> None:
    """Equal to the bit, or within the tolerance."""
    assert y.shape == z.shape
    if tolerance == 0.0:
        np.testing.assert_array_equal(y, z)
    else:
        np.testing.assert_allclose(y, z, rtol=0, atol=tolerance)


def prove_cuts(case: Case, seconds: float = 0.6) -> None:
    """Cutting the input anywhere changes nothing, and a stage flushed is as new."""
    stage = case.make()
    x = speechlike(int(seconds * stage.rate_in), stage.rate_in, case.channels)
    before = x.copy()
    whole = run(stage, x, (len(x),))
    for sizes in CUTS.values():
        short = len(x) // 8 if sizes == (1,) else len(x)
        if short == len(x):
            assert_same(run(stage, x, sizes), whole, case.tolerance)
        else:
            assert_same(run(stage, x[:short], sizes), run(stage, x[:short], (short,)), case.tolerance)
    np.testing.assert_array_equal(x, before)


def prove_reset(case: Case) -> None:
    """After `reset` in mid-stream it gives what a new one gives; so does an empty block change nothing."""
    stage = case.make()
    x = speechlike(stage.rate_in // 3, stage.rate_in, case.channels)
    stage.process(x[: len(x) // 2 + 13])
    stage.reset()
    y = run(stage, x)
    assert_same(y, run(case.make(), x), 0.0)
    assert np.abs(y).max() > 1e-4, "nothing came out"
    assert stage.process(silence(0, case.channels)).shape == (0, case.channels)


def prove_silence(case: Case) -> None:
    """Silence gives silence."""
    stage = case.make()
    y = run(stage, silence(stage.rate_in // 2, case.channels))
    assert not np.any(y)


def prove_finite(case: Case) -> None:
    """What is not a number comes out as numbers, and is forgotten."""
    stage = case.make()
    x = speechlike(stage.rate_in // 2, stage.rate_in, case.channels)
    bad = x.copy()
    bad[1000:1003] = [[np.nan], [np.inf], [-np.inf]]
    bad[2000] = 1e30
    assert np.all(np.isfinite(run(stage, bad)))
    assert_same(run(stage, x), run(case.make(), x), 0.0)


def lag_by_correlation(stage: Stage, channels: int) -> float:
    """Frames by which the output lags, for stages of one rate that keep the waveform."""
    x = 0.1 * np.random.default_rng(2).standard_normal((stage.rate_in, channels)).astype(np.float32)
    y = run(stage, x)[: len(x)]
    n = 2 * len(x)
    spectrum = np.fft.rfft(y[:, 0], n) * np.conj(np.fft.rfft(x[:, 0], n))
    return float(np.argmax(np.fft.irfft(spectrum, n)[: len(x)]))


def lag_by_pulses(stage: Stage, channels: int) -> float:
    """Frames by which the energy of short pulses lags, averaged over many: for any stage that keeps envelopes."""
    gap, rate = 0.097, stage.rate_in
    x = silence(8 * rate, channels)
    places = np.arange(0.2, 7.8, gap) * rate
    width = 0.0008 * rate
    reach = int(6 * width)
    for place in places:
        n = np.arange(int(place) - reach, int(place) + reach)
        pulse = np.exp(-0.5 * ((n - place) / width) ** 2) * np.cos(2 * np.pi * 1500 * (n - place) / rate)
        x[n] += (0.5 * pulse[:, None]).astype(np.float32)
    power = run(stage, x, (4096,)).astype(np.float64)[:, 0] ** 2
    ratio = stage.rate_out / stage.rate_in
    half = int(0.4 * gap * stage.rate_out)
    lags = []
    for place in places * ratio:
        around = int(place) + stage.latency
        n = np.arange(around - half, around + half)
        lags.append(np.sum(n * power[n]) / np.sum(power[n]) - place)
    return float(np.mean(lags))


def prove_latency(case: Case) -> None:
    """Declared latency is measured latency."""
    stage = (case.clear or case.make)()
    if case.pulses:
        lag = lag_by_pulses(stage, case.channels)
        assert abs(lag - stage.latency) <= max(0.6, case.lag_ms * stage.rate_out / 1000.0)
    else:
        assert lag_by_correlation(stage, case.channels) == stage.latency


PROOFS = (prove_cuts, prove_reset, prove_silence, prove_finite, prove_latency)
