from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from menura.audio.block import Samples, silence
from menura.dsp.conceal import Concealer
from menura.dsp.period import blend, find_period
from menura.errors import ConfigError
from tests.listen import clicks, f0_track
from tests.speech import NAMES, spectral_distance_db, speech
from tests.streaming import speechlike

RATE = 24_000
BLOCK = RATE // 50
Fill = Callable[[Concealer, int, Samples, Samples], Samples]


def losses(blocks: int, share: float, burst: int, seed: int) -> NDArray[np.bool_]:
    """Which blocks are lost: bursts at random, never the first three blocks nor two bursts in a row."""
    rng = np.random.default_rng(seed)
    lost = np.zeros(blocks, bool)
    at = 3
    while at < blocks - burst - 2:
        if rng.random() < share / burst:
            lost[at : at + burst] = True
            at += burst + 1
        else:
            at += 1
    return lost


def ours(concealer: Concealer, frames: int, _before: Samples, _after: Samples) -> Samples:
    return concealer.conceal(frames)


def bridged(concealer: Concealer, frames: int, _before: Samples, after: Samples) -> Samples:
    return concealer.bridge(frames, after)


def muted(_concealer: Concealer, frames: int, before: Samples, _after: Samples) -> Samples:
    return np.zeros((frames, before.shape[1]), np.float32)


