"""What a client of the Realtime API says and is told, in its own words: events checked, named, made whole."""

import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from menura.client.target import Redactor
from menura.errors import ProtocolError
from menura.protocol.realtime_beta import to_ga
from menura.protocol.realtime_client import check_client_event
from menura.protocol.realtime_server import ErrorEvent, ItemEvent, ServerEvent
from menura.server.relay_messages import clean_client_event, client_view

__all__ = [
    "INVALID",
    "SERVER",
    "ClientWords",
    "RefusalError",
    "error_event",
    "new_id",
    "refusal_of",
    "shown_events",
    "whole",
]

INVALID, SERVER = "invalid_request_error", "server_error"
MAX_IDS = 1024
MAX_ID_LENGTH = 512


def new_id(prefix: str) -> str:
    """An id as the API's are: ``event_…``, ``sess_…``."""
    return f"{prefix}_{secrets.token_hex(12)}"


def error_event(
    message: str, code: str | None = None, kind: str = INVALID, param: str | None = None, event_id: str | None = None
) -> dict[str, Any]:
    """The event that tells of an error.

    Args:
        message: For people.
        code: For programs.
        kind: ``invalid_request_error``, or ``server_error`` where the client did nothing wrong.
        param: What of the client's event is wrong.
        event_id: Of that event.
    """
    error = {"message": message, "type": kind, "param": param, "code": code, "event_id": event_id}
    return {"type": "error", "event_id": new_id("event"), "error": error}


# --- refusals


