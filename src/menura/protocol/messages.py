"""Messages of ``/ws/realtime-control``, read and written.

Actions go from client to server (:mod:`menura.protocol.control_actions`), replies back
(:mod:`menura.protocol.control_replies`). Names and shapes of the protocol's document are kept; what menura adds leaves
them as they are.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from menura.errors import MenuraError, ProtocolError, RateLimitError, public_text
from menura.protocol.control_actions import (
    ACTION_MODELS,
    Action,
    ClientAudio,
    ControlAudio,
    GetStatus,
    GetVoices,
    SelectVoice,
    SetParameters,
    Start,
    Stop,
)
from menura.protocol.control_replies import (
    REPLY_MODELS,
    Connected,
    ErrorReply,
    Recording,
    VoiceInfo,
    Voices,
)

__all__ = [
    "ACTION_MODELS",
    "MAX_AUDIO_BYTES",
    "MAX_TEXT_BYTES",
    "REPLY_MODELS",
    "WIRE_MODELS",
    "Action",
    "ClientAudio",
    "ControlAudio",
    "GetStatus",
    "GetVoices",
    "Recording",
    "SelectVoice",
    "SetParameters",
    "Start",
    "Stop",
    "VoiceInfo",
    "connected",
    "error_reply",
    "parse_action",
    "status_reply",
    "voices_reply",
]

MAX_TEXT_BYTES = 64 * 1024
"""Longest text message."""
MAX_AUDIO_BYTES = 64 * 1024
"""Longest binary message."""

WIRE_MODELS: tuple[type[BaseModel], ...] = (*ACTION_MODELS, *REPLY_MODELS)
"""Every message there is, both ways."""
_ACTIONS: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])
NAMES: tuple[str, ...] = tuple(model.model_fields["action"].annotation.__args__[0] for model in ACTION_MODELS)  # type: ignore[union-attr]
"""Of the actions."""


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
    return f"Invalid {path[:128]}: {first['msg'][0].lower()}{first['msg'][1:]}"


def connected() -> dict[str, Any]:
    """The greeting."""
    return Connected().as_dict()


def voices_reply(voices: list[VoiceInfo]) -> dict[str, Any]:
    """All voices."""
    return Voices(voices=voices).as_dict()


def status_reply(status: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """A status of any figures, and beside them what they are made of: the relay has others than the document's five."""
    return {"type": "status", "status": dict(status), "details": dict(details)}


_FIXED_TEXT = {
    "device_unavailable": "Audio device not available",
    "model_loading_failed": "Model loading failed",
    "model_unsafe": "Model loading failed",
    "model_damaged": "Model loading failed",
    "model_unsupported": "Model loading failed",
}
"""Codes whose text the document fixes; the error's own words become its ``reason``."""


def error_reply(error: MenuraError, action: str | None = None) -> dict[str, Any]:
    """An error, with its stable code, and the action that it answers."""
    text = public_text(error)
    fixed = _FIXED_TEXT.get(error.code)
    reason = text.removeprefix(fixed).lstrip(": ") if fixed and text != fixed else None
    retry_after_ms = error.retry_after_ms if isinstance(error, RateLimitError) else None
    reply = ErrorReply(
        error=fixed or text, code=error.code, reason=reason, action=action, retry_after_ms=retry_after_ms
    )
    return reply.as_dict()
