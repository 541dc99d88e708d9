"""The voices on offer while the library changes under them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from menura.errors import VoiceNotFoundError
from menura.server.catalogue import Catalogue
from menura.store.library import VoiceLibrary
from menura.voices.builtin import builtin_voices
from tests.postgres import postgres

PLAIN = {"name": "Mine", "stages": [{"kind": "gain", "params": {"gain_db": -3.0}}], "parameters": {"pitch_st": 2.0}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "sqlite":
        yield request.param
        return
    with postgres() as url:
        monkeypatch.setenv("MENURA_DATABASE", url)
        yield request.param


def test_without_library_the_built_in_voices_are_on_offer_and_none_is_made(home: Path) -> None:
    catalogue = Catalogue()
    assert [info.id for info in catalogue.infos()] == [voice.id for voice in builtin_voices()]
    assert catalogue.refresh()
    assert not home.exists()
    with pytest.raises(VoiceNotFoundError):
        catalogue.get("nobody")
    catalogue.close()


def test_other_processes_changes_are_seen(database: str) -> None:
    catalogue = Catalogue()
    with VoiceLibrary() as other:
        mine = other.create(PLAIN)
        assert catalogue.refresh()
        voice, parameters = catalogue.get(mine.id)
        assert (voice.name, parameters.pitch_st) == ("Mine", 2.0)
        other.set_favourite(mine.id, True)
        assert catalogue.refresh()
        assert catalogue.by_id[mine.id].name == "Mine"
        assert [info.id for info in catalogue.infos() if getattr(info, "favourite", True)]
        other.update(mine.id, {"name": "Other"})
        assert catalogue.refresh()
        assert catalogue.get(mine.id)[0].name == "Other"
        other.delete(mine.id)
    assert catalogue.refresh()
    assert mine.id not in catalogue.by_id
    assert len(catalogue.by_id) == len(builtin_voices())
    catalogue.close()


def test_subscribers_are_told_once_a_change_and_not_after_they_left(home: Path) -> None:
    catalogue = Catalogue()
    told: list[str] = []

    async def listen() -> None:
        first, second = (lambda: told.append("first")), (lambda: told.append("second"))
        catalogue.subscribe(first)
        catalogue.subscribe(second)
        watching = asyncio.create_task(catalogue.watch(0.01))
        command = [sys.executable, "-m", "menura", "voices", "rename", "robot", "My Robot"]
        await asyncio.to_thread(subprocess.run, command, check=True, env=os.environ.copy(), capture_output=True)
        async with asyncio.timeout(20):
            while not any(info.name == "My Robot" for info in catalogue.infos()):
                await asyncio.sleep(0.01)
        catalogue.unsubscribe(first)
        catalogue.unsubscribe(first)
        watching.cancel()
        before = told.count("second")
        assert 1 <= told.count("first") == before <= 2  # the library was made, then the copy
        library = catalogue.library()
        assert library is not None
        library.set_favourite("robot", True)
        await asyncio.to_thread(catalogue.refresh)
        await asyncio.to_thread(catalogue.refresh)
        await asyncio.sleep(0)
        assert told.count("second") == before + 1
        assert told.count("first") == before

    asyncio.run(listen())
    catalogue.refresh()  # whose loop has ended is left out
    catalogue.close()


def test_voices_stay_while_the_library_cannot_be_read(home: Path) -> None:
    with VoiceLibrary() as library:
        mine = library.create(PLAIN)
    catalogue = Catalogue()
    whole = (home / "library.db").read_bytes()
    catalogue.close()
    (home / "library.db").write_bytes(b"no database" * 1000)
    assert not catalogue.refresh()
    assert "library" in catalogue.problem
    assert catalogue.get(mine.id)[0].name == "Mine"
    (home / "library.db").write_bytes(whole)
    assert catalogue.refresh()
    assert catalogue.problem == ""
    assert mine.id in catalogue.by_id
    catalogue.close()


def test_unreadable_library_at_the_start_leaves_the_built_in_voices(home: Path) -> None:
    home.mkdir()
    (home / "library.db").write_bytes(b"no database" * 1000)
    catalogue = Catalogue()
    assert catalogue.problem
    assert len(catalogue.infos()) == len(builtin_voices())
    catalogue.close()


def test_given_voices_are_all_there_is(home: Path) -> None:
    catalogue = Catalogue(builtin_voices()[:2])
    with VoiceLibrary() as library:
        library.create(PLAIN)
    assert catalogue.refresh()
    assert len(catalogue.infos()) == 2
    catalogue.close()
