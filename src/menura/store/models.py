"""Models of other people's making as voices of the library: checked before they are kept."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from menura.errors import ModelError, UnsupportedModelError
from menura.neural.files.hubert import weights_file
from menura.neural.files.index import read_index
from menura.neural.files.inspect import inspect_model
from menura.neural.files.kinds import ModelKind
from menura.neural.files.later import hubert_later
from menura.neural.files.voice import read_voice
from menura.store.files import opened
from menura.store.library import NewFile, StoredVoice, VoiceLibrary
from menura.store.voice_data import ROLE, VoiceData

__all__ = ["agree", "describe", "import_model"]

_PITCH_KINDS = {ModelKind.RMVPE: "rmvpe", ModelKind.FCPE: "fcpe"}


def import_model(
    library: VoiceLibrary,
    model: Path,
    index: Path | None = None,
    *,
    content: Path | None = None,
    pitch_model: Path | None = None,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> StoredVoice:
    """Add an RVC voice to the library. Nothing in its files is executed.

    Args:
        library: Where to.
        model: ``.pth``.
        index: Its ``.index``; None without.
        content: Its own HuBERT or ContentVec, a file or a Hugging Face folder; None for the one that voices share.
        pitch_model: Its own RMVPE or FCPE; None for the one that voices share.
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
    if content is not None:
        params["content"] = f"{ROLE}content"
        sources["content"] = weights_file(content)
    if pitch_model is not None:
        params["pitch_model"] = f"{ROLE}pitch_model"
        sources["pitch_model"] = pitch_model
    with ExitStack() as stack:
        files = {}
        for role, path in sources.items():
            incoming = stack.enter_context(library.incoming())
            with opened(path) as source:
                incoming.write_all(source)
            kept = incoming.flush()
            if content is not None and role == "content":
                _same_alone(content, kept)
            files[role] = NewFile(incoming, path.name, describe(role, kept, path.name))
        agree(files)
        if pitch_model is not None:
            _pitch_agrees(files["pitch_model"].details["kind"], params.setdefault("pitch", "rmvpe"), pitch_model.name)
        description = files["model"].details.get("info", "")
        data = VoiceData.parse(
            {
                "name": name or model.stem[:80],
                "description": description if description.isprintable() else "",
                "stages": [{"kind": "rvc", "params": params}],
            }
        )
        return library.create(data, files)


def _same_alone(content: Path, kept: Path) -> None:
    """What stands beside a content model's weights is not kept; it may tell of attention heads what no weight does."""
    config = hubert_later(content).config
    try:
        same = hubert_later(kept).config == config
    except ModelError:
        same = False
    if not same:
        raise UnsupportedModelError(
            f"{content.name} has {config.heads} attention heads, which its weights alone do not tell:"
            " a voice can have such a content model as fairseq's file only"
        )


def _pitch_agrees(kind: str, pitch: object, name: str) -> None:
    if kind != pitch:
        raise ModelError(f"{name} finds pitch by {kind}, and the voice asks for {pitch}: say pitch {kind!r}")


def describe(role: str, path: Path, name: str) -> dict[str, Any]:
    """Read the file of a voice that was just written, so that what is checked is what is kept.

    Args:
        role: ``model``, ``index``, ``content`` and ``pitch_model`` are read; of others nothing is known.
        path: Where it is.
        name: What errors call it.

    Raises:
        ModelError and those below it: It is no such file.
    """
    if role not in ("model", "index", "content", "pitch_model"):
        return {}
    try:
        if role == "content":
            return {"kind": _kind(path, name, "content", {ModelKind.HUBERT: "hubert"})}
        if role == "pitch_model":
            return {"kind": _kind(path, name, "pitch", _PITCH_KINDS)}
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


def _kind(path: Path, name: str, what: str, kinds: Mapping[ModelKind, str]) -> str:
    facts = inspect_model(path)
    if facts.kind not in kinds or facts.problem:
        raise UnsupportedModelError(f"{name} is not a {what} model that menura runs: {facts.problem or facts.kind}")
    return kinds[facts.kind]


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
