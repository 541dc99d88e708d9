"""The library of voices, in SQLite and in PostgreSQL."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading

import pytest
from sqlalchemy import create_engine, inspect, text

from menura.errors import ConfigError, FileError, LibraryError, LimitError, ModelError, VersionError, VoiceNotFoundError
from menura.store.database import Database
from menura.store.library import NewFile, VoiceLibrary
from menura.store.scratch import Scratch
from menura.store.voice_data import VoiceData
from menura.voices.build import make_stage
from menura.voices.builtin import builtin_voices
from tests.postgres import postgres

DEEP = {"name": "Deep", "stages": [{"kind": "shift", "params": {"pitch_st": -5.0}}], "parameters": {"mix": 0.8}}


@pytest.fixture(scope="module")
def database():
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'library.db'}"
    address = request.getfixturevalue("database")
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    engine.dispose()
    return address


@pytest.fixture
def library(url, tmp_path):
    with VoiceLibrary(tmp_path, url) as opened:
        yield opened


def add(library, content=b"model", name="Mine"):
    with library.incoming() as incoming:
        incoming.write(content)
        return library.create(VoiceData(name=name), {"preview": NewFile(incoming, "a.wav", {"seconds": 1})})


def test_the_built_in_voices_are_there(library):
    voices = library.voices()
    assert [voice.id for voice in voices] == [voice.id for voice in builtin_voices()]
    assert all(voice.builtin and voice.version == 1 for voice in voices)
    for voice, stored in zip(builtin_voices(), voices, strict=True):
        assert stored.data == VoiceData.of(voice)
        make_stage(stored.voice, 48_000)


def test_a_voice_of_ones_own_stays(library, url, tmp_path):
    made = library.create(DEEP)
    assert made.id.startswith("custom-")
    library.close()
    with VoiceLibrary(tmp_path, url) as again:
        stored = again.get(made.id)
        assert stored == made
        assert stored.parameters.mix == 0.8
        assert stored.voice.stages[0].params == {"pitch_st": -5.0}
        assert stored.created_at.tzinfo is not None


def test_a_change_of_a_built_in_voice_makes_a_copy(library):
    copy = library.update("robot", {"name": "My Robot"})
    assert (copy.builtin, copy.data.name, str(copy.data.category)) == (False, "My Robot", "custom")
    assert copy.data.stages == library.get("robot").data.stages
    assert library.get("robot").data.name == "Robot"


def test_a_change_of_ones_own_voice_is_another_version(library):
    made = library.create(DEEP)
    changed = library.update(made.id, {"name": "Deeper", "parameters": {"pitch_st": -2}})
    assert (changed.id, changed.version, changed.data.name) == (made.id, 2, "Deeper")
    assert library.get(made.id).data.parameters == {"pitch_st": -2.0}


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"name": ""}, ConfigError, "name"),
        ({"name": "a\x00b"}, ConfigError, "name"),
        ({"colour": 1}, ConfigError, "colour"),
        ({"stages": [{"kind": "explode"}]}, ModelError, "explode"),
        ({"stages": [{"kind": "shift", "params": {"pitch_st": "up"}}]}, ModelError, "shift"),
        ({"stages": [{"kind": "shift", "params": {"pitch_st": 1e9}}]}, ModelError, "pitch_st"),
        ({"stages": [{"kind": "gain"}] * 99}, ConfigError, "stages"),
        ({"parameters": {"mix": 2}}, ConfigError, "mix"),
        ({"parameters": {"wet": 1}}, ConfigError, "wet"),
        ({"stages": [{"kind": "gain", "params": {"gain_db": "@model"}}]}, ModelError, "@model"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(library, changes, error, says):
    made = library.create(DEEP)
    with pytest.raises(error, match=says):
        library.update(made.id, changes)
    assert library.get(made.id) == made


def test_voices_are_found_by_words(library):
    library.create({"name": "Grandma 100%", "description": "my_gran"})
    assert [voice.data.name for voice in library.voices("GRAND")] == ["Grandma 100%"]
    assert [voice.data.name for voice in library.voices("100% gran")] == ["Grandma 100%"]
    assert library.voices("y_") != []
    assert library.voices("%") == library.voices("100%")
    assert library.voices("robot throat")[0].id == "robot"
    assert {str(voice.data.category) for voice in library.voices(category="character")} == {"character"}
    with pytest.raises(ConfigError, match="category"):
        library.voices(category="nice")


def test_what_is_not_there_is_not_found(library):
    for call in (
        library.get,
        library.delete,
        library.duplicate,
        lambda x: library.update(x, {}),
        lambda x: library.set_favourite(x, True),
    ):
        with pytest.raises(VoiceNotFoundError, match="Voice not found: nobody"):
            call("nobody")


def test_a_built_in_voice_cannot_be_deleted(library):
    with pytest.raises(LibraryError, match="came with menura"):
        library.delete("robot")


def test_a_favourite_stays_one(library, url, tmp_path):
    library.set_favourite("robot", True)
    with VoiceLibrary(tmp_path, url) as again:
        assert [voice.id for voice in again.voices() if voice.favourite] == ["robot"]


def test_a_file_is_there_once_and_goes_with_its_last_voice(library):
    one = add(library)
    copy = library.duplicate(one.id)
    assert copy.files == {}  # a preview is of a voice as it was
    two = add(library)
    path = one.files["preview"].path
    assert path == two.files["preview"].path
    assert path.read_bytes() == b"model"
    assert one.files["preview"].details == {"seconds": 1}
    library.delete(one.id)
    assert path.exists()
    library.delete(two.id)
    assert not path.exists()
    assert list(library.files.hashes()) == []


def test_a_preview_takes_the_place_of_the_one_before(library):
    made = add(library, b"old")
    with library.incoming() as incoming:
        incoming.write(b"new")
        changed = library.set_file(made.id, "preview", NewFile(incoming, "b.wav"))
    assert changed.files["preview"].path.read_bytes() == b"new"
    assert len(list(library.files.hashes())) == 1


def test_a_refused_voice_leaves_no_file(library):
    with library.incoming() as incoming:
        incoming.write(b"x" * 100)
        with pytest.raises(ModelError):
            library.create(
                VoiceData.parse({"name": "x", "stages": [{"kind": "no"}]}), {"preview": NewFile(incoming, "a")}
            )
    with library.incoming() as incoming:
        incoming.write(b"x" * 100)
        with pytest.raises(VoiceNotFoundError):
            library.set_file("nobody", "preview", NewFile(incoming, "a"))
    assert list(library.files.hashes()) == []
    assert list((library.files.folder / "incoming").iterdir()) == []


def test_a_file_too_large_is_refused(library):
    with library.incoming(10) as incoming, pytest.raises(LimitError, match="larger"):
        incoming.write(b"x" * 11)


def test_settings_stay(library, url, tmp_path):
    library.set_setting("ui", {"theme": "dark"})
    with VoiceLibrary(tmp_path, url) as again:
        assert again.setting("ui") == {"theme": "dark"}
        again.set_setting("ui", None)
    assert library.setting("ui", 1) == 1


def test_a_new_release_changes_built_in_voices_alone(library, url, tmp_path, monkeypatch):
    mine = library.update("robot", {"name": "My Robot"})
    library.set_favourite("robot", True)
    library.close()
    fewer = builtin_voices()[1:]
    changed = tuple(
        voice if voice.id != "robot" else type(voice)(*("robot", "Robot 2"), *list_of(voice)) for voice in fewer
    )
    monkeypatch.setattr("menura.store.library.builtin_voices", lambda: changed)
    with VoiceLibrary(tmp_path, url) as again:
        robot = again.get("robot")
        assert (robot.data.name, robot.version, robot.favourite) == ("Robot 2", 2, True)
        assert again.get(mine.id) == mine
        with pytest.raises(VoiceNotFoundError):
            again.get(builtin_voices()[0].id)


def list_of(voice):
    return voice.category, voice.description, voice.stages


def test_a_library_of_a_newer_menura_is_left_alone(library, url, tmp_path):
    library.close()
    database = Database(url.replace("postgresql://", "postgresql+psycopg://"))
    with database.engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    database.close()
    with pytest.raises(LibraryError, match="newer menura"):
        VoiceLibrary(tmp_path, url)


def test_threads_and_processes_share_it(library, url, tmp_path):
    faults = []

    def work(opened):
        try:
            for _ in range(5):
                made = add(opened, os.urandom(8))
                opened.update(made.id, {"description": "x"})
                opened.delete(made.id)
        except Exception as error:
            faults.append(error)

    with VoiceLibrary(tmp_path, url) as other:
        threads = [threading.Thread(target=work, args=(opened,)) for opened in (library, library, other, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert faults == []
    assert list(library.files.hashes()) == []


KILLED = """
import os, sys
from pathlib import Path
from menura.store.library import NewFile, VoiceLibrary
from menura.store.voice_data import VoiceData
library = VoiceLibrary(Path(sys.argv[1]), sys.argv[2])
print("open", flush=True)
made = []
while True:
    with library.incoming() as incoming:
        incoming.write(os.urandom(200_000))
        stored = library.create(VoiceData(name="n"), {"preview": NewFile(incoming, "p")})
    print("made", stored.id, stored.files["preview"].sha256, flush=True)
    made.append(stored.id)
    if len(made) > 3:
        gone = made.pop(0)
        print("going", gone, flush=True)
        library.delete(gone)
        print("gone", gone, flush=True)
