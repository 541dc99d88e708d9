"""Chains of effects under a name, in SQLite and in PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from menura.errors import ConfigError, NotFoundError, StateError
from menura.store.effect_presets import EffectPreset, EffectPresets
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


def test_preset_is_replaced_where_that_is_asked_for_even_if_no_more_are_possible(
    library: VoiceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    presets = EffectPresets.of(library)
    made = presets.add("Hall", HALL, replace=True)
    monkeypatch.setattr("menura.store.effect_presets.MAX_PRESETS", 1)
    again = presets.add(" Hall", [{"kind": "gain"}], replace=True)
    assert [effect.kind for effect in again.effects] == ["gain"]
    assert (again.id, again.created_at) == (made.id, made.created_at)
    assert presets.all() == [again]
    with pytest.raises(ConfigError):
        presets.add("Hall", [{"kind": "teleport"}], replace=True)
    assert presets.all() == [again]


def test_preset_is_replaced_by_many_at_once_and_one_is_left(library: VoiceLibrary) -> None:
    begin = threading.Barrier(4)

    def put(gain_db: float) -> EffectPreset:
        begin.wait()
        return EffectPresets.of(library).add("Hall", [{"kind": "gain", "params": {"gain_db": gain_db}}], replace=True)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(put, (-6.0, -3.0, 3.0, 6.0)))
    assert len({preset.id for preset in made}) == 1
    [left] = EffectPresets.of(library).all()
    assert left in made


def test_preset_gets_another_name_that_no_other_has(library: VoiceLibrary) -> None:
    presets = EffectPresets.of(library)
    made = presets.add("Hall", HALL)
    presets.add("Room", HALL[:1])
    renamed = presets.rename(made.id, "  Big hall ")
    assert renamed == replace(made, name="Big hall")
    assert presets.rename(made.id, "Big hall") == renamed
    with pytest.raises(StateError, match="already"):
        presets.rename(made.id, "Room")
    with pytest.raises(ConfigError):
        presets.rename(made.id, "   ")
    for unknown in ("effects-0", "\0"):
        with pytest.raises(NotFoundError):
            presets.rename(unknown, "Other")
    assert [preset.name for preset in presets.all()] == ["Big hall", "Room"]


def test_preset_that_another_menura_has_written_is_left_out(tmp_path: Path) -> None:
    with VoiceLibrary(tmp_path) as library:
        presets = EffectPresets.of(library)
        made = presets.add("Hall", HALL)
        with library.database.writing() as session:
            row = session.get(EffectPresetRow, made.id)
            assert row is not None
            row.effects = [{"kind": "of the future"}]
        assert presets.all() == []
        with pytest.raises(StateError, match="newer"):
            presets.rename(made.id, "Other")
        assert presets.add("Hall", HALL, replace=True).id == made.id


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
