"""RealtimeRelay: a relay whose client speaks the Realtime API itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from menura.audio.format import StreamFormat
from menura.client.options import ConnectionState
from menura.errors import LimitError, MenuraError, ProtocolError, StateError
from menura.live.session import VoiceSession
from menura.live.strand import Strand
from menura.protocol.realtime_audio import APPEND, decode_audio
from menura.protocol.realtime_beta import to_ga
from menura.protocol.realtime_server import AudioDelta, ErrorEvent, ServerEvent, SessionEvent
from menura.server.realtime_answers import Answers, RealtimeOutbox
from menura.server.realtime_items import has_audio, item_audio, with_audio
from menura.server.realtime_settings import (
    PCM,
    SessionView,
    Update,
    asked_format,
    make_engine,
    with_format,
)
from menura.server.realtime_told import Recording, Told
from menura.server.realtime_voices import Find, VoiceWish, field_of, only_voices, parameters_field, shown, split_wish
from menura.server.realtime_words import SERVER, ClientWords, RefusalError, error_event, shown_events
from menura.server.relay import WebSocketRelay
from menura.server.relay_engine import RelayEngine
from menura.server.relay_lane import UpLane
from menura.server.relay_messages import client_view
from menura.server.relay_options import Pace, RelayOptions
from menura.server.relay_voices import DIRECTIONS, Direction
from menura.units import frames_to_ms
from menura.voices.builtin import find_voice
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["RealtimeRelay"]

PIECE_MS = 100
LOOK_S = 0.02
MAX_UPDATES = 64
_TURN_ENDS = frozenset({"input_audio_buffer.commit", "input_audio_buffer.clear"})
_TIMES = ("audio_start_ms", "audio_end_ms")


class RealtimeRelay(WebSocketRelay):
    """One client's conversation with an AI provider, in the Realtime API's own events both ways.

    Like :class:`~menura.server.relay.WebSocketRelay`, but what it iterates over is always ``str``, audio is in events,
    and the client has its own playback: answers come at once, and how much of one was heard is the client's to say by
    ``conversation.item.truncate``. When the provider hears speech, the rest of the answer is thrown away here; the
    provider ends it by itself, and this tells it nothing of positions, which would truncate an item twice, once by a
    guess.

    Args:
        tools: Whether the client may bring functions of its own.
        options: ``pace`` is always ``at_once``.
        settings: As of :class:`~menura.server.relay.WebSocketRelay`, except for ``client_format``: that is 24 kHz PCM16
            until the client chooses another by ``session.update``.
    """

    _outbox: RealtimeOutbox

    def __init__(self, *, tools: bool = True, options: RelayOptions | None = None, **settings: Any) -> None:
        super().__init__(options=replace(options or RelayOptions(), pace=Pace.AT_ONCE), **settings)
        self._outbox = RealtimeOutbox(1)
        self.on_engine: Callable[[RelayEngine, RelayEngine], None] | None = None  # another is in use
        self._words = ClientWords(tools=tools)
        self._view = SessionView()
        self._up: VoiceSession | None = None
        self._told = Told()
        self._spoken = self._unsaid = False  # ever, and since the last turn
        self.close_reason = self._last_word = ""
        self._recording = Recording(self._clock, self._waiting_up_ms, self.options.connection.turn.max_age_s)
        self._withheld_ms = 0.0
        self._revert: StreamFormat | None = None
        self.find: Find = _built_in
        self.check_parameters: Callable[[Direction, Mapping[str, float]], None] = lambda _direction, _changes: None
        self._revoiced = False
        self._owed = 0  # confirmations of the relay's own, for when the session is there

    # --- beginning

    def _make_lane(self, voice: VoiceSession | None) -> UpLane:
        self._up = voice
        return super()._make_lane(voice)

    def _start_down(self, voice: VoiceSession | None) -> Sequence[Coroutine[Any, Any, None]]:
        assert self._pool is not None
        failed = partial(self._on_voice_failed, "down")
        self._answers = Answers(self._outbox, Strand(self._pool), voice, PCM, PCM, failed)
        self._down = voice
        return ()

    def _abandon_down(self) -> None:
        self._answers.abandon()

    def _wire(self, client: StreamFormat, voice: VoiceSession | None) -> StreamFormat:
        """What to speak with the provider: a telephone's format where it may pass as it is."""
        return client if voice is None and self.options.g711_passthrough else PCM

    # --- up

    async def handle_client_event(self, event: Mapping[str, Any]) -> None:
        """Take any event of the client, audio included.

        Raises:
            RefusalError: It is malformed, or not for clients.
            LimitError: Too many wait for the provider.
            StateError: The relay is not started.
        """
        self._check()
        if self._revert is not None:
            await self._take_back(self._revert)
        if event.get("type") == APPEND:
            await self._append(event)
            return
        event, wish = split_wish(event)
        ready = self._words.take(event)
        kind = ready["type"]
        if wish is not None:
            await self._change_voices(wish)
        if kind == "session.update":
            if wish is None or not only_voices(event):
                await self._update(to_ga(event)[0]["session"], ready)
            else:
                self._confirm()
            return
        if kind == "response.cancel":
            self._stop(ready.get("response_id"))
        elif kind == "conversation.item.truncate":
            self._answers.cut(item_id=ready["item_id"])
        elif kind in _TURN_ENDS and not self._unsaid:
            with suppress(StateError):
                self._connection.send_event(ready)  # what a voice holds back of nothing is no audio
            return
        elif has_audio(ready):
            formats = {"client": self.client_format, "wire": self.engine.target}
            turned = self._choice.parameters("up")
            change = partial(item_audio, **formats, voice=self._voices[0], parameters=turned)
            loop = asyncio.get_running_loop()
            ready = await loop.run_in_executor(self._pool, partial(with_audio, ready, change))
        self._unsaid = self._unsaid and kind not in _TURN_ENDS
        await self._lane.submit(ready)

    async def _append(self, event: Mapping[str, Any]) -> None:
        try:
            audio = decode_audio(event.get("audio"))
        except ProtocolError as error:
            missing = "audio" not in event
            reason = "missing_required_parameter" if missing else "invalid_value"
            raise RefusalError(str(error), reason, "audio") from None
        form = self.client_format
        if len(audio) % form.frame_bytes:
            text = f"audio: {len(audio)} bytes are not whole {form.frame_bytes}-byte samples of {form.encoding}"
            raise RefusalError(text, param="audio")
        step = form.bytes_for(PIECE_MS * form.rate // 1000)
        for i in range(0, len(audio), step):
            await self.handle_client_audio(audio if len(audio) <= step else audio[i : i + step])
            self._spoken = self._unsaid = True
            await self._recording.sent(frames_to_ms(min(step, len(audio) - i) // form.frame_bytes, form.rate))

    def _waiting_up_ms(self) -> float:
        over = self._closed or self.close_code != 1000
        return 0.0 if over else self._connection.stats().queued_audio_ms

    async def _update(self, said: Mapping[str, Any], ready: dict[str, Any]) -> None:
        """Settings: formats are those of the client here, and what suits us on the wire."""
        if self._view.pending >= MAX_UPDATES:
            raise LimitError(f"{MAX_UPDATES} changes of settings wait for the AI provider")
        before, form = self.client_format, asked_format(said, "input") or self.client_format
        output = asked_format(said, "output") or self._view.latest_output
        wire = self._wire(output, self._down)
        wire_in = self._wire_in(form)
        update = Update(dict(ready["session"]), form, output, wire, before)
        ready["session"] = with_format(with_format(ready["session"], "input", wire_in), "output", wire)
        self._view.asked(ready["event_id"], update)
        try:
            await self._lane.submit(ready)
        except MenuraError:
            self._view.refused(ready["event_id"])
            raise
        self._set_input(form, wire_in)

    async def _take_back(self, form: StreamFormat) -> None:
        """The provider refused settings: audio is again what it was, once what came meanwhile is through."""
        while self._lane.pending_ms > 0.0:
            await asyncio.sleep(LOOK_S)
        self._revert = None
        self._set_input(form, self._wire_in(form))

    def _wire_in(self, form: StreamFormat) -> StreamFormat:
        """What the provider gets: audio may have to be said again to another session, and must be in its format then;
        and a voice stays at its rate."""
        return self.engine.target if self._spoken or self._revoiced else self._wire(form, self._up)

    def _set_input(self, form: StreamFormat, wire: StreamFormat) -> None:
        if (form, wire) == (self.client_format, self.engine.target):
            return
        old, self.client_format = self.engine, form
        self.engine = make_engine(self.options.mode, form, wire)
        if self._watched:
            self.engine.configure_vad(self.options.vad)
        self._withheld_ms += self._lane.withheld_ms
        self._lane = self._make_lane(self._up)
        if self.on_engine is not None:
            self.on_engine(old, self.engine)
        old.close()

    # --- other voices while it runs

    @property
    def voices(self) -> tuple[Voice | None, ...]:
        """Of the client and of the provider, as they are now."""
        return tuple(self._voices)

    async def _change_voices(self, wish: VoiceWish) -> None:
        """Other voices, and settings of theirs: all is looked at before any of it is changed.

        What the client says from here on is in the new one; answers are from the next one on. Settings hold at once.

        Raises:
            RefusalError: There is no such voice, or it cannot be built, or turned so.
        """
        found = []
        for direction, changes in wish.turned():
            try:
                self.check_parameters(direction, changes)
            except ProtocolError as error:
                raise RefusalError(str(error), "invalid_value", parameters_field(direction)) from error
        for direction, name in wish.items():
            try:
                found.append((direction, *self.find(direction, name)))
            except MenuraError as error:
                reason = "invalid_value" if isinstance(error, ProtocolError) else error.code
                raise RefusalError(str(error), reason, field_of(direction)) from error
        for direction, voice, own in found:
            last = self._choice.begin_with(direction, own)
            try:
                await (self._revoice_up(voice) if direction == "up" else self._revoice_down(voice))
            except MenuraError as error:
                self._choice.restore(direction, last)
                raise RefusalError(str(error), error.code, field_of(direction)) from error
            self._voices[DIRECTIONS.index(direction)] = voice
        for direction, changes in wish.turned():
            self.set_parameters(direction, changes)
        self._view.voices = shown(dict(zip(DIRECTIONS, self._voices, strict=True)), self._choice.parameters)

    def set_parameters(self, direction: Direction, changes: Mapping[str, float]) -> VoiceParameters:
        """Turn the settings of the voice on the way ``up`` or ``down``: at once, in an answer that is heard too.

        Raises:
            ConfigError: There is no such setting, or it cannot have this value.
            StateError: The relay is not started.
        """
        self._check()
        parameters = self._choice.turn(direction, changes)
        if direction == "up":
            self._lane.turn(parameters)
        elif self._down is not None:
            self._down.set(parameters)
        return parameters

    async def _revoice_up(self, voice: Voice | None) -> None:
        make = None if voice is None else partial(self._choice.make, "up", voice, self.engine.target.rate)
        await self._lane.change_voice(make, self._choice.pool)
        self._up, self._revoiced = self._lane.voice, True

    async def _revoice_down(self, voice: Voice | None) -> None:
        made = await self._choice.build("down", voice, PCM.rate)
        if made is not None and self._down is not None and (known := self._down.stage.speaker_hz):
            made.stage.seed_speaker(known)
        self._down = made
        self._answers.set_voice(made)

    def _confirm(self) -> None:
        """Tell that the session is changed, where the provider has no part in it."""
        self._owed += 1
        if self._view.created:
            self._confirm_owed()

    def _confirm_owed(self) -> None:
        for _ in range(self._owed):
            self._answers.tell(self._view.event("session.updated"))
        self._owed = 0

    def _stop(self, response_id: str | None) -> None:
        """The client does not want the answer any more."""
        if response_id is not None:
            self._answers.cut(response_id)
            return
        for response in self._told.open:
            self._answers.cut(response)
        self._answers.cut()

    def interrupt(self, reason: str = "client") -> bool:
        """End the answer that is being made; returns whether there was one."""
        self._check()
        self._stop(None)
        with suppress(StateError, LimitError):
            return self._connection.cancel_response()
        return False

    def played(self, played_ms: float, item_id: str) -> bool:
        """A client of the API says it by ``conversation.item.truncate``."""
        return False

    # --- down

    def _on_event(self, event: ServerEvent) -> Awaitable[None] | None:
        if self._closed:
            return None
        if isinstance(event, AudioDelta):
            self._answers.hear(event)
        elif isinstance(event, SessionEvent):
            self._on_session(event)
        else:
            self._greet()
            self._note(event)
            for shown in shown_events(event, self._words, self._redact):
                if not self._told.knows(shown):
                    self._answers.tell(self._in_time(shown))
        return self._answers.room() if self._answers.full else None

    def _on_session(self, event: SessionEvent) -> None:
        shown = client_view(event, self._redact)
        self._view.see(shown["session"] if shown else {})
        if event.type == "session.created":
            return
        first, done = not self._view.created, self._view.confirmed()
        if first:
            self._answers.tell(self._view.event("session.created"))
            self._confirm_owed()
        for update in done:
            self._view.apply(update)
            self._answers.set_formats(update.wire, update.output)
            self._answers.tell(self._view.event("session.updated"))

    def _in_time(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Times of the client's audio as the client counts them: the provider hears it later, by what voice and rate
        conversion take, and does not hear what is withheld."""
        if not shown["type"].startswith("input_audio_buffer."):
            return shown
        late_ms = self.engine.latency_ms + (frames_to_ms(self._up.latency, self._up.rate) if self._up else 0.0)
        late_ms -= self._withheld_ms + self._lane.withheld_ms
        times = {name: max(0, shown[name] - round(late_ms)) for name in _TIMES if name in shown}
        return shown | times

    def _greet(self) -> None:
        """A provider that did not take the settings it was opened with has a session all the same."""
        if not self._view.created and self._connection.connected:
            self._answers.tell(self._view.event("session.created"))
            self._confirm_owed()

    def _note(self, event: ServerEvent) -> None:
        """What an event means for audio that is on its way."""
        kind = event.type
        if kind == "response.created":
            response = event["response"]
            self._told.begin(response.to_dict())
            self._answers.begin(response.id or "")
        elif kind == "response.output_audio.done":
            self._answers.end(event["response_id"])
        elif kind == "response.done":
            response_id = event["response"].id or ""
            self._told.end(response_id)
            self._answers.end(response_id)
        elif kind == "input_audio_buffer.speech_started":
            if self.options.provider_barge_in and self._view.interrupts:
                self._stop(None)
        elif isinstance(event, ErrorEvent):
            refused = self._view.refused(event.error.event_id)
            if refused is not None and refused.before != refused.input:
                self._revert = refused.before

    # --- the provider comes and goes

    def _on_state(self, state: ConnectionState) -> None:
        if self._closed or self.close_code != 1000:
            return
        if state is ConnectionState.CONNECTED:
            self._view.renew()
        elif state is ConnectionState.RECONNECTING:
            forgets = self._told.conversed and not self.options.connection.remember_items
            if self._told.open or forgets:  # else the client misses nothing
                self._silence("provider")
                text = "The connection to the AI provider was lost and is being made again; it may not remember all"
                self._answers.tell(error_event(text, "provider_reconnecting", SERVER))
            self._told.renew()
        elif state is ConnectionState.FAILED:
            self._fail(self._error)

    def _silence(self, reason: str) -> None:
        """What was being answered will not be: the client is told that it has ended."""
        self._stop(None)
        for ended in self._told.give_up():
            self._answers.tell(ended)

    def _fail(self, error: MenuraError) -> None:
        super()._fail(error)
        self.close_reason = self._last_word

    # --- words of the relay itself

    def say(self, **message: Any) -> None:
        """Of what the relay has to tell, errors have an event in the API."""
        if message["type"] == "error":
            self._last_word = message["error"]
            self._answers.tell(error_event(message["error"], message["code"], SERVER))
        elif message["type"] == "dropped":
            text = f"{message['ms']:.0f} ms of audio were dropped: the AI provider does not take them"
            self._answers.tell(error_event(text, "audio_dropped", SERVER))

    def tell(self, event: Mapping[str, Any]) -> None:
        """Tell the client something of your own, in order with the rest."""
        self._answers.tell(event)

    @property
    def queued_events(self) -> int:
        """Events of the client that the provider has not yet got."""
        return self._connection.stats().queued_events

    def _losses(self) -> tuple[float, float]:
        wire = self._connection.stats()
        return wire.stale_audio_ms + wire.overflow_audio_ms, 0.0

    def _waiting_down_ms(self) -> float:
        return self._answers.waiting_ms


def _built_in(_direction: Direction, voice_id: str | None) -> tuple[Voice | None, VoiceParameters | None]:
    return None if voice_id in (None, "", "none") else find_voice(str(voice_id)), None
