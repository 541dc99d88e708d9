import gc
import subprocess
import sys

import numpy as np
import pytest

from menura.audio.files import read_audio
from menura.errors import DiskFullError, FileError, LibraryError, LimitError
from menura.store.database import Database
from menura.store.library import VoiceLibrary
from menura.store.recordings import Recordings

RATE = 16_000
X = (0.5 * np.sin(np.arange(2 * RATE) / 20.0)).astype(np.float32)[:, None]


@pytest.fixture
def database(tmp_path):
    made = Database(f"sqlite:///{tmp_path / 'db.sqlite'}")
    yield made
    made.close()


@pytest.fixture
def recordings(tmp_path, database):
    return Recordings(tmp_path / "recordings", database)


def record(recordings, sides=("input", "output"), seconds=2, **options):
    opened = recordings.start(sides, RATE, voice_name="Robot", **options)
    for start in range(0, seconds * RATE, 1600):
        opened.write(X[start : start + 1600], -X[start : start + 1600])
    return opened


def test_both_sides_are_kept_and_told(recordings):
    stored = record(recordings, name="Monday").close()
    assert (stored.state, stored.name, stored.sides) == ("done", "Monday", ("input", "output"))
    assert stored.duration_ms == 2000.0
    assert stored.as_dict()["ended_at"] >= stored.as_dict()["created_at"]
    assert stored.size == sum(recordings.path(stored.id, side).stat().st_size for side in stored.sides)
    x, rate = read_audio(recordings.path(stored.id, "input"))
    y, _ = read_audio(recordings.path(stored.id, "output"))
    assert rate == RATE
    np.testing.assert_allclose(x, X, atol=1e-4)
    np.testing.assert_allclose(y, -X, atol=1e-4)


def test_the_output_is_aligned_with_the_input(recordings):
    stored = record(recordings, latency=2000).close()
    y, _ = read_audio(recordings.path(stored.id, "output"))
    np.testing.assert_allclose(y, -X[2000:], atol=1e-4)


def test_one_side_alone(recordings):
    stored = record(recordings, ["output"]).close()
    assert stored.sides == ("output",)
    with pytest.raises(LibraryError, match="another side"):
        recordings.path(stored.id, "input")


def test_they_are_listed_renamed_and_deleted(recordings):
    first, second = record(recordings).close(), record(recordings).close()
    assert [stored.id for stored in recordings.list()] == [second.id, first.id]
    assert recordings.rename(first.id, " Tuesday\n").name == "Tuesday?"
    with pytest.raises(LibraryError, match="has a name"):
        recordings.rename(first.id, " ")
    recordings.delete(first.id)
    assert not (recordings.folder / first.id).exists()
    with pytest.raises(LibraryError, match="Recording not found"):
        recordings.get(first.id)


def test_one_that_goes_on_is_left_alone(recordings):
    opened = record(recordings)
    (going_on,) = recordings.list()
    assert going_on.state == "recording"
    with pytest.raises(LibraryError, match="goes on"):
        recordings.delete(going_on.id)
    with pytest.raises(LibraryError, match="goes on"):
        recordings.path(going_on.id, "input")
    assert opened.close().state == "done"


def test_limits_are_told(tmp_path, database):
    small = Recordings(tmp_path / "recordings", database, max_bytes=1000, max_s=1.0)
    opened = small.start(["input"], RATE, voice_name="Robot")
    opened.write(X[:RATE], X[:RATE])
    with pytest.raises(LimitError, match="at most"):
        opened.write(X[:1], X[:1])
    assert opened.close().duration_ms == 1000.0
    with pytest.raises(LimitError, match="delete some"):
        small.start(["input"], RATE, voice_name="Robot")


def test_a_disk_that_is_full_leaves_what_was_written(recordings, monkeypatch):
    opened = record(recordings, seconds=1)
    writer = opened._files["output"]

    def full(data):
        raise FileError("cannot be written (No space left on device)")

    monkeypatch.setattr(writer, "_write", full)
    with pytest.raises(FileError, match="No space"):
        opened.write(X[:1600], X[:1600])
    stored = opened.close()
    assert stored.state == "done"
    assert len(read_audio(recordings.path(stored.id, "output"))[0]) == RATE


def test_a_killed_process_loses_less_than_a_second(tmp_path, recordings):
    script = f"""
import sys, numpy as np
from pathlib import Path
from menura.store.database import Database
from menura.store.library import VoiceLibrary
from menura.store.recordings import Recordings
r = Recordings(Path({str(recordings.folder)!r}), Database({"sqlite:///" + str(tmp_path / "db.sqlite")!r}))
opened = r.start(["input", "output"], 16000, voice_name="Robot")
for _ in range(47):
    opened.write(np.ones((1600, 1), np.float32), np.ones((1600, 1), np.float32))
print("written", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    assert [stored.state for stored in recordings.list()] == ["recording"]
    process.kill()
    process.communicate()
    (stored,) = recordings.list()
    assert stored.state == "cut"
    assert 4700.0 - stored.duration_ms <= 1000.0
    for side in ("input", "output"):
        assert len(read_audio(recordings.path(stored.id, side))[0]) * 1000 / RATE >= stored.duration_ms
    recordings.delete(stored.id)


def test_what_a_killed_process_left_without_a_row_is_cleared_away(tmp_path):
    with VoiceLibrary(tmp_path) as library:
        recordings = Recordings.of(library)
        kept = record(recordings).close()
        left = recordings.folder / "recording-left"
        left.mkdir()
        (left / "input.part.wav").write_bytes(b"RIFF")
        with VoiceLibrary(tmp_path):
            assert left.exists(), "somebody else has the folder open: it may be his"
    with VoiceLibrary(tmp_path) as library:
        assert [path.name for path in Recordings.of(library).folder.iterdir()] == [kept.id]


def test_a_recording_that_cannot_begin_leaves_nothing_open(recordings, database, monkeypatch):
    def fail():
        raise LibraryError("gone")

    monkeypatch.setattr(database, "writing", fail)
    with pytest.raises(LibraryError, match="gone"):
        recordings.start(["input"], RATE, voice_name="Robot")
    gc.collect()  # a file left open would warn
    assert list(recordings.folder.iterdir()) == []


def test_the_last_of_the_disk_is_left_to_the_database(recordings, monkeypatch):
    opened = record(recordings, seconds=1)
    monkeypatch.setattr("menura.store.space.SPARE_BYTES", 1 << 60)
    with pytest.raises(DiskFullError, match="no room"):
        opened.write(X[:1600], X[:1600])
    stored = opened.close()
    assert (stored.state, stored.frames) == ("done", RATE)
    with pytest.raises(DiskFullError):
        recordings.start(["input"], RATE, voice_name="Robot")
    assert [one.id for one in recordings.list()] == [stored.id]
    recordings.delete(stored.id)
    assert not any(path.is_dir() for path in recordings.folder.iterdir())
