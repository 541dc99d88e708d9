from importlib.util import find_spec

import numpy as np
import pytest

from menura.errors import ConfigError, FormatError, MissingExtraError
from menura.neural.swift import SwiftPitch
from tests.neural.rvc import ONE_THREAD

installed = pytest.mark.skipif(find_spec("swift_f0") is None, reason="swift-f0 is not installed")


def _voice(hz: np.ndarray) -> np.ndarray:
    """Twelve harmonics of a pitch curve at 16 kHz."""
    turns = np.cumsum(hz / 16_000)
    return (0.1 * sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 13))).astype(np.float32)


@installed
def test_pitch_of_a_glide_is_found_within_a_fifth_of_a_semitone():
    hz = np.linspace(110.0, 220.0, 24_000)
    found = SwiftPitch(options=ONE_THREAD).pitch(_voice(hz)[None])[0]
    assert found.shape == (151,)
    inner = slice(10, 140)
    error_st = 12 * np.log2(found[inner] / hz[::160][inner])
    assert (found[inner] > 0).all()
    assert np.abs(error_st).max() < 0.2


@installed
def test_silence_and_what_lies_before_a_voice_have_no_pitch():
    wav = np.concatenate([np.zeros(8000, np.float32), _voice(np.full(8000, 150.0))])
    model = SwiftPitch(options=ONE_THREAD)
    found = model.pitch(np.stack([wav, np.zeros(16_000, np.float32)]))
    assert (found[1] == 0).all()
    assert (found[0, :45] == 0).all()
    assert (found[0, 55:95] > 0).all()


@installed
@pytest.mark.parametrize("samples", [256, 300, 511, 512, 5000])
def test_every_length_gives_a_frame_for_each_10_ms(samples):
    found = SwiftPitch(options=ONE_THREAD).pitch(_voice(np.full(samples, 200.0))[None])
    assert found.shape == (1, samples // 160 + 1)
    assert np.isfinite(found).all()


@installed
def test_audio_too_short_is_refused():
    with pytest.raises(FormatError, match="at least 256 samples"):
        SwiftPitch(options=ONE_THREAD).pitch(np.zeros((1, 255), np.float32))


@pytest.mark.skipif(find_spec("swift_f0") is not None, reason="swift-f0 is installed")
def test_without_the_package_the_error_says_how_to_install_it():
    with pytest.raises(MissingExtraError, match=r"pip install 'menura\[swift\]'"):
        SwiftPitch()


def test_a_range_the_network_does_not_know_is_refused():
    with pytest.raises(ConfigError, match="from 46"):
        SwiftPitch(20.0, 500.0)
