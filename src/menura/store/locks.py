"""Locks of files, which the system gives back however a process ends."""

from pathlib import Path
from typing import IO

from menura.errors import FileError

__all__ = ["locked"]


def locked(path: Path, *, wait: bool = False) -> IO[bytes]:
    """A file that nobody else holds, made if it is not there; close it to give it back.

    Where the system has no such locks (Windows), everybody gets it.

    Args:
        path: Of the file.
        wait: Until whoever holds it gives it back.

    Raises:
        FileError: Somebody holds it, or it cannot be made.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise FileError(f"cannot write to {path.parent}: {error.strerror}") from error
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except ImportError:
        pass
    except BlockingIOError as error:
        file.close()
        raise FileError(f"{path} is in use") from error
    except OSError as error:
        file.close()
        raise FileError(f"cannot lock {path}: {error.strerror or error}; MENURA_HOME names another place") from error
    return file
