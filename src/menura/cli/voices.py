"""``menura voices`` and ``menura models``: what there is, from where, and what a file is."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from menura.errors import ConfigError, FileError, MenuraError
from menura.neural.files.inspect import inspect_model
from menura.places import data_folder
from menura.store.base_models import MIRROR, MODELS, models_here, needed_models, pull
from menura.store.bundle import SUFFIX, export_voice, import_voice
from menura.store.files import opened
from menura.store.library import StoredVoice, VoiceLibrary
from menura.store.lookup import choose, library_there
from menura.store.models import import_model
from menura.store.voice_data import VoiceData
from menura.voices.builtin import builtin_voices

__all__ = [
    "delete_voice",
    "export_to_file",
    "import_file",
    "inspect_file",
    "list_models",
    "list_voices",
    "pull_models",
    "rename_voice",
]


def list_voices(search: str, category: str | None) -> None:
    """A table of the voices."""
    table = Table("id", "name", "category", "description", box=None, header_style="bold")
    for voice_id, data in _voices(search, category):
        table.add_row(voice_id, data.name, str(data.category), data.description)
    _show(table)


def _show(table: Table) -> None:
    """As it is: names come from elsewhere, and are no markup."""
    Console(markup=False, emoji=False, highlight=False).print(table)


def _voices(search: str, category: str | None) -> list[tuple[str, VoiceData]]:
    if not (library_there() or search or category):
        return [(voice.id, VoiceData.of(voice)) for voice in builtin_voices()]
    with VoiceLibrary() as library:
        return [(stored.id, stored.data) for stored in library.voices(search, category)]


def import_file(path: Path, index: Path | None, name: str | None, key_st: float, pitch: str) -> None:
    """Add a model or a ``.menura`` file to the library, and say how to use it."""
    with VoiceLibrary() as library:
        if path.suffix.lower() == SUFFIX:
            stored = _import_bundle(library, path, name)
        else:
            stored = import_model(library, path, index, name=name, settings={"key_st": key_st, "pitch": pitch})
    print(f"{stored.id}  {stored.data.name}")
    here = models_here()
    missing = [name for name in needed_models(stored) if name not in here]
    if missing:
        print(f"before it can speak: menura models pull {' '.join(missing)}")


def _import_bundle(library: VoiceLibrary, path: Path, name: str | None) -> StoredVoice:
    with opened(path) as source:
        stored = import_voice(library, source)
    return library.update(stored.id, {"name": name}) if name else stored


def export_to_file(wanted: str, target: Path) -> None:
    """Write a voice as one file, whole or not at all."""
    if target.is_dir() or target.suffix != SUFFIX:
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
    with VoiceLibrary() as library:
        stored = choose(library, wanted)
        library.delete(stored.id)
    print(f"deleted {stored.id}  {stored.data.name}")


def rename_voice(wanted: str, name: str) -> None:
    """Give a voice another name; a built-in one becomes a copy."""
    with VoiceLibrary() as library:
        stored = library.update(choose(library, wanted).id, {"name": name})
    print(f"{stored.id}  {stored.data.name}")


def inspect_file(path: Path) -> None:
    """Say what a model file is, without loading its weights."""
    facts = inspect_model(path)
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column()

    def row(name: str, value: Any) -> None:
        if value not in ("", None, (), {}):
            table.add_row(name, str(value))

    row("kind", facts.kind)
    row("problem", facts.problem)
    row("size", f"{facts.size / 1e6:.1f} MB, {facts.parameters:,} numbers" if facts.parameters else facts.size)
    row("types", ", ".join(facts.types))
    if facts.config is not None:
        for name, value in asdict(facts.config).items():
            if name in ("version", "f0", "rate", "features", "speakers", "hidden", "layers", "projection"):
                row(name, value)
    row("info", facts.info)
    row("embedder", facts.embedder)
    for name, value in facts.about.items():
        row(name, value)
    _show(table)


def list_models() -> None:
    """The models that voices share, and which are here."""
    table = Table("name", "file", "size", "here", "what", box=None, header_style="bold")
    for model in MODELS.values():
        path = data_folder() / "models" / model.file
        here = "yes" if path.exists() else "partly" if path.with_name(f"{model.file}.part").exists() else "no"
        table.add_row(model.name, model.file, f"{model.size / 1e6:.0f} MB", here, model.what)
    _show(table)


def pull_models(names: list[str], mirror: str | None, quiet: bool) -> None:
    """Fetch models that voices share; all of them, if none is named."""
    unknown = sorted(set(names) - set(MODELS))
    if unknown:
        raise ConfigError(f"there is no model {unknown[0]!r}; there are {', '.join(MODELS)}")
    place = mirror or os.environ.get("MENURA_MODELS_URL") or MIRROR
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as shown:
        for name in names or list(MODELS):
            model = MODELS[name]
            task = shown.add_task(model.file, total=model.size)
            path = pull(model, data_folder() / "models", place, _teller(shown, task))
            print(path)


def _teller(shown: Progress, task: Any) -> Callable[[int, int], None]:
    return lambda done, _size: shown.update(task, completed=done)
