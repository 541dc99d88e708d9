"""``/api/models``: model files on their way to become voices."""

import secrets
from dataclasses import dataclass, field
from pathlib import PurePath
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from menura.clock import Clock, monotonic_s
from menura.errors import NotFoundError, RateLimitError, UnsupportedModelError
from menura.neural.files.inspect import inspect_model
from menura.neural.files.kinds import ModelKind
from menura.server.api.errors import answers
from menura.server.api.uploads import FILE_BODY, called, receive
from menura.server.api.voices import VoiceReply
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.store.base_models import models_here
from menura.store.files import Incoming
from menura.store.library import MAX_MODEL_BYTES, NewFile, VoiceLibrary
from menura.store.models import agree, describe
from menura.store.voice_data import ROLE, VoiceData, shown

__all__ = ["Uploads", "model_routes"]

MAX_UPLOADS = 16
EXPIRE_S = 3600.0
_ROLES = {ModelKind.VOICE: "model", ModelKind.INDEX: "index"}
ModelId = Annotated[str, Path(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent and checked."""

    id: str
    role: str
    file: NewFile
    since_s: float


class Uploads:
    """Files that were sent, and are no voice yet. They go when they are used, deleted or an hour old, and with the
    server: what a killed one leaves, the next to open the library clears away.

    Args:
        clock: For their age.
    """

    def __init__(self, clock: Clock = monotonic_s) -> None:
        self._clock, self._lock = clock, Lock()
        self._held: dict[str, Upload] = {}

    def expire(self) -> None:
        """Forget the old. Takes its time."""
        with self._lock:
            old = [upload for upload in self._held.values() if self._clock() - upload.since_s > EXPIRE_S]
            for upload in old:
                del self._held[upload.id]
        for upload in old:
            upload.file.incoming.__exit__()

    def check_room(self) -> None:
        """Forget the old.

        Raises:
            RateLimitError: There are as many as there may be.
        """
        self.expire()
        with self._lock:
            full = len(self._held) >= MAX_UPLOADS
        if full:
            raise RateLimitError(f"{MAX_UPLOADS} files wait to become voices: use or delete one", retry_after_ms=60_000)

    def add(self, incoming: Incoming, name: str) -> Upload:
        """Check a file, and hold it.

        Raises:
            ModelError and those below it: It is no model of a voice, and no index.
        """
        try:
            with called(name, incoming.path):
                facts = inspect_model(incoming.path)
                role = _ROLES.get(facts.kind)
                if role is None:
                    raise UnsupportedModelError(f"{name} is neither a voice nor an index: it is {facts.kind}")
                details = describe(role, incoming.path, name)
        except BaseException:
            incoming.__exit__()
            raise
        upload = Upload(f"model-{secrets.token_hex(8)}", role, NewFile(incoming, name, details), self._clock())
        with self._lock:
            self._held[upload.id] = upload
        return upload

    def find(self, upload_id: str, role: str | None = None) -> Upload:
        """One of them.

        Raises:
            NotFoundError: There is none of this id and role.
        """
        with self._lock:
            upload = self._held.get(upload_id)
        if upload is None or role not in (None, upload.role):
            raise NotFoundError(f"No uploaded {role or 'file'} has this id; files that nobody uses go after an hour")
        return upload

    def remove(self, *uploads: Upload) -> None:
        """Let go of them, and of what was not kept."""
        for upload in uploads:
            with self._lock:
                self._held.pop(upload.id, None)
            upload.file.incoming.__exit__()

    def close(self) -> None:
        """Let go of all."""
        self.remove(*list(self._held.values()))


class ModelReply(BaseModel):
    """A file that was sent and checked."""

    id: str
    filename: str
    role: str
    size: int
    sha256: str
    about: dict[str, Any]


class ModelVoice(BaseModel):
    """The voice that a model becomes."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=500)
    index: str | None = Field(default=None, max_length=64, description="Id of an uploaded index.")
    settings: dict[str, Any] = Field(
        default_factory=dict, max_length=32, description="Of its stage: key_st, pitch, index_rate, …"
    )


@dataclass(frozen=True, slots=True)
class _Desk:
    catalogue: Catalogue
    uploads: Uploads = field(default_factory=Uploads)

    def library(self) -> VoiceLibrary:
        library = self.catalogue.library()
        assert library is not None  # it was made
        return library

    def take(self, incoming: Incoming, name: str) -> ModelReply:
        upload = self.uploads.add(incoming, name)
        return ModelReply(
            id=upload.id,
            filename=name,
            role=upload.role,
            size=incoming.size,
            sha256=incoming.sha256,
            about=dict(upload.file.details),
        )

    def make(self, model_id: str, wanted: ModelVoice) -> VoiceReply:
        used = [self.uploads.find(model_id, "model")]
        params: dict[str, Any] = {"model": f"{ROLE}model", **wanted.settings}
        if wanted.index is not None:
            used.append(self.uploads.find(wanted.index, "index"))
            params["index"] = f"{ROLE}index"
            params.setdefault("index_rate", 0.5)
        files = {upload.role: upload.file for upload in used}
        agree(files)
        stages = [{"kind": "rvc", "params": params}]
        data = VoiceData.parse({"name": wanted.name, "description": wanted.description, "stages": stages})
        stored = self.library().create(data, files)
        self.uploads.remove(*used)
        self.catalogue.refresh()
        return VoiceReply.of(stored, models_here())


def model_routes(catalogue: Catalogue, uploads: Uploads, figures: ServerFigures) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/models", tags=["models"])
    desk = _Desk(catalogue, uploads)

    @routes.post(
        "",
        status_code=201,
        operation_id="uploadModel",
        responses=answers(400, 408, 409, 413, 422, 429, 503, 507),
        openapi_extra=FILE_BODY,
    )
    async def upload(request: Request, filename: Annotated[str, Query(min_length=1, max_length=255)]) -> ModelReply:
        """Send a model or an index: the body is the file. It is checked, and nothing in it is executed."""
        with figures.upload("model"):
            await run_in_threadpool(uploads.check_room)
            library = await run_in_threadpool(desk.library)
            incoming = await receive(request, library, MAX_MODEL_BYTES)
            figures.received("model", incoming.size)
            return await run_in_threadpool(desk.take, incoming, shown(PurePath(filename).name or "model"))

    @routes.delete("/{model_id}", status_code=204, operation_id="deleteModel", responses=answers(404, 422))
    def delete(model_id: ModelId) -> None:
        """Forget a file that is not used."""
        uploads.remove(uploads.find(model_id))

    @routes.post(
        "/{model_id}/voice",
        status_code=201,
        operation_id="createVoiceOfModel",
        responses=answers(400, 404, 409, 422, 503),
    )
    def make(model_id: ModelId, voice: ModelVoice) -> VoiceReply:
        """Make a voice of a model, and of an index if there is one."""
        return desk.make(model_id, voice)

    return routes
