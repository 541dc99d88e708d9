"""Events a Realtime provider sends, as typed values.

Types and fields are those of the API as it is generally available; what it calls optional, and what compatible servers
leave out and nothing here needs, is optional here.
"""

import binascii
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from menura.errors import ProtocolError
from menura.protocol.realtime_value import RealtimeValue, explain

__all__ = [
    "SERVER_EVENT_TYPES",
    "AudioDelta",
    "ErrorEvent",
    "ErrorInfo",
    "ItemEvent",
    "ResponseEvent",
    "ServerEvent",
    "SessionEvent",
    "SpeechStarted",
    "SpeechStopped",
    "parse_server_event",
]


class ServerEvent(RealtimeValue):
    """Any event; a type that is not known yet is given as this.

    Attributes:
        type: Its name.
        event_id: The provider's id of it.
    """

    type: str
    event_id: str | None = None


class ErrorInfo(RealtimeValue):
    """What a provider says went wrong.

    Attributes:
        event_id: Of the client's event that caused it.
    """

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


class ErrorEvent(ServerEvent):
    """Something was refused, or failed."""

    type: Literal["error"]
    error: ErrorInfo


class SessionEvent(ServerEvent):
    """The session, as it is now."""

    type: Literal["session.created", "session.updated"]
    session: dict[str, Any]


class ConversationCreated(ServerEvent):
    """The conversation exists."""

    type: Literal["conversation.created"]
    conversation: dict[str, Any]


class Item(RealtimeValue):
    """An item of the conversation: a message, a call of a function, its output."""

    type: str
    id: str | None = None


class ItemEvent(ServerEvent):
    """An item entered the conversation, is complete, or was asked for."""

    type: Literal[
        "conversation.item.added", "conversation.item.created", "conversation.item.done", "conversation.item.retrieved"
    ]
    item: Item
    previous_item_id: str | None = None


class ItemReference(ServerEvent):
    """Something about an item."""

    type: Literal[
        "conversation.item.deleted", "mcp_list_tools.in_progress", "mcp_list_tools.completed", "mcp_list_tools.failed"
    ]
    item_id: str


class ItemTruncated(ServerEvent):
    """An item ends now where the listener stopped hearing it."""

    type: Literal["conversation.item.truncated"]
    item_id: str
    content_index: int
    audio_end_ms: int


class TranscriptionDelta(ServerEvent):
    """More of what the user said."""

    type: Literal["conversation.item.input_audio_transcription.delta"]
    item_id: str
    content_index: int | None = None
    delta: str | None = None


class TranscriptionCompleted(ServerEvent):
    """What the user said."""

    type: Literal["conversation.item.input_audio_transcription.completed"]
    item_id: str
    content_index: int | None = None
    transcript: str


class TranscriptionSegment(ServerEvent):
    """A part of what was said, with its times."""

    type: Literal["conversation.item.input_audio_transcription.segment"]
    item_id: str
    content_index: int
    id: str
    text: str
    speaker: str
    start: float
    end: float


class TranscriptionFailed(ServerEvent):
    """What the user said could not be written down."""

    type: Literal["conversation.item.input_audio_transcription.failed"]
    item_id: str
    content_index: int | None = None
    error: ErrorInfo


class BufferCommitted(ServerEvent):
    """The input so far is an item now."""

    type: Literal["input_audio_buffer.committed"]
    item_id: str
    previous_item_id: str | None = None


class BufferCleared(ServerEvent):
    """The input so far was thrown away."""

    type: Literal["input_audio_buffer.cleared"]


class SpeechStarted(ServerEvent):
    """The user speaks, ``audio_start_ms`` into the audio sent, padding before the first sound included."""

    type: Literal["input_audio_buffer.speech_started"]
    item_id: str
    audio_start_ms: int


class SpeechStopped(ServerEvent):
    """The user stopped, ``audio_end_ms`` into the audio sent."""

    type: Literal["input_audio_buffer.speech_stopped"]
    item_id: str
    audio_end_ms: int


class InputTimeout(ServerEvent):
    """The user has said nothing for a while."""

    type: Literal["input_audio_buffer.timeout_triggered"]
    item_id: str
    audio_start_ms: int
    audio_end_ms: int


class DtmfReceived(ServerEvent):
    """A key of a telephone was pressed."""

    type: Literal["input_audio_buffer.dtmf_event_received"]
    event: str
    received_at: int


class RateLimit(RealtimeValue):
    """One limit of the account."""

    name: str | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class RateLimits(ServerEvent):
    """What is left of the account's limits."""

    type: Literal["rate_limits.updated"]
    rate_limits: list[RateLimit]


class StatusDetails(RealtimeValue):
    """Why a response ended."""

    type: str | None = None
    reason: str | None = None
    error: ErrorInfo | None = None


class Response(RealtimeValue):
    """A response, as far as it is."""

    id: str | None = None
    status: str | None = None
    status_details: StatusDetails | None = None
    output: list[dict[str, Any]] | None = None
    usage: dict[str, Any] | None = None


