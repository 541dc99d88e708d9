"""WebSocketRelay: a client's audio to an AI provider and back, checked, converted, in other voices."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Self

from menura.audio.format import AudioFormat, StreamFormat
from menura.client.connection import MODEL, RealtimeConnectionManager
from menura.client.options import ConnectionState
from menura.client.target import Key
from menura.clock import Clock, monotonic_s
from menura.engine.config import ProcessingMode
from menura.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionLostError,
    LimitError,
    MenuraError,
    ProtocolError,
    ProviderError,
    ResponseTimeoutError,
    StateError,
)
from menura.live.session import VoiceSession
from menura.live.strand import Strand
from menura.log import get_logger, log_internal_error
from menura.protocol.realtime_server import AudioDelta, ServerEvent
from menura.server.realtime_items import has_audio
from menura.server.relay_gate import ProviderEar
from menura.server.relay_lane import UpLane
from menura.server.relay_messages import clean_client_event, client_view
from menura.server.relay_options import RelayOptions, Upload
from menura.server.relay_outbox import RelayOutbox
from menura.server.relay_player import ReplyPlayer, say
from menura.server.relay_replies import Replies
from menura.server.relay_uplink import Uplink
from menura.server.relay_voices import DIRECTIONS, Direction, VoiceChoice
from menura.server.relay_wire import make_engine, wire_session
from menura.units import ms_to_frames
from menura.vad.config import VADState, VADType
from menura.voices.builtin import find_voice
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["WebSocketRelay"]

_log = get_logger(__name__)
_ENDS_OF_AUDIO = frozenset({"response.output_audio.done", "response.done"})
_LIGHT_VAD = (VADType.ENERGY_BASED,)
BAD_GATEWAY, INTERNAL = 1014, 1011
"""Close codes of RFC 6455 and IANA: the provider failed; the relay did."""
WATCH_S, MAX_RESPONSES = 1.0, 16


class WebSocketRelay:
    """One client's conversation with an AI provider.

    The client's audio is checked, converted to what the provider takes, watched for speech and, with ``voice_up``,
    changed, so that the provider never hears the speaker's own voice. Answers come back in the client's format, in
    ``voice_down`` if there is one. When the person speaks, the client is told to be silent, and the provider how much
    was heard.

    Whoever has the client's socket gives what comes to :meth:`handle_client_audio` and :meth:`handle_client_event`, and
    sends what this iterates over: ``bytes`` are audio, ``str`` are JSON. Nothing in it tells of the provider's address
    or key. All methods are for one event loop; signal processing runs in threads.

    Args:
        api_key: See :class:`~menura.client.connection.RealtimeConnectionManager`, as the next three.
        model: Named in the address.
        url: Of the provider.
        headers: Further ones.
        connect: Makes the connection, instead of the above.
        session: Settings, as of ``session.update``.
        client_format: Of the client's audio, both ways.
        voice_up: In which the provider hears the client; a voice, or the id of a built-in one.
        voice_down: In which the client hears the provider.
        parameters: Settings that the voices ``up`` and ``down`` begin with.
        options: How the relay behaves; single settings of it may be given as keywords.
        pool: Threads to work on; without, one of its own.
        clock: Seconds.

    Raises:
        ConfigError, AuthenticationError, ProtocolError, VoiceNotFoundError: An argument cannot be.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        api_key: Key | None = None,
        model: str | None = MODEL,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect: Callable[[], RealtimeConnectionManager] | None = None,
        session: Mapping[str, Any] | None = None,
        client_format: StreamFormat | None = None,
        voice_up: Voice | str | None = None,
        voice_down: Voice | str | None = None,
        parameters: Mapping[Direction, VoiceParameters] | None = None,
        options: RelayOptions | None = None,
        pool: Executor | None = None,
        clock: Clock = monotonic_s,
        **settings: Any,
    ) -> None:
        self.options = options = replace(options or RelayOptions(), **settings)
        self.client_format = client_format or StreamFormat(AudioFormat.PCM16, 24_000)
        self._voices = [find_voice(voice) if isinstance(voice, str) else voice for voice in (voice_up, voice_down)]
        self.engine = make_engine(self.client_format, options, plain=not any(self._voices))
        self._parameters, self._watched = parameters, options.watches
        if self._watched:
            self.engine.configure_vad(options.vad)
        if connect is None:
            make = RealtimeConnectionManager
            connect = partial(make, api_key, model, url, headers=headers, options=options.connection)
        self._connection = connect()
        self._redact = self._connection.redactor(address=True)
        self._connection.update_session(wire_session(session, self.engine.target))
        self._own_pool = pool is None
        self._pool, self._clock = pool, clock
        form = self.client_format
        self._outbox = RelayOutbox(form.bytes_for(ms_to_frames(options.max_unread_ms, form.rate)))
        self._tasks: list[asyncio.Task[None]] = []
        self._cut: deque[str] = deque(maxlen=MAX_RESPONSES)
        self._response = ""
        self._started = self._closed = self._changeable = False
        self._lost = (0.0, 0.0)
        self._speech = VADState.SILENCE
        self._ear = ProviderEar()
        self._error: MenuraError = ConnectionLostError("the connection failed")
        self.close_code = 1000

    # --- beginning and end

    async def start(self) -> None:
        """Build the voices and begin to connect. What the client says meanwhile waits; that the provider is there, or
        is not, is told like everything else.

        Raises:
            ModelError: A voice cannot be built.
            StateError: It was started before.
        """
        if self._started:
            raise StateError("a relay is started once")
        self._started = True
        self._loop = asyncio.get_running_loop()
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="menura-relay")
        self._choice = VoiceChoice(self.engine.target.rate, self._pool, self._parameters)
        try:
            up, down = [await self._choice.build(*each) for each in zip(DIRECTIONS, self._voices, strict=True)]
        except BaseException:
            await self.close()
            raise
        self._lane = self._make_lane(up)
        if self.options.upload is Upload.SPEECH:
            self._ear.listen_to(self._connection)
        self._connection.on_event(self._on_event)
        self._connection.on_state_change(self._on_state)
        self._connection.on_error(self._on_error)
        jobs = (self._open(), *self._start_down(down), self._watch())
        self._tasks = [self._loop.create_task(job) for job in jobs]

    def _make_lane(self, voice: VoiceSession | None) -> UpLane:
        assert self._pool is not None
        light = self.client_format == self.engine.target and self.options.mode is ProcessingMode.REALTIME
        vad = self.options.vad
        light_vad = not self._watched or vad is None or vad.type in _LIGHT_VAD
        # what only looks at the bytes takes less time than to give it to a thread
        strand = None if voice is None and light and light_vad else Strand(self._pool)
        limit_ms, connection = self.options.max_pending_ms, self._connection
        gate = self._ear.make_gate(self.engine.target, self.options)
        uplink = Uplink(self.engine, voice, self._watched, partial(self._on_voice_failed, "up"), gate)
        return UpLane(uplink, connection, self.client_format, strand, limit_ms, self._watch_speech)

    def _start_down(self, voice: VoiceSession | None) -> Sequence[Coroutine[Any, Any, None]]:
        """Make what carries answers to the client; what of it runs."""
        assert self._pool is not None
        strand = None if voice is None and self.client_format == self.engine.target else Strand(self._pool)
        failed = partial(self._on_voice_failed, "down")
        replies = Replies(self.engine, voice, self.options.max_reply_ms, failed)
        self._changeable = True
        self._player = ReplyPlayer(replies, self.engine, self._outbox, strand, self.options, self._clock)
        return [self._player.run()]

    # --- other voices while it runs

    async def change_voice(
        self, direction: Direction, voice: Voice | str | None, parameters: VoiceParameters | None = None
    ) -> None:
        """Change the voice on the way ``up`` or ``down``, or have none; without a click.

        Up, all audio given to :meth:`handle_client_audio` after this was called is in the new voice: it waits while
        that is built, and nothing of the speaker's own is in it. Down it is what the provider sends from now on; what
        waits is heard as it is.

        Args:
            direction: Which way.
            voice: One, or the id of a built-in one; None for none.
            parameters: That it begins with, whatever was turned before; None keeps what was turned.

        Raises:
            VoiceNotFoundError: There is no such voice.
            ModelError: It cannot be built; all is as before.
            StateError: The relay is not started, or its voices are for its whole life.
        """
        way = self._way(direction)
        voice = find_voice(voice) if isinstance(voice, str) else voice
        make = None if voice is None else partial(self._choice.make, direction, voice)
        last = self._choice.begin_with(direction, parameters)
        try:
            await way.change_voice(make, self._choice.pool)
        except MenuraError:
            self._choice.restore(direction, last)
            raise

    def set_parameters(self, direction: Direction, changes: Mapping[str, float]) -> VoiceParameters:
        """Turn the settings of the voice on the way ``up`` or ``down``; they stay for a voice without its own. Returns
        all of them as they are now.

        Raises:
            ConfigError: There is no such setting, or it cannot have this value.
            StateError: The relay is not started, or its voices are for its whole life.
        """
        way = self._way(direction)
        parameters = self._choice.turn(direction, changes)
        way.turn(parameters)
        return parameters

    def _way(self, direction: Direction) -> UpLane | ReplyPlayer:
        self._check()
        if direction not in DIRECTIONS:
            raise ConfigError(f"a direction is up or down, not {direction!r}")
        if not self._changeable:
            raise StateError("the voices of this relay are chosen when it starts")
        return self._lane if direction == "up" else self._player

    def _abandon_down(self) -> None:
        """Nobody listens any more."""
        self._player.abandon()

    def _silence(self, reason: str) -> None:
        """The rest of the answer will not come."""
        self._player.stop(reason)

    async def _open(self) -> None:
        try:
            await self._connection.connect()
        except MenuraError as error:
            self._fail(error)

    async def close(self) -> None:
        """Leave the provider, within a second. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._outbox.close()
        if self._tasks:
            self._lane.abandon()
            self._abandon_down()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.aclose()
        self.engine.close()
        if self._own_pool and isinstance(self._pool, ThreadPoolExecutor):
            self._pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        """The client is done: after what it has yet to read it gets no more."""
        self._check()
        self._outbox.end()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _fail(self, error: MenuraError) -> None:
        """It cannot go on: the client is told so, in words that tell nothing of the provider."""
        if self._closed or self.close_code != 1000:
            return
        _log.warning("a relay's provider failed: %s", error)
        code, text = "provider_unavailable", "The AI provider cannot be reached"
        if isinstance(error, ProviderError | AuthenticationError):
            code, text = "provider_refused", "The AI provider refuses to serve the relay"
        self.close_code = BAD_GATEWAY
        self._silence("provider")
        self.say(type="error", error=text, code=code)
        self._outbox.end()

    def _on_voice_failed(self, direction: str) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._tell_voice_failed, direction)

    def _tell_voice_failed(self, direction: str) -> None:
        if not self._closed:
            heard = "the AI provider hears silence" if direction == "up" else "you hear the AI provider's own"
            self.say(type="error", error=f"The voice failed: {heard}", code="voice_failed", direction=direction)

    # --- up

    async def handle_client_audio(self, audio: bytes) -> bool:
        """Take audio of the client, any number of whole frames. Where it comes faster than it is processed, this waits.

        Returns:
            Whether it is audio. What is not is left out, and the client is told why.

        Raises:
            StateError: The relay is not started.
        """
        self._check()
        if self._lane.inline:
            if self._lane.feed_inline(audio):
                return True
        elif self.engine.validate_audio(audio):
            await self._lane.feed(audio)
            return True
        else:
            self.engine.process_audio(audio)  # counts it
        why = self.engine.explain(audio) or "no samples"
        self.say(type="error", error=f"Invalid audio: {why}", code="invalid_audio")
        await self._outbox.room()
        return False

    def _check(self) -> None:
        if not self._tasks:
            raise StateError("the relay is not started: await start()")

    async def handle_client_event(self, event: Mapping[str, Any]) -> None:
        """Pass an event of the client to the provider, after all audio before it.

        Raises:
            ProtocolError: It is malformed, or not for clients.
            StateError: The relay is not started.
        """
        self._check()
        ready = clean_client_event(event)
        if self._voices[0] is not None and has_audio(ready):
            raise ProtocolError(
                "item.content.audio: not for clients of the relay whose voice is changed: send it as audio"
            )
        await self._lane.submit(ready)

    def _watch_speech(self, state: VADState) -> None:
        before, self._speech = self._speech, state
        if state is before or self._closed:
            return
        self.say(type="speech", state=str(state))
        if state is VADState.SPEECH and before is not VADState.SPEECH_ENDING and self.options.own_barge_in:
            self.interrupt("speech")

    # --- down

    def _on_event(self, event: ServerEvent) -> Awaitable[None] | None:
        """Take an event, at once; what is returned is to be waited for before another."""
        if self._closed:
            return None
        if isinstance(event, AudioDelta):
            return self._on_audio(event)
        if event.type == "response.created":
            self._response = event.get("response").id or ""
            if self._response in self._cut:
                self._cut.remove(self._response)
        elif event.type in _ENDS_OF_AUDIO:
            self._player.end()
        elif event.type == "input_audio_buffer.speech_started" and self.options.provider_barge_in:
            self.interrupt("speech")
        shown = client_view(event, self._redact)
        if shown is None:
            return None
        say(self._outbox, **shown)
        return self._outbox.room() if self._outbox.full else None

    def _on_audio(self, event: AudioDelta) -> Awaitable[None] | None:
        if event.response_id in self._cut:
            return None
        self._response = event.response_id
        try:
            audio = event.audio
        except ProtocolError as error:
            _log.info("a provider's audio was left out: %s", error)
            return None
        return self._player.hear(audio, event.item_id)

    def _on_state(self, state: ConnectionState) -> None:
        if self._closed or self.close_code != 1000:
            return
        if state is ConnectionState.RECONNECTING:
            self._silence("provider")
            self._cut.clear()
        if state is ConnectionState.FAILED:
            self._fail(self._error)
        elif state is not ConnectionState.CLOSED:
            self.say(type="provider", state=str(state))

    def _on_error(self, error: Exception) -> None:
        """What the client must know of it comes as an event, or as the relay's end."""
        if isinstance(error, ResponseTimeoutError):
            self.say(type="error", error="The AI provider does not answer", code=error.code)
        elif isinstance(error, MenuraError):
            self._error = error

    def interrupt(self, reason: str = "client") -> bool:
        """End the answer that is heard or being made; returns whether there was one."""
        self._check()
        position = self._player.stop(reason)
        with suppress(StateError, LimitError):
            if position is not None:
                self._connection.interrupt(position)
            elif not self._connection.cancel_response():
                return False
        if self._response:
            self._cut.append(self._response)
        return True

    def played(self, played_ms: float, item_id: str) -> bool:
        """The client says how much of an answer it has played; returns whether there is such an answer."""
        self._check()
        return self._player.played(played_ms, item_id)

    def redact(self, text: str) -> str:
        """A text without the provider's address and key."""
        return self._redact(text)

    # --- what the client gets

    def say(self, **message: Any) -> None:
        """Tell the client something of your own, in order with the rest."""
        say(self._outbox, **message)

    def deliver_to(self, take: Callable[[str | bytes], bool]) -> None:
        """Offer what the client gets to a function, as it comes, where nothing waits: it saves a turn of the event loop
        for each message. The function returns whether it has sent it, and must not while anything before is being sent;
        what it leaves is iterated over as ever.
        """
        self._outbox.deliver = take

    async def room(self) -> None:
        """Wait until the client has read what it was told."""
        await self._outbox.room()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """What to send to the client next: text or audio; it ends when the relay does, with :attr:`close_code`."""
        if (item := await self._outbox.next()) is None:
            raise StopAsyncIteration
        return item

    @property
    def answering(self) -> bool:
        """Whether an answer is being made, or waits to be heard."""
        return bool(self._tasks) and (self._connection.responding or self._waiting_down_ms() > 0.0)

    async def _watch(self) -> None:
        """Tell the client now and then what was lost."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self._tell_losses()
            except Exception as error:
                log_internal_error(_log, "a relay's figures failed", error)

    def _tell_losses(self) -> None:
        lost = self._losses()
        for direction, now_ms, before_ms in zip(("up", "down"), lost, self._lost, strict=True):
            if now_ms > before_ms:
                self.say(type="dropped", direction=direction, ms=round(now_ms - before_ms, 3))
        self._lost = lost

    def _losses(self) -> tuple[float, float]:
        wire, form = self._connection.stats(), self.client_format
        unread_ms = 1000.0 * self._outbox.dropped_bytes / (form.frame_bytes * form.rate)
        return wire.stale_audio_ms + wire.overflow_audio_ms, self._player.replies.dropped_ms + unread_ms

    def _waiting_down_ms(self) -> float:
        return self._player.replies.waiting_ms

    def stats(self) -> dict[str, float | str]:
        """Figures of now: the provider's state, what waits and what was lost, in ms of audio."""
        self._check()
        wire, lost = self._connection.stats(), self._losses()
        return {
            "provider": wire.state,
            "sent_ms": round(wire.audio_sent_ms, 3),
            "received_ms": round(wire.audio_received_ms, 3),
            "withheld_ms": round(self._lane.withheld_ms, 3),
            "waiting_up_ms": round(wire.queued_audio_ms + self._lane.pending_ms, 3),
            "waiting_down_ms": round(self._waiting_down_ms(), 3),
            "dropped_up_ms": round(lost[0], 3),
            "dropped_down_ms": round(lost[1], 3),
            "reconnects": wire.reconnects,
            "first_audio_ms": round(wire.first_audio_ms, 3),
        }
