"""A client's audio on its way to the provider: in order, beside the event loop where there is work to do, bounded."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any

from menura.audio.format import StreamFormat
from menura.client.connection import RealtimeConnectionManager
from menura.errors import LimitError, StateError
from menura.live.session import VoiceSession
from menura.live.strand import Strand
from menura.server.relay_uplink import Uplink
from menura.vad.config import VADState
from menura.voices.build import VoiceStage
from menura.voices.voice import VoiceParameters

__all__ = ["UpLane"]


class UpLane:
    """Carries messages of one client up. Event loop only.

    Args:
        uplink: What is done to audio.
        connection: Which takes it.
        form: Of the client's audio.
        strand: Where it is done; None where it takes less time than a thread's turn.
        max_pending_ms: Audio that waits to be processed; then :meth:`feed` waits.
        on_state: Told what the voice detection says, after each message.
    """

    def __init__(
        self,
        uplink: Uplink,
        connection: RealtimeConnectionManager,
        form: StreamFormat,
        strand: Strand | None,
        max_pending_ms: float,
        on_state: Callable[[VADState], None],
    ) -> None:
        self._uplink, self._connection, self._form = uplink, connection, form
        self._strand, self._on_state = strand, on_state
        self._loop = asyncio.get_running_loop()
        self._pending, self._max_pending = 0, int(max_pending_ms * form.rate / 1000.0)
        self._room = asyncio.Event()
        self._room.set()
        self._over = False

    @property
    def pending_ms(self) -> float:
        """Audio that waits to be processed."""
        return 1000.0 * self._pending / self._form.rate

    @property
    def voice(self) -> VoiceSession | None:
        """In which the provider hears the client."""
        return self._uplink.voice

    @property
    def withheld_ms(self) -> float:
        """Audio that was no speech and did not go to the provider."""
        return self._uplink.withheld_ms

    def abandon(self) -> None:
        """Drop what waits."""
        self._over = True
        self._room.set()
        if self._strand is not None:
            self._strand.abandon()

    async def change_voice(self, make: Callable[[], VoiceStage] | None, pool: Executor) -> None:
        """After all audio so far another voice, or none: audio that comes meanwhile waits until it is built.

        Raises:
            ModelError: It cannot be built; all is as before.
        """
        if self._strand is None:
            if make is None:
                return
            self._strand = Strand(pool)  # from here on all audio goes that way, behind the change
        await self._strand.ask(partial(self._uplink.change, make))

    def turn(self, parameters: VoiceParameters) -> None:
        """Turn the voice's settings."""
        self._uplink.turn(parameters)

    @property
    def inline(self) -> bool:
        """Whether audio is only looked at: :meth:`feed_inline` takes it."""
        return self._strand is None

    def feed_inline(self, audio: bytes) -> bool:
        """Take audio, which passes as it is; whether it is any."""
        passed = self._uplink.process(audio)
        if not passed and not self._uplink.withholds(audio):
            return False
        self._send(passed)
        self._on_state(self._uplink.state)
        return True

    async def feed(self, audio: bytes) -> None:
        """Take valid audio, on which there is work to do."""
        assert self._strand is not None
        frames = len(audio) // self._form.frame_bytes
        self._pending += frames
        if self._pending > self._max_pending:
            self._room.clear()
        self._strand.post(partial(self._work, audio, frames))
        await self._room.wait()

    def _work(self, audio: bytes, frames: int) -> None:
        if self._over:
            return
        try:
            self._send(self._uplink.process(audio))
        finally:
            self._tell(self._worked, frames, self._uplink.state)

    def _tell(self, function: Callable[..., None], *values: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function, *values)

    def _worked(self, frames: int, state: VADState) -> None:
        self._pending -= frames
        if self._over:
            return
        if self._pending <= self._max_pending:
            self._room.set()
        self._on_state(state)

    def _send(self, audio: bytes) -> None:
        if audio:
            with suppress(StateError, LimitError):  # the one the client is told, the other is counted
                self._connection.send_audio(audio)

    async def submit(self, event: Mapping[str, Any]) -> None:
        """Pass an event on, after all audio before it; a commit or a clear ends what is being said.

        Raises:
            ProtocolError: It is malformed.
        """
        if self._strand is None:
            self._submit(event)
            return
        await self._strand.ask(partial(self._submit, event))

    def _submit(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "input_audio_buffer.commit":
            self._send(self._uplink.finish())
        elif event["type"] == "input_audio_buffer.clear":
            self._uplink.finish(discard=True)
        with suppress(StateError):
            self._connection.send_event(event)
