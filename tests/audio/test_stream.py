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


@pytest.mark.parametrize("form", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"])
def test_json_round_trip_keeps_every_field(form: str) -> None:
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(-1, 2)
    stream = AudioStream.from_block(x, 24000, format=form, metadata={"key": [1, "two"]}, timestamp=(0.5, 2.0))
    again = AudioStream.model_validate_json(stream.model_dump_json())
    assert again == stream
    assert np.abs(again.to_block() - x).max() <= (1 / 128 if form == "pcm_u8" else 1 / 32768)


def test_duration_counts_frames_not_samples() -> None:
    assert AudioStream(data=bytes(44100 * 4), channels=2).duration_seconds() == 1.0


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": 44100.5}, "sample_rate"),
        ({"channels": 0}, "channels"),
        ({"sample_width": 4}, "sample_width"),
        ({"sample_width": 2.5}, "sample_width"),
        ({"format": "mp3"}, "format"),
        ({"format": "pcm_s24le", "data": bytes(4)}, "data"),
        ({"data": "no base64"}, "data"),
        ({"data": 3}, "data"),
        ({"data": [1, 2]}, "data"),
        ({"channels": 9}, "channels"),
        ({"channels": True}, "channels"),
        ({"channels": 2, "data": bytes(2)}, "data"),
        ({"type": "audio"}, "type"),
        ({"timestamp": (0.0,)}, "timestamp"),
        ({"timestamp": (0.0, 1.0, 2.0)}, "timestamp"),
        ({"timestamp": (0.0, float("inf"))}, "timestamp"),
        ({"timestamp": (0.0, AudioStream().duration_seconds)}, "timestamp"),
        ({"metadata": [1]}, "metadata"),
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


def test_width_follows_the_format_unless_said() -> None:
    assert [AudioStream(format=form).sample_width for form in ("pcm_u8", "pcm_s24le", "pcm_f32le")] == [1, 3, 4]
    assert AudioStream(format="pcm_f32le", sample_width=4).replaced(format="pcm_s16le").sample_width == 2
    assert AudioStream.model_validate_json('{"format": "pcm_s32le", "data": "AAAAAA=="}').frames == 1


def test_no_metadata_is_empty_metadata() -> None:
    assert AudioStream(metadata=None).metadata == {}


def test_any_kind_of_bytes_is_taken() -> None:
    kinds = (b"ab", bytearray(b"ab"), memoryview(b"ab"), "YWI=")
    assert {AudioStream(data=data).data for data in kinds} == {b"ab"}


def test_stream_is_frozen_and_its_copy_is_checked() -> None:
    stream = AudioStream(data=bytes(4), metadata={"a": 1})
    with pytest.raises(ValidationError, match="frozen"):
        stream.sample_rate = 8000
    assert stream.replaced(sample_rate=8000) == AudioStream(data=bytes(4), metadata={"a": 1}, sample_rate=8000)
    with pytest.raises(ValidationError, match="timestamp"):
        stream.replaced(timestamp=(1.0, 0.0))


def test_timestamp_may_span_anything_unless_checked() -> None:
    stream = AudioStream(data=bytes(88_200), timestamp=(1.0, 3.0))
    with pytest.raises(FormatError, match=r"timestamp: .* spans 2\.0+ s, the samples last 1\.0+ s"):
        stream.check_timestamp()
    assert stream.check_timestamp(1.0) is stream
    assert AudioStream(data=bytes(88_200), timestamp=(1.0, 2.00001)).check_timestamp()
    assert (stream.timed, AudioStream().timed) == (True, False)


def test_metadata_of_numpy_becomes_plain_in_json() -> None:
    stream = AudioStream(metadata={"level": np.float32(0.5), "peaks": np.arange(3), "at": (1, 2), "none": None})
    again = AudioStream.model_validate_json(stream.model_dump_json())
    assert again.metadata == {"level": 0.5, "peaks": [0, 1, 2], "at": [1, 2], "none": None}


@pytest.mark.parametrize("value", [object(), b"\xff", {"deep": [object()]}, print])
def test_metadata_that_is_no_json_says_so(value: object) -> None:
    stream = AudioStream(metadata={"x": value})
    with pytest.raises(ValueError, match=r"metadata: .*cannot be written as JSON"):
        stream.model_dump_json()
    assert stream.model_dump()["metadata"] == {"x": value}, "in a process it may be anything"


def test_samples_come_by_frame_in_three_types() -> None:
    stream = AudioStream(data=np.array([0, 16384, -32768, 32767], "<i2").tobytes(), channels=2)
    assert stream.samples("int16").tolist() == [[0, 16384], [-32768, 32767]]
    assert stream.samples().tolist() == [[0.0, 0.5], [-1.0, 32767 / 32768]]
    assert stream.samples("float64").dtype == np.float64
    with pytest.raises(FormatError, match="Unsupported dtype"):
        stream.samples("uint8")


def test_block_of_int16_is_taken_as_it_is() -> None:
    x = np.array([[1, -1], [32767, -32768]], np.int16)
    stream = AudioStream.from_block(x, 8000)
    assert (stream.data, stream.channels, stream.timestamp) == (x.tobytes(), 2, (0.0, 2 / 8000))
    with pytest.raises(FormatError, match="format"):
        AudioStream.from_block(x, 8000, format="mp3")
    with pytest.raises(ValidationError, match="sample_rate"):
        AudioStream.from_block(x, 0)


def test_schema_says_that_data_is_base64() -> None:
    for mode in ("validation", "serialization"):
        schema = AudioStream.model_json_schema(mode=mode)
        assert schema["properties"]["data"]["contentEncoding"] == "base64"
        assert schema["additionalProperties"] is False


@pytest.mark.parametrize("field", ["sample_rate", "channels", "sample_width"])
def test_numpy_s_whole_numbers_are_numbers(field: str) -> None:
    stream = AudioStream.model_validate({field: np.uint16(getattr(AudioStream(), field))})
    assert type(getattr(stream, field)) is int
    with pytest.raises(ValidationError, match=field):
        AudioStream.model_validate({field: np.float32(2.0)})
    with pytest.raises(ValidationError, match=field):
        AudioStream.model_validate({field: np.True_})


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"sample_width": 4}, "sample_width"),
        ({"data": bytes(3)}, "data"),
        ({"data": bytes(4), "channels": 3}, "data"),
        ({"timestamp": (1.0, 0.0)}, "timestamp"),
        ({"timestamp": (float("nan"), 0.0)}, "timestamp"),
    ],
)
def test_error_has_the_field_as_its_place(fields: dict[str, object], name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name}: ") as caught:
        AudioStream.model_validate(fields)
    assert [error["loc"] for error in caught.value.errors()] == [(name,)]


