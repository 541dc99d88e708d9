"""``menura models`` and ``menura voices inspect``: models that voices share, and what a file is."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from menura.cli.tables import Columns, show_records, show_table
from menura.errors import ConfigError
from menura.neural.files.inspect import inspect_model
from menura.places import data_folder
from menura.store.base_models import MIRROR, MODELS, pull
from menura.store.given_models import keep

__all__ = ["add_model", "inspect_file", "list_models", "pull_models"]


def inspect_file(path: Path, *, as_json: bool = False) -> None:
    """Say what a model file is, without loading its weights.

    Raises:
        ModelError, FileError: It is none that menura knows, or cannot be read.
    """
    facts = inspect_model(path)
    if as_json:
        print(json.dumps(asdict(facts), indent=2, default=str))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
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
        if name != "info":
            row(name, value)
    show_table(table)


def list_models(*, as_json: bool = False) -> None:
    """The models that voices share, and which are here."""
    records = []
    for model in MODELS.values():
        path = data_folder() / "models" / model.file
        here = "yes" if path.exists() else "partly" if path.with_name(f"{model.file}.part").exists() else "no"
        records.append({"name": model.name, "file": model.file, "bytes": model.size, "here": here, "what": model.what})
    columns: Columns = {
        "name": itemgetter("name"),
        "file": itemgetter("file"),
        "size": lambda model: f"{model['bytes'] / 1e6:.0f} MB",
        "here": itemgetter("here"),
        "what": itemgetter("what"),
    }
    show_records(records, columns, as_json=as_json, right=("size",), none="")


def pull_models(names: list[str], mirror: str | None, quiet: bool) -> None:
    """Fetch models that voices share; those that all of them need, if none is named."""
    unknown = sorted(set(names) - set(MODELS))
    if unknown:
        raise ConfigError(f"there is no model {unknown[0]!r}; there are {', '.join(MODELS)}")
    place = mirror or os.environ.get("MENURA_MODELS_URL") or MIRROR
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as shown:
        for name in names or [model.name for model in MODELS.values() if not model.elsewhere]:
            model = MODELS[name]
            task = shown.add_task(model.file, total=model.size)
            path = pull(model, data_folder() / "models", place, _teller(shown, task))
            print(path)


def add_model(file: Path) -> None:
    """Keep a model that voices share, from a file that is here."""
    print(keep(file, data_folder() / "models"))


def _teller(shown: Progress, task: Any) -> Callable[[int, int], None]:
    return lambda done, _size: shown.update(task, completed=done)
