"""``menura convert``: which files go where, and a bar that shows how far they are."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from menura.errors import ConfigError, FileError, MenuraError
from menura.live.convert import convert
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["convert_all", "plan"]

AUDIO_SUFFIXES = frozenset(
    [
        ".wav",
        ".flac",
        ".aif",
        ".aiff",
        ".caf",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".m4a",
        ".mp4",
        ".aac",
        ".webm",
        ".mka",
        ".mkv",
        ".mov",
        ".au",
        ".w64",
        ".rf64",
    ]
)
"""What a folder is searched for; a file named on the command line is tried whatever its name."""


def plan(inputs: Sequence[Path], output: Path, form: str = "") -> list[tuple[Path, Path]]:
    """Pair each input file with its output file.

    One file goes to ``output`` itself, unless that is a folder; several files, or a folder, go into the folder
    ``output`` under their own names (a folder's with their place in it).

    Raises:
        FileError: An input is missing or a folder holds no audio, or ``output`` is a file where a folder is needed.
        ConfigError: Two inputs would become one output.
    """
    form = form.removeprefix(".")
    if form and not form.isalnum():
        raise ConfigError(f"--format is an ending, as wav or mp3, not {form[:20]!r}")
    into_folder = len(inputs) > 1 or any(path.is_dir() for path in inputs) or output.is_dir()
    if not into_folder:
        return [(inputs[0], output.with_suffix(f".{form}") if form else output)]
    if output.exists() and not output.is_dir():
        raise FileError(f"{output}: is a file; several inputs need a folder")
    pairs = [(path, output / (name.with_suffix(f".{form}") if form else name)) for path, name in _files(inputs, output)]
    if not pairs:
        raise FileError(f"{inputs[0]}: holds no audio files")
    seen: dict[Path, Path] = {}
    for path, target in pairs:
        if target in seen:
            raise ConfigError(f"{seen[target]} and {path} would both become {target}")
        seen[target] = path
    return pairs


def _files(inputs: Sequence[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    """Each input file with its name below the output folder."""
    for given in inputs:
        if not given.is_dir():
            yield given, Path(given.name)
            continue
        for path in sorted(given.rglob("*")):
            if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file() and output not in path.parents:
                yield path, path.relative_to(given)


def convert_all(
    inputs: Sequence[Path],
    output: Path,
    voice: Voice,
    parameters: VoiceParameters,
    *,
    form: str = "",
    quiet: bool = False,
) -> None:
    """Convert every input; one that fails is reported and the others still done.

    Raises:
        MenuraError: What failed; with several inputs, how many.
    """
    pairs = plan(inputs, output, form)
    errors = Console(stderr=True)
    failed: list[MenuraError] = []
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=errors,
        disable=quiet or not sys.stderr.isatty(),
    )
    with bar:
        for source, target in pairs:
            try:
                _convert_one(source, target, voice, parameters, bar)
            except MenuraError as error:
                if len(pairs) == 1:
                    raise
                failed.append(error)
                errors.print(f"menura: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
    if failed:
        raise FileError(f"{len(failed)} of {len(pairs)} files could not be converted")


def _convert_one(source: Path, target: Path, voice: Voice, parameters: VoiceParameters, bar: Progress) -> None:
    task = bar.add_task(source.name, total=None)
    try:
        if target.parent != Path() and len(target.parts) > 1:
            target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{target.parent}: cannot be made ({error.strerror})") from error

    def show(done: int, total: int | None) -> None:
        bar.update(task, completed=done, total=max(total, done) if total else None)

    convert(source, target, voice, parameters=parameters, progress=show)
