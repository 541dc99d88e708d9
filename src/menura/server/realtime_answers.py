"""Answers on their way to a client of the Realtime API: as events, in order, their audio changed."""

import asyncio
import binascii
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from menura.audio.format import StreamFormat
from menura.errors import ProtocolError
from menura.live.session import VoiceSession
from menura.live.strand import Strand
from menura.log import get_logger
from menura.protocol.realtime_server import AudioDelta
from menura.server.realtime_voice import AnswerVoice, Place
from menura.server.realtime_words import new_id
from menura.server.relay_outbox import RelayOutbox
from menura.units import frames_to_ms

__all__ = ["Answers", "RealtimeOutbox"]

_log = get_logger(__name__)
MAX_PENDING = 64
"""Deltas whose audio is being worked on."""
MAX_CUT = 32


class Delta(str):
    """A delta of audio as text, which may be thrown away while it waits."""

    place: Place


def _dump(event: Mapping[str, Any]) -> str:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half a character, of the client's own words
            return json.dumps(event, separators=(",", ":"))
    return text


def _delta(audio: bytes, place: Place, event_id: str | None = None) -> Delta:
    event = {"type": "response.output_audio.delta", "event_id": event_id or new_id("event")} | place._asdict()
    delta = Delta(_dump(event | {"delta": binascii.b2a_base64(audio, newline=False).decode("ascii")}))
    delta.place = place
    return delta


class RealtimeOutbox(RelayOutbox):
    """An outbox whose audio is in events: none is dropped for a slow client, for which the provider waits instead."""

    def cut(self, cut: Callable[[Place], bool]) -> None:
        """Throw away audio of these places."""
        kept = type(self._items)(item for item in self._items if not (isinstance(item, Delta) and cut(item.place)))
        gone, self._items = len(self._items) - len(kept), kept
        self._texts -= gone
        if self._texts < self._max_texts:
            self._room.set()

    @property
    def full(self) -> bool:
        """Whether :meth:`room` would wait."""
        return not self._room.is_set()


@dataclass(eq=False, slots=True)
class _Entry:
    """One event of the provider, and what became of it.

    Attributes:
        place: Of its audio.
        duration_ms: Of the provider's audio.
        texts: For the client; None while its audio is worked on.
    """

    place: Place | None
    texts: list[str] | None
    duration_ms: float = 0.0


