"""Folders of one process each, for files that need not outlive it."""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from menura.errors import FileError
from menura.store.locks import locked

__all__ = ["Scratch"]

LOCK = "lock"


class Scratch:
    """A folder that this process has for itself, beside those of others.

    While a process uses it, it holds a lock, which the system gives back however the process ends. Whoever comes next
    clears away what has no holder. Where there are no such locks (Windows) nobody clears away what others have left.

    Args:
        place: In which the folders lie; made when the first is needed.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._folder: Path | None = None
        self._lock: IO[bytes] | None = None

    def folder(self) -> Path:
        """The folder, made when it is first asked for.

        Raises:
            FileError: It cannot be made.
        """
        if self._folder is None:
            folder = self.place / secrets.token_hex(8)
            try:
                self.place.mkdir(parents=True, exist_ok=True)
                with locked(self.place / LOCK, wait=True):  # no other clears it away before its own lock is taken
                    folder.mkdir()
                    self._lock = locked(folder / LOCK)
            except OSError as error:
                if isinstance(error, FileError):
                    raise
                raise FileError(f"cannot write to {self.place}: {error.strerror or error}") from error
            self._folder = folder
        return self._folder

    def clear(self) -> int:
        """Delete the folders of processes that are no more; how many went. It waits for nobody's work."""
        if os.name != "posix" or not self.place.is_dir():
            return 0
        gone = 0
        with suppress(OSError), locked(self.place / LOCK, wait=True):
            for folder in [path for path in self.place.iterdir() if path.is_dir() and path != self._folder]:
                with suppress(OSError), locked(folder / LOCK):
                    shutil.rmtree(folder)
                    gone += 1
        return gone

    def close(self) -> None:
        """Delete the folder. Twice is fine."""
        folder, lock, self._folder, self._lock = self._folder, self._lock, None, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.close()
