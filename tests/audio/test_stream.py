import numpy as np
import pytest
from pydantic import ValidationError

from menura import AudioStream
from menura.errors import FormatError


def test_fields_default_as_documented() -> None:
    stream = AudioStream()
    assert (stream.type, stream.sample_rate, stream.channels, stream.sample_width, stream.format) == (
        "audio_stream",
        44100,
        1,
        2,
        "pcm_s16le",
    )


@pytest.mark.parametrize("form", ["pcm_s16le", "pcm_f32le"])
def test_json_round_trip_keeps_every_field(form: str) -> None:
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(-1, 2)
    stream = AudioStream.from_block(x, 24000, format=form, metadata={"key": [1, "two"]}, timestamp=(0.5, 2.0))
    again = AudioStream.model_validate_json(stream.model_dump_json())
    assert again == stream
    assert np.abs(again.to_block() - x).max() <= 1 / 32768


def test_duration_counts_frames_not_samples() -> None:
    assert AudioStream(data=bytes(44100 * 4), channels=2).duration_seconds() == 1.0


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": 44100.5}, "sample_rate"),
        ({"channels": 0}, "channels"),
        ({"sample_width": 4}, "sample_width"),
        ({"format": "mp3"}, "format"),
        ({"data": b"abc"}, "data"),
        ({"timestamp": (2.0, 1.0)}, "timestamp"),
        ({"timestamp": (0.0, float("nan"))}, "timestamp"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_error_names_the_field_when_invalid(fields: dict[str, object], name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        AudioStream(**fields)


def test_from_block_wants_two_dimensions() -> None:
    with pytest.raises(FormatError, match="frames, channels"):
        AudioStream.from_block(np.zeros(4, np.float32), 24000)
