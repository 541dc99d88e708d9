"""``/api/voices``."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import IO, Annotated, Any, Self

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from menura.errors import StateError
from menura.server.api.errors import answers
from menura.server.api.uploads import FILE_BODY, called, receive
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.server.previews import Previews
from menura.store.base_models import models_here, needed_models
from menura.store.bundle import SUFFIX, export_voice, import_voice
from menura.store.files import PIECE, Incoming, opened
from menura.store.library import MAX_ID, MAX_MODEL_BYTES, StoredVoice, VoiceLibrary
from menura.store.voice_data import StageData, VoiceData, shown
from menura.voices.voice import Category, Voice

__all__ = ["VoiceReply", "voice_routes"]

VoiceId = Annotated[str, Path(min_length=1, max_length=MAX_ID, description="As the list has it.")]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=40, description='The version that is changed: `"3"`; else any.')
]
MAX_BUNDLE_BYTES = 2 * MAX_MODEL_BYTES


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Stage(BaseModel):
    """A stage of a voice: its kind and parameters."""

    kind: str
    params: dict[str, Any]


class VoiceFile(BaseModel):
    """A file of a voice."""

    role: str
    name: str
    size: int
    sha256: str
    details: dict[str, Any]


class VoiceReply(BaseModel):
    """A voice. Times are null while nothing was ever put into the library."""

    id: str
    name: str
    category: Category
    description: str
    builtin: bool
    favourite: bool
    version: int
    stages: list[Stage]
    parameters: dict[str, float]
    files: list[VoiceFile]
    preview: bool = Field(description="Whether it can be heard: models that it needs are here.")
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, stored: StoredVoice, ready: frozenset[str]) -> Self:
        """A voice of the library."""
        files = [
            VoiceFile(role=f.role, name=f.name, size=f.size, sha256=f.sha256, details=dict(f.details))
            for f in stored.files.values()
        ]
        return cls(
            id=stored.id,
            builtin=stored.builtin,
            favourite=stored.favourite,
            version=stored.version,
            files=files,
            preview=set(needed_models(stored)) <= ready,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
            **_what(stored.data),
        )

    @classmethod
    def fixed(cls, voice: Voice) -> Self:
        """A voice that no library has."""
        return cls(
            id=voice.id,
            builtin=True,
            favourite=False,
            version=1,
            files=[],
            preview=True,
            created_at=None,
            updated_at=None,
            **_what(VoiceData.of(voice)),
        )


def _what(data: VoiceData) -> dict[str, Any]:
    return {
        "name": data.name,
        "category": data.category,
        "description": data.description,
        "stages": [Stage(kind=stage.kind, params=stage.params) for stage in data.stages],
        "parameters": data.parameters,
    }


class Voices(BaseModel):
    """Voices, and how many there are in all."""

    voices: list[VoiceReply]
    total: int


class NewVoice(_Body):
    """A voice of the user's own."""

    name: str = Field(min_length=1, max_length=80, examples=["Cave man"])
    description: str = Field(default="", max_length=500)
    stages: list[StageData] = Field(max_length=24, examples=[[{"kind": "shift", "params": {"pitch_st": -4}}]])
    parameters: dict[str, float] = Field(default_factory=dict, max_length=16)


class VoiceChange(_Body):
    """What is to change; the rest stays."""

    name: str | None = Field(default=None, min_length=1, max_length=80)
    description: str | None = Field(default=None, max_length=500)
    stages: list[StageData] | None = Field(default=None, max_length=24)
    parameters: dict[str, float] | None = Field(default=None, max_length=16)


class Favourite(_Body):
    """Whether it is one."""

    favourite: bool


