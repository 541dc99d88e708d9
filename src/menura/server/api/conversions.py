"""``/api/conversions``: audio files through a voice."""

import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from threading import Lock
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel

from menura.audio.files import AudioReader
from menura.clock import Clock, monotonic_s
from menura.errors import FileError, LimitError, MenuraError, NotFoundError, RateLimitError, StateError
from menura.live.convert import convert
from menura.log import get_logger, log_internal_error
from menura.places import data_folder
from menura.server.api.errors import answers
from menura.server.api.uploads import FILE_BODY, called, receive_to
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.store.scratch import Scratch
from menura.store.space import check_room
from menura.store.voice_data import shown
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["Conversions", "conversion_routes"]

_log = get_logger(__name__)
MAX_JOBS, MAX_BYTES, MAX_S = 16, 512 * 1024**2, 3600.0
"""Conversions held at a time, bytes of a file, and its length."""
EXPIRE_S = 3600.0
State = Literal["queued", "running", "done", "failed"]
JobId = Annotated[str, PathParameter(min_length=1, max_length=64)]


class _CancelledError(Exception):
    """Nobody wants it any more."""


@dataclass(slots=True)
class Job:
    """A conversion."""

    id: str
    voice: Voice
    parameters: VoiceParameters
    filename: str
    folder: Path
    since_s: float
    state: State = "queued"
    progress: float = 0.0
    error: str | None = None
    cancelled: bool = False
    future: Future[None] | None = field(default=None, repr=False)

    @property
    def source(self) -> Path:
        """What was sent; its ending helps to read it."""
        ending = PurePath(self.filename).suffix
        return (
            self.folder / f"{self.id}{ending if ending[1:].isalnum() and ending.isascii() and len(ending) < 8 else ''}"
        )

    @property
    def target(self) -> Path:
        """What comes of it."""
        return self.folder / "out.wav"


class Conversions:
    """Runs conversions one after the other, beside all else; they go when deleted, an hour old, and with the server:
    what a killed one leaves, the next to begin clears away.

    Args:
        clock: For their age.
        scratch: Where their files lie; by default among the user's.
        on_end: Called with how one has ended: ``done``, ``failed`` or ``cancelled``. Any thread.
    """

    def __init__(
        self,
        clock: Clock = monotonic_s,
        scratch: Scratch | None = None,
        on_end: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._on_end = on_end
        self._clock, self._lock = clock, Lock()
        self._scratch = scratch or Scratch(data_folder() / "conversions")
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="menura-convert")
        self._jobs: dict[str, Job] = {}

    def open(self) -> None:
        """Clear away what killed servers have left. Takes its time."""
        self._scratch.clear()

    def expire(self) -> None:
        """Let go of those that ended long ago. Takes its time."""
        with self._lock:
            now_s = self._clock()
            ended = [job for job in self._jobs.values() if job.state in ("done", "failed")]
            old = [job for job in ended if now_s - job.since_s > EXPIRE_S]
            for job in old:
                del self._jobs[job.id]
        for gone in old:
            shutil.rmtree(gone.folder, ignore_errors=True)

    def begin(self, voice: Voice, parameters: VoiceParameters, filename: str) -> Job:
        """Room for one more.

        Raises:
            RateLimitError: There are as many as there may be.
            FileError: Their place cannot be written to.
        """
        self.expire()
        with self._lock:
            if len(self._jobs) >= MAX_JOBS:
                raise RateLimitError(f"there are {MAX_JOBS} conversions: delete one", retry_after_ms=10_000)
            job_id = f"conversion-{secrets.token_hex(8)}"
            job = Job(job_id, voice, parameters, filename, self._scratch.folder() / job_id, self._clock())
            try:
                job.folder.mkdir()
            except OSError as error:
                raise FileError(f"cannot write to {job.folder.parent}: {error.strerror}") from error
            self._jobs[job_id] = job
        return job

    def start(self, job: Job) -> None:
        """Its file is there."""
        job.future = self._pool.submit(self._run, job)

    def _run(self, job: Job) -> None:
        with self._lock:
            if not job.cancelled:
                job.state = "running"
        outcome = "cancelled" if job.cancelled else self._outcome(job)
        if outcome == "cancelled":
            shutil.rmtree(job.folder, ignore_errors=True)
        else:
            job.source.unlink(missing_ok=True)
        self._on_end(outcome)

    def _outcome(self, job: Job) -> str:
        """Do it; tells how it ended."""
        try:
            with called(job.filename, job.source), called("the result", job.target):
                self._convert(job)
        except _CancelledError:
            return "cancelled"
        except MenuraError as error:
            return self._end(job, "failed", str(error))
        except Exception as error:
            log_id = log_internal_error(_log, "a conversion failed", error)
            return self._end(job, "failed", f"Internal error {log_id}")
        job.progress = 1.0
        return self._end(job, "done")

    def _end(self, job: Job, state: State, error: str | None = None) -> str:
        """Note how it ended, unless it was deleted meanwhile: whoever did that left its files to this thread."""
        with self._lock:
            if job.cancelled:
                return "cancelled"
            job.state, job.error, job.since_s = state, error, self._clock()
        return state

    def _convert(self, job: Job) -> None:
        with AudioReader(job.source) as reader:
            most = MAX_S * reader.rate

        def told(done: int, total: int | None) -> None:
            if job.cancelled:
                raise _CancelledError
            if max(done, total or 0) > most:
                raise LimitError(f"the file is longer than {MAX_S / 60:.0f} minutes, the most that is converted")
            check_room(job.folder)
            job.progress = min(done / total, 0.999) if total else 0.0

        convert(job.source, job.target, job.voice, parameters=job.parameters, progress=told)

    def find(self, job_id: str) -> Job:
        """One of them.

        Raises:
            NotFoundError: There is none of this id.
        """
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError("No conversion has this id; they go an hour after their end")
        return job

    def states(self) -> list[str]:
        """How those are that are held."""
        with self._lock:
            return [job.state for job in self._jobs.values()]

    def remove(self, job: Job) -> None:
        """Cancel it, and let go of its files."""
        with self._lock:
            self._jobs.pop(job.id, None)
            job.cancelled, running = True, job.state == "running"
        if not running:
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """End all."""
        for job in list(self._jobs.values()):
            job.cancelled = True
        self._pool.shutdown(wait=True, cancel_futures=True)  # the one that runs ends with its next block
        self._scratch.close()