"""


def test_a_killed_process_loses_nothing_and_leaves_nothing(url, tmp_path):
    """At several moments; what it said it had done is done, and what no voice has is cleared away."""
    for moment in range(6):
        command = [sys.executable, "-c", KILLED, str(tmp_path), url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline() for _ in range(5 + 7 * moment)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        said = [line.split() for line in lines if line.endswith("\n")]
        going = {line[1] for line in said if line[0] == "going"}
        made = {line[1]: line[2] for line in said if line[0] == "made"}
        with VoiceLibrary(tmp_path, url) as library:
            there = {voice.id: voice for voice in library.voices() if not voice.builtin}
            assert made.keys() - going <= there.keys()
            assert not {line[1] for line in said if line[0] == "gone"} & there.keys()
            hashes = set(library.files.hashes())
            assert hashes == {voice.files["preview"].sha256 for voice in there.values()}
            assert all(voice.files["preview"].path.stat().st_size == 200_000 for voice in there.values())
            assert list((tmp_path / "incoming").iterdir()) == []
            for voice_id in there:
                library.delete(voice_id)


def test_of_two_changes_at_once_none_is_lost(library, monkeypatch):
    made, real, first = library.create(DEEP), VoiceData.check, []

    def check(data, files):
        real(data, files)
        if not first:  # someone else is between its reading and its writing
            first.append(library.update)
            library.update(made.id, {"description": "theirs"})

    monkeypatch.setattr(VoiceData, "check", check)
    changed = library.update(made.id, {"name": "Mine"})
    assert (changed.data.name, changed.data.description, changed.version) == ("Mine", "theirs", 3)


def test_of_two_who_change_the_same_version_one_is_told(library, url, tmp_path):
    made = library.create(DEEP)
    with VoiceLibrary(tmp_path, url) as other:
        ready, outcomes = threading.Barrier(8), []

        def change(writer, number):
            ready.wait()
            try:
                outcomes.append(writer.update(made.id, {"name": f"Number {number}"}, made.version).data.name)
            except VersionError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=change, args=((library, other)[n % 2], n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = [name for name in outcomes if isinstance(name, str)]
    assert names == [library.get(made.id).data.name]
    assert library.get(made.id).version == 2
    assert len(outcomes) == 8


def test_change_between_reading_and_writing_is_told_to_who_names_a_version(library, monkeypatch):
    made, real, first = library.create(DEEP), VoiceData.check, []

    def check(data, files):
        real(data, files)
        if not first:
            first.append(library.update)
            library.update(made.id, {"description": "theirs"})

    monkeypatch.setattr(VoiceData, "check", check)
    with pytest.raises(VersionError, match="version 2 now"):
        library.update(made.id, {"name": "Mine"}, 1)
    with pytest.raises(VersionError):
        library.delete(made.id, 1)
    with pytest.raises(VersionError):
        library.update("robot", {"name": "Mine"}, 7)
    assert (library.get(made.id).data.name, library.get(made.id).data.description) == ("Deep", "theirs")
    library.delete(made.id, 2)


def test_another_database_leaves_the_files_alone(library, tmp_path):
    one = add(library)
    library.close()
    with VoiceLibrary(tmp_path, f"sqlite:///{tmp_path / 'other.db'}") as other:
        two = add(other)
        other.delete(two.id)
    assert one.files["preview"].path.read_bytes() == b"model"


def test_who_only_reads_waits_for_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr("menura.store.database.BUSY_MS", 0)
    with VoiceLibrary(tmp_path) as library, library._database.writing():
        assert library.get("robot").builtin
        assert library.setting("x") is None
        with pytest.raises(LibraryError, match="locked"):
            library.set_setting("x", 1)


@pytest.mark.parametrize("call", ["get", "delete", "duplicate"])
@pytest.mark.parametrize("voice_id", ["\udcff", "a\x00b", "x" * 100_000])
def test_an_id_that_cannot_be_is_not_found(library, call, voice_id):
    with pytest.raises(VoiceNotFoundError) as told:
        getattr(library, call)(voice_id)
    assert len(str(told.value)) < 100
    str(told.value).encode()


def deep(depth):
    params = {}
    for _ in range(depth):
        params = {"a": params}
    return params


@pytest.mark.parametrize("value", [float("nan"), b"x", "\udc80", deep(5000), "x" * 100_000, {1, 2}])
def test_parameters_that_json_cannot_say_are_refused(library, value):
    with pytest.raises(ConfigError, match=r"stages\.0\.params"):
        library.create({"name": "x", "stages": [{"kind": "gain", "params": {"gain_db": value}}]})


def test_what_is_no_mapping_is_refused(library):
    with pytest.raises(ConfigError):
        VoiceData.parse([1, 2])
    with pytest.raises(ConfigError):
        library.update("robot", [1, 2])


def test_letters_are_found_however_they_are_written(library):
    made = library.create({"name": "E\u0301lan Straße"})
    assert made.data.name == "\u00c9lan Straße"
    for words in ("élan", "E\u0301LAN", "STRASSE"):
        assert library.voices(words) == [made]


def test_a_file_of_any_name_is_taken(library):
    with library.incoming() as incoming:
        incoming.write(b"x")
        made = library.create(VoiceData(name="x"), {"preview": NewFile(incoming, "a\udcff\n" + "b" * 300)})
    assert made.files["preview"].name == ("a??" + "b" * 300)[:255]


def test_two_files_may_be_the_same(library):
    with library.incoming() as one, library.incoming() as two:
        for incoming in (one, two):
            incoming.write(b"same")
        made = library.create(VoiceData(name="x"), {"a": NewFile(one, "a"), "b": NewFile(two, "b")})
    assert made.files["a"].path == made.files["b"].path
    library.delete(made.id)
    assert list(library.files.hashes()) == []


@pytest.mark.parametrize("place", ["write", "flush", "keep"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, place):
    """A limit on the size of files stands for it: the system refuses the bytes that are too many."""
    with VoiceLibrary(tmp_path) as library:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with pytest.raises(FileError, match="cannot write"), library.incoming() as incoming:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
            try:
                incoming.write(bytes(10_000_000 if place == "write" else 5000))
                getattr(incoming, place)()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert list((tmp_path / "incoming").iterdir()) == []
        assert list(library.files.hashes()) == []


def test_a_database_of_another_program_is_left_alone(url, tmp_path):
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("create table bookmarks (x int)"))
    with pytest.raises(LibraryError, match="another program"):
        VoiceLibrary(tmp_path, url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["bookmarks"]
    engine.dispose()


def test_a_damaged_database_is_told(tmp_path):
    with VoiceLibrary(tmp_path):
        pass
    place = tmp_path / "library.db"
    whole = place.read_bytes()
    for damaged in (os.urandom(9000), whole[: len(whole) // 2], whole[:8192] + os.urandom(len(whole) - 8192)):
        place.write_bytes(damaged)
        with pytest.raises(LibraryError), VoiceLibrary(tmp_path) as library:
            library.voices()


def test_several_begin_at_once(url, tmp_path):
    faults = []

    def work():
        try:
            VoiceLibrary(tmp_path, url).close()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="MENURA_HOME"):
        VoiceLibrary(tmp_path / "file" / "below")


@pytest.mark.parametrize("opening", [VoiceLibrary, lambda place: Scratch(place).folder()])
def test_a_place_without_locks_is_told(tmp_path, monkeypatch, opening):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(FileError, match="No locks available; MENURA_HOME names another place"):
        opening(tmp_path)


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "nonsense", "sqlite:///x.db?mode=ro", "postgresql://menura:secret@127.0.0.1:1/x"]
)
def test_a_database_that_is_none_is_told_without_its_password(tmp_path, url):
    with pytest.raises((ConfigError, LibraryError)) as told:
        VoiceLibrary(tmp_path, url)
    assert "secret" not in str(told.value)
