"""What passes a relay, and in which words: lists of what is allowed, both ways.

Actions of a client are those of the control protocol's style, ``{"action": …}``; events for the provider are those of
its own API, ``{"type": …}``.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from menura.client.target import Redactor
from menura.errors import ProtocolError
from menura.protocol.messages import MAX_TEXT_BYTES, ClientAudio, GetStatus, GetVoices, Stop
from menura.protocol.realtime_beta import to_ga
from menura.protocol.realtime_server import SERVER_EVENT_TYPES, ServerEvent
from menura.protocol.realtime_value import explain

__all__ = [
    "ChangeVoice",
    "Interrupt",
    "Played",
    "RelayAction",
    "RelayStart",
    "TurnVoice",
    "clean_client_event",
    "client_view",
    "parse_text",
]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class RelayStart(_Message):
    """Begin a conversation.

    Attributes:
        audio: Of the client's binary messages, both ways.
        voice_up: Id of the voice in which the provider hears the client.
        voice_down: Id of the voice in which the client hears the provider.
        session: Settings, as of ``session.update``.
    """

    action: Literal["start"]
    audio: ClientAudio = ClientAudio(source="client", sample_rate=24_000)
    voice_up: str | None = Field(default=None, alias="voiceUp", max_length=128)
    voice_down: str | None = Field(default=None, alias="voiceDown", max_length=128)
    session: dict[str, Any] | None = None


class Played(_Message):
    """What the client has played of an answer."""

    action: Literal["played"]
    ms: float = Field(ge=0.0, allow_inf_nan=False)
    item_id: str = Field(alias="itemId", max_length=512)


class Interrupt(_Message):
    """The person at the client wants the answer to stop."""

    action: Literal["interrupt"]


class ChangeVoice(_Message):
    """Have other voices from now on; what is not named stays.

    Attributes:
        voice_up: Id of the voice in which the provider hears the client; None for none.
        voice_down: Id of the voice in which the client hears the provider; None for none.
    """

    action: Literal["changeVoice"]
    voice_up: str | None = Field(default=None, alias="voiceUp", max_length=128)
    voice_down: str | None = Field(default=None, alias="voiceDown", max_length=128)


class TurnVoice(_Message):
    """Turn the settings of a voice."""

    action: Literal["setParameters"]
    direction: Literal["up", "down"]
    parameters: dict[str, float] = Field(max_length=16)


RelayAction = RelayStart | Played | Interrupt | Stop | GetStatus | GetVoices | ChangeVoice | TurnVoice
_ACTIONS: TypeAdapter[RelayAction] = TypeAdapter(Annotated[RelayAction, Field(discriminator="action")])


def parse_text(text: str) -> RelayAction | dict[str, Any]:
    """Read a client's text: an action, or an event for the provider as a dict.

    Raises:
        ProtocolError: It is neither, or too long.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise ProtocolError(f"Message too large: at most {MAX_TEXT_BYTES} bytes")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("Invalid JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError("A message must be a JSON object")
    if "action" not in message and isinstance(message.get("type"), str):
        return message
    try:
        return _ACTIONS.validate_python(message)
    except ValidationError as error:
        raise ProtocolError(f"Invalid message: {explain(error)}") from None


# --- up

_PLAIN = {"type", "event_id"}
_FIELDS: Mapping[str, set[str]] = {
    "session.update": _PLAIN | {"session"},
    "response.create": _PLAIN | {"response"},
    "response.cancel": _PLAIN | {"response_id"},
    "input_audio_buffer.commit": _PLAIN,
    "input_audio_buffer.clear": _PLAIN,
    "conversation.item.create": _PLAIN | {"item", "previous_item_id"},
    "conversation.item.delete": _PLAIN | {"item_id"},
    "conversation.item.retrieve": _PLAIN | {"item_id"},
    "conversation.item.truncate": _PLAIN | {"item_id", "content_index", "audio_end_ms"},
}
_ITEMS = {"message", "function_call", "function_call_output", "item_reference"}
_BOTH = {
    "instructions",
    "max_output_tokens",
    "output_modalities",
    "parallel_tool_calls",
    "reasoning",
    "tool_choice",
    "tools",
}
_ANSWER = _BOTH | {"conversation", "metadata"}
_SESSION = _BOTH | {"audio", "include", "truncation"}
_AUDIO: Mapping[str, set[str]] = {
    "input": {"noise_reduction", "transcription", "turn_detection"},
    "output": {"speed", "voice"},
}
_PARTS: Mapping[str, set[str]] = {
    "noise_reduction": {"type"},
    "transcription": {"language", "model", "prompt"},
    "turn_detection": {
        "create_response",
        "eagerness",
        "idle_timeout_ms",
        "interrupt_response",
        "prefix_padding_ms",
        "silence_duration_ms",
        "threshold",
        "type",
    },
    "voice": {"id"},
}
"""Of those that are objects. Settings are merged: names that nobody knows would pile up."""
_OURS = {"format", "type"}
"""What the relay itself decides: left out, whatever a client says."""


def clean_client_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """A client's event as the provider may get it: in today's shape, without what is the operator's.

    Audio formats are left out, as the relay converts. Addresses, keys, the model and tools that the provider would
    fetch from elsewhere are refused.

    Raises:
        ProtocolError: It, or a part of it, is not for clients; the text says which.

    >>> clean_client_event({"type": "session.update", "session": {"voice": "marin", "output_audio_format": "pcm16"}})
    {'type': 'session.update', 'session': {'type': 'realtime', 'audio': {'output': {'voice': 'marin'}}}}
    """
    kind = event.get("type")
    allowed = _FIELDS.get(kind) if isinstance(kind, str) else None
    if allowed is None:
        raise ProtocolError(f"{str(kind)[:64]!r} does not pass the relay: one of {', '.join(_FIELDS)}")
    out = _only(to_ga(event)[0], allowed, str(kind))
    if kind == "session.update":
        out["session"] = clean_session(out.get("session"))
    elif kind == "response.create" and out.get("response") is not None:
        answer = _only(_mapping(out["response"], "response"), _ANSWER | {"audio", "input"}, "response")
        out["response"] = _without_remote_tools(_clean_audio(answer))
        for item in answer.get("input") or ():
            _check_item(item)
    elif kind == "conversation.item.create":
        _check_item(out.get("item"))
    return out


def clean_session(session: object) -> dict[str, Any]:
    """Settings of ``session.update`` that a client may choose.

    Raises:
        ProtocolError: There are others.
    """
    chosen = _only(_mapping(session, "session"), _SESSION | _OURS, "session")
    chosen = {name: value for name, value in chosen.items() if name not in _OURS}
    return {"type": "realtime"} | _without_remote_tools(_clean_audio(chosen))


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ProtocolError(f"{where}: must be a JSON object")
    return value


def _only(value: Mapping[str, Any], names: set[str], where: str) -> dict[str, Any]:
    for name in value:
        if name not in names:
            raise ProtocolError(f"{where}.{str(name)[:64]}: not for clients of the relay")
    return dict(value)


def _clean_audio(settings: dict[str, Any]) -> dict[str, Any]:
    if settings.get("audio") is None:
        return {name: value for name, value in settings.items() if name != "audio"}
    audio = _only(_mapping(settings["audio"], "audio"), set(_AUDIO), "audio")
    for side, names in audio.items():
        chosen = _only(_mapping(names, f"audio.{side}"), _AUDIO[side] | _OURS, f"audio.{side}")
        audio[side] = {name: _part(name, value) for name, value in chosen.items() if name not in _OURS}
    return settings | {"audio": audio}


def _part(name: str, value: Any) -> Any:
    return _only(value, _PARTS[name], name) if name in _PARTS and isinstance(value, Mapping) else value


def _without_remote_tools(settings: dict[str, Any]) -> dict[str, Any]:
    for tool in settings.get("tools") or ():
        if not isinstance(tool, Mapping) or tool.get("type") != "function":
            raise ProtocolError("tools: only functions are for clients of the relay")
    return settings


def _check_item(item: object) -> None:
    kind = _mapping(item, "item").get("type")
    if not isinstance(kind, str) or kind not in _ITEMS:
        raise ProtocolError(f"item.type: {str(kind)[:64]!r} is not for clients of the relay")


# --- down

_HIDDEN = frozenset({"response.output_audio.delta", "rate_limits.updated", "conversation.created"})
_SHOWN = frozenset(name for name in SERVER_EVENT_TYPES - _HIDDEN if "mcp" not in name)
_SHOWN_SESSION = ("id", "object", "type", "output_modalities", "max_output_tokens", "audio")
_UNSHOWN_CODES = frozenset({"response_cancel_not_active"})
"""What a barge-in causes that comes as an answer ends by itself."""
_USER_FAULTS = "invalid_request_error"


def client_view(event: ServerEvent, redact: Redactor) -> dict[str, Any] | None:
    """A provider's event as a client may see it; None if it may not.

    Of a session's settings it sees audio and modalities: not the operator's instructions, tools or secrets. An error
    that its own request did not cause has no text.
    """
    if event.type not in _SHOWN:
        return None
    out = event.to_dict()
    if event.type.startswith("session."):
        out["session"] = {name: out["session"][name] for name in _SHOWN_SESSION if name in out["session"]}
    elif event.type in ("response.created", "response.done"):
        out["response"] = _clean_response(out["response"])
    elif event.type == "error":
        error = out["error"]
        if error.get("code") in _UNSHOWN_CODES:
            return None
        out["error"] = _clean_error(error)
    cleaned: dict[str, Any] = _redacted(out, redact)
    return cleaned


def _clean_error(error: Mapping[str, Any]) -> dict[str, Any]:
    names = ["type", "code", "event_id"]
    if error.get("type") == _USER_FAULTS and "key" not in str(error.get("code")):
        names += ["message", "param"]
    return {name: error[name] for name in names if error.get(name) is not None}


def _clean_response(response: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(response)
    details = out.get("status_details")
    if isinstance(details, Mapping) and isinstance(details.get("error"), Mapping):
        out["status_details"] = dict(details) | {"error": _clean_error(details["error"])}
    return out


def _redacted(value: Any, redact: Redactor) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(name)): _redacted(part, redact) for name, part in value.items()}
    if isinstance(value, list):
        return [_redacted(part, redact) for part in value]
    return value
