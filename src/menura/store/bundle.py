"""A voice as one file, ``.menura``: a zip of what it is and its files, checked on the way in."""

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from menura.errors import (
    DamagedModelError,
    FileError,
    LimitError,
    MenuraError,
    UnsafeModelError,
    UnsupportedModelError,
)
from menura.store.files import PIECE, Incoming
from menura.store.library import MAX_MODEL_BYTES, NewFile, StoredVoice, VoiceLibrary
from menura.store.models import agree, describe
from menura.store.voice_data import VoiceData

__all__ = ["SUFFIX", "export_voice", "import_voice"]

SUFFIX = ".menura"
FORMAT = 1
MAX_DESCRIPTION = 1 << 20
MAX_FILES = 5
_VOICE, _FOLDER = "voice.json", "files/"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["model", "index", "content", "pitch_model", "preview"]
    name: Annotated[str, StringConstraints(max_length=255)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0, le=MAX_MODEL_BYTES)]


class _Bundle(BaseModel):
    model_config = ConfigDict(extra="forbid")

    menura: int
    voice: dict[str, Any]
    files: Annotated[list[_File], Field(max_length=MAX_FILES)] = Field(default_factory=list)


def export_voice(library: VoiceLibrary, voice_id: str, target: IO[bytes]) -> None:
    """Write a voice as one file.

    Raises:
        VoiceNotFoundError: There is none of this id.
        FileError: One of its files cannot be read.
    """
    stored = library.get(voice_id)
    files = [_File(role=f.role, name=f.name, sha256=f.sha256, size=f.size) for f in stored.files.values()]
    bundle = _Bundle(menura=FORMAT, voice=stored.data.model_dump(mode="json"), files=files)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr(zipfile.ZipInfo(_VOICE), bundle.model_dump_json(indent=2), zipfile.ZIP_DEFLATED)
        for sha256 in dict.fromkeys(file.sha256 for file in files):
            _write(archive, sha256, library.files.path(sha256))


def _write(archive: zipfile.ZipFile, sha256: str, path: Path) -> None:
    try:
        with path.open("rb") as source, archive.open(zipfile.ZipInfo(_FOLDER + sha256), "w", force_zip64=True) as out:
            while piece := source.read(PIECE):
                out.write(piece)
    except OSError as error:
        raise FileError(f"a file of the voice cannot be read: {error.strerror}") from error


def import_voice(library: VoiceLibrary, source: IO[bytes]) -> StoredVoice:
    """Add the voice of such a file, under a new id.

    Nothing in it is executed, nothing is written but its files under their hashes, and a file that lies is refused
    before anything is kept.

    Args:
        source: Seekable.

    Raises:
        DamagedModelError, UnsafeModelError, UnsupportedModelError: It is no such file, or is made to mislead.
        ConfigError, ModelError: The voice in it cannot be built.
        LimitError, LibraryError, FileError: It is too large, or cannot be kept.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = _members(archive)
            bundle = _read_bundle(archive, members)
            return _take(library, archive, members, bundle)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, KeyError) as error:
        raise DamagedModelError(f"this is not a voice of menura, or it is damaged: {error}") from error
    except MenuraError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # NotImplementedError is one
        raise DamagedModelError(f"this voice cannot be read: {error}") from error


def _members(archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(names) > MAX_FILES + 1 or len(set(names)) != len(names):
        raise UnsafeModelError("this voice holds more files, or one twice: it is not taken")
    for info in infos:
        if info.flag_bits & 0x1:
            raise UnsupportedModelError("this voice is encrypted: it is not taken")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnsupportedModelError("this voice is compressed in a way that is not read")
    return {info.filename: info for info in infos}


def _read_bundle(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> _Bundle:
    info = members.get(_VOICE)
    if info is None:
        raise UnsupportedModelError("this zip is not a voice of menura: it has no voice.json")
    with archive.open(info) as file:
        text = file.read(MAX_DESCRIPTION + 1)
    if len(text) > MAX_DESCRIPTION:
        raise LimitError("the description of this voice is too long")
    try:
        plain = json.loads(text)
        if isinstance(plain, dict) and isinstance(plain.get("menura"), int) and plain["menura"] > FORMAT:
            raise UnsupportedModelError("a newer menura wrote this voice: install that to read it")
        return _Bundle.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DamagedModelError(f"voice.json: {where}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise DamagedModelError(f"voice.json cannot be read: {error}") from error


def _take(
    library: VoiceLibrary, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], bundle: _Bundle
) -> StoredVoice:
    data = VoiceData.parse(bundle.voice)
    expected = {_FOLDER + file.sha256 for file in bundle.files}
    if expected | {_VOICE} != set(members):
        raise UnsafeModelError("what this voice holds is not what it says it holds: it is not taken")
    if len({file.role for file in bundle.files}) != len(bundle.files):
        raise UnsafeModelError("this voice has two files for one purpose: it is not taken")
    with ExitStack() as stack:
        files: dict[str, NewFile] = {}
        for file in bundle.files:
            incoming = stack.enter_context(library.incoming(file.size))
            _copy(archive, members[_FOLDER + file.sha256], incoming, file)
            details = describe(file.role, incoming.flush(), file.name or file.role)
            files[file.role] = NewFile(incoming, file.name, details)
        agree(files)
        return library.create(data, files)


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, incoming: Incoming, file: _File) -> None:
    with archive.open(info) as source:
        incoming.write_all(source)
    if incoming.size != file.size or incoming.sha256 != file.sha256:
        raise DamagedModelError(f"{file.name or file.role}: not the file that this voice was made with")
