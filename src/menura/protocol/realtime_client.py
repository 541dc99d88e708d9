"""Events a client sends to a Realtime provider: checked before they leave.

Known fields are checked, others pass: a provider may have more than this knows.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from menura.errors import ProtocolError
from menura.protocol.realtime_audio import APPEND
from menura.protocol.realtime_value import explain

__all__ = ["CLIENT_EVENT_TYPES", "check_client_event"]

Modalities = Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)]
Tokens = Annotated[int, Field(ge=1)] | Literal["inf"]


class _Value(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Pcm(_Value):
    type: Literal["audio/pcm"]
    rate: Literal[24_000] = 24_000


class _G711(_Value):
    type: Literal["audio/pcmu", "audio/pcma"]


_Format = Annotated[_Pcm | _G711, Field(discriminator="type")]


class _ServerVad(_Value):
    type: Literal["server_vad"]
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    prefix_padding_ms: int | None = Field(default=None, ge=0)
    silence_duration_ms: int | None = Field(default=None, ge=0)
    idle_timeout_ms: int | None = Field(default=None, ge=0)
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _SemanticVad(_Value):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _NoiseReduction(_Value):
    type: Literal["near_field", "far_field"] | None = None


class _Transcription(_Value):
    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class _Input(_Value):
    format: _Format | None = None
    noise_reduction: _NoiseReduction | None = None
    transcription: _Transcription | None = None
    turn_detection: Annotated[_ServerVad | _SemanticVad, Field(discriminator="type")] | None = None


class _VoiceReference(_Value):
    id: str


class _Output(_Value):
    format: _Format | None = None
    speed: float | None = Field(default=None, ge=0.25, le=1.5)
    voice: str | _VoiceReference | None = None


class _Audio(_Value):
    input: _Input | None = None
    output: _Output | None = None


class _Conversing(_Value):
    type: Literal["realtime"]
    audio: _Audio | None = None
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    model: str | None = None
    output_modalities: Modalities | None = None
    tools: list[dict[str, Any]] | None = None


class _Transcribing(_Value):
    type: Literal["transcription"]
    audio: _Audio | None = None


class _Answer(_Value):
    audio: _Audio | None = None
    conversation: str | None = None
    input: list[dict[str, Any]] | None = None
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    metadata: dict[str, str] | None = None
    output_modalities: Modalities | None = None
    tools: list[dict[str, Any]] | None = None


class _Item(_Value):
    type: Literal[
        "message",
        "function_call",
        "function_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "item_reference",
    ]
    id: str | None = None


class _Event(_Value):
    event_id: str | None = Field(default=None, max_length=512)


class _SessionUpdate(_Event):
    type: Literal["session.update"]
    session: Annotated[_Conversing | _Transcribing, Field(discriminator="type")]


class _Append(_Event):
    type: Literal["input_audio_buffer.append"]
    audio: str


class _Plain(_Event):
    type: Literal["input_audio_buffer.commit", "input_audio_buffer.clear", "output_audio_buffer.clear"]


class _ItemCreate(_Event):
    type: Literal["conversation.item.create"]
    item: _Item
    previous_item_id: str | None = None


class _ItemReference(_Event):
    type: Literal["conversation.item.delete", "conversation.item.retrieve"]
    item_id: str


class _Truncate(_Event):
    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: int = Field(ge=0)
    audio_end_ms: int = Field(ge=0)


class _ResponseCreate(_Event):
    type: Literal["response.create"]
    response: _Answer | None = None


class _ResponseCancel(_Event):
    type: Literal["response.cancel"]
    response_id: str | None = None


_Known = (
    _Append | _ItemCreate | _ItemReference | _Plain | _ResponseCancel | _ResponseCreate | _SessionUpdate | _Truncate
)
_KNOWN: TypeAdapter[_Known] = TypeAdapter(Annotated[_Known, Field(discriminator="type")])
CLIENT_EVENT_TYPES: frozenset[str] = frozenset(
    name for model in _Known.__args__ for name in model.model_fields["type"].annotation.__args__
)
"""Types that may be sent."""


def check_client_event(event: Mapping[str, Any]) -> None:
    """Check an event before it is sent.

    Args:
        event: In the shape of the API as it is; :func:`~menura.protocol.realtime_beta.to_ga` makes it of older ones.

    Raises:
        ProtocolError: There is no such event, or a field is missing or wrong; the text says which.

    >>> check_client_event({"type": "response.create"})
    >>> check_client_event({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0})
    Traceback (most recent call last):
    menura.errors.ProtocolError: conversation.item.truncate.audio_end_ms: field required
    """
    kind = event.get("type")
    if kind not in CLIENT_EVENT_TYPES:
        raise ProtocolError(f"no client event {str(kind)[:64]!r}: one of {', '.join(sorted(CLIENT_EVENT_TYPES))}")
    if kind == APPEND:
        return  # its audio is checked when it is read
    try:
        _KNOWN.validate_python(dict(event))
    except ValidationError as error:
        raise ProtocolError(explain(error)) from None
