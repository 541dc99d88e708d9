"""Messages of ``/ws/realtime-control``.

Actions go from client to server, replies back. Names and shapes are those of the protocol's document; what menura adds
(``audio`` of ``start``, ``setParameters``, ``code`` and ``reason`` of errors, ``details`` of a status) leaves them as
they are.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from menura.audio.format import MAX_RATE, MIN_RATE, AudioFormat
from menura.errors import MenuraError, ProtocolError, RateLimitError

__all__ = [
    "MAX_AUDIO_BYTES",
    "MAX_TEXT_BYTES",
    "Action",
    "ClientAudio",
    "GetStatus",
    "GetVoices",
    "SelectVoice",
    "SetParameters",
    "Start",
    "Stop",
    "VoiceInfo",
    "connected",
    "error_reply",
    "parameters_set",
    "parse_action",
    "status_reply",
    "voice_selected",
    "voices_reply",
]

MAX_TEXT_BYTES = 64 * 1024
"""Longest text message."""
MAX_AUDIO_BYTES = 64 * 1024
"""Longest binary message."""

Reply = dict[str, Any]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class VoiceInfo(_Message):
    """A voice, as a client sees it."""

    id: str
    name: str
    category: str
    description: str


class ClientAudio(_Message):
    """Audio that the client sends and receives in binary messages, mono."""

    source: Literal["client"]
    sample_rate: int = Field(default=48_000, ge=MIN_RATE, le=MAX_RATE)
    format: Annotated[AudioFormat, Field(strict=False)] = AudioFormat.PCM16


class GetVoices(_Message):
    """Ask for the voices."""

    action: Literal["getVoices"]


class SelectVoice(_Message):
    """Choose a voice, before or while processing."""

    action: Literal["selectVoice"]
    voice_id: str = Field(alias="voiceId", min_length=1, max_length=128)


class Start(_Message):
    """Begin: with the client's audio, or with the server machine's devices when ``audio`` is missing."""

    action: Literal["start"]
    audio: ClientAudio | None = None


class Stop(_Message):
    """End; what is still held comes first."""

    action: Literal["stop"]


class GetStatus(_Message):
    """Ask for levels and latency."""

    action: Literal["getStatus"]


class SetParameters(_Message):
    """Turn the voice's settings."""

    action: Literal["setParameters"]
    parameters: dict[str, float] = Field(max_length=16)


Action = GetVoices | SelectVoice | Start | Stop | GetStatus | SetParameters
_ACTIONS: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])
NAMES = ("getVoices", "selectVoice", "start", "stop", "getStatus", "setParameters")


def parse_action(text: str) -> Action:
    """Read an action.

    Raises:
        ProtocolError: It is too long, no JSON object, or no action there is; the text says what is wrong.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise ProtocolError(f"Message too large: at most {MAX_TEXT_BYTES} bytes")
    try:
        return _ACTIONS.validate_json(text)
    except ValidationError as error:
        raise ProtocolError(_explain(error)) from error
    except ValueError as error:  # a lone surrogate cannot be encoded
        raise ProtocolError("Invalid JSON") from error


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=True)[0]
    kind, where = first["type"], [str(part) for part in first["loc"]]
    if kind == "json_invalid":
        return "Invalid JSON"
    if kind == "union_tag_not_found":
        return f"Missing action: one of {', '.join(NAMES)}"
    if kind == "union_tag_invalid":
        return f"Unknown action: {first['ctx']['tag'][:64]}"
    if not where:
        return "A message must be a JSON object"
    path = ".".join(where[1:]) or where[0]
    return f"Invalid {path}: {first['msg'][0].lower()}{first['msg'][1:]}"


def connected() -> Reply:
    """The greeting."""
    return {"type": "connected"}


def voices_reply(voices: list[VoiceInfo]) -> Reply:
    """All voices."""
    return {"type": "voices", "voices": [voice.model_dump() for voice in voices]}


def voice_selected(voice: VoiceInfo) -> Reply:
    """The voice now selected."""
    return {"type": "voiceSelected", "voice": voice.model_dump(include={"id", "name", "category"})}


def parameters_set(parameters: Mapping[str, float]) -> Reply:
    """All parameters as they are now."""
    return {"type": "parametersSet", "parameters": dict(parameters)}


def status_reply(status: Mapping[str, Any], details: Mapping[str, Any]) -> Reply:
    """The document's five figures, and beside them what they are made of."""
    return {"type": "status", "status": dict(status), "details": dict(details)}


_FIXED_TEXT = {
    "device_unavailable": "Audio device not available",
    "model_loading_failed": "Model loading failed",
    "model_unsafe": "Model loading failed",
    "model_damaged": "Model loading failed",
    "model_unsupported": "Model loading failed",
}
"""Codes whose text the document fixes; the error's own words become its ``reason``."""


def error_reply(error: MenuraError) -> Reply:
    """An error, with its stable code."""
    text = str(error)
    fixed = _FIXED_TEXT.get(error.code)
    reply: Reply = {"type": "error", "error": fixed or text, "code": error.code}
    if fixed and text != fixed:
        reply["reason"] = text.removeprefix(fixed).lstrip(": ")
    if isinstance(error, RateLimitError):
        reply["retry_after_ms"] = error.retry_after_ms
    return reply
