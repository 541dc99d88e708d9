"""Weights that are read only if they are asked for."""

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from menura.errors import DamagedModelError, FileError, ModelError, UnsupportedModelError
from menura.neural.content import ContentModel
from menura.neural.files import later
from menura.neural.files.hubert import read_hubert
from menura.neural.files.later import hubert_later, rmvpe_later, voice_later
from menura.neural.files.pitch import read_rmvpe
from menura.neural.files.voice import read_voice
from menura.neural.options import RuntimeOptions
from menura.neural.pitch import RmvpePitch
from menura.neural.synthesizer import Synthesizer
from tests.neural.model_files import RVC

FILES = {
    "hubert_tiny": (hubert_later, read_hubert),
    "hubert_tiny768": (hubert_later, read_hubert),
    "rmvpe_tiny.pt": (rmvpe_later, read_rmvpe),
    "v2_48k_f0.pth": (voice_later, read_voice),
    "v2_40k_nof0.pth": (voice_later, read_voice),
}


def _noted(found, name, real, path):
    found.append(name)
    return real(path)


@pytest.fixture
def reads(monkeypatch):
    """Which files were read as a whole."""
    found = []
    for name in ("read_hubert", "read_rmvpe", "read_voice"):
        monkeypatch.setattr(later, name, partial(_noted, found, name, getattr(later, name)))
    return found


@pytest.mark.parametrize("small", [0, 1 << 18])
@pytest.mark.parametrize("name", FILES)
def test_what_is_read_later_is_what_is_read_now(name, small, reads, monkeypatch):
    monkeypatch.setattr(later, "SMALL_BYTES", small)
    read_later, read = FILES[name]
    held, whole = read_later(RVC / name), read(RVC / name)
    assert held.config == whole.config
    assert set(held.weights) == set(whole.weights)
    assert len(held.weights) == len(whole.weights)
    assert not reads
    for key, array in whole.weights.items():
        np.testing.assert_array_equal(held.weights[key], array)
        assert held.weights[key].dtype == np.float32
    with pytest.raises(KeyError):
        held.weights["nothing"]


def test_a_model_that_is_kept_is_not_read(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(later, "SMALL_BYTES", 20_000)
    options = RuntimeOptions(threads=1, cache=tmp_path / "kept")
    made = []
    for _ in range(2):
        content, pitch = hubert_later(RVC / "hubert_tiny768"), rmvpe_later(RVC / "rmvpe_tiny.pt")
        voice = voice_later(RVC / "v2_48k_f0.pth")
        listener = ContentModel(content.config, content.weights, options=options)
        finder = RmvpePitch(pitch.config, pitch.weights, options)
        synthesizer = Synthesizer(voice.config, voice.weights, options)
        assert len(reads) == 3
        wav = np.random.default_rng(1).standard_normal((1, 16_000)).astype(np.float32)
        phone = np.repeat(listener.features(wav), 2, axis=1)
        made.append(synthesizer.convert(phone, finder.pitch(wav)[:, : phone.shape[1]], synthesizer.speaker(0)))
    np.testing.assert_array_equal(made[0], made[1])


def test_a_file_that_changes_has_another_identity(tmp_path):
    path = tmp_path / "voice.pth"
    shutil.copy(RVC / "v2_48k_f0.pth", path)
    before = voice_later(path).weights.identity
    assert voice_later(path).weights.identity == before
    os.utime(path, ns=(1, 1))
    after = voice_later(path).weights.identity
    assert after != before
    shutil.copy(RVC / "v1_40k_f0.pth", path)
    os.utime(path, ns=(1, 1))
    assert voice_later(path).weights.identity != after


def test_what_is_wrong_with_a_file_is_told(tmp_path):
    with pytest.raises(FileError):
        voice_later(tmp_path / "none.pth")
    with pytest.raises(UnsupportedModelError, match=r"rmvpe_tiny\.pt: it is an RMVPE pitch model"):
        voice_later(RVC / "rmvpe_tiny.pt")
    with pytest.raises(UnsupportedModelError, match="an RMVPE pitch model is needed"):
        rmvpe_later(RVC / "v2_48k_f0.pth")
    with pytest.raises(UnsupportedModelError, match="HuBERT"):
        hubert_later(RVC / "rmvpe_tiny.pt")
    data = bytearray((RVC / "v2_48k_f0.pth").read_bytes())
    path: Path = tmp_path / "voice.pth"
    path.write_bytes(data[:-50])
    with pytest.raises(DamagedModelError):
        voice_later(path)
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(value ^ 0xFF for value in data[middle : middle + 8])
    path.write_bytes(data)
    checkpoint = voice_later(path)
    with pytest.raises(ModelError, match=r"voice\.pth"):
        dict(checkpoint.weights)
