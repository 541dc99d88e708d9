"""Voices as a client of the Realtime API names them while its session runs: ``session.update`` with ``menura``."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from menura.server.realtime_words import RefusalError
from menura.server.relay_voices import Direction
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["FIELD", "Find", "VoiceWish", "field_of", "only_voices", "shown", "split_wish"]

FIELD = "menura"
"""Of a session: what is no setting of the provider's."""
_FIELDS: Mapping[Direction, str] = {"up": "voice_up", "down": "voice_down"}
_Name = Annotated[str, StringConstraints(max_length=128)] | None
Find = Callable[[Direction, str | None], tuple[Voice | None, VoiceParameters]]
"""A voice by its id, and the settings it begins with; None for ``none``, "" and None."""


class VoiceWish(BaseModel):
    """Other voices; what is missing stays.

    Attributes:
        voice_up: In which the provider hears the client: an id, or ``none``.
        voice_down: In which the client hears the provider.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    voice_up: _Name = None
    voice_down: _Name = None

    def items(self) -> list[tuple[Direction, str | None]]:
        """What is named, by direction."""
        return [(way, getattr(self, name)) for way, name in _FIELDS.items() if name in self.model_fields_set]


def split_wish(event: Mapping[str, Any]) -> tuple[Mapping[str, Any], VoiceWish | None]:
    """A client's event without what it wants of voices, and that.

    Raises:
        RefusalError: It names them in a way that is not known.

    >>> split_wish({"type": "session.update", "session": {"type": "realtime", "menura": {"voice_up": "robot"}}})
    ({'type': 'session.update', 'session': {'type': 'realtime'}}, VoiceWish(voice_up='robot', voice_down=None))
    """
    session = event.get("session")
    if event.get("type") != "session.update" or not isinstance(session, Mapping) or FIELD not in session:
        return event, None
    rest = {name: value for name, value in session.items() if name != FIELD}
    try:
        return {**event, "session": rest}, VoiceWish.model_validate(session[FIELD])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(("session", FIELD, *(str(part) for part in first["loc"][:1])))
        reason = "unknown_parameter" if first["type"] == "extra_forbidden" else "invalid_value"
        raise RefusalError(f"{param}: {first['msg']}", reason, param) from None


def only_voices(event: Mapping[str, Any]) -> bool:
    """Whether nothing of a split event is left for the provider."""
    return set(event["session"]) <= {"type", "object"}


def field_of(direction: Direction) -> str:
    """Where a client names the voice of a direction."""
    return f"session.{FIELD}.{_FIELDS[direction]}"


def shown(voices: Mapping[Direction, Voice | None]) -> dict[str, str]:
    """What a session tells of them."""
    return {_FIELDS[way]: voice.id if voice else "none" for way, voice in voices.items()}