class Copy(_Body):
    """How a copy is called."""

    name: str | None = Field(default=None, min_length=1, max_length=80)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The library as the routes use it; each method takes its time."""

    catalogue: Catalogue

    def all(self, search: str, category: Category | None, favourite: bool | None) -> list[VoiceReply]:
        library = None if self.catalogue.fixed else self.catalogue.library(make=False)
        if library is not None:
            ready = models_here()
            found = [VoiceReply.of(stored, ready) for stored in library.voices(search, category)]
        else:
            found = [VoiceReply.fixed(self.catalogue.get(info.id)[0]) for info in self.catalogue.infos()]
            words = search.casefold().split()
            found = [v for v in found if all(w in f"{v.name}\n{v.description}".casefold() for w in words)]
            found = [v for v in found if category in (None, v.category)]
        return [voice for voice in found if favourite in (None, voice.favourite)]

    def one(self, voice_id: str) -> VoiceReply:
        library = None if self.catalogue.fixed else self.catalogue.library(make=False)
        if library is None:
            return VoiceReply.fixed(self.catalogue.get(voice_id)[0])
        return VoiceReply.of(library.get(voice_id), models_here())

    def library(self) -> VoiceLibrary:
        library = self.catalogue.library()
        assert library is not None  # it was made
        return library

    def changed(self, stored: StoredVoice) -> VoiceReply:
        self.catalogue.refresh()
        return VoiceReply.of(stored, models_here())

    def change(self, voice_id: str, changes: dict[str, Any], version: int | None) -> VoiceReply:
        return self.changed(self.library().update(voice_id, changes, version))

    def delete(self, voice_id: str, version: int | None) -> None:
        library = self.library()
        stored = library.get(voice_id)
        if stored.builtin:
            raise StateError(f"{stored.data.name} came with menura and cannot be deleted")
        library.delete(voice_id, version)
        self.catalogue.refresh()

    def take(self, incoming: Incoming, name: str) -> VoiceReply:
        with incoming, called(name, incoming.path), opened(incoming.path) as source:
            return self.changed(import_voice(self.library(), source))

    def export(self, voice_id: str) -> tuple[str, IO[bytes]]:
        library = self.library()
        stored = library.get(voice_id)
        file: IO[bytes] = tempfile.TemporaryFile(dir=library.files.folder / "incoming")  # noqa: SIM115
        try:
            export_voice(library, voice_id, file)
        except BaseException:
            file.close()
            raise
        return stored.data.name, file


def _version(if_match: str | None) -> int | None:
    """Of ``If-Match``; ``*`` is any that is there, and what is no version is none that is there."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    return int(text) if text.isdecimal() and text.isascii() else -1


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def _tagged(response: Response, voice: VoiceReply) -> VoiceReply:
    response.headers["ETag"] = f'"{voice.version}"'
    return voice


def voice_routes(catalogue: Catalogue, previews: Previews, figures: ServerFigures) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/voices", tags=["voices"])
    shelf = _Shelf(catalogue)
    _add_reading(routes, shelf, previews)
    _add_writing(routes, shelf, figures)
    _add_changing(routes, shelf)
    return routes


def _add_reading(routes: APIRouter, shelf: _Shelf, previews: Previews) -> None:
    @routes.get("", operation_id="listVoices", responses=answers(422, 503))
    def listed(
        search: Annotated[str, Query(max_length=200, description="Words of name or description.")] = "",
        category: Category | None = None,
        favourite: bool | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Voices:
        """The voices: built-in ones first."""
        found = shelf.all(search, category, favourite)
        return Voices(voices=found[offset : offset + limit], total=len(found))

    @routes.get("/{voice_id}", operation_id="getVoice", responses=answers(404, 422, 503))
    def one(voice_id: VoiceId, response: Response) -> VoiceReply:
        """One voice; its ETag is its version."""
        return _tagged(response, shelf.one(voice_id))

    @routes.get(
        "/{voice_id}/preview",
        operation_id="hearVoice",
        response_class=Response,
        responses={
            200: {"content": {"audio/wav": {}}},
            304: {"description": "As you have it"},
            **answers(404, 422, 503),
        },
    )
    async def preview(
        voice_id: VoiceId, if_none_match: Annotated[str | None, Header(max_length=200)] = None
    ) -> Response:
        """A sentence in this voice, WAV; rendered when first asked for."""
        found = await previews.get(voice_id)
        tag = f'"{found.tag}"'
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers={"ETag": tag})
        return Response(found.wav, media_type="audio/wav", headers={"ETag": tag, "Cache-Control": "private, no-cache"})

    @routes.get(
        "/{voice_id}/export",
        operation_id="exportVoice",
        response_class=Response,
        responses={200: {"content": {"application/zip": {}}}, **answers(404, 409, 422, 503)},
    )
    def export(voice_id: VoiceId) -> Response:
        """The voice as one file, `.menura`."""
        name, file = shelf.export(voice_id)
        safe = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
        headers = {"Content-Disposition": f'attachment; filename="{safe}{SUFFIX}"'}
        return StreamingResponse(_pieces(file), media_type="application/zip", headers=headers)


