from dataclasses import replace

import numpy as np
import pytest

from menura.errors import FormatError, ModelError
from menura.neural.nets.mel import CENTS, fcpe_mel, log_mel, pitch_of
from menura.neural.pitch import FcpePitch, RmvpePitch
from tests.neural.rvc import (
    ONE_THREAD,
    arrays,
    assert_same,
    fcpe_checkpoint,
    fcpe_pitch,
    rmvpe_checkpoint,
    rmvpe_pitch,
)


def test_spectrogram_salience_and_pitch_are_the_official_networks():
    held, model = arrays("rmvpe_tiny"), rmvpe_pitch()
    mel = log_mel(held["wav"][None])
    assert_same("mel", mel[0].T, held["mel"])
    assert_same("hidden", model.salience(mel)[0], held["hidden"])
    ours = model.pitch(held["wav"][None])[0]
    assert ((ours > 0) == (held["f0"] > 0)).all()
    assert_same("f0", ours, held["f0"])


def test_salience_is_the_official_networks_from_its_own_spectrogram():
    held = arrays("rmvpe_tiny")
    assert_same("hidden", rmvpe_pitch().salience(held["mel"].T[None])[0], held["hidden"])


def test_fcpe_is_the_official_network():
    held, model = arrays("fcpe_tiny"), fcpe_pitch()
    mel = fcpe_mel(model.config, held["wav"][None])
    assert_same("mel", mel[0], held["mel"])
    assert_same("hidden", model.salience(mel)[0], held["hidden"])
    assert_same("hidden of its own mel", model.salience(held["mel"][None])[0], held["hidden"])
    assert_same("f0", model.pitch(held["wav"][None])[0], held["f0"])


@pytest.mark.parametrize("samples", [160, 500, 1000, 1759, 16_000])
def test_fcpe_gives_a_frame_for_each_10_ms_of_every_length(samples):
    f0 = fcpe_pitch().pitch(np.zeros((2, samples), np.float32))
    assert f0.shape == (2, samples // 160 + 1)
    assert np.isfinite(f0).all()


def test_fcpe_of_a_batch_is_its_members_one_by_one():
    wav = arrays("fcpe_tiny")["wav"]
    mel = fcpe_mel(fcpe_pitch().config, np.stack([wav, wav[::-1], wav * 0.1]))
    together = fcpe_pitch().salience(mel)
    for index in range(3):
        assert_same(f"member {index}", together[index], fcpe_pitch().salience(mel[index : index + 1])[0])


def test_an_fcpe_that_is_another_network_is_refused():
    checkpoint = fcpe_checkpoint()
    with pytest.raises(ModelError, match="with attention are not supported"):
        FcpePitch(replace(checkpoint.config, conv_only=False), checkpoint.weights)
    with pytest.raises(ModelError, match="at 44100 Hz, 512"):
        FcpePitch(replace(checkpoint.config, rate=44_100, hop=512), checkpoint.weights)
    with pytest.raises(FormatError, match="at least 160 samples"):
        fcpe_pitch().pitch(np.zeros((1, 159), np.float32))


def test_a_batch_is_its_members_one_by_one():
    wav = arrays("rmvpe_tiny")["wav"]
    batch = np.stack([wav, wav[::-1], wav * 0.1])
    together = rmvpe_pitch().salience(log_mel(batch))
    for index in range(3):
        assert_same(f"member {index}", together[index], rmvpe_pitch().salience(log_mel(batch[index : index + 1]))[0])


def test_a_network_for_short_windows_is_the_same_and_the_other_comes_when_it_is_needed():
    checkpoint, read = rmvpe_checkpoint(), []

    def again():
        read.append(1)
        return checkpoint.weights

    model = RmvpePitch(checkpoint.config, checkpoint.weights, ONE_THREAD, again=again)
    mel = log_mel(arrays("rmvpe_tiny")["wav"][None])
    assert model.step == 32
    for rows in (32, 5):
        assert_same(f"{rows} rows", model.salience(mel[:, :rows]), rmvpe_pitch().salience(mel[:, :rows]), 110.0)
    model.prepare(31)
    assert not read
    model.prepare(32)
    model.prepare(60)
    assert len(read) == 1
    assert np.array_equal(model.salience(mel), rmvpe_pitch().salience(mel))


@pytest.mark.parametrize("samples", [513, 1600, 5120])
def test_every_length_gives_a_frame_for_each_10_ms(samples):
    assert rmvpe_pitch().pitch(np.zeros((2, samples), np.float32)).shape == (2, samples // 160 + 1)


def test_audio_too_short_to_mirror_is_refused():
    with pytest.raises(FormatError, match="more than 512 samples"):
        log_mel(np.zeros((1, 512), np.float32))


def test_pitch_is_between_classes_when_salience_is():
    salience = np.zeros((3, 360), np.float32)
    salience[0, 100] = 1.0
    salience[1, 100:102] = 0.5
    salience[2, 359] = 0.02
    cents = 1200.0 * np.log2(pitch_of(salience, 0.03)[:2] / 10.0)
    np.testing.assert_allclose(cents, [CENTS[100], (CENTS[100] + CENTS[101]) / 2])
    assert pitch_of(salience, 0.03)[2] == 0.0
    assert pitch_of(salience, 0.01)[2] > 0.0
