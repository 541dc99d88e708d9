"""``/api/recordings``: what sessions have kept."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from menura.errors import NotFoundError, StateError
from menura.server.api.errors import answers
from menura.server.catalogue import Catalogue
from menura.store.recordings import Recordings, StoredRecording

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


def _found(catalogue: Catalogue, recording_id: str, *, ended: bool = False) -> tuple[Recordings, StoredRecording]:
    recordings = None if catalogue.fixed else catalogue.recordings(make=False)
    stored = next((one for one in recordings.list() if one.id == recording_id), None) if recordings else None
    if recordings is None or stored is None:
        raise NotFoundError("No recording has this id")
    if ended and stored.state == "recording":
        raise StateError(f"{stored.name} goes on: end it first")
    return recordings, stored


def recording_routes(catalogue: Catalogue) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/recordings", tags=["recordings"])

    @routes.get("", operation_id="listRecordings", responses=answers(503))
    def listed() -> RecordingList:
        """All recordings."""
        recordings = None if catalogue.fixed else catalogue.recordings(make=False)
        found = [] if recordings is None else recordings.list()
        return RecordingList(recordings=[RecordingReply(**one.as_dict()) for one in found])

    @routes.get("/{recording_id}", operation_id="getRecording", responses=answers(404, 422, 503))
    def one(recording_id: RecordingId) -> RecordingReply:
        """One recording."""
        return RecordingReply(**_found(catalogue, recording_id)[1].as_dict())

    @routes.patch("/{recording_id}", operation_id="renameRecording", responses=answers(400, 404, 422, 503))
    def rename(recording_id: RecordingId, name: Name) -> RecordingReply:
        """Give it another name."""
        return RecordingReply(**_found(catalogue, recording_id)[0].rename(recording_id, name.name).as_dict())

    @routes.delete(
        "/{recording_id}", status_code=204, operation_id="deleteRecording", responses=answers(404, 409, 422, 503)
    )
    def delete(recording_id: RecordingId) -> None:
        """Delete it."""
        _found(catalogue, recording_id, ended=True)[0].delete(recording_id)

    @routes.get(
        "/{recording_id}/audio",
        operation_id="hearRecording",
        response_class=FileResponse,
        responses={200: {"content": {"audio/wav": {}}}, 206: {"description": "A part"}, **answers(404, 409, 422, 503)},
    )
    def audio(recording_id: RecordingId, side: Annotated[Side, Query()]) -> FileResponse:
        """The audio of one side, WAV; parts of it by `Range`."""
        recordings, stored = _found(catalogue, recording_id, ended=True)
        if side not in stored.sides:
            raise NotFoundError(f"This recording has no {side}")
        path = recordings.path(recording_id, side.value)
        return FileResponse(path, media_type="audio/wav", filename=f"{stored.name} {side}.wav")

    return routes
