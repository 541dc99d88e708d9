"""``menura voices``: what there is, and from where."""

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menura.cli.tables import show_records
from menura.errors import ConfigError, FileError, MenuraError
from menura.voices.builtin import builtin_voices
from menura.voices.voice import Category

if TYPE_CHECKING:
    from menura.store.library import StoredVoice, VoiceLibrary

__all__ = ["delete_voice", "export_to_file", "import_file", "list_voices", "parse_options", "rename_voice"]

SUFFIX = ".menura"


COLUMNS = ("id", "name", "category", "description")


def list_voices(search: str = "", category: str | None = None, *, as_json: bool = False) -> None:
    """List the voices.

    Raises:
        ConfigError: There is no such category.
        LibraryError, FileError: The library cannot be read.
    """
    found = [dict(zip(COLUMNS, row, strict=True)) for row in _voices(search, category)]
    columns = {name: itemgetter(name) for name in COLUMNS}
    show_records(found, columns, as_json=as_json, none="There is no such voice; menura voices lists all.")


def _voices(search: str, category: str | None) -> list[tuple[str, str, str, str]]:
    from menura.places import library_there

    if library_there():
        from menura.store.library import VoiceLibrary

        with VoiceLibrary() as library:
            found = library.voices(search, category)
            return [(v.id, v.data.name, str(v.data.category), v.data.description) for v in found]
    if category is not None and category not in list(Category):
        raise ConfigError(f"category must be one of {', '.join(Category)}, not {category!r}")
    words = search.casefold().split()
    return [
        (voice.id, voice.name, str(voice.category), voice.description)
        for voice in builtin_voices()
        if category in (None, voice.category)
        and all(word in f"{voice.name}\n{voice.description}".casefold() for word in words)
    ]


def import_file(
    path: Path,
    index: Path | None,
    *,
    content: Path | None,
    pitch_model: Path | None,
    name: str | None,
    options: Mapping[str, Any],
) -> None:
    """Add a model or a ``.menura`` file to the library, and say how to use it.

    Args:
        path: Which.
        index, content, pitch_model: Of a model.
        name: What to call it.
        options: Of a model's stage.
    """
    from menura.store.base_models import models_here, needed_models
    from menura.store.library import VoiceLibrary
    from menura.store.models import import_model

    with VoiceLibrary() as library:
        if path.suffix.lower() == SUFFIX:
            stored = _import_bundle(library, path, name)
        else:
            stored = import_model(
                library, path, index, content=content, pitch_model=pitch_model, name=name, settings=options
            )
        alike = [voice for voice in library.voices() if voice.data.name.casefold() == stored.data.name.casefold()]
    print(f"{stored.id}  {stored.data.name}")
    here = models_here()
    missing = [name for name in needed_models(stored) if name not in here]
    if missing:
        print(f"before it can speak: menura models pull {' '.join(missing)}")
    if needed_models(stored) and find_spec("onnxruntime") is None:
        print("before it can speak: pip install 'menura[neural]'")
    if len(alike) > 1:
        print(f"there are {len(alike)} voices of this name now: call them by their ids, or rename one")


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` of a model's stage.

    Raises:
        ConfigError: There is no such option, or it cannot have the value.
    """
    from menura.voices.rvc_options import OPTIONS

    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in OPTIONS:
            raise ConfigError(f"--set takes NAME=VALUE, not {text!r}; there are {', '.join(OPTIONS)}")
        found[name] = OPTIONS[name].parse(value)
    return found


def _import_bundle(library: "VoiceLibrary", path: Path, name: str | None) -> "StoredVoice":
    from menura.store.bundle import import_voice
    from menura.store.files import opened

    with opened(path) as source:
        stored = import_voice(library, source)
    return library.update(stored.id, {"name": name}) if name else stored


def export_to_file(wanted: str, target: Path) -> None:
    """Write a voice as one file, whole or not at all."""
    from menura.store.bundle import export_voice
    from menura.store.library import VoiceLibrary
    from menura.store.lookup import choose

    if target.is_dir():
        raise FileError(f"{target}: is a folder; name a file in it, as {target / ('voice' + SUFFIX)}")
    if target.suffix != SUFFIX:
        raise ConfigError(f"a voice's file ends in {SUFFIX}, not {target.name!r}")
    part = target.with_name(f".{target.name}.part")
    with VoiceLibrary() as library:
        voice_id = choose(library, wanted).id
        try:
            with part.open("wb") as file:
                export_voice(library, voice_id, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except MenuraError:
            raise
        except OSError as error:
            raise FileError(f"cannot write {target}: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
    print(target)


def delete_voice(wanted: str) -> None:
    """Delete one of the user's voices."""
    from menura.store.library import VoiceLibrary
    from menura.store.lookup import choose

    with VoiceLibrary() as library:
        stored = choose(library, wanted)
        library.delete(stored.id)
    print(f"deleted {stored.id}  {stored.data.name}")


def rename_voice(wanted: str, name: str) -> None:
    """Give a voice another name; a built-in one becomes a copy."""
    from menura.store.library import VoiceLibrary
    from menura.store.lookup import choose

    with VoiceLibrary() as library:
        stored = library.update(choose(library, wanted).id, {"name": name})
    print(f"{stored.id}  {stored.data.name}")