def _add_writing(routes: APIRouter, shelf: _Shelf, figures: ServerFigures) -> None:
    @routes.post("", status_code=201, operation_id="createVoice", responses=answers(400, 409, 422, 503))
    def create(voice: NewVoice, response: Response) -> VoiceReply:
        """Add a voice: a chain of stages."""
        return _tagged(response, shelf.changed(shelf.library().create(voice.model_dump())))

    @routes.post(
        "/import",
        status_code=201,
        operation_id="importVoice",
        responses=answers(400, 408, 409, 413, 422, 503, 507),
        openapi_extra=FILE_BODY,
    )
    async def take(
        request: Request,
        response: Response,
        filename: Annotated[str, Query(max_length=255, description="What a refusal calls the file.")] = "",
    ) -> VoiceReply:
        """Add the voice of a `.menura` file: the body is the file. It is checked before it is kept."""
        with figures.upload("voice"):
            library = await run_in_threadpool(shelf.library)
            incoming = await receive(request, library, MAX_BUNDLE_BYTES)
            figures.received("voice", incoming.size)
            return _tagged(response, await run_in_threadpool(shelf.take, incoming, shown(PurePath(filename).name)))

    @routes.post(
        "/{voice_id}/duplicate",
        status_code=201,
        operation_id="duplicateVoice",
        responses=answers(400, 404, 409, 422, 503),
    )
    def duplicate(voice_id: VoiceId, response: Response, copy: Copy | None = None) -> VoiceReply:
        """Copy a voice."""
        return _tagged(response, shelf.changed(shelf.library().duplicate(voice_id, copy.name if copy else None)))


def _add_changing(routes: APIRouter, shelf: _Shelf) -> None:
    @routes.patch(
        "/{voice_id}",
        operation_id="changeVoice",
        responses={
            201: {"model": VoiceReply, "description": "A built-in voice: its copy was made"},
            **answers(400, 404, 409, 412, 422, 503),
        },
    )
    def change(voice_id: VoiceId, changes: VoiceChange, response: Response, if_match: IfMatch = None) -> VoiceReply:
        """Change a voice; of a built-in one a copy is made and answered with 201."""
        given = {name: value for name, value in changes.model_dump(exclude_unset=True).items() if value is not None}
        voice = shelf.change(voice_id, given, _version(if_match))
        if voice.id != voice_id:
            response.status_code = 201
        return _tagged(response, voice)

    @routes.delete(
        "/{voice_id}", status_code=204, operation_id="deleteVoice", responses=answers(404, 409, 412, 422, 503)
    )
    def delete(voice_id: VoiceId, if_match: IfMatch = None) -> None:
        """Delete a voice of the user's own."""
        shelf.delete(voice_id, _version(if_match))

    @routes.put("/{voice_id}/favourite", operation_id="markVoice", responses=answers(404, 409, 422, 503))
    def mark(voice_id: VoiceId, mark: Favourite, response: Response) -> VoiceReply:
        """Make it a favourite, or not; built-in voices too."""
        return _tagged(response, shelf.changed(shelf.library().set_favourite(voice_id, mark.favourite)))
