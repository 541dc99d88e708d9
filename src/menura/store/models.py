"""Models of other people's making as voices of the library: checked before they are kept."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from menura.errors import ModelError
from menura.neural.files.index import read_index
from menura.neural.files.voice import read_voice
from menura.store.files import opened
from menura.store.library import NewFile, StoredVoice, VoiceLibrary
from menura.store.voice_data import ROLE, VoiceData

__all__ = ["agree", "describe", "import_model"]


def import_model(
    library: VoiceLibrary,
    model: Path,
    index: Path | None = None,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> StoredVoice:
    """Add an RVC voice to the library. Nothing in its files is executed.

    Args:
        library: Where to.
        model: ``.pth``.
        index: Its ``.index``; None without.
        name: What people call it; by default the file's name.
        settings: Further parameters of its stage: ``key_st``, ``index_rate``, ``pitch``, …

    Raises:
        ModelError and those below it: A file is no such model, damaged or unsafe; the text says what.
        ConfigError: The name or a setting cannot be.
        FileError, LimitError, LibraryError: It cannot be kept.
    """
    params: dict[str, Any] = {"model": f"{ROLE}model", **(settings or {})}
    sources = {"model": model}
    if index is not None:
        params["index"] = f"{ROLE}index"
        params.setdefault("index_rate", 0.5)
        sources["index"] = index
    with ExitStack() as stack:
        files = {}
        for role, path in sources.items():
            incoming = stack.enter_context(library.incoming())
            with opened(path) as source:
                incoming.write_all(source)
            files[role] = NewFile(incoming, path.name, describe(role, incoming.flush(), path.name))
        agree(files)
        description = files["model"].details.get("info", "")
        data = VoiceData.parse(
            {
                "name": name or model.stem[:80],
                "description": description if description.isprintable() else "",
                "stages": [{"kind": "rvc", "params": params}],
            }
        )
        return library.create(data, files)


def describe(role: str, path: Path, name: str) -> dict[str, Any]:
    """Read the file of a voice that was just written, so that what is checked is what is kept.

    Args:
        role: ``model`` and ``index`` are read; of others nothing is known.
        path: Where it is.
        name: What errors call it.

    Raises:
        ModelError and those below it: It is no such file.
    """
    if role not in ("model", "index"):
        return {}
    try:
        if role == "index":
            index = read_index(path)
            return {"dimensions": index.dimensions, "vectors": index.size}
        checkpoint = read_voice(path)
    except ModelError as error:
        raise type(error)(str(error).replace(path.name, name)) from error
    config = checkpoint.config
    return {
        "version": config.version,
        "rate": config.rate,
        "pitch": config.f0,
        "speakers": config.speakers,
        "features": config.features,
        "embedder": checkpoint.embedder,
        "info": checkpoint.info[:500],
    }


def agree(files: Mapping[str, NewFile]) -> None:
    """See that an index belongs to its model.

    Raises:
        ModelError: It does not.
    """
    if not {"index", "model"} <= set(files):
        return
    have, needed = files["index"].details["dimensions"], files["model"].details["features"]
    if have != needed:
        raise ModelError(
            f"the index has {have} numbers a vector, the voice takes {needed}: it belongs to another voice"
        )
