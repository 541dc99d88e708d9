"""Loudness: the meter against another, and a gain that follows the programme and nothing else."""

import numpy as np
import pyloudnorm
import pytest

from menura.audio.block import Samples, silence
from menura.dsp.loudness import SILENT_LUFS, LoudnessMeter, LoudnessNormalizer, k_weighting, loudness_lufs
from menura.dsp.meter import peak
from menura.dsp.stage import process_whole
from menura.errors import ConfigError
from menura.units import db_to_gain
from tests.streaming import CUTS, pieces, speechlike
from tests.utterances import speech

SPEAKERS = ("af_heart", "am_michael", "bf_emma", "bm_george")


def tone(rate: int, seconds: float, level_db: float, hz: float = 997.0, channels: int = 1) -> Samples:
    t = np.arange(round(rate * seconds))[:, None] / rate
    return np.repeat(db_to_gain(level_db) * np.sin(2 * np.pi * hz * t), channels, axis=1).astype(np.float32)


def at_lufs(x: Samples, rate: int, lufs: float) -> Samples:
    return x * np.float32(db_to_gain(lufs - loudness_lufs(x, rate)))


def test_weighting_at_48_khz_is_the_standards() -> None:
    want = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), want, atol=1e-8)


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_integrated_loudness_is_pyloudnorms(rate: int, speaker: str) -> None:
    x = speech(rate, speaker)
    x = np.concatenate([x, silence(2 * rate), 0.2 * x])  # both gates have something to leave out
    x = x[: len(x) // (rate // 10) * (rate // 10)]
    # its filters of this name are the standard's; those it takes by default differ by up to 0.1 LU
    want = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(x)
    assert loudness_lufs(x, rate) == pytest.approx(want, abs=0.03)
    assert loudness_lufs(x, rate) == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(x), abs=0.15)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 24_000, 96_000])
def test_integrated_loudness_is_right_at_other_rates(rate: int) -> None:
    x = speech(rate, "bm_george")
    want = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(x)
    assert loudness_lufs(x, rate) == pytest.approx(want, abs=0.1)
    # and as it is at 48 kHz, where the band is there
    if rate >= 16_000:
        assert loudness_lufs(x, rate) == pytest.approx(loudness_lufs(speech(48_000, "bm_george"), 48_000), abs=0.5)


def test_stereo_is_the_sum_of_its_channels() -> None:
    rate = 48_000
    x = np.concatenate([tone(rate, 3, -20.0), tone(rate, 3, -26.0, 440.0)], axis=1)
    assert loudness_lufs(x, rate) == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(x), abs=0.1)
    assert loudness_lufs(tone(rate, 3, -23.0, channels=2), rate) == pytest.approx(-23.0, abs=0.1)


def test_windows_are_400_ms_and_3_s() -> None:
    # EBU Tech 3341: what was loud is forgotten after the window, no sooner
    rate = 48_000
    meter = LoudnessMeter(rate, 2)
    assert meter.momentary == meter.short_term == meter.integrated == SILENT_LUFS
    meter.push(tone(rate, 3.0, -20.0, channels=2))
    assert meter.momentary == pytest.approx(-20.0, abs=0.1)
    assert meter.short_term == pytest.approx(-20.0, abs=0.1)
    meter.push(silence(rate * 3 // 10, 2))
    assert meter.momentary == pytest.approx(-26.0, abs=0.2)
    meter.push(silence(rate // 5, 2))
    assert meter.momentary < -80.0
    assert meter.short_term == pytest.approx(-20.0 + 10 * np.log10(2.5 / 3.0), abs=0.2)
    assert meter.integrated == pytest.approx(-20.2, abs=0.5)


def test_meter_is_the_same_however_the_input_is_cut() -> None:
    x = speechlike(24_000, 24_000, 2)
    figures = set()
    for sizes in CUTS.values():
        meter = LoudnessMeter(24_000, 2)
        for block in pieces(x, sizes):
            meter.push(block)
        figures.add((meter.momentary, meter.integrated, meter.steps))
    assert len(figures) == 1
    meter.reset()
    assert (meter.steps, meter.integrated) == (0, SILENT_LUFS)


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("lufs", [-38.0, -20.0, -8.0])
def test_programme_comes_to_its_target(rate: int, lufs: float) -> None:
    x = at_lufs(np.tile(speech(rate, "af_heart"), (3, 1)), rate, lufs)
    y = process_whole(LoudnessNormalizer(rate), x)
    assert loudness_lufs(y[2 * len(y) // 3 :], rate) == pytest.approx(-20.0, abs=1.0)
    assert peak(y) <= db_to_gain(-1.0) + 1e-6


def test_target_can_be_set_while_running() -> None:
    rate = 16_000
    x = at_lufs(np.tile(speech(rate, "af_heart"), (3, 1)), rate, -24.0)
    stage = LoudnessNormalizer(rate, target_lufs=-30.0)
    stage.process(x)
    assert stage.gain_db == pytest.approx(-6.0, abs=1.0)
    stage.target_lufs = -18.0
    y = stage.process(x)
    assert loudness_lufs(y[len(y) // 2 :], rate) == pytest.approx(-18.0, abs=1.0)


def test_gain_holds_in_pauses() -> None:
    rate = 16_000
    stage = LoudnessNormalizer(rate)
    stage.process(at_lufs(np.tile(speech(rate, "bf_emma"), (2, 1)), rate, -30.0))
    spoken = stage.gain_db
    stage.process(0.0005 * np.random.default_rng(1).standard_normal((20 * rate, 1)).astype(np.float32))
    stage.process(silence(20 * rate))
    assert stage.gain_db == pytest.approx(spoken, abs=0.2)


def test_quieter_programme_is_taken_for_one_after_a_while() -> None:
    rate = 16_000
    stage = LoudnessNormalizer(rate)
    stage.process(tone(rate, 10, -14.0))
    assert stage.gain_db == pytest.approx(-3.0, abs=0.2)
    stage.process(tone(rate, 20, -36.0))
    assert stage.gain_db == pytest.approx(-3.0, abs=0.2), "a pause, until it has lasted"
    stage.process(tone(rate, 20, -36.0))
    assert stage.gain_db == pytest.approx(19.0, abs=0.2)


def test_gain_is_bounded_and_slow() -> None:
    rate = 16_000
    stage = LoudnessNormalizer(rate, max_gain_db=6.0, max_cut_db=3.0, pace_db_s=2.0)
    stage.process(tone(rate, 1, -33.0))
    assert 0.0 < stage.gain_db <= 2.0
    stage.process(tone(rate, 9, -33.0))
    assert stage.gain_db == 6.0
    stage.process(tone(rate, 20, -3.0))
    assert stage.gain_db == -3.0


@pytest.mark.parametrize(
    "settings", [{"target_lufs": 0.0}, {"max_gain_db": -1.0}, {"max_cut_db": 61.0}, {"pace_db_s": 0.0}]
)
def test_settings_it_cannot_have_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LoudnessNormalizer(16_000, **settings)
