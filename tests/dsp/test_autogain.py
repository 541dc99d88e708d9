"""Automatic gain: loud enough within seconds, without pumping or clipping."""

import numpy as np
import pyloudnorm
import pytest

from menura.audio.block import silence
from menura.dsp.autogain import AutoGain
from menura.dsp.meter import peak, rms_db
from menura.dsp.stage import process_whole
from menura.errors import ConfigError
from menura.units import db_to_gain
from tests.streaming import pieces
from tests.utterances import speech


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("lufs", [-50.0, -35.0, -20.0])
def test_quiet_speech_becomes_loud_enough(rate: int, lufs: float) -> None:
    meter = pyloudnorm.Meter(rate)
    x = np.tile(speech(rate, "am_michael"), (2, 1))
    x *= np.float32(db_to_gain(lufs - meter.integrated_loudness(x)))
    y = process_whole(AutoGain(rate), x)
    assert meter.integrated_loudness(y[len(y) // 2 :]) == pytest.approx(-20.0, abs=1.5)
    assert peak(y) <= db_to_gain(-1.0) + 1e-6


def test_target_can_be_another() -> None:
    meter = pyloudnorm.Meter(16_000)
    x = np.tile(speech(16_000, "bf_emma"), (2, 1)) * np.float32(0.02)
    y = process_whole(AutoGain(16_000, target_lufs=-26.0), x)
    assert meter.integrated_loudness(y[len(y) // 2 :]) == pytest.approx(-26.0, abs=2.0)


def test_loud_start_is_not_pushed_into_the_limiter() -> None:
    x = speech(24_000, "am_michael", peak_level=0.85)
    stage = AutoGain(24_000)
    gains = []
    for block in pieces(x, (480,)):
        stage.process(block)
        gains.append(stage.gain_db)
    assert np.mean(gains[:100]) < 2.0, "AGC2 alone would lift the first two seconds by 9 dB"
    assert gains[-1] < 2.0


def test_pauses_are_not_pumped_up() -> None:
    rate = 16_000
    noise = 0.0003 * np.random.default_rng(6).standard_normal((8 * rate, 1)).astype(np.float32)
    said = speech(rate, "bf_emma", peak_level=0.05)
    stage = AutoGain(rate)
    stage.process(np.concatenate([said, said]))
    spoken = stage.gain_db
    y = stage.process(noise)
    assert stage.gain_db <= spoken + 1.0
    halves = rms_db(y[rate : 2 * rate]), rms_db(y[-rate:])
    assert abs(halves[1] - halves[0]) < 1.0
    stage.process(silence(5 * rate))
    assert stage.gain_db <= spoken + 1.0


def test_noise_alone_is_not_lifted_above_its_bound() -> None:
    noise = 0.003 * np.random.default_rng(6).standard_normal((160_000, 1)).astype(np.float32)
    y = process_whole(AutoGain(16_000), noise)
    assert rms_db(y[-16_000:]) < -45.0


def test_gain_has_no_steps() -> None:
    rate = 48_000
    t = np.arange(4 * rate)[:, None] / rate
    x = (0.01 * np.sin(2 * np.pi * 300 * t)).astype(np.float32)
    x[2 * rate :] *= 50.0
    stage = AutoGain(rate)
    y = process_whole(stage, x)
    slope = np.abs(np.diff(y[: 2 * rate, 0])).max()
    assert slope < 1.2 * 2 * np.pi * 300 / rate * np.abs(y[: 2 * rate]).max()


@pytest.mark.parametrize("settings", [{"target_lufs": -5.0}, {"max_gain_db": 60.0}, {"pace_db_s": 0.0}])
def test_settings_it_cannot_have_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        AutoGain(16_000, **settings)