class RefusalError(ProtocolError):
    """A client's event that is not taken.

    Attributes:
        reason: The API's code for it.
        param: What of the event is wrong.
    """

    def __init__(self, text: str, reason: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(text)
        self.reason, self.param = reason, param


_PATH = re.compile(r"[a-z_]+(?:\.[A-Za-z0-9_/]+)*(?=: )")
_TAGS = frozenset({"realtime", "transcription", "server_vad", "semantic_vad", "audio/pcm", "audio/pcmu,audio/pcma"})
"""Names of variants, which stand in the path of a checked value after the field ``type`` chose among."""
_SETTINGS = {"session.update": "session", "response.create": "response"}
_REASONS = (("field required", "missing_required_parameter"), (": not for clients of the relay", "unknown_parameter"))


def refusal_of(error: ProtocolError, kind: object = None) -> RefusalError:
    """What the texts of checks amount to in the API's terms.

    Args:
        error: Of a check.
        kind: Type of the event.

    >>> refusal = refusal_of(ProtocolError("response.cancel.response_id: input should be a string"), "response.cancel")
    >>> refusal.reason, refusal.param
    ('invalid_value', 'response_id')
    """
    if isinstance(error, RefusalError):
        return error
    text = str(error)
    reason = next((reason for words, reason in _REASONS if words in text), "invalid_value")
    found = _PATH.match(text)
    path = found[0] if found else None
    if path is not None and isinstance(kind, str):
        path = path.removeprefix(kind).lstrip(".")
        parts = path.split(".")
        path = ".".join(part for i, part in enumerate(parts) if not (i and part in _TAGS)) or None
        if parts[0] in ("audio", "tools"):  # checked for both kinds of settings
            path = f"{_SETTINGS[kind]}.{path}" if kind in _SETTINGS else path
    return RefusalError(text, reason, path)


# --- from the client


class ClientWords:
    """Names the events of one client so that no two are called the same, and finds its name again in an error.

    Args:
        tools: Whether a client may bring functions of its own.
    """

    def __init__(self, *, tools: bool = True) -> None:
        self._tools = tools
        self._names: OrderedDict[str, str | None] = OrderedDict()

    def take(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """A client's event as the provider may get it, under a name of its own.

        Raises:
            RefusalError: It is malformed, or not for clients.

        >>> words = ClientWords()
        >>> event = words.take({"type": "response.cancel", "event_id": "mine"})
        >>> event["event_id"] == "mine", words.name_of(event["event_id"])
        (False, 'mine')
        """
        kind, name = event.get("type"), event.get("event_id")
        if not isinstance(kind, str):
            raise RefusalError("An event needs a type", "missing_required_parameter", "type")
        if name is not None and not (isinstance(name, str) and len(name) <= MAX_ID_LENGTH):
            raise RefusalError(f"event_id must be a text of at most {MAX_ID_LENGTH} characters", param="event_id")
        try:
            ready = self._clean(to_ga(event)[0])
        except RefusalError:
            raise
        except ProtocolError as error:
            param = None if "does not pass" not in str(error) and "no client event" not in str(error) else "type"
            refusal = refusal_of(error, kind)
            raise RefusalError(str(error), refusal.reason, param or refusal.param) from None
        ready["event_id"] = wire = new_id("event")
        self._names[wire] = name
        while len(self._names) > MAX_IDS:
            self._names.popitem(last=False)
        return ready

    def _clean(self, event: dict[str, Any]) -> dict[str, Any]:
        check_client_event(event)
        session = event.get("session")
        if event["type"] == "session.update" and isinstance(session, Mapping):
            if session.get("type") != "realtime":
                raise RefusalError("session.type: only 'realtime'", param="session.type")
            event = event | {"session": {name: value for name, value in session.items() if name not in _LEFT_OUT}}
        if not self._tools:
            self._refuse_tools(event)
        return clean_client_event(event)

    def _refuse_tools(self, event: Mapping[str, Any]) -> None:
        for name in ("session", "response"):
            part = event.get(name)
            if isinstance(part, Mapping) and part.get("tools"):
                raise RefusalError(f"{name}.tools: not for clients of the relay", "unknown_parameter", f"{name}.tools")

    def known(self, wire: str | None) -> bool:
        """Whether the client said what the provider calls so."""
        return wire in self._names

    def name_of(self, wire: str | None) -> str | None:
        """What the client called it, if it did."""
        return self._names.get(wire) if wire is not None else None


_LEFT_OUT = frozenset({"model", "tracing"})
"""Settings that client libraries send unasked and that are the operator's: passed over, as ``?model=`` is."""

# --- from the provider

_SECRET_CODES = ("key", "auth", "quota", "billing", "account", "organization", "permission", "model_not_found")
_ABOUT_A_CLIENT = "The AI provider refuses this"
_ABOUT_US = "The AI provider reports an error"
_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "conversation.item.input_audio_transcription.delta": {"content_index": 0},
    "conversation.item.input_audio_transcription.completed": {
        "content_index": 0,
        "usage": {"type": "duration", "seconds": 0.0},
    },
    "conversation.item.input_audio_transcription.failed": {"content_index": 0},
    "response.function_call_arguments.delta": {"call_id": ""},
    "response.function_call_arguments.done": {"call_id": "", "name": ""},
}
"""What the API always says and compatible providers may leave out."""


def whole(event: dict[str, Any]) -> dict[str, Any]:
    """An event with all that the API's clients rely on."""
    return {"event_id": new_id("event"), **_FIELDS.get(event["type"], {}), **event}


def shown_error(event: ErrorEvent, words: ClientWords, redact: Redactor) -> dict[str, Any]:
    """A provider's error: in its own words where the client caused it and they are not about the operator's account."""
    error = event.error
    code, kind, wire = error.code, error.type or SERVER, error.event_id
    mine = words.known(wire) or (kind == INVALID and wire is None)
    open_words = mine and not any(secret in f"{code} {kind}".lower() for secret in _SECRET_CODES)
    message = redact(error.message) if open_words else _ABOUT_A_CLIENT if mine else _ABOUT_US
    param = redact(error.param) if open_words and error.param else None
    return error_event(message or _ABOUT_US, code and redact(code), redact(kind), param, words.name_of(wire))


def shown_events(event: ServerEvent, words: ClientWords, redact: Redactor) -> Iterator[dict[str, Any]]:
    """A provider's event as a client of the API gets it: as none, one or, where beta had one for them, two."""
    if isinstance(event, ErrorEvent):
        yield shown_error(event, words, redact)
        return
    shown = client_view(event, redact)
    if shown is None:
        return
    if isinstance(event, ItemEvent) and event.type == "conversation.item.created":
        yield whole(shown | {"type": "conversation.item.added"})
        if event.item.get("status") != "in_progress":
            yield whole(shown | {"type": "conversation.item.done", "event_id": new_id("event")})
        return
    yield whole(shown)