class ResponseEvent(ServerEvent):
    """A response began or ended."""

    type: Literal["response.created", "response.done"]
    response: Response


class OutputItem(ServerEvent):
    """A response has another item, or it is complete."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    response_id: str
    output_index: int
    item: Item


class _Output(ServerEvent):
    item_id: str
    output_index: int


class _Part(_Output):
    response_id: str
    content_index: int


class ContentPart(_Part):
    """An item has another part, or it is complete."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    part: dict[str, Any]


class AudioDelta(_Part):
    """More audio of a response.

    Attributes:
        delta: Base64.
    """

    type: Literal["response.output_audio.delta"]
    delta: str

    @property
    def size(self) -> int:
        """Bytes of audio, without decoding it."""
        padding = 0 if not self.delta.endswith("=") else 2 if self.delta.endswith("==") else 1
        return max(0, len(self.delta) * 3 // 4 - padding)

    @property
    def audio(self) -> bytes:
        """The audio, in the session's output format.

        Raises:
            ProtocolError: It is no base64.
        """
        try:
            return binascii.a2b_base64(self.delta, strict_mode=True)
        except ValueError as error:
            raise ProtocolError(f"{self.type}: delta is not base64") from error


class AudioDone(_Part):
    """No more audio of this part."""

    type: Literal["response.output_audio.done"]


class TextDelta(_Part):
    """More of what a response says."""

    type: Literal["response.output_text.delta", "response.output_audio_transcript.delta"]
    delta: str


class TextDone(_Part):
    """All the text of a part."""

    type: Literal["response.output_text.done"]
    text: str


class TranscriptDone(_Part):
    """All that the audio of a part says."""

    type: Literal["response.output_audio_transcript.done"]
    transcript: str


class ArgumentsDelta(_Output):
    """More of a call's arguments."""

    type: Literal["response.function_call_arguments.delta", "response.mcp_call_arguments.delta"]
    response_id: str
    delta: str


class ArgumentsDone(_Output):
    """All of a call's arguments, as JSON text."""

    type: Literal["response.function_call_arguments.done", "response.mcp_call_arguments.done"]
    response_id: str
    arguments: str


class McpCall(_Output):
    """How a call of a remote tool goes."""

    type: Literal["response.mcp_call.in_progress", "response.mcp_call.completed", "response.mcp_call.failed"]


class OutputBuffer(ServerEvent):
    """The provider itself plays a response, has played it, or stopped (WebRTC and SIP)."""

    type: Literal["output_audio_buffer.started", "output_audio_buffer.stopped", "output_audio_buffer.cleared"]
    response_id: str


_Known = (
    AudioDelta
    | ArgumentsDelta
    | ArgumentsDone
    | AudioDone
    | BufferCleared
    | BufferCommitted
    | ContentPart
    | ConversationCreated
    | DtmfReceived
    | ErrorEvent
    | InputTimeout
    | ItemEvent
    | ItemReference
    | ItemTruncated
    | McpCall
    | OutputBuffer
    | OutputItem
    | RateLimits
    | ResponseEvent
    | SessionEvent
    | SpeechStarted
    | SpeechStopped
    | TextDelta
    | TextDone
    | TranscriptDone
    | TranscriptionCompleted
    | TranscriptionDelta
    | TranscriptionFailed
    | TranscriptionSegment
)
_KNOWN: TypeAdapter[_Known] = TypeAdapter(Annotated[_Known, Field(discriminator="type")])
SERVER_EVENT_TYPES: frozenset[str] = frozenset(
    name for model in _Known.__args__ for name in model.model_fields["type"].annotation.__args__
)
"""Types that are checked field by field."""


def parse_server_event(message: str | bytes) -> ServerEvent:
    """Read an event.

    Args:
        message: As it came from the socket; a binary message must be JSON as well.

    Returns:
        The event, of its own class; a :class:`ServerEvent` if the type is not known.

    Raises:
        ProtocolError: It is no JSON object with a ``type``, or a field is missing or of the wrong type.

    >>> parse_server_event('{"type": "response.output_audio.delta", "response_id": "r", "item_id": "i",'
    ...     ' "output_index": 0, "content_index": 0, "delta": "AAAA"}').size
    3
    >>> parse_server_event('{"type": "new.event", "x": 1}')["x"]
    1
    """
    try:
        return _KNOWN.validate_json(message)
    except ValidationError as error:
        kind = error.errors(include_url=False, include_input=False)[0]["type"]
        if kind != "union_tag_invalid":
            raise ProtocolError(f"malformed event: {explain(error)}") from None
    except ValueError:  # a lone surrogate cannot be encoded
        raise ProtocolError("malformed event: no valid text") from None
    try:
        return ServerEvent.model_validate_json(message)
    except ValidationError as error:
        raise ProtocolError(f"malformed event: {explain(error)}") from None
