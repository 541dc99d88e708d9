"""``/api/recordings``: what sessions have kept."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from menura.errors import NotFoundError, StateError
from menura.server.access import grant_of
from menura.server.api.errors import answers
from menura.server.catalogue import Catalogue
from menura.server.roles import Grant, Role
from menura.store.recordings import Recordings, StoredRecording, owner_of

__all__ = ["recording_routes"]

RecordingId = Annotated[str, Path(min_length=1, max_length=64)]


class Side(StrEnum):
    """What went in, or what came out."""

    INPUT = "input"
    OUTPUT = "output"


class RecordingReply(BaseModel):
    """A recording; `cut` is one whose server ended before it did."""

    id: str
    name: str
    state: Literal["recording", "done", "cut"]
    sides: list[Side]
    voice_name: str
    rate: int
    duration_ms: float
    size: int
    created_at: datetime
    ended_at: datetime | None


class RecordingList(BaseModel):
    """All recordings."""

    recordings: list[RecordingReply]


class Name(BaseModel):
    """How it is called."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)


def _shown(catalogue: Catalogue, grant: Grant) -> tuple[Recordings | None, list[StoredRecording]]:
    """Those that somebody may know of: who manages of all, a user of its own."""
    recordings = None if catalogue.fixed else catalogue.recordings(make=False)
    everybodys = grant.role.covers(Role.MANAGE)
    found = [] if recordings is None else recordings.list()
    return recordings, [one for one in found if everybodys or one.owner == owner_of(grant.token)]


def _found(
    catalogue: Catalogue, request: Request, recording_id: str, *, ended: bool = False
) -> tuple[Recordings, StoredRecording]:
    recordings, shown = _shown(catalogue, grant_of(request.scope))
    stored = next((one for one in shown if one.id == recording_id), None)
    if recordings is None or stored is None:
        raise NotFoundError("No recording has this id")
    if ended and stored.state == "recording":
        raise StateError(f"{stored.name} goes on: end it first")
    return recordings, stored


def recording_routes(catalogue: Catalogue) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/recordings", tags=["recordings"])

    @routes.get("", operation_id="listRecordings", responses=answers(503))
    def listed(request: Request) -> RecordingList:
        """All recordings; to the role `use` those that were made with its own token."""
        found = _shown(catalogue, grant_of(request.scope))[1]
        return RecordingList(recordings=[RecordingReply(**one.as_dict()) for one in found])

    @routes.get("/{recording_id}", operation_id="getRecording", responses=answers(404, 422, 503))
    def one(request: Request, recording_id: RecordingId) -> RecordingReply:
        """One recording."""
        return RecordingReply(**_found(catalogue, request, recording_id)[1].as_dict())

    @routes.patch("/{recording_id}", operation_id="renameRecording", responses=answers(400, 404, 422, 503))
    def rename(request: Request, recording_id: RecordingId, name: Name) -> RecordingReply:
        """Give it another name."""
        return RecordingReply(**_found(catalogue, request, recording_id)[0].rename(recording_id, name.name).as_dict())

    @routes.delete(
        "/{recording_id}", status_code=204, operation_id="deleteRecording", responses=answers(404, 409, 422, 503)
    )
    def delete(request: Request, recording_id: RecordingId) -> None:
        """Delete it."""
        _found(catalogue, request, recording_id, ended=True)[0].delete(recording_id)

    @routes.get(
        "/{recording_id}/audio",
        operation_id="hearRecording",
        response_class=FileResponse,
        responses={200: {"content": {"audio/wav": {}}}, 206: {"description": "A part"}, **answers(404, 409, 422, 503)},
    )
    def audio(request: Request, recording_id: RecordingId, side: Annotated[Side, Query()]) -> FileResponse:
        """The audio of one side, WAV; parts of it by `Range`."""
        recordings, stored = _found(catalogue, request, recording_id, ended=True)
        if side not in stored.sides:
            raise NotFoundError(f"This recording has no {side}")
        path = recordings.path(recording_id, side.value)
        return FileResponse(path, media_type="audio/wav", filename=f"{stored.name} {side}.wav")

    return routes
