import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from menura import convert, find_voice, make_stage, read_audio, write_audio
from menura.audio.files import AudioWriter
from menura.audio.pcm import float_to_int16
from menura.errors import FileError
from menura.live.convert import stream_through
from menura.voices.voice import VoiceParameters
from tests.listen import lag_frames

SPEECH = Path("tests/fixtures/speech/bm_george_u1.flac")


@pytest.mark.parametrize("voice_id", ["natural-woman", "robot", "whisper", "cave"])
def test_file_converted_whole_equals_the_live_stream_sample_for_sample(tmp_path: Path, voice_id: str) -> None:
    x, rate = read_audio(SPEECH)
    frames = convert(SPEECH, tmp_path / "out.wav", find_voice(voice_id))
    y, _ = read_audio(tmp_path / "out.wav")
    live = make_stage(find_voice(voice_id), rate)
    blocks = [live.process(x[start : start + 240]) for start in range(0, len(x), 240)]
    stream = np.concatenate([*blocks, live.flush()])[live.latency :]
    assert frames == len(y) == len(x)
    assert np.array_equal(float_to_int16(y), float_to_int16(stream))  # the file has 16 bits


@pytest.mark.parametrize(
    ("rate", "channels", "says"),
    [(4000, 1, "in.wav: sample rate must be"), (48_000, 9, "in.wav: channels must be")],
)
def test_a_file_that_no_voice_takes_is_named(tmp_path: Path, rate: int, channels: int, says: str) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros((480, channels)), rate)
    with pytest.raises(FileError, match=says):
        convert(tmp_path / "in.wav", tmp_path / "out.wav", find_voice("robot"))
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_length_rate_channels_and_alignment_stay(tmp_path: Path, rate: int, channels: int) -> None:
    rng = np.random.default_rng(3)
    x = (0.1 * rng.standard_normal((rate + 17, channels))).astype(np.float32)
    x[:, 0] = np.convolve(x[:, 0], np.ones(16) / 4, "same")  # most of it below 4 kHz
    write_audio(tmp_path / "in.flac", x, rate)
    convert(tmp_path / "in.flac", tmp_path / "out.flac", find_voice("radio"), parameters=VoiceParameters(mix=0.0))
    y, out_rate = read_audio(tmp_path / "out.flac")
    assert (y.shape, out_rate) == (x.shape, rate)
    assert abs(lag_frames(x, y)) <= (0 if 16000 <= rate <= 48000 else 2)


def test_long_file_takes_little_memory(tmp_path: Path) -> None:
    rate, minutes = 16000, 10
    second = (0.1 * np.sin(2 * np.pi * 150 * np.arange(rate) / rate)).astype(np.float32)[:, None]
    with AudioWriter(tmp_path / "long.wav", rate) as writer:
        for _ in range(60 * minutes):
            writer.write(second)
    whole_bytes = 60 * minutes * second.nbytes
    tracemalloc.start()
    frames = convert(tmp_path / "long.wav", tmp_path / "out.wav", find_voice("natural-man"))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frames == 60 * minutes * rate
    assert peak_bytes < whole_bytes / 10


def test_stream_is_as_long_as_its_input_even_when_that_is_short() -> None:
    x = np.zeros((5, 1), np.float32)
    parts = list(stream_through(iter([x]), find_voice("cave"), 48000, 1))
    assert sum(len(part) for part in parts) == 5


def test_nothing_is_written_when_the_input_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(FileError, match=r"bad\.wav"):
        convert(tmp_path / "bad.wav", tmp_path / "out.wav", find_voice("robot"))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.wav"]


def test_input_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "same.flac"
    path.write_bytes(SPEECH.read_bytes())
    with pytest.raises(FileError, match="is the input itself"):
        convert(path, path, find_voice("robot"))
    assert path.read_bytes() == SPEECH.read_bytes()
