"""Models whose sizes are read now, and whose weights only if they are asked for."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import UnsupportedModelError
from menura.neural.files.checkpoint import read_opened
from menura.neural.files.hubert import HubertCheckpoint, hubert_parts, read_hubert, weights_file
from menura.neural.files.kinds import ModelKind, kind_of, table_of
from menura.neural.files.pitch import RmvpeCheckpoint, read_rmvpe, rmvpe_parts
from menura.neural.files.source import Source, open_source
from menura.neural.files.voice import VoiceCheckpoint, read_voice, voice_parts, voice_words
from menura.neural.files.weights import Arrays, only_arrays, single

__all__ = ["LaterWeights", "hubert_later", "rmvpe_later", "voice_later"]

SMALL_BYTES = 1 << 18
"""A weight of up to this many is read by itself."""
ENDS_BYTES = 1 << 16
"""Of a file that are part of its identity, at each end. A zip's end has the checksum of all that is in it."""


class LaterWeights(Mapping[str, NDArray[np.float32]]):
    """A checkpoint's weights, read and checked as a whole when the first large one is asked for.

    Where a network made of them is kept already, none ever is (:class:`menura.neural.cache.Recipe`).

    Args:
        identity: Of the file: changes when it does.
        plain: Weights that stand in the file as they are.
        names: Of all.
        read: Reads and checks all.

    Attributes:
        identity: As given.
    """

    def __init__(
        self, identity: str, plain: Arrays, names: Iterable[str], read: Callable[[], Mapping[str, NDArray[np.float32]]]
    ) -> None:
        self.identity, self._plain, self._read = identity, plain, read
        self._names = dict.fromkeys(names)
        self._all: Mapping[str, NDArray[np.float32]] | None = None

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if self._all is None:
            plain = self._plain.get(name)
            if name in self and plain is not None and plain.nbytes <= SMALL_BYTES:
                return single({name: plain}, copy=True)[name]
            self._all = self._read()
        return self._all[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _identity(path: Path) -> str:
    """Place, size, time and ends of a file."""
    path = path.resolve()
    status = path.stat()
    digest = hashlib.sha256(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    with path.open("rb") as file:
        digest.update(file.read(ENDS_BYTES))
        file.seek(max(0, status.st_size - ENDS_BYTES))
        digest.update(file.read(ENDS_BYTES))
    return digest.hexdigest()


def _held(opened: Source, wanted: ModelKind) -> Any:
    """What a file holds, weights not looked at."""
    value = read_opened(opened, verify=False)
    kind = kind_of(value)
    if kind is not wanted:
        raise UnsupportedModelError(f"it is {kind}: {wanted} is needed here")
    return value


def hubert_later(source: str | PathLike[str]) -> HubertCheckpoint:
    """As :func:`~menura.neural.files.hubert.read_hubert`, weights later.

    Raises:
        FileError, ModelError: As there; what is wrong with a weight is told when weights are read.
    """
    path = weights_file(source)
    opened = open_source(path)
    with opened.errors():
        config, used, ignored = hubert_parts(_held(opened, ModelKind.HUBERT), path)
        # what weight norm was folded into does not stand there as it is
        plain = {name: array for name, array in used.items() if not array.flags.owndata}
        weights = LaterWeights(_identity(path), plain, used, lambda: read_hubert(path).weights)
        return HubertCheckpoint(config, weights, ignored)


def rmvpe_later(source: str | PathLike[str]) -> RmvpeCheckpoint:
    """As :func:`~menura.neural.files.pitch.read_rmvpe`, weights later.

    Raises:
        FileError, ModelError: As :func:`hubert_later`.
    """
    path = Path(source)
    opened = open_source(path)
    with opened.errors():
        config, stored = rmvpe_parts(_held(opened, ModelKind.RMVPE))
        return RmvpeCheckpoint(config, LaterWeights(_identity(path), stored, stored, lambda: read_rmvpe(path).weights))


def voice_later(source: str | PathLike[str]) -> VoiceCheckpoint:
    """As :func:`~menura.neural.files.voice.read_voice`, weights later.

    Raises:
        FileError, ModelError: As :func:`hubert_later`.
    """
    path = Path(source)
    opened = open_source(path, stays=False)
    with opened.errors():
        value = _held(opened, ModelKind.VOICE)
        config, used, ignored = voice_parts(value, values=False)
        stored = only_arrays(table_of(value))
        plain = {name: array for name, array in used.items() if stored.get(name) is array}
        info, embedder, about = voice_words(value)
        weights = LaterWeights(_identity(path), plain, used, lambda: read_voice(path).weights)
        return VoiceCheckpoint(config, weights, info, embedder, about, ignored)
