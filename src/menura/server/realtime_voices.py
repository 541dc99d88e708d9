"""Voices as a client of the Realtime API names them while its session runs: ``session.update`` with ``menura``."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from menura.errors import ConfigError
from menura.server.realtime_words import RefusalError
from menura.server.relay_voices import DIRECTIONS, Direction
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["FIELD", "Find", "VoiceWish", "field_of", "only_voices", "parameters_field", "shown", "split_wish"]

FIELD = "menura"
"""Of a session: what is no setting of the provider's."""
_FIELDS: Mapping[Direction, str] = {"up": "voice_up", "down": "voice_down"}
_PARAMETERS: Mapping[Direction, str] = {"up": "parameters_up", "down": "parameters_down"}
_Name = Annotated[str, StringConstraints(max_length=128)] | None
Find = Callable[[Direction, str | None], tuple[Voice | None, VoiceParameters | None]]
"""A voice by its id, None for ``none``, "" and None; and the settings it was kept with, if it was."""


class TurnedParameters(BaseModel):
    """Settings of a voice; what is missing stays.

    Attributes:
        pitch_st: Semitones added.
        formant: Factor on the formants: above 1 a smaller throat.
        mix: Share of the changed voice; the rest is the unchanged one, equally late.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    pitch_st: float | None = None
    formant: float | None = None
    mix: float | None = None


class VoiceWish(BaseModel):
    """Other voices; what is missing stays.

    Attributes:
        voice_up: In which the provider hears the client: an id, or ``none``.
        voice_down: In which the client hears the provider.
        parameters_up: Settings of the voice that is ``voice_up`` then.
        parameters_down: Those of the other.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    voice_up: _Name = None
    voice_down: _Name = None
    parameters_up: TurnedParameters | None = None
    parameters_down: TurnedParameters | None = None

    def items(self) -> list[tuple[Direction, str | None]]:
        """What is named, by direction."""
        return [(way, getattr(self, name)) for way, name in _FIELDS.items() if name in self.model_fields_set]

    def turned(self) -> list[tuple[Direction, dict[str, float]]]:
        """Settings that are named, by direction."""
        wanted = [(way, getattr(self, name)) for way, name in _PARAMETERS.items()]
        return [(way, one.model_dump(exclude_none=True)) for way, one in wanted if one is not None]


def split_wish(event: Mapping[str, Any]) -> tuple[Mapping[str, Any], VoiceWish | None]:
    """A client's event without what it wants of voices, and that.

    Raises:
        RefusalError: It names them in a way that is not known.

    >>> wish = {"voice_up": "robot", "parameters_up": {"pitch_st": 2}}
    >>> rest, wish = split_wish({"type": "session.update", "session": {"type": "realtime", "menura": wish}})
    >>> rest, wish.items(), wish.turned()
    ({'type': 'session.update', 'session': {'type': 'realtime'}}, [('up', 'robot')], [('up', {'pitch_st': 2.0})])
    """
    session = event.get("session")
    if event.get("type") != "session.update" or not isinstance(session, Mapping) or FIELD not in session:
        return event, None
    rest = {name: value for name, value in session.items() if name != FIELD}
    try:
        wish = VoiceWish.model_validate(session[FIELD])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(("session", FIELD, *(str(part) for part in first["loc"])))
        reason = "unknown_parameter" if first["type"] == "extra_forbidden" else "invalid_value"
        raise RefusalError(f"{param}: {first['msg']}", reason, param) from None
    for direction, changes in wish.turned():
        try:
            VoiceParameters().changed(changes)
        except ConfigError as error:
            param = parameters_field(direction)
            raise RefusalError(f"{param}: {error}", "invalid_value", param) from None
    return {**event, "session": rest}, wish


def only_voices(event: Mapping[str, Any]) -> bool:
    """Whether nothing of a split event is left for the provider."""
    return set(event["session"]) <= {"type", "object"}


def field_of(direction: Direction) -> str:
    """Where a client names the voice of a direction."""
    return f"session.{FIELD}.{_FIELDS[direction]}"


def parameters_field(direction: Direction) -> str:
    """Where a client turns the voice of a direction."""
    return f"session.{FIELD}.{_PARAMETERS[direction]}"


def shown(
    voices: Mapping[Direction, Voice | None], parameters: Callable[[Direction], VoiceParameters]
) -> dict[str, Any]:
    """What a session tells of voices and their settings."""
    named = {_FIELDS[way]: voice.id if voice else "none" for way, voice in voices.items()}
    return named | {_PARAMETERS[way]: parameters(way).as_dict() for way in DIRECTIONS}
