"""Answers on their way to a relay's client: sent at its pace, stopped when the person speaks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from menura.clock import Clock
from menura.engine.position import PlaybackPosition
from menura.live.strand import Strand
from menura.server.relay_engine import Playhead, RelayEngine
from menura.server.relay_options import Pace, RelayOptions
from menura.server.relay_outbox import RelayOutbox
from menura.server.relay_replies import Piece, Replies
from menura.voices.build import VoiceStage
from menura.voices.voice import VoiceParameters

__all__ = ["ReplyPlayer", "say"]

T = TypeVar("T")
PIECE_MS = 20.0
PIECE_AT_ONCE_MS = 100.0


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def say(outbox: RelayOutbox, **message: Any) -> None:
    """Queue a message for the client."""
    outbox.put_text(_to_json(message))


class ReplyPlayer:
    """Sends what a provider answers. Event loop only.

    Args:
        replies: The answers, and what is done to their audio.
        engine: Which knows what was heard.
        outbox: To the client.
        strand: Where their audio is worked on; None where nothing is to be done to it.
        options: Pace and bounds.
        clock: Of the client's loudspeaker, until it reports.
    """

    def __init__(
        self,
        replies: Replies,
        engine: RelayEngine,
        outbox: RelayOutbox,
        strand: Strand | None,
        options: RelayOptions,
        clock: Clock,
    ) -> None:
        self.replies = replies
        self._engine, self._outbox, self._strand = engine, outbox, strand
        self._paced, self._lead_ms = options.pace is Pace.PACED, options.lead_ms
        self._piece_ms = PIECE_MS if self._paced else PIECE_AT_ONCE_MS
        self._head = Playhead(clock)
        self._reports = False
        self._sending = ""
        self._work = asyncio.Event()
        self._pending = 0
        self._over = False
        self._max_pending = 64
        self._room = asyncio.Event()
        self._room.set()
        self._loop = asyncio.get_running_loop()
        engine.report_played(0.0)  # what was read is not what was heard

    def abandon(self) -> None:
        """Nobody listens any more."""
        self._over = True
        self.replies.stop()
        self._room.set()
        if self._strand is not None:
            self._strand.abandon()

    async def change_voice(self, make: Callable[[], VoiceStage] | None, pool: Executor) -> None:
        """What comes from now on is in another voice, or in none.

        Raises:
            ModelError: It cannot be built; all is as before.
        """
        if self._strand is None:
            if make is None:
                return
            self._strand = Strand(pool)
        await self._strand.ask(partial(self.replies.change, make))

    def turn(self, parameters: VoiceParameters) -> None:
        """Turn the voice's settings."""
        self.replies.turn(parameters)

    def hear(self, audio: bytes, item_id: str) -> Awaitable[Any] | None:
        """More of an answer; returns what to wait for before there is more, where it comes faster than it is worked
        on."""
        if self._strand is None:
            self.replies.add(audio, item_id, self.replies.era)
            self._pump()
            return self._outbox.room() if self._outbox.full else None
        self._do(partial(self.replies.add, audio, item_id, self.replies.era))
        return None if self._room.is_set() else self._room.wait()

    def end(self) -> None:
        """The answer has all its audio."""
        self._do(partial(self.replies.end, self.replies.era))

    def _do(self, job: Callable[[], None]) -> None:
        if self._strand is None:
            job()
            self._pump()
            return
        self._pending += 1
        if self._pending >= self._max_pending and not self._over:
            self._room.clear()

        def work() -> None:
            try:
                job()
            finally:
                self._tell(self._done)

        self._strand.post(work)

    def _tell(self, function: Callable[..., None], *values: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function, *values)

    def _done(self) -> None:
        self._pending -= 1
        if self._pending < self._max_pending:
            self._room.set()
        self._work.set()

    def _pump(self) -> None:
        """Send what may be sent now, without waking a task for it; for the rest one is woken."""
        while self._early_ms <= 0.0:
            piece = self.replies.read(self._piece_ms)
            if piece is None:
                return
            self._send(piece)
        self._work.set()

    @property
    def _early_ms(self) -> float:
        """How long the client has enough to play."""
        return self._head.ahead_ms - self._lead_ms if self._paced else 0.0

    async def run(self) -> None:
        """Send, until cancelled."""
        while True:
            await self._work.wait()
            if self._early_ms > 0.0:
                await asyncio.sleep(self._early_ms / 1000.0)
                continue
            await self._outbox.room()
            self._work.clear()  # before reading: what is added from here on wakes us again
            if self._strand is None:
                self._pump()
                continue
            era = self.replies.era
            piece = await self._read(self._strand)
            if piece is not None and era == self.replies.era:
                self._work.set()
                self._send(piece)

    async def _read(self, strand: Strand) -> Piece | None:
        done: asyncio.Future[Piece | None] = self._loop.create_future()

        def work() -> None:
            piece = None
            try:
                piece = self.replies.read(self._piece_ms)
            finally:
                self._tell(_resolve, done, piece)

        strand.post(work)
        return await done

    def _send(self, piece: Piece) -> None:
        if piece.item_id != self._sending:
            self._sending = piece.item_id
            self._follow()  # not while it is heard: the client may yet say so, and positions never go back
            say(self._outbox, type="reply", itemId=piece.item_id)
        if piece.audio:
            self._outbox.put_audio(piece.audio)
        self._head.sent(piece.duration_ms)
        if piece.last:
            self._sending = ""
            say(self._outbox, type="replyDone", itemId=piece.item_id)

    def _follow(self) -> None:
        if not self._reports:
            self._engine.report_played(self._head.heard_ms)

    def played(self, played_ms: float, item_id: str) -> bool:
        """The client says what it has played, and is believed from now on; whether there is such an answer."""
        known = self.replies.played(played_ms, item_id)
        self._reports = self._reports or known
        return known

    def stop(self, reason: str) -> PlaybackPosition | None:
        """End what is heard and what waits; the client is told to be silent.

        Returns:
            What was heard of the answer; None if none was to be heard.
        """
        self._follow()
        position = self.replies.stop()
        self._sending = ""
        if position is None:
            return None
        self._head.stop(self._engine.heard_ms)
        self._outbox.discard_audio()
        played_ms = round(position.played_ms, 3)
        say(self._outbox, type="clear", itemId=position.item_id, playedMs=played_ms, reason=reason)
        return position


def _resolve(done: "asyncio.Future[T]", value: T) -> None:
    if not done.done():
        done.set_result(value)