class Answers:
    """Gives a client the provider's events in the order they came, those with audio changed. Event loop only.

    Args:
        outbox: To the client.
        strand: Where audio is worked on.
        voice: Of answers, or None.
        wire: What the provider sends.
        client: What the client gets.
        on_failure: Called in a thread when the voice fails.
    """

    def __init__(
        self,
        outbox: RealtimeOutbox,
        strand: Strand,
        voice: VoiceSession | None,
        wire: StreamFormat,
        client: StreamFormat,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self._on_failure = on_failure
        self._outbox, self._strand, self._voice = outbox, strand, voice
        self._queue: deque[_Entry] = deque()
        self._pending = 0
        self._cut: deque[str] = deque(maxlen=MAX_CUT)
        self._cut_items: deque[str] = deque(maxlen=MAX_CUT)
        self._room = asyncio.Event()
        self._room.set()
        self._loop = asyncio.get_running_loop()
        self._over = False
        self.wire, self.client = wire, client
        self._heard = ""  # the response whose audio comes
        self._next_voice: list[VoiceSession | None] = []
        self._make_worker()

    def _make_worker(self) -> None:
        self._plain = self._voice is None and self.wire == self.client
        self._worker = AnswerVoice(self._voice, self.wire, self.client, self._on_failure)

    def set_formats(self, wire: StreamFormat, client: StreamFormat) -> None:
        """From the next answer on; one that is being heard is cut into two."""
        if (self.wire, self.client) == (wire, client):
            return
        self._strand.post(partial(self._worker.forget, lambda _: True))
        self.wire, self.client = wire, client
        self._make_worker()

    def set_voice(self, voice: VoiceSession | None) -> None:
        """From the next answer on; one that is being heard stays as it is."""
        self._next_voice = [voice]
        if not self._heard:
            self._change_voice()

    def _change_voice(self) -> None:
        if self._next_voice:
            old, self._voice = self._voice, self._next_voice.pop()
            self._strand.post(partial(self._worker.forget, lambda _: True))
            if old is not None:
                self._strand.post(old.leave)
            self._make_worker()

    def abandon(self) -> None:
        """Nobody listens any more."""
        self._over = True
        self._queue.clear()
        self._room.set()

    @property
    def waiting_ms(self) -> float:
        """Audio on which work is to be done."""
        return sum(entry.duration_ms for entry in self._queue if entry.texts is None)

    @property
    def full(self) -> bool:
        """Whether the provider should wait."""
        return self._outbox.full or not self._room.is_set()

    async def room(self) -> None:
        """Wait until the client, or the work on audio, has caught up."""
        await self._room.wait()
        await self._outbox.room()

    # --- what comes

    def tell(self, event: Mapping[str, Any]) -> None:
        """An event without audio, after all that came before it."""
        text = _dump(event)
        if self._queue:
            self._queue.append(_Entry(None, [text]))
        elif not self._over:
            self._outbox.put_text(text)

    def begin(self, response_id: str) -> None:
        """A response begins; a provider may use an id again."""
        if response_id in self._cut:
            self._cut.remove(response_id)
        if response_id == self._heard:  # it never came to its end
            self._heard = ""

    def hear(self, event: AudioDelta) -> None:
        """Audio of an answer, if that is still to be heard."""
        place = Place(event.response_id, event.item_id, event.output_index, event.content_index)
        if self._is_cut(place) or self._over:
            return
        if place.response_id != self._heard:
            self._change_voice()
            self._heard = place.response_id
        try:
            audio = event.audio
        except ProtocolError as error:
            _log.info("a provider's audio was left out: %s", error)
            return
        if not self._plain:
            entry = _Entry(place, None, frames_to_ms(len(audio) // self.wire.frame_bytes, self.wire.rate))
            self._work(partial(self._worker.change, audio, place), entry, event.event_id)
        elif audio:
            delta = _delta(audio, place, event.event_id)
            if self._queue:  # of a voice that was
                self._queue.append(_Entry(place, [delta]))
            else:
                self._outbox.put_text(delta)

    def end(self, response_id: str) -> None:
        """An answer, or a part of it, has all its audio: what is held back of it comes now."""
        if not self._plain and not self._over:
            self._work(self._worker.finish, _Entry(Place(response_id, "", 0, 0), None), None)
        if response_id == self._heard:
            self._heard = ""
            self._change_voice()

    def cut(self, response_id: str | None = None, item_id: str | None = None) -> None:
        """Nothing more is heard of a response, of an item, or of all that wait."""

        def named(place: Place) -> bool:
            return (response_id is None or place.response_id == response_id) and (
                item_id is None or place.item_id == item_id
            )

        if response_id is not None:
            self._cut.append(response_id)
        if item_id is not None:
            self._cut_items.append(item_id)
        for entry in self._queue:
            if entry.place is not None and named(entry.place):
                entry.texts = []
        self._outbox.cut(named)
        self._pump()
        if not self._plain:
            self._strand.post(partial(self._worker.forget, named))

    def _is_cut(self, place: Place) -> bool:
        return place.response_id in self._cut or place.item_id in self._cut_items

    # --- the work

    def _work(self, job: Callable[[], list[tuple[bytes, Place]]], entry: _Entry, event_id: str | None) -> None:
        self._queue.append(entry)
        self._pending += 1
        if self._pending >= MAX_PENDING:
            self._room.clear()

        def work() -> None:
            deltas: list[Delta] = []
            try:
                if not self._over and entry.texts is None:
                    deltas = [
                        _delta(audio, at, event_id if at == entry.place else None) for audio, at in job() if audio
                    ]
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._done, entry, deltas)

        self._strand.post(work)

    def _done(self, entry: _Entry, deltas: list[Delta]) -> None:
        self._pending -= 1
        if self._pending < MAX_PENDING:
            self._room.set()
        if entry.texts is None:
            entry.texts = [delta for delta in deltas if not self._is_cut(delta.place)]
        self._pump()

    def _pump(self) -> None:
        """Give out what is ready, up to the first that is not."""
        while self._queue and self._queue[0].texts is not None:
            for text in self._queue.popleft().texts or ():
                if not self._over:
                    self._outbox.put_text(text)
