"""Answers on their way to a client of the Realtime API: as events, in order, their audio changed."""

import asyncio
import binascii
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from menura.audio.block import Samples, silence
from menura.audio.format import StreamFormat
from menura.audio.pcm import decode, encode
from menura.dsp.resample import Resampler
from menura.errors import ProtocolError
from menura.live.session import VoiceSession
from menura.live.strand import Strand
from menura.log import get_logger, log_internal_error
from menura.protocol.realtime_server import AudioDelta
from menura.server.realtime_words import new_id
from menura.server.relay_outbox import RelayOutbox

__all__ = ["AnswerVoice", "Answers", "Place", "RealtimeOutbox"]

_log = get_logger(__name__)
MAX_PENDING = 64
"""Deltas whose audio is being worked on."""
MAX_CUT = 32


class Place(NamedTuple):
    """Where audio belongs."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class Delta(str):
    """A delta of audio as text, which may be thrown away while it waits."""

    place: Place


def _dump(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


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


# --- in a thread


class AnswerVoice:
    """Changes and converts audio of answers. One thread at a time.

    What voice and rate conversion delay is taken off: an answer begins where it begins and is as long as it was.

    Args:
        voice: At the rate of ``wire``; None changes nothing.
        wire: What the provider sends.
        client: What the client gets.
    """

    def __init__(self, voice: VoiceSession | None, wire: StreamFormat, client: StreamFormat) -> None:
        self._voice, self._wire, self._client = voice, wire, client
        self._resampler = Resampler(wire.rate, client.rate)
        self._place: Place | None = None
        self._rest = b""
        self._skip_voice = self._skip = 0
        self.failures = 0

    def change(self, audio: bytes, place: Place) -> list[tuple[bytes, Place]]:
        """More of an answer: what of it, and of the one before if that has not ended, may be heard now."""
        out = []
        if place != self._place:
            out = self.finish()
            self._place, self._skip = place, self._resampler.latency
            self._skip_voice = self._voice.latency if self._voice else 0
        audio = self._rest + audio
        whole = len(audio) - len(audio) % self._wire.frame_bytes
        self._rest = audio[whole:]
        return [*out, (self._converted(self._changed(decode(audio[:whole], self._wire))), place)]

    def finish(self) -> list[tuple[bytes, Place]]:
        """What is still held: the end of the answer."""
        place, self._place, self._rest = self._place, None, b""
        if place is None:
            return []
        tail = self._converted(self._tail())
        end = self._resampler.flush()[self._skip :]
        return [(tail + encode(end, self._client), place)]

    def forget(self) -> None:
        """The rest of the answer will not be heard."""
        if self._place is not None:
            self.finish()

    def _changed(self, x: Samples) -> Samples:
        if self._voice is None:
            return x
        try:
            y = self._voice.process(x)
        except Exception as error:
            self._fail(error)
            y = x  # of the provider there is nothing to hide
        n = min(self._skip_voice, len(y))
        self._skip_voice -= n
        return y[n:]

    def _tail(self) -> Samples:
        if self._voice is None:
            return silence(0)
        speaker_hz = self._voice.stage.speaker_hz
        try:
            tail = self._voice.finish()
        except Exception as error:
            self._fail(error)
            return silence(0)
        if speaker_hz:
            self._voice.stage.seed_speaker(speaker_hz)  # the next answer is by the same
        return tail[self._skip_voice :]

    def _converted(self, x: Samples) -> bytes:
        y = self._resampler.process(x)
        n = min(self._skip, len(y))
        self._skip -= n
        return encode(y[n:], self._client)

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        if self.failures == 1:
            log_internal_error(_log, "a voice on the way down failed", error)


# --- in the event loop


@dataclass(eq=False, slots=True)
class _Entry:
    """One event of the provider, and what became of it.

    Attributes:
        place: Of its audio.
        texts: For the client; None while its audio is worked on.
    """

    place: Place | None
    texts: list[str] | None


class Answers:
    """Gives a client the provider's events in the order they came, those with audio changed. Event loop only.

    Args:
        outbox: To the client.
        strand: Where audio is worked on.
        voice: Of answers, or None.
        wire: What the provider sends.
        client: What the client gets.
    """

    def __init__(
        self,
        outbox: RealtimeOutbox,
        strand: Strand,
        voice: VoiceSession | None,
        wire: StreamFormat,
        client: StreamFormat,
    ) -> None:
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
        self._plain = voice is None and wire == client
        self._worker = AnswerVoice(voice, wire, client)

    def set_formats(self, wire: StreamFormat, client: StreamFormat) -> None:
        """From the next answer on; one that is being heard is cut into two."""
        if (self.wire, self.client) == (wire, client):
            return
        self._strand.post(self._worker.forget)
        self.wire, self.client = wire, client
        self._plain = self._voice is None and wire == client
        self._worker = AnswerVoice(self._voice, wire, client)

    def abandon(self) -> None:
        """Nobody listens any more."""
        self._over = True
        self._queue.clear()
        self._room.set()

    @property
    def waiting_ms(self) -> float:
        """Deltas on which work is to be done count as 20 ms each: an estimate of what is behind."""
        return 20.0 * self._pending

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

    def hear(self, event: AudioDelta) -> None:
        """Audio of an answer, if that is still to be heard."""
        place = Place(event.response_id, event.item_id, event.output_index, event.content_index)
        if self._is_cut(place) or self._over:
            return
        try:
            audio = event.audio
        except ProtocolError as error:
            _log.info("a provider's audio was left out: %s", error)
            return
        if not self._plain:
            self._work(partial(self._worker.change, audio, place), place, event.event_id)
        elif audio:
            self._outbox.put_text(_delta(audio, place, event.event_id))

    def end(self, response_id: str) -> None:
        """An answer, or a part of it, has all its audio: what is held back of it comes now."""
        if not self._plain and not self._over:
            self._work(self._worker.finish, Place(response_id, "", 0, 0), None)

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
            self._strand.post(self._worker.forget)

    def _is_cut(self, place: Place) -> bool:
        return place.response_id in self._cut or place.item_id in self._cut_items

    # --- the work

    def _work(self, job: Callable[[], list[tuple[bytes, Place]]], place: Place, event_id: str | None) -> None:
        entry = _Entry(place, None)
        self._queue.append(entry)
        self._pending += 1
        if self._pending >= MAX_PENDING:
            self._room.clear()

        def work() -> None:
            deltas: list[Delta] = []
            try:
                if not self._over and entry.texts is None:
                    deltas = [_delta(audio, at, event_id if at == place else None) for audio, at in job() if audio]
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