class ConversionReply(BaseModel):
    """A conversion, and how far it is."""

    id: str
    state: State
    progress: float
    voice: str
    filename: str
    error: str | None


def _shown(job: Job) -> ConversionReply:
    return ConversionReply(
        id=job.id, state=job.state, progress=job.progress, voice=job.voice.id, filename=job.filename, error=job.error
    )


def conversion_routes(catalogue: Catalogue, conversions: Conversions, figures: ServerFigures) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/conversions", tags=["conversions"])

    @routes.post(
        "",
        status_code=202,
        operation_id="convert",
        responses=answers(400, 404, 408, 413, 422, 429, 503, 507),
        openapi_extra=FILE_BODY,
    )
    async def begin(
        request: Request,
        voice: Annotated[str, Query(min_length=1, max_length=64)],
        filename: Annotated[str, Query(max_length=255)] = "audio",
        pitch_st: Annotated[float | None, Query(ge=-24, le=24)] = None,
        formant: Annotated[float | None, Query(ge=0.5, le=2)] = None,
        mix: Annotated[float | None, Query(ge=0, le=1)] = None,
    ) -> ConversionReply:
        """Send an audio file, the body, through a voice."""
        found, parameters = catalogue.get(voice)
        given = {"pitch_st": pitch_st, "formant": formant, "mix": mix}
        parameters = parameters.changed({name: value for name, value in given.items() if value is not None})
        job = await run_in_threadpool(conversions.begin, found, parameters, shown(PurePath(filename).name) or "audio")
        try:
            with figures.upload("audio"):
                figures.received("audio", await receive_to(request, job.source, MAX_BYTES))
        except BaseException:
            conversions.remove(job)
            raise
        conversions.start(job)
        return _shown(job)

    @routes.get("/{conversion_id}", operation_id="getConversion", responses=answers(404, 422))
    async def one(conversion_id: JobId) -> ConversionReply:
        """How far it is."""
        return _shown(conversions.find(conversion_id))

    @routes.get(
        "/{conversion_id}/audio",
        operation_id="downloadConversion",
        response_class=FileResponse,
        responses={200: {"content": {"audio/wav": {}}}, **answers(404, 409, 422)},
    )
    def audio(conversion_id: JobId) -> FileResponse:
        """What came of it, WAV."""
        job = conversions.find(conversion_id)
        if job.state != "done":
            raise StateError(job.error or "the conversion is not done yet")
        return FileResponse(job.target, media_type="audio/wav", filename=f"{PurePath(job.filename).stem}.wav")

    @routes.delete("/{conversion_id}", status_code=204, operation_id="deleteConversion", responses=answers(404, 422))
    def delete(conversion_id: JobId) -> None:
        """Cancel it, or forget what came of it."""
        conversions.remove(conversions.find(conversion_id))

    return routes
