"""Files that are being written, under a hidden name beside their own until they are complete."""

import os
import re
import uuid
from contextlib import suppress
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import Any

from menura.errors import FileError

__all__ = ["PartFile"]

_fcntl: Any = import_module("fcntl") if os.name == "posix" else None


class PartFile:
    """Makes the hidden file, and removes those that a killed process has left of the same name.

    Who writes holds a lock on it, which the system takes away from a process that ends in whatever way; where there are
    no such locks, nothing is removed.

    Raises:
        FileError: The place is not writable.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise FileError(f"{path}: is a folder, not a file")
        _clear(path)
        self.path = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            self._lock = self.path.open("xb", buffering=0)
        except OSError as error:
            raise FileError(f"{path}: cannot be written ({error.strerror})") from error
        if not _take(self._lock):
            self._lock.close()  # where an open file cannot be renamed there are no locks either

    def replace(self, path: Path) -> None:
        """Put it under its name."""
        try:
            self.path.replace(path)
        finally:
            self._lock.close()

    def remove(self) -> None:
        """It is not wanted."""
        self._lock.close()
        self.path.unlink(missing_ok=True)


def _take(file: FileIO) -> bool:
    """Lock it; whether nobody else has."""
    if _fcntl is None:
        return False
    try:
        _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except OSError:  # another has it, or this file system has no locks
        return False
    return True


def _clear(path: Path) -> None:
    left = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.part")
    with suppress(OSError):
        for part in path.parent.iterdir():
            if left.fullmatch(part.name):
                with suppress(OSError), part.open("rb", buffering=0) as file:
                    if _take(file):
                        part.unlink()
