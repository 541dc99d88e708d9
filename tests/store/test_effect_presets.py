"""Chains of effects under a name, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from menura.errors import ConfigError, NotFoundError, StateError
from menura.store.effect_presets import EffectPresets
from menura.store.library import VoiceLibrary
from menura.store.tables import EffectPresetRow
from tests.postgres import postgres

HALL: list[dict[str, Any]] = [{"kind": "reverb", "params": {"room": 0.9}}, {"kind": "echo", "enabled": False}]


@pytest.fixture(params=["sqlite", "postgresql"])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VoiceLibrary]:
    if request.param == "sqlite":
        with VoiceLibrary(tmp_path) as library:
            yield library
        return
    with postgres() as url, VoiceLibrary(tmp_path, url) as library:
        yield library


def test_preset_stays_with_all_its_parameters_until_it_is_deleted(library: VoiceLibrary) -> None:
    presets = EffectPresets.of(library)
    made = presets.add("  Hall ", HALL)
    assert made.name == "Hall"
    assert [(effect.kind, effect.enabled) for effect in made.effects] == [("reverb", True), ("echo", False)]
    assert set(made.effects[0].params) == {"room", "damping", "wet"}
    presets.add("a small room", HALL[:1])
    assert [preset.name for preset in EffectPresets.of(library).all()] == ["a small room", "Hall"]
    assert EffectPresets.of(library).all()[1] == made
    presets.delete(made.id)
    with pytest.raises(NotFoundError):
        presets.delete(made.id)
    with pytest.raises(NotFoundError):
        presets.delete("\0")


@pytest.mark.parametrize(
    ("name", "effects"),
    [("", HALL), ("   ", HALL), ("x" * 81, HALL), ("None", []), ("Wrong", [{"kind": "teleport"}]), ("Many", HALL * 5)],
)
def test_preset_that_cannot_be_is_refused(tmp_path: Path, name: str, effects: list[dict[str, Any]]) -> None:
    with VoiceLibrary(tmp_path) as library:
        presets = EffectPresets.of(library)
        with pytest.raises(ConfigError):
            presets.add(name, effects)
        assert presets.all() == []


def test_names_are_used_once_and_there_are_not_too_many(library: VoiceLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = EffectPresets.of(library)
    presets.add("Hall", HALL)
    with pytest.raises(StateError, match="already"):
        presets.add("Hall", HALL)
    monkeypatch.setattr("menura.store.effect_presets.MAX_PRESETS", 1)
    with pytest.raises(StateError, match="delete some"):
        presets.add("Other", HALL)


def test_preset_that_another_menura_has_written_is_left_out(tmp_path: Path) -> None:
    with VoiceLibrary(tmp_path) as library:
        presets = EffectPresets.of(library)
        made = presets.add("Hall", HALL)
        with library.database.writing() as session:
            row = session.get(EffectPresetRow, made.id)
            assert row is not None
            row.effects = [{"kind": "of the future"}]
        assert presets.all() == []


def test_library_of_an_earlier_menura_gets_its_place_for_presets(library: VoiceLibrary, tmp_path: Path) -> None:
    voice = library.create({"name": "Mine"})
    with library.database.writing() as session:
        session.execute(text("drop table effect_presets"))
        session.execute(text("update alembic_version set version_num = '0002'"))
    url = library.database.engine.url.render_as_string(hide_password=False)
    with VoiceLibrary(tmp_path, url) as later:
        assert later.get(voice.id) == voice
        assert EffectPresets.of(later).all() == []
        EffectPresets.of(later).add("Hall", HALL)
