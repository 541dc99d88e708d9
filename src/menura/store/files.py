"""Files known by what is in them: written whole or not at all, found under their SHA-256."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from menura.errors import FileError, LimitError, MenuraError

__all__ = ["FileStore", "Incoming", "sync_folder"]

PIECE = 1 << 20


class Incoming:
    """A file that is being written; nothing of it is left unless :meth:`keep` is called.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, store: "FileStore", max_bytes: int) -> None:
        self._store, self._max_bytes = store, max_bytes
        self.path = store.folder / "incoming" / secrets.token_hex(16)
        self._hash = hashlib.sha256()
        self.size = 0
        try:
            self._file: IO[bytes] = self.path.open("xb")
        except OSError as error:
            raise _unwritten(self.path.parent, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what is still in its buffer may find no room; the file is closed all the same
            self._file.close()
        with suppress(OSError):
            self.path.unlink()

    def write(self, data: bytes) -> None:
        """Add a piece.

        Raises:
            LimitError: The file is larger than it may be.
            FileError: It cannot be written: the disk is full.
        """
        if self.size + len(data) > self._max_bytes:
            raise LimitError(f"the file is larger than {self._max_bytes / 1e6:.0f} MB, the most that is taken")
        try:
            self._file.write(data)
        except OSError as error:
            raise _unwritten(self.path.parent, error) from error
        self._hash.update(data)
        self.size += len(data)

    def write_all(self, source: IO[bytes]) -> None:
        """Add all of a stream."""
        while piece := source.read(PIECE):
            self.write(piece)

    def flush(self) -> Path:
        """Make what was written readable under :attr:`path`, and safe on the disk.

        Raises:
            FileError: It cannot be written: the disk is full.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritten(self.path.parent, error) from error
        return self.path

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._hash.hexdigest()

    def keep(self) -> str:
        """Put it under its hash, for good; returns that."""
        self.flush()
        try:
            self._file.close()
            target = self._store.path(self.sha256)
            _make_folder(target.parent)
            self.path.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            raise _unwritten(self._store.folder, error) from error
        return self.sha256


def _unwritten(place: Path, error: OSError) -> FileError:
    return FileError(f"cannot write to {place}: {error.strerror or error}")


class FileStore:
    """A folder of files under their hashes.

    Databases that are used with one folder have each their own part of it: none clears away what another refers to.

    While a process uses it, it holds a shared lock, which the system gives back however the process ends. Whoever finds
    nobody else there may clear away what nobody refers to: what a killed process has left.

    Args:
        folder: Made if it is not there.

    Attributes:
        owner: The database whose files these are; to be set before the first is kept.

    Raises:
        FileError: It cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.owner = folder, ""
        self._lock: IO[bytes] | None = None
        try:
            (folder / "incoming").mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("ab")
            self.alone = _lock(self._lock)
        except OSError as error:  # some file systems of networks have no locks
            self.close()
            raise FileError(f"cannot use {folder}: {error.strerror}; MENURA_HOME names another place") from error

    def path(self, sha256: str) -> Path:
        """Where the file of this hash is, or would be."""
        return self.folder / "files" / self.owner / sha256[:2] / sha256

    def incoming(self, max_bytes: int) -> Incoming:
        """Begin to write a file."""
        return Incoming(self, max_bytes)

    def remove(self, sha256: str) -> None:
        """Delete a file that nobody refers to."""
        with suppress(OSError):
            self.path(sha256).unlink()

    def hashes(self) -> Iterator[str]:
        """Of all files."""
        for path in (self.folder / "files" / self.owner).glob("??/*"):
            yield path.name

    def clear(self, known: Iterable[str]) -> int:
        """Delete all but these; only when :attr:`alone`. Returns how many went."""
        keep, gone = set(known), 0
        for path in (self.folder / "incoming").iterdir():
            with suppress(OSError):
                path.unlink()
        for sha256 in [sha256 for sha256 in self.hashes() if sha256 not in keep]:
            self.remove(sha256)
            gone += 1
        return gone

    def clear_recordings(self, known: Iterable[str]) -> None:
        """Delete the folders of recordings that nobody knows; only when :attr:`alone`."""
        keep = set(known)
        with suppress(OSError):
            for path in [path for path in self.recordings.iterdir() if path.name not in keep]:
                shutil.rmtree(path, ignore_errors=True)

    @property
    def recordings(self) -> Path:
        """Where those of this database lie, a folder each."""
        return self.folder / "recordings" / self.owner

    def share(self) -> None:
        """Let others in."""
        if self._lock is not None:
            _share(self._lock)
            self.alone = False

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _make_folder(folder: Path) -> None:
    """With those above it, each known to the disk: else a file in it would be lost with the power."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _lock(file: IO[bytes]) -> bool:
    """Take the lock alone if nobody has it, else shared; whether alone. Where there are no such locks, never alone."""
    try:
        import fcntl
    except ImportError:  # Windows: nothing is cleared away
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        fcntl.flock(file, fcntl.LOCK_SH)
        return False
    return True


def _share(file: IO[bytes]) -> None:
    with suppress(ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_SH)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to read.

    Raises:
        FileError: It cannot be read, or is no file but a pipe or a device, which might never end.
    """
    try:
        if path.exists() and not path.is_file():
            raise FileError(f"cannot read {path}: it is not a file")
        with path.open("rb") as file:
            yield file
    except MenuraError:
        raise
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error


def jsonable(value: Any) -> Any:
    """Mappings and tuples as JSON has them."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value
