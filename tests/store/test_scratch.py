"""Folders that go with their process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from menura.errors import FileError
from menura.store.scratch import Scratch

HOLDS = """
import sys
from pathlib import Path
from menura.store.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
folder = scratch.folder()
(folder / "big").write_bytes(bytes(1000))
print(folder, flush=True)
sys.stdin.read()
"""


def test_nothing_is_made_before_it_is_needed_and_nothing_stays(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "place")
    assert scratch.clear() == 0
    scratch.close()
    assert not scratch.place.exists()
    folder = scratch.folder()
    assert folder == scratch.folder()
    (folder / "file").touch()
    scratch.close()
    scratch.close()
    assert not folder.exists()
    assert scratch.folder() != folder
    scratch.close()


def test_what_a_killed_process_leaves_is_cleared_away_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    mine, other = Scratch(tmp_path), Scratch(tmp_path)
    kept = [mine.folder(), other.folder()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        assert mine.clear() == 0
        assert (theirs / "big").exists()
        process.send_signal(signal.SIGKILL)
    assert (theirs / "big").exists()
    assert mine.clear() == 1
    assert not theirs.exists()
    assert all(folder.is_dir() for folder in kept)
    mine.close()
    other.close()


def test_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot write to"):
        Scratch(tmp_path / "file" / "place").folder()
