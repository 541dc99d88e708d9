import numpy as np
import pytest

from menura.dsp.pitch import PitchTracker
from menura.errors import ConfigError, FormatError
from tests.streaming import CUTS, pieces, speechlike

RATES = [16_000, 24_000, 44_100, 48_000]


def pulses(f0_hz, rate, seconds=1.0, tilt=1.0):
    """A buzz with 1/k harmonics: every lag of n periods correlates fully, so octaves must be told by the tracker."""
    t = np.arange(int(seconds * rate)) / rate
    count = int(min(4000, 0.4 * rate) / f0_hz)
    wave = sum(np.sin(2 * np.pi * k * f0_hz * t) / k**tilt for k in range(1, count + 1))
    return (0.2 * wave).astype(np.float32)[:, None]


def plain_correlation(x, centre, lag, width):
    """Normalised correlation of two windows about ``centre``, by its definition."""
    a = x[centre - (lag + width) // 2 :][:width]
    b = x[centre - (lag + width) // 2 + lag :][:width]
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("f0_hz", [65.0, 80.0, 133.3, 220.0, 440.0])
def test_pitch_is_found_within_a_cent_or_two_at_any_rate(rate, f0_hz):
    found = PitchTracker(rate).process(pulses(f0_hz, rate))["f0_hz"][20:]
    cents = np.abs(1200 * np.log2(found / f0_hz))
    assert np.median(cents) < 2 and cents.max() < 15


def test_strength_equals_the_plain_correlation_at_the_period():
    rate, f0_hz = 8000, 125.0  # not decimated, a whole number of frames
    rng = np.random.default_rng(3)
    x = pulses(f0_hz, rate) + 0.05 * rng.standard_normal((rate, 1)).astype(np.float32)
    for point in PitchTracker(rate).process(x)[50:60]:
        plain = plain_correlation(x[:, 0].astype(np.float64), int(point["position"]), 64, 64)
        assert point["strength"] == pytest.approx(plain, abs=0.05)  # it sees less of the noise: low-passed


def test_glide_is_found_where_it_is_not_later():
    rate = 48_000
    t = np.arange(rate) / rate
    f0 = 150 * 2 ** (t * 1.0)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    x = (0.2 * sum(np.sin(k * phase) / k for k in range(1, 10))).astype(np.float32)[:, None]
    points = PitchTracker(rate).process(x)[20:-2]
    cents = 1200 * np.log2(points["f0_hz"] / f0[points["position"].astype(int)])
    assert abs(np.median(cents)) < 1.5


@pytest.mark.parametrize("cut", CUTS)
def test_cutting_the_input_changes_nothing(cut):
    x = speechlike(24_000, 48_000)
    whole = PitchTracker(48_000).process(x)
    tracker = PitchTracker(48_000)
    parts = np.concatenate([tracker.process(piece) for piece in pieces(x, CUTS[cut])])
    assert np.array_equal(whole, parts)


def test_points_come_when_the_declared_lag_has_passed_and_not_later():
    tracker = PitchTracker(48_000)
    x = speechlike(9600, 48_000)
    for at in range(len(x)):
        for point in tracker.process(x[at : at + 1]):
            assert at + 1 == point["position"] + tracker.lag


def test_noise_silence_and_nan_are_unvoiced():
    rng = np.random.default_rng(5)
    hiss = np.diff(rng.standard_normal((48_001, 1)), axis=0).astype(np.float32) * 0.05
    assert (PitchTracker(48_000).process(hiss)["f0_hz"] > 0).mean() < 0.1
    assert not PitchTracker(48_000).process(np.zeros((9600, 1), np.float32))["f0_hz"].any()
    assert not PitchTracker(48_000).process(np.full((9600, 1), np.nan, np.float32))["f0_hz"].any()


def test_reset_makes_it_new():
    x = speechlike(9600, 24_000)
    tracker = PitchTracker(24_000)
    first = tracker.process(x).copy()
    tracker.reset()
    assert np.array_equal(first, tracker.process(x))


@pytest.mark.parametrize("bad", [{"fmin_hz": 20}, {"fmin_hz": float("nan")}, {"fmax_hz": 90}, {"fmax_hz": 4000}])
def test_a_range_that_cannot_be_tracked_is_refused(bad):
    with pytest.raises(ConfigError):
        PitchTracker(48_000, **bad)


def test_a_block_without_channels_is_refused():
    with pytest.raises(FormatError):
        PitchTracker(48_000).process(np.zeros(480, np.float32))