def repeated(_concealer: Concealer, frames: int, before: Samples, _after: Samples) -> Samples:
    return np.tile(before, (frames // len(before), 1))


def transmit(fill: Fill, x: Samples, lost: NDArray[np.bool_], rate: int = RATE) -> Samples:
    """``x`` with the lost blocks filled."""
    block = rate // 50
    concealer, out, at = Concealer(rate, x.shape[1]), [], 0
    while at < len(lost):
        many = 0
        while at + many < len(lost) and lost[at + many]:
            many += 1
        here = x[at * block : (at + max(1, many)) * block]
        if many:
            after = x[(at + many) * block : (at + many + 2) * block]
            out.append(fill(concealer, len(here), x[(at - 1) * block : at * block], after))
        elif fill in (ours, bridged):
            out.append(concealer.good(here))
        else:
            out.append(here)
        at += max(1, many)
    return np.concatenate(out)


@cache
def judge(fill: Fill, share: float, burst: int) -> tuple[float, int, float]:
    """Spectral distance in and about the gaps, clicks more than the speech has, voiced frames lost in per cent."""
    distances, extra, gone, voiced = [], 0, 0, 0
    for seed, name in enumerate(NAMES[::4]):
        x = speech(name)[: len(speech(name)) // BLOCK * BLOCK]
        lost = losses(len(x) // BLOCK, share, burst, seed)
        y = transmit(fill, x, lost)
        assert y.shape == x.shape
        distances.append(spectral_distance_db(x, y, RATE, np.repeat(lost, BLOCK)))
        extra += clicks(y, RATE) - clicks(x, RATE)
        was, now = f0_track(x, RATE), f0_track(y, RATE)
        gone, voiced = gone + int(((was > 0) & (now == 0)).sum()), voiced + int((was > 0).sum())
    return float(np.mean(distances)), extra, 100.0 * gone / voiced


@pytest.mark.parametrize(("share", "burst"), [(0.05, 1), (0.2, 1), (0.1, 5)])
def test_gaps_in_speech_are_filled_better_than_by_silence_or_repetition(share: float, burst: int) -> None:
    distance, extra, gone = judge(ours, share, burst)
    assert extra <= 0
    for peer in (muted, repeated):
        peer_distance, _, peer_gone = judge(peer, share, burst)
        assert distance < 0.95 * peer_distance
        assert gone < 0.62 * peer_gone


@pytest.mark.parametrize(("share", "burst"), [(0.1, 1), (0.15, 2)])
def test_a_gap_between_two_known_sides_is_filled_better_still(share: float, burst: int) -> None:
    distance, extra, gone = judge(bridged, share, burst)
    one_sided = judge(ours, share, burst)
    assert extra <= 0
    assert distance < 0.88 * one_sided[0]
    assert gone < 1.1 * one_sided[2]


def tone(hz: float, frames: int, rate: int = RATE) -> Samples:
    """A sawtooth-like voice, ``[n, 1]``."""
    t = np.arange(frames) / rate
    return (0.1 * sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 12))).astype(np.float32)[:, None]


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("hz", [60.0, 110.0, 215.0, 390.0])
def test_a_steady_voice_goes_on_as_it_was(rate: int, hz: float) -> None:
    block = rate // 50
    x = tone(hz, 12 * block, rate)
    concealer = Concealer(rate)
    concealer.good(x[: 8 * block])
    y = concealer.conceal(block)
    want = x[8 * block : 9 * block]
    assert 10 * np.log10(np.sum(want**2) / np.sum((y - want) ** 2)) > 10
    z = concealer.good(x[9 * block :])
    assert z.shape == x[9 * block :].shape
    whole = np.concatenate([x[7 * block : 8 * block], y, z])
    assert np.abs(np.diff(whole[:, 0])).max() < 1.25 * np.abs(np.diff(x[:, 0])).max()


def test_noise_is_continued_as_noise_of_its_colour_and_level() -> None:
    rng = np.random.default_rng(3)
    white = rng.standard_normal((RATE, 1)).astype(np.float32)
    x = 0.05 * (white[1:] - 0.9 * white[:-1])
    levels, peaks = [], []
    for start in range(0, 12_000, 1500):
        concealer = Concealer(RATE)
        concealer.good(x[start : start + 4 * BLOCK])
        y = concealer.conceal(BLOCK)
        levels.append(np.sqrt(np.mean(y**2)) / np.sqrt(np.mean(x**2)))
        own = np.correlate(y[:, 0], y[:, 0], "full")[BLOCK:]
        peaks.append(np.abs(own[RATE // 400 :]).max() / np.sum(y**2))
        spectrum = np.abs(np.fft.rfft(y[:, 0])) ** 2
        assert spectrum[120:].sum() > 2 * spectrum[:120].sum()
    assert 0.7 < np.mean(levels) < 1.1
    assert np.median(peaks) < 0.4, "it buzzes"


def test_it_fades_to_silence_within_100_ms() -> None:
    concealer = Concealer(RATE)
    concealer.good(tone(120.0, RATE // 4))
    levels = [float(np.sqrt(np.mean(concealer.conceal(RATE // 100) ** 2))) for _ in range(14)]
    assert levels[1] > 0.85 * levels[0]
    assert levels[7] < 0.25 * levels[0]
    assert not any(levels[10:])
    assert concealer.silent
    assert concealer.left == 0


@pytest.mark.parametrize("name", NAMES[:4])
def test_it_is_never_louder_than_what_it_follows(name: str) -> None:
    x = speech(name)
    for at in range(2 * BLOCK, len(x) - BLOCK, 5 * BLOCK):
        concealer = Concealer(RATE)
        concealer.good(x[:at])
        y = concealer.conceal(5 * BLOCK)
        past = x[max(0, at - int(0.065 * RATE)) : at]
        assert np.abs(y).max() <= np.abs(past).max()


@pytest.mark.parametrize("channels", [1, 2])
def test_without_a_gap_nothing_changes(channels: int) -> None:
    x = speechlike(RATE, RATE, channels)
    concealer = Concealer(RATE, channels)
    for start in range(0, RATE, 700):
        np.testing.assert_array_equal(concealer.good(x[start : start + 700]), x[start : start + 700])
    assert not concealer.joining


def test_after_a_gap_the_audio_is_soon_as_it_was() -> None:
    x = speechlike(RATE, RATE, 2)
    concealer = Concealer(RATE, 2)
    concealer.good(x[:12_000])
    concealer.conceal(BLOCK)
    y = concealer.good(x[12_000 + BLOCK :])
    np.testing.assert_array_equal(y[RATE // 80 :], x[12_000 + BLOCK + RATE // 80 :])


def test_cutting_a_gap_changes_nothing() -> None:
    x = speechlike(RATE, RATE)
    made = []
    for cuts in ([2400], [1] * 2400, [480] * 5, [7, 2393]):
        concealer = Concealer(RATE)
        concealer.good(x[:9000])
        made.append(np.concatenate([concealer.conceal(n) for n in cuts]))
    for y in made[1:]:
        np.testing.assert_array_equal(y, made[0])


def test_a_cross_fade_goes_on_over_short_blocks() -> None:
    x = tone(100.0, RATE)
    concealer = Concealer(RATE)
    concealer.good(x[:12_000])
    concealer.conceal(2 * BLOCK)
    y = np.concatenate([concealer.good(x[i : i + 24]) for i in range(12_000 + 2 * BLOCK, 18_000, 24)])
    assert not concealer.joining
    assert np.abs(np.diff(y[:, 0])).max() < 1.25 * np.abs(np.diff(x[:, 0])).max()


def test_a_seam_is_faded_over() -> None:
    x = speech(NAMES[0])
    concealer = Concealer(RATE)
    y = [concealer.good(x[:30_000])]
    for start in (45_000, 14_000, 33_000):
        concealer.seam()
        y.append(concealer.good(x[start : start + 9600]))
    assert clicks(np.concatenate(y), RATE) <= clicks(x, RATE)


def test_an_end_fades_out_at_once() -> None:
    concealer = Concealer(RATE)
    concealer.good(tone(120.0, RATE // 4))
    concealer.end()
    y = concealer.conceal(BLOCK)
    assert np.any(y[:60])
    assert not np.any(y[RATE // 200 :])
    concealer.conceal(RATE)
    concealer.end()
    assert not np.any(concealer.conceal(BLOCK))


@pytest.mark.parametrize("channels", [1, 3])
def test_silence_is_continued_by_silence(channels: int) -> None:
    concealer = Concealer(RATE, channels)
    assert not np.any(concealer.conceal(100))
    concealer.good(silence(RATE, channels))
    assert not np.any(concealer.conceal(1000))
    assert concealer.bridge(480, silence(960, channels)).shape == (480, channels)


def test_what_is_no_number_does_no_harm() -> None:
    x = speechlike(RATE, RATE)
    x[5000], x[5001], x[5002] = np.nan, np.inf, 1e30
    concealer = Concealer(RATE)
    assert np.isfinite(concealer.good(x[:5200])).all()
    assert np.isfinite(concealer.conceal(2000)).all()
    bad = np.full((2000, 1), np.nan, np.float32)
    assert np.isfinite(concealer.bridge(480, bad)).all()
    assert np.isfinite(concealer.good(bad)).all()
    assert np.isfinite(concealer.conceal(2000)).all()


def test_after_a_reset_it_is_as_new() -> None:
    x = speechlike(RATE, RATE)
    used = Concealer(RATE)
    used.good(x)
    used.conceal(700)
    used.reset()
    new = Concealer(RATE)
    for concealer in (used, new):
        concealer.good(x[:8000])
    np.testing.assert_array_equal(used.conceal(900), new.conceal(900))


def test_a_gap_of_negative_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="gap"):
        Concealer(RATE).conceal(-1)


@pytest.mark.parametrize("hz", [55.0, 100.0, 180.0, 300.0, 400.0])
@pytest.mark.parametrize("rate", [8000, 24_000, 44_100])
def test_a_period_is_found(hz: float, rate: int) -> None:
    lag, score = find_period(tone(hz, rate // 10, rate), rate, rate // 50)
    cycles = lag * hz / rate
    assert round(cycles) in (1, 2, 3), "one period, or some where one falls between two frames"
    assert abs(cycles - round(cycles)) < 0.04
    assert score > 0.95


def test_nothing_repeats_in_what_is_too_short() -> None:
    assert find_period(silence(100), RATE, 480) == (1, 0.0)


def test_a_blend_keeps_the_power_of_what_is_unlike_and_the_level_of_what_is_alike() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((20_000, 1)).astype(np.float32) for _ in range(2))
    t = ((np.arange(20_000, dtype=np.float32) + 1) / 20_001)[:, None]
    np.testing.assert_allclose(blend(a, a, t), a, atol=1e-6)
    power = blend(a, b, t)[8000:12_000].var()
    assert 0.9 < power < 1.1
