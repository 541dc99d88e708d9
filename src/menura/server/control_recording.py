"""A control session's recording."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from menura.audio.block import Samples
from menura.errors import MenuraError, StateError
from menura.live.recorder import Recorder
from menura.live.session import VoiceSession
from menura.log import get_logger, log_internal_error
from menura.protocol.control_actions import StartRecording
from menura.protocol.control_replies import Recording, RecordingStarted, RecordingStopped, Reply
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.store.recordings import SIDES, OpenRecording, Recordings, StoredRecording

__all__ = ["ControlRecording"]

_log = get_logger(__name__)


class ControlRecording:
    """At most one at a time. Event loop only; files are written by a thread of their own.

    Args:
        voices: Whose library keeps it.
        pool: Threads to open and close on.
        tell: Sends a reply.
        refuse: Sends an error.
        owner: Name of the client's token.
        figures: Counts them.
    """

    def __init__(
        self,
        voices: Catalogue,
        pool: Executor,
        tell: Callable[[Reply], None],
        refuse: Callable[[Exception], None],
        owner: str,
        figures: ServerFigures,
    ) -> None:
        self._voices, self._pool, self._tell, self._refuse, self._owner = voices, pool, tell, refuse, owner
        self._figures = figures
        self._whole = True
        self._opened: OpenRecording | None = None
        self._recorder: Recorder | None = None
        self._session: VoiceSession | None = None
        self._failing: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether one goes on."""
        return self._opened is not None

    async def start(self, action: StartRecording, session: VoiceSession, voice_name: str) -> None:
        """Begin.

        Raises:
            StateError: One goes on.
            LimitError, FileError, LibraryError: It cannot be kept.
        """
        if self.active:
            raise StateError("Recording already active")
        loop = asyncio.get_running_loop()

        def begin() -> OpenRecording:
            library = self._voices.library()
            assert library is not None  # it is made if there is none
            return Recordings.of(library).start(
                SIDES if action.sides == "both" else (action.sides,),
                session.rate,
                voice_name=voice_name,
                owner=self._owner,
                name=action.name or "",
                latency=session.latency,
            )

        opened = await loop.run_in_executor(self._pool, begin)

        def write(block: Samples) -> None:
            opened.write(block[:, :1], block[:, 1:])

        def write_rest(block: Samples) -> None:
            opened.write(block[:0], block)

        def failed(error: Exception) -> None:
            loop.call_soon_threadsafe(self._failed, error)

        self._opened, self._session, self._whole = opened, session, True
        self._recorder = session.recorder = Recorder(write, failed, write_rest)
        self._tell(RecordingStarted(recording=_wire(opened.stored)))

    def _failed(self, error: Exception) -> None:
        if self.active:
            self._whole = False
            self._refuse(error)
            self._failing = asyncio.get_running_loop().create_task(self._end_quietly())

    async def _end_quietly(self) -> None:
        try:
            await self.stop()
        except Exception as error:
            self._refuse(error)

    async def stop(self) -> None:
        """End it, and tell; nothing if there is none.

        Raises:
            LibraryError: The database fails.
        """
        if close := self._taken():
            stored = await asyncio.get_running_loop().run_in_executor(self._pool, close)
            self._tell(RecordingStopped(recording=_wire(stored)))

    def leave(self) -> None:
        """End it without waiting: nobody listens any more."""
        if close := self._taken():

            def end() -> None:
                try:
                    close()
                except MenuraError as error:
                    log_internal_error(_log, "a recording was not finished", error)

            try:
                self._pool.submit(end)
            except RuntimeError:  # the server ends
                end()

    def _taken(self) -> Callable[[], StoredRecording] | None:
        opened, recorder, session, whole = self._opened, self._recorder, self._session, self._whole
        if opened is None or recorder is None or session is None:
            return None
        self._opened = self._recorder = self._session = session.recorder = None

        def close() -> StoredRecording:
            recorder.close()
            try:
                return opened.close()
            finally:
                self._figures.recorded(opened.frames / opened.stored.rate, whole=whole)

        return close


def _wire(stored: StoredRecording) -> Recording:
    return Recording.model_validate(stored.as_dict())
