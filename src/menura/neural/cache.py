"""Networks as a runtime has optimised and packed them, kept on disk and mapped from there.

A network found here is loaded in a tenth of the time, and its weights are the file's own pages: several processes hold
them once, and the system may drop and fetch them. What is kept fits one processor, one version of the runtime and one
content; anything else is another entry. Entries not used for longest go when there are too many bytes.

Of a network made by a recipe it is noted which entry it is. The next time nothing of it is read or made, only found.
"""

import hashlib
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from menura.neural.nets.graph import Network, Weights

__all__ = ["NetworkCache", "Recipe", "fingerprint"]

LIMIT_BYTES = 8_000_000_000
NOTE = ".entry"
"""Suffix of a note: a file whose content is an entry's name."""


@lru_cache(maxsize=1)
def _processor() -> str:
    """What decides how weights are packed: the processor's model and its instructions."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return f"{platform.machine()} {platform.processor()} {platform.version()}"


@lru_cache(maxsize=1)
def _makers() -> str:
    """Of the code that makes networks: another version may make another of the same weights."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).with_name("nets").glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is made, for one that may be kept already.

    Attributes:
        name: Of the network.
        told: What it is made of: the identity of its checkpoint, and how; empty: that is not known.
        make: Makes it.
    """

    name: str
    told: str
    make: Callable[[], Network]

    @classmethod
    def of(cls, name: str, weights: Weights, make: Callable[[], Network], *how: object) -> "Recipe":
        """Of a checkpoint: one that has an ``identity`` (:class:`menura.neural.files.later.LaterWeights`) is not read
        if the network is kept.

        Args:
            name: Of the network, the same as made.
            weights: The checkpoint.
            make: Makes it.
            how: All else that it depends on, its sizes too: a file beside the checkpoint may tell them.
        """
        identity = getattr(weights, "identity", "")
        return cls(name, f"{name} {identity} {how}" if identity else "", make)

    def note(self, runtime: str) -> str:
        """Name of the note of its entry."""
        parts = (runtime, _processor(), platform.machine(), _makers(), self.told)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest() + NOTE


def fingerprint(network: Network, runtime: str) -> str:
    """Name of a network's entry: its nodes, its weights, the runtime and the processor."""
    digest = hashlib.sha256()
    for part in (runtime, _processor(), platform.machine()):
        digest.update(part.encode() + b"\0")
    digest.update(network.model)
    for name, array in network.weights.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class NetworkCache:
    """A folder of networks.

    Args:
        folder: Where; made when needed.
        limit_bytes: Most it holds after something is added, the newest entry apart.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes

    def find(self, key: str) -> Path | None:
        """The folder of an entry, or None; it counts as used now."""
        place = self.folder / key
        if not place.is_dir():
            return None
        place.touch()
        return place

    @contextmanager
    def add(self, key: str) -> Iterator[Path]:
        """A folder to write an entry into; when the block ends without an error it is there, whole.

        Raises:
            OSError: It cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
        try:
            yield new
            if not (self.folder / key).exists():
                new.rename(self.folder / key)
        finally:
            # another process may have been first
            shutil.rmtree(new, ignore_errors=True)
        self._prune(self.folder / key)

    def noted(self, note: str) -> str:
        """The entry that a note names; empty where there is none, or the entry has gone."""
        try:
            key = (self.folder / note).read_text("ascii").strip()
        except (OSError, ValueError):
            return ""
        return key if re.fullmatch(r"[0-9a-f]{64}", key) and (self.folder / key).is_dir() else ""

    def write(self, note: str, key: str) -> None:
        """Note which entry a network is.

        Raises:
            OSError: It cannot be written.
        """
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".new-", delete=False) as file:
            file.write(key)
        Path(file.name).replace(self.folder / note)

    def remove(self, key: str) -> None:
        """Forget an entry."""
        shutil.rmtree(self.folder / key, ignore_errors=True)

    def _prune(self, newest: Path) -> None:
        entries = sorted((e for e in self.folder.iterdir() if e.is_dir() and e != newest), key=_used, reverse=True)
        held = _size(newest)
        for entry in entries:
            held += _size(entry)
            if held > self.limit_bytes:
                shutil.rmtree(entry, ignore_errors=True)
        for note in self.folder.glob(f"*{NOTE}"):
            if not self.noted(note.name):
                note.unlink(missing_ok=True)


def _used(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        # another process has just removed it
        return 0.0


def _size(entry: Path) -> int:
    try:
        return sum(file.stat().st_size for file in entry.iterdir())
    except OSError:
        return 0
