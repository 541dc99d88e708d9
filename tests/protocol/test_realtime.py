import base64
import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import Field, TypeAdapter, ValidationError

from menura.errors import FormatError, ProtocolError
from menura.protocol.realtime_audio import PCM, append_message, decode_audio, wire_format
from menura.protocol.realtime_beta import BETA_NAMES, as_beta, to_ga
from menura.protocol.realtime_client import CLIENT_EVENT_TYPES, check_client_event
from menura.protocol.realtime_server import SERVER_EVENT_TYPES, AudioDelta, ServerEvent, parse_server_event
from tests.protocol.realtime_samples import SAMPLES

SERVER: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])
CLIENT: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeClientEvent, Field(discriminator="type")])


def refused_by_oracle(event: dict[str, Any]) -> bool:
    try:
        SERVER.validate_python(event)
    except ValidationError:
        return True
    return False


def types_of(adapter: TypeAdapter[Any]) -> set[str]:
    schema = adapter.json_schema()
    return set(schema["discriminator"]["mapping"])


def test_every_type_of_the_api_is_known() -> None:
    assert types_of(SERVER) == SERVER_EVENT_TYPES
    assert types_of(CLIENT) == CLIENT_EVENT_TYPES
    assert {sample["type"] for sample in SAMPLES} == SERVER_EVENT_TYPES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["type"])
def test_server_event_is_read_as_it_came(sample: dict[str, Any]) -> None:
    SERVER.validate_python(sample)
    event = parse_server_event(json.dumps(sample))
    assert type(event) is not ServerEvent
    assert event.to_dict() == sample
    assert event["type"] == event.type == sample["type"]
    assert event.get("nothing", 3) == 3
    with pytest.raises(KeyError):
        event["nothing"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["type"])
def test_server_event_is_refused_only_where_the_api_types_refuse_it(sample: dict[str, Any]) -> None:
    refused = 0
    for name in sample.keys() - {"type"}:
        without = {key: value for key, value in sample.items() if key != name}
        for event in (without, without if name == "event_id" else sample | {name: [{}]}):
            try:
                parse_server_event(json.dumps(event))
            except ProtocolError as error:
                refused += 1
                assert refused_by_oracle(event), error
    assert refused or sample.keys() == {"type", "event_id"}


@pytest.mark.parametrize(
    "message",
    ["", "x", "[]", "{}", "null", '{"type":1}', '{"type":null}', b"\xff\xfe", "\ud800", '{"type":"error"}', "{" * 9999],
)
def test_garbage_is_a_protocol_error(message: str | bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed event"):
        parse_server_event(message)


def test_unknown_event_is_given_as_it_is() -> None:
    event = parse_server_event(b'{"type": "response.new_thing", "get": {"a": 1}}')
    assert type(event) is ServerEvent
    assert event["get"] == {"a": 1}


@given(st.binary(max_size=300))
def test_audio_delta_tells_its_size_without_decoding(audio: bytes) -> None:
    fields = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    event = parse_server_event(
        json.dumps({"type": "response.output_audio.delta", "delta": base64.b64encode(audio).decode()} | fields)
    )
    assert isinstance(event, AudioDelta)
    assert event.size == len(audio)
    assert event.audio == audio


def test_audio_that_is_no_base64_is_a_protocol_error() -> None:
    fields = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    event = parse_server_event(json.dumps({"type": "response.output_audio.delta", "delta": "*&%"} | fields))
    assert isinstance(event, AudioDelta)
    with pytest.raises(ProtocolError, match="base64"):
        _ = event.audio


SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "output_modalities": ["audio"],
    "instructions": "…",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "noise_reduction": {"type": "near_field"},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "create_response": True,
            },
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0},
    },
    "max_output_tokens": "inf",
    "truncation": "auto",
}
CLIENT_EVENTS: list[dict[str, Any]] = [
    {"type": "session.update", "event_id": "c1", "session": SESSION},
    {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}}},
    {
        "type": "session.update",
        "session": {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcma"}}}},
    },
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "output_audio_buffer.clear"},
    {"type": "response.create"},
    {
        "type": "response.create",
        "response": {"output_modalities": ["audio"], "conversation": "auto", "metadata": {"k": "v"}},
    },
    {"type": "response.cancel", "response_id": "r"},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1480},
    {"type": "conversation.item.delete", "item_id": "i"},
    {"type": "conversation.item.retrieve", "item_id": "i"},
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    },
]


