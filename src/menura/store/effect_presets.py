"""Chains of effects that users keep under a name."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import func, select

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

    def add(self, name: str, effects: Iterable[Mapping[str, Any]]) -> EffectPreset:
        """Keep a chain.

        Args:
            name: 1 to 80 characters, and no other's.
            effects: At least one; as of :func:`~menura.voices.effects.check_effects`.

        Raises:
            ConfigError: They cannot be, or there are none; or nothing can be called so.
            StateError: There is one of this name, or as many as there may be.
            LibraryError: The database fails.
        """
        name, chain = plain(shown(name)).strip(), check_effects(effects)
        if not chain:
            raise ConfigError("a preset has at least one effect")
        if not 1 <= len(name) <= MAX_NAME:
            raise ConfigError(f"a preset's name has 1 to {MAX_NAME} characters")
        row = EffectPresetRow(
            id=f"effects-{secrets.token_hex(6)}",
            name=name,
            effects=[effect.as_dict() for effect in chain],
            created_at=datetime.now(UTC),
        )
        with self._database.writing() as session:
            if session.scalar(select(EffectPresetRow.id).where(EffectPresetRow.name == name)):
                raise StateError(f"there is a preset {name!r} already: choose another name, or delete that one")
            if (session.scalar(select(func.count()).select_from(EffectPresetRow)) or 0) >= MAX_PRESETS:
                raise StateError(f"there are {MAX_PRESETS} presets, and no more are possible: delete some")
            session.add(row)
        return EffectPreset(row.id, name, chain, row.created_at)

    def delete(self, preset_id: str) -> None:
        """Forget one.

        Raises:
            NotFoundError: There is none of this id.
            LibraryError: The database fails.
        """
        with self._database.writing() as session:
            row = session.get(EffectPresetRow, preset_id) if preset_id.isprintable() else None
            if row is None:
                raise NotFoundError("No preset of effects has this id")
            session.delete(row)


def _preset(row: EffectPresetRow) -> EffectPreset | None:
    try:
        return EffectPreset(row.id, row.name, check_effects(row.effects), row.created_at)
    except ConfigError:
        return None
