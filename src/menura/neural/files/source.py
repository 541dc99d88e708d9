"""The bytes of a model file: mapped into memory, never all of them copied."""

import mmap
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from menura.errors import DamagedModelError, FileError, ModelError, UnsafeModelError

__all__ = ["ModelSource", "Source", "budget_for", "open_source", "shown"]

ModelSource = str | PathLike[str] | bytes | bytearray | memoryview
"""What the readers take: a path, or a file's bytes."""

_MIB = 1 << 20
_LARGEST = 32 << 30
_SMALL = 256 << 20
_NAMED, _LONGEST = 8, 1000
"""Of what a text shows."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened model file.

    Attributes:
        name: How errors call it.
        view: Its bytes, read-only. Arrays made of them keep the mapping alive.
    """

    name: str
    view: memoryview

    @property
    def size(self) -> int:
        """Of the file, bytes."""
        return len(self.view)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What goes wrong in the block is reported under the file's name.

        Raises:
            ModelError: As inside, the name in front of its text; of no kind: DamagedModelError.
            UnsafeModelError: Memory ran out.
        """
        try:
            yield
        except ModelError as error:
            if type(error) is ModelError:  # sizes that contradict each other
                raise DamagedModelError(f"{self.name}: it makes no network: {error}; export it again") from error
            raise type(error)(f"{self.name}: {error}") from error
        except MemoryError as error:
            raise UnsafeModelError(f"{self.name}: needs more memory than there is") from error


def open_source(source: ModelSource, *, stays: bool = True) -> Source:
    """Open a model file, or take its bytes.

    Args:
        source: A path, or a file's bytes.
        stays: The file stays as it is while its arrays are in use, so that it may be mapped. False: a file of up to
            256 MiB is read into memory; whoever shortens it meanwhile does no harm.

    Raises:
        FileError: It does not exist, is no ordinary file or cannot be opened.
        DamagedModelError: It is empty.
        UnsafeModelError: It is larger than 32 GiB.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source).toreadonly().cast("B")
        if not len(view):
            raise DamagedModelError("the model is empty (0 bytes)")
        return Source("the model", view)
    path = Path(fspath(source))
    try:
        return Source(shown(path.name), _content(path, stays))
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except ValueError as error:
        raise FileError(f"{shown(path)}: is no path") from error


def _content(path: Path, stays: bool) -> memoryview:
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileError(f"{path}: is {'a folder' if path.is_dir() else 'a pipe or a device'}, not a file")
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if not size:
            raise DamagedModelError(f"{path.name}: the file is empty (0 bytes): fetch it again")
        if size > _LARGEST:
            raise UnsafeModelError(f"{path.name}: {size >> 30} GiB is larger than any model: the limit is 32 GiB")
        if not stays and size <= _SMALL:
            file.seek(0)
            return memoryview(file.read(size))
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def budget_for(size: int) -> int:
    """Bytes that the content of a file of ``size`` bytes may take: views and compression make some of it larger."""
    return 4 * size + 64 * _MIB


def shown(text: object, limit: int = 80) -> str:
    """A file's own words, short and printable, for an error's text."""
    if isinstance(text, list | tuple):
        text = f"[{', '.join(_word(item) for item in text[:_NAMED])}{', …' if len(text) > _NAMED else ''}]"
    plain = "".join(c if c.isprintable() else "?" for c in _word(text)[: limit + 1])
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def _word(item: object) -> str:
    """What holds others is called by its kind: a few lists that hold each other ten times would fill the memory."""
    return type(item).__name__ if isinstance(item, list | tuple | dict | set) else str(item)[:_LONGEST]
