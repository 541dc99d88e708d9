"""What a model file is, told without loading its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from menura.errors import ModelError
from menura.neural.files.checkpoint import read_opened
from menura.neural.files.faiss_file import is_faiss, read_faiss
from menura.neural.files.hubert import hubert_parts, weights_file
from menura.neural.files.kinds import ModelKind, kind_of, table_of
from menura.neural.files.pitch import FcpeConfig, fcpe_parts, rmvpe_parts
from menura.neural.files.source import ModelSource, Source, open_source
from menura.neural.files.voice import voice_parts, voice_words
from menura.neural.files.weights import only_arrays
from menura.neural.nets.config import HubertConfig, RmvpeConfig, SynthesizerConfig

__all__ = ["ModelFacts", "inspect_model"]

Config = SynthesizerConfig | HubertConfig | RmvpeConfig | FcpeConfig


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model file is.

    Attributes:
        kind: Which of the known kinds.
        size: Of the file, bytes.
        config: Sizes of its network, where menura can run it.
        problem: Why menura cannot use it, or "".
        parameters: Numbers in its weights; of an index: in its vectors.
        types: Element types of its weights, as numpy names them.
        info: What a voice's maker wrote.
        embedder: Content model that a voice was trained with.
        about: What else it says of itself; of an index ``vectors``, ``dimensions``, ``lists`` and ``probes``.
    """

    kind: ModelKind
    size: int
    config: Config | None = None
    problem: str = ""
    parameters: int = 0
    types: tuple[str, ...] = ()
    info: str = ""
    embedder: str = ""
    about: Mapping[str, str | int | float] = field(default_factory=dict)


def inspect_model(source: ModelSource) -> ModelFacts:
    """Tell what a model file is: a voice, a content or pitch model, an index, or another program's.

    Its structure is checked as for use, its weights are not read: neither checksums nor values are looked at.

    Args:
        source: A path, a Hugging Face folder, or a file's bytes.

    Raises:
        FileError: The file cannot be opened.
        UnsafeModelError: It wants to run code, or is built to exhaust or mislead its reader.
        DamagedModelError: It is cut short, or contradicts itself.
        UnsupportedModelError: It is no model file at all; the text says what it is.
    """
    path = weights_file(source) if isinstance(source, str | PathLike) else None
    opened = open_source(source if path is None else path)
    with opened.errors():
        if is_faiss(opened.view):
            return _index(opened)
        return _checkpoint(opened, path)


def _index(opened: Source) -> ModelFacts:
    file = read_faiss(opened.view)
    about = {"vectors": file.size, "dimensions": file.dimensions, "lists": len(file.lists), "probes": file.probes}
    parameters = file.size * file.dimensions
    return ModelFacts(ModelKind.INDEX, opened.size, parameters=parameters, types=("float32",), about=about)


def _checkpoint(opened: Source, path: Path | None) -> ModelFacts:
    value = read_opened(opened, verify=False)
    kind = kind_of(value)
    table = table_of(value)
    arrays = only_arrays(table) if isinstance(table, dict) else {}
    config, problem = _config(kind, value, path)
    info, embedder, about = voice_words(value) if kind is ModelKind.VOICE else ("", "", {})
    return ModelFacts(
        kind=kind,
        size=opened.size,
        config=config,
        problem=problem,
        parameters=sum(array.size for array in arrays.values()),
        types=tuple(sorted({str(array.dtype) for array in arrays.values()})),
        info=info,
        embedder=embedder,
        about=about,
    )


def _config(kind: ModelKind, value: Any, path: Path | None) -> tuple[Config | None, str]:
    """Sizes of the network, or why there are none."""
    parts: dict[ModelKind, Callable[[], tuple[Any, ...]]] = {
        ModelKind.VOICE: lambda: voice_parts(value, values=False),
        ModelKind.HUBERT: lambda: hubert_parts(value, path, values=False),
        ModelKind.RMVPE: lambda: rmvpe_parts(value),
        ModelKind.FCPE: lambda: fcpe_parts(value, values=False),
    }
    if kind not in parts:
        return None, f"it is {kind}"
    try:
        return parts[kind]()[0], ""
    except ModelError as error:
        return None, str(error)
