import numpy as np
import pytest

from menura.audio.block import silence
from menura.dsp.timescale import lengthen, shorten
from tests.listen import clicks, median_f0
from tests.speech import NAMES, speech

RATE = 24_000
SPAN = RATE * 3 // 100


def voice(hz: float, frames: int, rate: int = RATE) -> np.ndarray:
    t = np.arange(frames) / rate
    return (0.1 * sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 9))).astype(np.float32)[:, None]


@pytest.mark.parametrize("rate", [8000, 24_000, 48_000])
@pytest.mark.parametrize("hz", [70.0, 125.0, 250.0, 380.0])
def test_whole_periods_are_cut_out_and_put_in(rate: int, hz: float) -> None:
    x = voice(hz, rate // 5, rate)
    span, at = rate * 3 // 100, rate // 10
    short = shorten(x[at : at + span], rate, span)
    long = lengthen(x[at : at + span], rate, x[:at])
    for scaled, sign in ((short, -1), (long, 1)):
        assert len(scaled.samples) == span + sign * scaled.change
        cycles = scaled.change * hz / rate
        assert round(cycles) >= 1
        assert abs(cycles - round(cycles)) < 0.05
        joined = np.concatenate([x[:at], scaled.samples, x[at + span :]])
        assert np.abs(np.diff(joined[:, 0])).max() < 1.2 * np.abs(np.diff(x[:, 0])).max()


def test_no_more_is_cut_than_is_asked() -> None:
    x = voice(100.0, SPAN)
    assert shorten(x, RATE, 200).change == 0, "a period of 240 frames does not fit into 200"
    assert 0 < shorten(x, RATE, 300).change <= 300
    assert shorten(silence(SPAN), RATE, 77).change == 77
    assert shorten(x, RATE, 0).change == 0


def test_what_does_not_repeat_is_left_as_it_is() -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal((SPAN, 1)).astype(np.float32)
    for scaled in (shorten(noise, RATE, SPAN), lengthen(noise, RATE, silence(RATE // 15))):
        assert scaled.change == 0
        np.testing.assert_array_equal(scaled.samples, noise)


def test_what_is_too_short_is_left_as_it_is() -> None:
    x = voice(100.0, 100)
    assert shorten(x, RATE, 100).change == 0
    assert lengthen(x, RATE, x).change == 0
    assert lengthen(silence(0), RATE, silence(0)).change == 0


@pytest.mark.parametrize("name", NAMES[::4])
@pytest.mark.parametrize("way", ["shorter", "longer"])
def test_speech_keeps_its_pitch_and_gets_no_clicks(name: str, way: str) -> None:
    x = speech(name)
    parts, changed, past = [], 0, silence(0)
    for start in range(0, len(x), 2 * SPAN):
        block = x[start : start + SPAN]
        scaled = shorten(block, RATE, SPAN) if way == "shorter" else lengthen(block, RATE, past[-1600:])
        parts += [scaled.samples, x[start + SPAN : start + 2 * SPAN]]
        past = np.concatenate(parts)
        changed += scaled.change
    y = np.concatenate(parts)
    assert len(y) == len(x) + (changed if way == "longer" else -changed)
    assert changed > 0.06 * len(x)
    assert clicks(y, RATE) <= clicks(x, RATE)
    assert abs(1200 * np.log2(median_f0(y, RATE) / median_f0(x, RATE))) < 40


def test_channels_stay_together() -> None:
    x = np.concatenate([voice(120.0, SPAN), 0.5 * voice(120.0, SPAN)], axis=1)
    y = shorten(x, RATE, SPAN).samples
    np.testing.assert_allclose(y[:, 1], 0.5 * y[:, 0], atol=1e-6)
