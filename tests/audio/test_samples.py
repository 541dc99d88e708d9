"""Blocks, formats, PCM, units."""

import numpy as np
import pytest

from menura.audio.block import as_block, finite, remix, silence
from menura.audio.format import AudioFormat, StreamFormat, check_channels, check_rate
from menura.audio.pcm import decode, encode, float_to_int16, int16_to_float
from menura.errors import ConfigError, FormatError
from menura.units import db_to_gain, frames_to_ms, gain_to_db, ms_to_frames, ratio_to_st, st_to_ratio


def test_int16_survives_the_round_trip() -> None:
    every = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    np.testing.assert_array_equal(float_to_int16(int16_to_float(every)), every)


def test_int16_rounds_and_clips_without_a_warning() -> None:
    x = np.array([1.0, -1.0, 2.0, -2.0, 3e38, -3e38, np.inf, -np.inf, np.nan, 0.6 / 32768, -0.6 / 32768], np.float32)
    assert float_to_int16(x).tolist() == [32767, -32768, 32767, -32768, 32767, -32768, 32767, -32768, 0, 1, -1]


@pytest.mark.parametrize("encoding", AudioFormat)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_encoding_goes_there_and_back(encoding: AudioFormat, channels: int) -> None:
    form = StreamFormat(encoding, 8000, channels)
    x = (0.5 * np.sin(np.arange(400) / 9)).astype(np.float32).reshape(-1, channels)
    data = encode(x, form)
    assert len(data) == form.bytes_for(len(x))
    error = decode(data, form) - x
    assert np.abs(error).max() < {1: 0.02, 2: 2e-5, 4: 1e-9}[encoding.width]
    assert decode(b"", form).shape == (0, channels)


def test_hostile_floats_become_audio_without_a_warning() -> None:
    data = np.array([np.nan, np.inf, -np.inf, 3e38, 0.5], "<f4").tobytes()
    assert decode(data, StreamFormat(AudioFormat.PCM_F32))[:, 0].tolist() == [0.0, 1.0, -1.0, 1.0, 0.5]


def test_half_a_frame_is_refused() -> None:
    form = StreamFormat(AudioFormat.PCM16, 48_000, 2)
    with pytest.raises(FormatError, match="2 bytes left over"):
        decode(bytes(6), form)
    with pytest.raises(FormatError):
        encode(silence(4, 1), form)


def test_blocks() -> None:
    x = silence(4, 2)
    assert as_block(x) is x
    assert as_block([0.0, 1.0]).shape == (2, 1)
    for bad in (np.zeros(4, np.int16), np.zeros((2, 2, 2)), np.float32(1)):
        with pytest.raises(FormatError):
            as_block(bad)
    with pytest.raises(FormatError, match="expected 1 channel, got 2"):
        as_block(x, 1)
    assert finite(x) is x
    assert finite(silence(0)).shape == (0, 1)


def test_remix() -> None:
    x = np.array([[1.0, 0.0]], np.float32)
    assert remix(x, 2) is x
    assert remix(x, 1).tolist() == [[0.5]]
    assert remix(remix(x, 1), 3).tolist() == [[0.5, 0.5, 0.5]]
    with pytest.raises(FormatError):
        remix(x, 3)


@pytest.mark.parametrize("rate", [7999, 192_001, 48_000.0, True, "48000"])
def test_a_rate_that_audio_cannot_have_is_refused(rate: object) -> None:
    with pytest.raises(ConfigError):
        check_rate(rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [0, 9, 1.0, True])
def test_channels_that_audio_cannot_have_are_refused(channels: object) -> None:
    with pytest.raises(ConfigError):
        check_channels(channels)  # type: ignore[arg-type]


def test_units_invert_each_other() -> None:
    for value in (-60.0, -6.0, 0.0, 12.0):
        assert gain_to_db(db_to_gain(value)) == pytest.approx(value)
        assert ratio_to_st(st_to_ratio(value)) == pytest.approx(value)
    assert gain_to_db(0.0) == -120.0
    assert frames_to_ms(ms_to_frames(20, 44_100), 44_100) == 20.0
