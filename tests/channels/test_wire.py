"""Frames as bytes: golden layout, every message back as it was, and nothing hostile gets further than a typed error."""

import json
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from menura.audio.stream import AudioStream
from menura.channels.wire import FORMATS, HEADER_BYTES, REPLAYED, Kind, decode, encode, encode_message, message_reader
from menura.errors import FormatError, ProtocolError

STREAM = AudioStream(
    data=bytes([1, 2, 3, 4]), sample_rate=48_000, channels=2, timestamp=(1.0, 1.5), metadata={"voice": "tenor"}
)
GOLDEN_AUDIO = (
    "6d43 01 01 00 02 01 00 0807060504030201 0900000000000000"  # magic, version, kind, flags, channels, format, 0
    "80bb0000 11000000 000000000000f03f 000000000000f83f"  # rate, size of metadata, start, end
    "7b22766f696365223a2274656e6f72227d 01020304"
)
GOLDEN = {
    Kind.JSON: "6d43 01 02 00 00 00 00 0100000000000000 0200000000000000 7b2261223a317d",
    Kind.BYTES: "6d43 01 03 00 00 00 00 0100000000000000 0200000000000000 0001ff",
}


class Note(BaseModel):
    text: str
    level: float = 0.0


@dataclass
class Point:
    x: int
    y: int


def test_audio_has_the_documented_layout() -> None:
    frame = encode_message(STREAM, publisher=0x0102030405060708, sequence=9)
    assert frame == bytes.fromhex(GOLDEN_AUDIO)
    assert decode(frame) == (Kind.AUDIO, 0x0102030405060708, 9, 0, STREAM)


def test_other_messages_have_the_documented_layout() -> None:
    assert encode_message({"a": 1}, 1, 2) == bytes.fromhex(GOLDEN[Kind.JSON])
    assert encode_message(b"\x00\x01\xff", 1, 2) == bytes.fromhex(GOLDEN[Kind.BYTES])


def test_control_frames_are_header_and_body() -> None:
    frame = decode(encode(Kind.HELLO, 7, 0, b"abc", REPLAYED))
    assert frame == (Kind.HELLO, 7, 0, REPLAYED, b"abc")
    assert len(encode(Kind.END, 1, 1)) == HEADER_BYTES


def test_every_format_of_a_stream_has_a_code() -> None:
    allowed = AudioStream.model_json_schema()["properties"]["format"]["enum"]
    assert set(allowed) <= set(FORMATS)
    assert len(set(FORMATS.values())) == len(FORMATS)


@given(
    width=st.sampled_from([("pcm_s16le", 2), ("pcm_f32le", 4)]),
    channels=st.integers(1, 8),
    frames=st.integers(0, 50),
    rate=st.integers(1, 768_000),
    start=st.floats(-1e9, 1e9),
    length=st.floats(0, 1e6),
    metadata=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())),
)
def test_streams_come_back_as_they_were(width, channels, frames, rate, start, length, metadata) -> None:
    stream = AudioStream(
        data=bytes(i % 251 for i in range(width[1] * channels * frames)), sample_rate=rate, channels=channels,
        sample_width=width[1], format=width[0], timestamp=(start, start + length), metadata=metadata,
    )  # fmt: skip
    assert decode(encode_message(stream, 2**64 - 1, 2**64 - 1)).body == stream


@pytest.mark.parametrize(
    ("message", "kind"),
    [({"a": [1, None, "é"]}, None), ([1, 2.5], None), ("text", None), (None, None), (b"raw", None), (3, int),
     (Note(text="hm", level=0.5), Note), (Point(1, 2), Point)],
)  # fmt: skip
def test_messages_come_back_as_they_were(message, kind) -> None:
    assert message_reader(kind)(decode(encode_message(message, 1, 1))) == message


def test_a_model_without_a_type_comes_as_plain_values() -> None:
    frame = decode(encode_message(Note(text="hm"), 1, 1))
    assert message_reader()(frame) == {"text": "hm", "level": 0.0}


@pytest.mark.parametrize("message", [object(), {"a": object()}, "\ud800", {"deep": (lambda: 1)}])
def test_what_has_no_json_form_is_refused_before_it_leaves(message) -> None:
    with pytest.raises(FormatError, match="no JSON form"):
        encode_message(message, 1, 1)


def test_metadata_without_json_form_is_refused() -> None:
    with pytest.raises(FormatError, match="metadata has no JSON form"):
        encode_message(STREAM.model_copy(update={"metadata": {"f": object()}}), 1, 1)


def test_a_loop_in_metadata_is_refused() -> None:
    loop: dict = {}
    loop["self"] = loop
    with pytest.raises(FormatError, match="metadata has no JSON form"):
        encode_message(STREAM.model_copy(update={"metadata": loop}), 1, 1)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_a_protocol_error(data) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


@given(st.binary(max_size=120), st.integers(0, 255))
def test_any_bytes_after_our_magic_are_a_frame_or_a_protocol_error(data, kind) -> None:
    with suppress(ProtocolError):
        message_reader(Note)(decode(b"mC\x01" + bytes([kind]) + data))


@given(st.data())
def test_a_damaged_frame_is_a_frame_or_a_protocol_error(data) -> None:
    frame = bytearray(bytes.fromhex(GOLDEN_AUDIO))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))
    with suppress(ProtocolError):
        decode(bytes(frame[:cut]))


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [(2, 2, "version 2"), (3, 99, "number 99"), (6, 77, "unknown sample format"), (5, 0, "channels"),
     (28, 0xFF, "damaged"), (47, 0x7F, "timestamp|damaged")],
)  # fmt: skip
def test_an_error_says_what_is_wrong(at, value, says) -> None:
    frame = bytearray(bytes.fromhex(GOLDEN_AUDIO))
    frame[at] = value
    with pytest.raises(ProtocolError, match=says):
        decode(bytes(frame))


def test_deep_and_wrong_json_is_a_protocol_error() -> None:
    for body in (b"[" * 100_000, b"{", b"\xff", b'{"text": 3}'):
        with pytest.raises(ProtocolError, match="does not fit"):
            message_reader(Note)(decode(encode(Kind.JSON, 1, 1, body)))
    for metadata in (b"[1]", b'"x"', b"[" * 50_000, b"\xff\xff"):
        frame = bytearray(encode_message(STREAM.model_copy(update={"metadata": {}}), 1, 1))
        frame[28:32] = len(metadata).to_bytes(4, "little")
        frame[48:48] = metadata
        with pytest.raises(ProtocolError):
            decode(bytes(frame))


def test_an_error_tells_nothing_of_the_content() -> None:
    body = json.dumps({"text": {"secret": "hunter2"}}).encode()
    with pytest.raises(ProtocolError) as caught:
        message_reader(Note)(decode(encode(Kind.JSON, 1, 1, body)))
    assert "hunter2" not in str(caught.value)
