import numpy as np
import pytest

from menura.errors import FormatError
from menura.neural.nets.mel import CENTS, log_mel, pitch_of
from tests.neural.rvc import arrays, assert_same, rmvpe_pitch


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


def test_a_batch_is_its_members_one_by_one():
    wav = arrays("rmvpe_tiny")["wav"]
    batch = np.stack([wav, wav[::-1], wav * 0.1])
    together = rmvpe_pitch().salience(log_mel(batch))
    for index in range(3):
        assert_same(f"member {index}", together[index], rmvpe_pitch().salience(log_mel(batch[index : index + 1]))[0])


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
    cents = 1200.0 * np.log2(pitch_of(salience)[:2] / 10.0)
    np.testing.assert_allclose(cents, [CENTS[100], (CENTS[100] + CENTS[101]) / 2])
    assert pitch_of(salience)[2] == 0.0
    assert pitch_of(salience, threshold=0.01)[2] > 0.0
