"""The denoiser: noise goes, speech stays, at any rate."""

import subprocess
import sys

import numpy as np
import pytest

from menura import extras
from menura.audio.block import Samples, silence
from menura.dsp import denoise
from menura.dsp.denoise import Denoiser
from menura.dsp.meter import rms_db
from menura.dsp.stage import process_whole
from menura.errors import ConfigError, FormatError, MissingExtraError
from tests.listen import lag_frames
from tests.streaming import run, speechlike
from tests.utterances import speech


def noisy(rate: int, snr_db: float) -> tuple[Samples, Samples, slice]:
    """Speech, speech in white noise, and where it speaks; a second of noise before and after."""
    clean = np.concatenate([silence(rate), speech(rate, "bf_emma"), silence(rate)])
    talk = slice(rate, len(clean) - rate)
    noise = np.random.default_rng(3).standard_normal(clean.shape).astype(np.float32)
    return clean, clean + noise * np.float32(10 ** ((rms_db(clean[talk]) - snr_db) / 20)), talk


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_noise_goes_and_speech_stays(rate: int) -> None:
    clean, heard, talk = noisy(rate, 5.0)
    y = process_whole(Denoiser(rate, mix=1.0), heard)
    assert rms_db(clean[talk]) - rms_db(y[talk] - clean[talk]) > 5.0 + 4.0
    assert rms_db(heard[-rate // 2 :]) - rms_db(y[-rate // 2 :]) > 40.0


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_latency_is_as_declared(rate: int) -> None:
    x = 0.1 * np.random.default_rng(1).standard_normal((rate, 1)).astype(np.float32)
    stage = Denoiser(rate, mix=1.0)
    assert abs(lag_frames(x, run(stage, x)) - stage.latency) <= 1


def test_blocks_known_to_be_whole_frames_do_not_wait() -> None:
    x = speechlike(24_000, 24_000)
    any_length, whole = Denoiser(24_000), Denoiser(24_000, step=480)
    assert any_length.latency - whole.latency == 239
    y = run(whole, x)
    np.testing.assert_array_equal(y[whole.latency :], run(any_length, x)[any_length.latency :])
    with pytest.raises(FormatError, match="480"):
        whole.process(silence(240))


def test_mix_leaves_a_part_of_what_came() -> None:
    _, heard, _ = noisy(48_000, 10.0)
    stage = Denoiser(48_000, mix=0.9)
    y = process_whole(stage, heard)
    assert rms_db(heard[-24_000:]) - rms_db(y[-24_000:]) == pytest.approx(20.0, abs=0.1)
    stage.mix = 0.0
    stage.reset()
    np.testing.assert_array_equal(process_whole(stage, heard), heard)
    with pytest.raises(ConfigError, match="mix"):
        stage.mix = 1.5


def test_channels_are_cleaned_each_by_itself() -> None:
    _, heard, _ = noisy(48_000, 5.0)
    both = np.concatenate([heard, np.zeros_like(heard)], axis=1)
    y = process_whole(Denoiser(48_000, 2), both)
    np.testing.assert_array_equal(y[:, :1], process_whole(Denoiser(48_000), heard))
    assert not y[:, 1].any()


def test_speech_probability_tells_speech_from_noise() -> None:
    clean, heard, _ = noisy(48_000, 10.0)
    stage = Denoiser(48_000)
    chances = []
    for at in range(0, len(heard) - 480, 480):
        stage.process(heard[at : at + 480])
        chances.append(stage.speech_probability)
    lag = stage.latency // 480
    levels = [rms_db(clean[at : at + 480]) for at in range(0, len(heard) - 480, 480)]
    said = [chance for chance, level in zip(chances[lag:], levels, strict=False) if level > -30.0]
    assert np.mean(said) > 0.9
    assert np.mean(chances[-50:]) < 0.1


def test_package_it_comes_from_is_not_imported() -> None:
    code = "import sys; from menura.dsp.denoise import Denoiser; Denoiser(48000); print('pyrnnoise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    denoise._library.cache_clear()
    monkeypatch.setattr(extras, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"menura\[denoise\]"):
        Denoiser(48_000)
