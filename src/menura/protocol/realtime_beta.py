"""The Realtime API's retired beta shapes: taken from our own callers, given back to them, never sent.

Beta sessions were flat (``voice``, ``input_audio_format: "pcm16"``, ``modalities``); now they are nested. A caller may
mix both; where the same thing is said twice, the present shape wins.
"""

from collections.abc import Callable, Mapping
from typing import Any

from menura.errors import ProtocolError
from menura.protocol.realtime_server import ServerEvent

__all__ = ["BETA_NAMES", "GA_NAMES", "as_beta", "to_ga"]

_FORMATS: dict[str, dict[str, Any]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
BETA_NAMES: dict[str, str] = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
"""What beta called a server's event."""
GA_NAMES: dict[str, str] = {beta: ga for ga, beta in BETA_NAMES.items()}
_CONTENT: dict[Any, str] = {"text": "output_text", "audio": "output_audio"}
"""Parts of an assistant's message; a user's kept their names."""

Translation = Callable[[Any], Any]


def _audio_format(value: Any) -> Any:
    if isinstance(value, str):
        if value not in _FORMATS:
            raise ProtocolError(f"no audio format {value[:32]!r}: one of {', '.join(_FORMATS)}")
        return dict(_FORMATS[value])
    return value


def _modalities(value: Any) -> Any:
    """Audio always comes with its transcript now, and is the only other choice than text."""
    return (["audio"] if "audio" in value else list(value)) if isinstance(value, list) else value


def _as_is(value: Any) -> Any:
    return value


Table = dict[str, tuple[tuple[str, ...], Translation]]
_SHARED: Table = {
    "modalities": (("output_modalities",), _modalities),
    "max_response_output_tokens": (("max_output_tokens",), _as_is),
    "voice": (("audio", "output", "voice"), _as_is),
    "output_audio_format": (("audio", "output", "format"), _audio_format),
}
_SESSION: Table = _SHARED | {
    "speed": (("audio", "output", "speed"), _as_is),
    "input_audio_format": (("audio", "input", "format"), _audio_format),
    "input_audio_transcription": (("audio", "input", "transcription"), _as_is),
    "input_audio_noise_reduction": (("audio", "input", "noise_reduction"), _as_is),
    "turn_detection": (("audio", "input", "turn_detection"), _as_is),
}
_GONE = ("temperature",)


def to_ga(event: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Bring a client's event into the present shape.

    Args:
        event: Of either shape; it is not changed.

    Returns:
        The event, and what of it was left out or overruled, in words.

    Raises:
        ProtocolError: An audio format is none the API ever had.

    >>> to_ga({"type": "session.update", "session": {"modalities": ["text", "audio"], "voice": "alloy"}})[0]["session"]
    {'type': 'realtime', 'output_modalities': ['audio'], 'audio': {'output': {'voice': 'alloy'}}}
    """
    out, remarks = dict(event), list[str]()
    kind = out.get("type")
    if kind == "session.update" and isinstance(out.get("session"), Mapping):
        out["session"] = {"type": "realtime"} | _translate(out["session"], _SESSION, remarks)
    elif kind == "response.create" and isinstance(out.get("response"), Mapping):
        out["response"] = _translate(out["response"], _SHARED, remarks)
    elif kind == "conversation.item.create" and isinstance(out.get("item"), Mapping):
        out["item"] = _item(out["item"])
    return out, remarks


def _translate(values: Mapping[str, Any], table: Table, remarks: list[str]) -> dict[str, Any]:
    out = {name: value for name, value in values.items() if name not in table and name not in _GONE}
    remarks += [f"{name} is not a setting any more and was left out" for name in _GONE if name in values]
    for name in (name for name in table if name in values):
        path, translation = table[name]
        if not _put(out, path, translation(values[name])):
            remarks.append(f"{name} was left out: {'.'.join(path)} says the same")
    return out


def _put(out: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:
    """Set a nested value unless it is there; what is shared with the caller is copied first."""
    *parents, last = path
    for name in parents:
        below = out.get(name)
        out[name] = dict(below) if isinstance(below, Mapping) else {}
        out = out[name]
    if last in out:
        return False
    out[last] = value
    return True


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    content = item.get("content")
    if item.get("role") != "assistant" or not isinstance(content, list):
        return dict(item)
    parts = [
        part | {"type": _CONTENT.get(part.get("type"), part.get("type"))} if isinstance(part, dict) else part
        for part in content
    ]
    return dict(item) | {"content": parts}


def as_beta(event: ServerEvent) -> ServerEvent | None:
    """The event under its beta name, or None where that was no other."""
    name = BETA_NAMES.get(event.type)
    return event.with_type(name) if name else None
