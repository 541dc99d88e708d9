"""Chains of effects that users keep under a name."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from menura.errors import ConfigError, NotFoundError, StateError
from menura.store.database import Database
from menura.store.library import VoiceLibrary
from menura.store.tables import EffectPresetRow
from menura.store.voice_data import plain, shown
from menura.voices.effects import Effect, check_effects

__all__ = ["EffectPreset", "EffectPresets"]

MAX_PRESETS, MAX_NAME = 200, 80


@dataclass(frozen=True, slots=True)
class EffectPreset:
    """A chain of effects with a name; all parameters are filled in."""

    id: str
    name: str
    effects: tuple[Effect, ...]
    created_at: datetime


class EffectPresets:
    """The presets of a library. May be used from any thread, and by several processes at a time.

    Args:
        database: Up to date.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of(cls, library: VoiceLibrary) -> Self:
        """Those of a library of voices."""
        return cls(library.database)

    def all(self) -> list[EffectPreset]:
        """All of them, by name. One that this menura cannot make, since another has written it, is left out.

        Raises:
            LibraryError: The database fails.
        """
        with self._database.reading() as session:
            rows = session.scalars(select(EffectPresetRow).order_by(func.lower(EffectPresetRow.name)))
            return [preset for row in rows if (preset := _preset(row))]

    def add(self, name: str, effects: Iterable[Mapping[str, Any]], *, replace: bool = False) -> EffectPreset:
        """Keep a chain.

        Args:
            name: 1 to 80 characters, and no other's.
            effects: At least one; as of :func:`~menura.voices.effects.check_effects`.
            replace: Take the place of the one that has this name, if there is one; its id stays.

        Raises:
            ConfigError: They cannot be, or there are none; or nothing can be called so.
            StateError: There is one of this name, or as many as there may be.
            LibraryError: The database fails.
        """
        name, chain = _checked_name(name), check_effects(effects)
        if not chain:
            raise ConfigError("a preset has at least one effect")
        with self._database.writing() as session:
            row = _named(session, name)
            if row is None:
                if (session.scalar(select(func.count()).select_from(EffectPresetRow)) or 0) >= MAX_PRESETS:
                    raise StateError(f"there are {MAX_PRESETS} presets, and no more are possible: delete some")
                row = EffectPresetRow(id=f"effects-{secrets.token_hex(6)}", name=name, created_at=datetime.now(UTC))
                session.add(row)
            elif not replace:
                raise _taken(name)
            row.effects = [effect.as_dict() for effect in chain]
            return EffectPreset(row.id, name, chain, row.created_at)

    def rename(self, preset_id: str, name: str) -> EffectPreset:
        """Give one another name.

        Args:
            preset_id: Of which.
            name: 1 to 80 characters, and no other's.

        Raises:
            ConfigError: Nothing can be called so.
            NotFoundError: There is none of this id.
            StateError: Another has this name, or a newer menura has made the preset.
            LibraryError: The database fails.
        """
        name = _checked_name(name)
        with self._database.writing() as session:
            row = _found(session, preset_id)
            if row.name != name and _named(session, name):
                raise _taken(name)
            row.name = name
            preset = _preset(row)
            if preset is None:
                raise StateError("a newer menura has made this preset: rename it there")
            return preset

    def delete(self, preset_id: str) -> None:
        """Forget one.

        Raises:
            NotFoundError: There is none of this id.
            LibraryError: The database fails.
        """
        with self._database.writing() as session:
            session.delete(_found(session, preset_id))


def _checked_name(name: str) -> str:
    name = plain(shown(name)).strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise ConfigError(f"a preset's name has 1 to {MAX_NAME} characters")
    return name


def _taken(name: str) -> StateError:
    return StateError(f"there is a preset {name!r} already: choose another name, or delete that one")


def _named(session: Session, name: str) -> EffectPresetRow | None:
    return session.scalar(select(EffectPresetRow).where(EffectPresetRow.name == name))


def _found(session: Session, preset_id: str) -> EffectPresetRow:
    row = session.get(EffectPresetRow, preset_id) if preset_id.isprintable() else None
    if row is None:
        raise NotFoundError("No preset of effects has this id")
    return row


def _preset(row: EffectPresetRow) -> EffectPreset | None:
    try:
        return EffectPreset(row.id, row.name, check_effects(row.effects), row.created_at)
    except ConfigError:
        return None