@pytest.mark.parametrize("event", CLIENT_EVENTS, ids=lambda event: event["type"])
def test_present_shape_is_sent_untouched(event: dict[str, Any]) -> None:
    CLIENT.validate_python(event)
    before = json.dumps(event)
    out, remarks = to_ga(event)
    check_client_event(out)
    assert (out, remarks, json.dumps(event)) == (event, [], before)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"type": "nonsense"}, "no client event 'nonsense'"),
        ({}, "no client event"),
        ({"type": "session.update"}, "session.update.session: field required"),
        (
            {"type": "session.update", "session": SESSION | {"output_modalities": ["audio", "text"]}},
            "output_modalities",
        ),
        (
            {
                "type": "session.update",
                "session": SESSION | {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            },
            "rate",
        ),
        (
            {"type": "session.update", "session": SESSION | {"audio": {"input": {"turn_detection": {"type": "x"}}}}},
            "turn_detection",
        ),
        ({"type": "session.update", "session": SESSION | {"audio": {"output": {"speed": 3.0}}}}, "speed"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
            "audio_end_ms",
        ),
        ({"type": "conversation.item.create", "item": {"type": "x"}}, "item.type"),
        ({"type": "response.cancel", "response_id": 3}, "response_id"),
    ],
)
def test_malformed_client_event_is_refused_with_its_place(event: dict[str, Any], told: str) -> None:
    with pytest.raises(ProtocolError, match=told):
        check_client_event(to_ga(event)[0])


BETA = {
    "modalities": ["text", "audio"],
    "instructions": "Be brief.",
    "voice": "alloy",
    "input_audio_format": "pcm16",
    "output_audio_format": "g711_ulaw",
    "input_audio_transcription": {"model": "whisper-1"},
    "input_audio_noise_reduction": None,
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "temperature": 0.8,
    "speed": 1.1,
    "max_response_output_tokens": "inf",
}


def test_beta_session_is_translated() -> None:
    event = {"type": "session.update", "session": BETA}
    before = json.dumps(event)
    out, remarks = to_ga(event)
    CLIENT.validate_python(out)
    check_client_event(out)
    assert json.dumps(event) == before
    assert remarks == ["temperature is not a setting any more and was left out"]
    assert out["session"] == {
        "type": "realtime",
        "instructions": "Be brief.",
        "tools": BETA["tools"],
        "tool_choice": "auto",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "whisper-1"},
                "noise_reduction": None,
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
            },
            "output": {"voice": "alloy", "format": {"type": "audio/pcmu"}, "speed": 1.1},
        },
    }


def test_present_shape_wins_over_beta() -> None:
    session = {"type": "realtime", "voice": "alloy", "audio": {"output": {"voice": "marin"}}, "modalities": ["text"]}
    out, remarks = to_ga({"type": "session.update", "session": session})
    assert out["session"] == {
        "type": "realtime",
        "audio": {"output": {"voice": "marin"}},
        "output_modalities": ["text"],
    }
    assert remarks == ["voice was left out: audio.output.voice says the same"]
    assert session["audio"] == {"output": {"voice": "marin"}}


def test_beta_response_and_items_are_translated() -> None:
    response = {"modalities": ["text"], "voice": "alloy", "output_audio_format": "g711_alaw", "temperature": 1.0}
    out, remarks = to_ga({"type": "response.create", "response": response})
    CLIENT.validate_python(out)
    assert out["response"] == {
        "output_modalities": ["text"],
        "audio": {"output": {"voice": "alloy", "format": {"type": "audio/pcma"}}},
    }
    assert len(remarks) == 1
    said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}]}
    out, _ = to_ga({"type": "conversation.item.create", "item": said})
    CLIENT.validate_python(out)
    assert out["item"]["content"] == [{"type": "output_text", "text": "hi"}]


def test_unknown_audio_format_is_refused() -> None:
    with pytest.raises(ProtocolError, match="one of pcm16"):
        to_ga({"type": "session.update", "session": {"input_audio_format": "mp3"}})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["type"])
def test_server_event_is_given_under_its_beta_name(sample: dict[str, Any]) -> None:
    event = as_beta(parse_server_event(json.dumps(sample)))
    if sample["type"] in BETA_NAMES:
        assert event is not None
        assert event.to_dict() == sample | {"type": BETA_NAMES[sample["type"]]}
    else:
        assert event is None


@given(st.binary(max_size=20_000).map(lambda data: data[: len(data) // 2 * 2]))
def test_audio_goes_out_in_short_events_and_nothing_is_lost(audio: bytes) -> None:
    parts = list(PCM.cut(audio))
    assert b"".join(parts) == audio
    assert all(0 < PCM.ms_of(len(part)) <= 100 for part in parts)
    for part in parts:
        message = json.loads(append_message(part))
        CLIENT.validate_python(message)
        assert decode_audio(message["audio"]) == part


def test_audio_that_cannot_be_is_refused() -> None:
    with pytest.raises(FormatError, match="3 bytes"):
        PCM.cut(b"abc")
    for bad in (None, 3, "***", "AAA", b"AAAA", "A" * (15 * 1024 * 1024 + 4)):
        with pytest.raises(ProtocolError):
            decode_audio(bad)


def test_format_is_read_from_either_end() -> None:
    assert wire_format(SESSION, "output").type == "audio/pcmu"  # type: ignore[union-attr]
    assert wire_format(SESSION, "input") == PCM
    assert wire_format({"audio": None}, "input") is None
    assert wire_format({"audio": {"input": {"format": {"type": ["x"]}}}}, "input") is None