def test_equal_streams_have_one_hash() -> None:
    one, same, other = (AudioStream(data=data, metadata={"a": [1]}) for data in (b"ab", b"ab", b"cd"))
    assert {one, same, other} == {one, other}


def test_long_stream_is_shown_by_its_length() -> None:
    stream = AudioStream(data=bytes(10_000_000), metadata={"who": "me"})
    for text in (repr(stream), str(stream)):
        assert "10000000 bytes" in text
        assert "'me'" in text
        assert len(text) < 300
    assert "b'ab'" in repr(AudioStream(data=b"ab"))


def test_metadata_that_no_json_can_hold_is_refused_by_name() -> None:
    circle: dict[str, object] = {}
    circle["again"] = circle
    for metadata in (circle, {"\ud800": 1}):
        with pytest.raises(ValueError, match="metadata: cannot be written as JSON"):
            AudioStream(metadata=metadata).model_dump_json()


def test_block_of_no_rate_or_format_is_refused_by_name() -> None:
    for rate in ("44100", 44_100.5, None):
        with pytest.raises(ValueError, match="sample_rate"):
            AudioStream.from_block(np.zeros((4, 1)), rate)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="format"):
        AudioStream.from_block(np.zeros((4, 1)), 44_100, format=[])
    assert AudioStream.from_block(np.zeros((4, 1)), np.int64(8)).timestamp == (0.0, 0.5)  # type: ignore[arg-type]
