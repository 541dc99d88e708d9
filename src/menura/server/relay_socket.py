"""``/ws/relay``: one client's socket and its relay."""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from menura.audio.format import StreamFormat
from menura.clock import monotonic_s
from menura.errors import MenuraError, ProtocolError, StateError, VoiceNotFoundError
from menura.live.eager import begin
from menura.log import get_logger, log_internal_error
from menura.protocol import messages
from menura.protocol.messages import MAX_AUDIO_BYTES, Stop
from menura.protocol.realtime_beta import to_ga
from menura.protocol.realtime_memory import merge
from menura.server.access import session_of
from menura.server.catalogue import Catalogue
from menura.server.metrics import EngineCollector
from menura.server.relay import INTERNAL, WebSocketRelay
from menura.server.relay_messages import (
    ChangeVoice,
    Interrupt,
    Played,
    RelayAction,
    RelayStart,
    TurnVoice,
    clean_client_event,
    parse_text,
)
from menura.server.relay_options import RelaySettings
from menura.server.relay_voices import DIRECTIONS, Direction
from menura.server.tokens import answered_subprotocol
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["RelayServices", "RelaySocket"]

_log = get_logger(__name__)
NO_VOICE = "none"
TRY_AGAIN_LATER, POLICY = 1013, 1008
"""Close codes of IANA and RFC 6455: no room for another client; one that does not read, or does not start."""
TURN = 64
"""Messages taken of one client in a row."""

_GONE = (WebSocketDisconnect, RuntimeError)
"""What sending to a client that has left raises."""


@dataclass
class RelayServices:
    """What all relays of a server share.

    Attributes:
        settings: None where the operator has named no provider.
        voices: On offer.
        pool: Threads for signal processing.
        engines: Counts those in use.
        clients: Now.
    """

    settings: RelaySettings | None
    voices: Catalogue
    pool: Executor
    engines: EngineCollector
    clients: int = 0

    def voices_for(self, up: str | None, down: str | None) -> tuple[Voice | None, Voice | None]:
        """The voices of a client.

        Args:
            up: What it names for itself: an id, ``none`` or "" for its own voice, None for the operator's choice.
            down: The same for the provider.

        Raises:
            VoiceNotFoundError: There is no such voice.
            ProtocolError: It wants none where the operator requires one.
        """
        settings = self.settings
        assert settings is not None  # else nobody comes here
        up, down = settings.voice_up if up is None else up, settings.voice_down if down is None else down
        voices = self.voice(up), self.voice(down)
        if settings.require_voice and voices[0] is None:
            raise ProtocolError("The relay requires a voice on the way up: name one, or leave it to the relay")
        return voices

    def own_of(self, direction: Direction, voice: Voice | None) -> VoiceParameters | None:
        """The settings that a voice was kept with, if it was; where one is required, nothing of the speaker's own is in
        it."""
        own = None
        if voice is not None:
            with suppress(VoiceNotFoundError):  # it has gone meanwhile
                own = self.voices.own(voice.id)
        assert self.settings is not None  # else nobody comes here
        return own.changed({"mix": 1.0}) if own and self.settings.require_voice and direction == "up" else own

    def parameters_of(self, direction: Direction, voice: Voice | None) -> VoiceParameters:
        """The settings that a voice on offer begins with when it is the first."""
        return self.own_of(direction, voice) or VoiceParameters()

    def check_parameters(self, direction: Direction, changes: Mapping[str, float]) -> None:
        """Whether a client may turn settings so.

        Raises:
            ProtocolError: Something of its own voice would be in what the provider hears, where that must not be.
        """
        assert self.settings is not None  # else nobody comes here
        if self.settings.require_voice and direction == "up" and changes.get("mix", 1.0) < 1.0:
            raise ProtocolError("The relay requires a voice on the way up: nothing of your own may be mixed to it")

    def voice(self, voice_id: str | None) -> Voice | None:
        """The voice of this id; None for ``none``, "" and None.

        Raises:
            VoiceNotFoundError: There is no such voice.
        """
        if not voice_id or voice_id == NO_VOICE:
            return None
        return self.voices.get(voice_id)[0]


class RelaySocket:
    """Serves one client until it or its relay ends."""

    def __init__(self, websocket: WebSocket, services: RelayServices) -> None:
        self._socket, self._services = websocket, services
        self._relay: WebSocketRelay | None = None
        self._sender: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._sending_s: float | None = None  # since when a message waits to leave
        self._late: asyncio.Task[None] | None = None  # sends one that was begun at once and had to wait
        self._busy = False  # with one from the queue
        self._session = session_of(websocket.scope)
        self._session.busy, self._session.describe = self._answering, self._describe
        self._named: dict[Direction, str] = {}

    def _answering(self) -> bool:
        return self._relay is not None and self._relay.answering

    def _describe(self) -> dict[str, Any]:
        """For the list of sessions; its voices are that of the client and that of the provider."""
        relay = self._relay
        return {
            "voice": ", ".join(self._named[direction] for direction in DIRECTIONS if self._named.get(direction)),
            "processing": relay is not None,
            "latency_ms": round(relay.engine.latency_ms, 3) if relay else 0.0,
        }

    def _name(self, direction: Direction, voice: Voice | None) -> None:
        self._named[direction] = voice.name if voice else ""

    async def serve(self) -> None:
        """Greet, then relay until the client leaves, stops or does not read, or the provider fails."""
        await self._socket.accept(answered_subprotocol(self._socket.scope["subprotocols"]))
        refusal = self._refusal()
        if refusal is not None:
            text, code, close_code = refusal
            await self._send({"type": "error", "error": text, "code": code})
            await self._socket.close(close_code)
            return
        await self._serve()

    async def _greet(self) -> None:
        await self._send(messages.connected())

    async def _serve(self) -> None:
        """Until one side ends it."""
        self._services.clients += 1
        jobs = [asyncio.create_task(job) for job in (self._receive_all(), self._stopped.wait(), self._expect_start())]
        try:
            await self._greet()
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._services.clients -= 1
            await self._clean_up(jobs)

    async def _expect_start(self) -> None:
        """Leave a client that takes a place and does not use it."""
        settings = self._services.settings
        assert settings is not None  # else nobody comes here
        await asyncio.sleep(settings.start_within_s)
        if self._relay is None:
            text = f"Not started within {settings.start_within_s:g} s"
            await self._send({"type": "error", "error": text, "code": "timeout"})
            await self._close(POLICY)
        await self._stopped.wait()

    def _refusal(self) -> tuple[str, str, int] | None:
        settings = self._services.settings
        if settings is None:
            return "The relay has no AI provider: the operator must configure one", "not_configured", INTERNAL
        if self._services.clients >= settings.max_clients:
            return "The relay serves as many clients as it may: try again later", "limit_reached", TRY_AGAIN_LATER
        return None

    async def _clean_up(self, jobs: list["asyncio.Task[Any]"]) -> None:
        tasks = [task for task in (*jobs, self._sender, self._watcher, self._late) if task is not None]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect | RuntimeError):
                log_internal_error(_log, "a relay's socket failed", outcome)
        relay, self._relay = self._relay, None
        if relay is not None:
            self._services.engines.forget(relay.engine)
            await relay.close()

    # --- to the client

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self._socket.send_text(json.dumps(message, ensure_ascii=False, separators=(",", ":")))

    async def _reply(self, message: Mapping[str, Any]) -> None:
        """Answer, in order with what the relay sends."""
        if self._relay is None:
            await self._send(message)
            return
        self._relay.say(**message)
        await self._relay.room()

    async def _send_all(self, relay: WebSocketRelay) -> None:
        relay.deliver_to(self._send_now)
        try:
            async for item in relay:
                self._busy = True
                if self._late is not None:
                    await self._late
                self._sending_s = monotonic_s()
                await self._socket.send(_message(item))
                self._sending_s, self._busy = None, False
        except _GONE:
            return  # receiving notices too
        await self._close(relay.close_code)

    def _send_now(self, item: str | bytes) -> bool:
        """Send a message without a task, unless one is being sent; most leave at once."""
        if self._busy or self._late is not None:
            return False
        try:
            rest = begin(self._socket.send(_message(item)))
        except _GONE:
            return True
        if rest is not None:
            self._sending_s = monotonic_s()
            self._late = asyncio.create_task(self._finish(rest))
        return True

    async def _finish(self, rest: Awaitable[None]) -> None:
        with suppress(*_GONE):
            await rest
        self._sending_s = self._late = None

    async def _close(self, code: int) -> None:
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._socket.close(code)
        self._stopped.set()

    async def _watch_stall(self, stall_s: float) -> None:
        """Leave a client that takes nothing. A time-out for each message would cost more than most messages."""
        while True:
            await asyncio.sleep(min(1.0, stall_s / 4.0))
            if self._sending_s is not None and monotonic_s() - self._sending_s > stall_s:
                _log.info("a relay's client takes nothing any more")
                await self._close(POLICY)

    # --- from the client

    async def _receive_all(self) -> None:
        taken = 0
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            taken += 1
            if not taken % TURN:
                await asyncio.sleep(0)  # a flood is not to keep others waiting
            text, data = message.get("text"), message.get("bytes")
            try:
                if text is not None:
                    await self._act(text)
                elif data is not None:
                    await self._hear(data)
            except (WebSocketDisconnect, asyncio.CancelledError):
                raise
            except MenuraError as error:
                await self._refuse(error)
            except Exception as error:
                log_id = log_internal_error(_log, "a request to the relay failed", error)
                await self._reply({"type": "error", "error": f"Internal error {log_id}", "code": "internal"})

    async def _refuse(self, error: MenuraError) -> None:
        if self._relay is not None:
            error.args = tuple(self._relay.redact(str(part)) for part in error.args)
        await self._reply(messages.error_reply(error))

    async def _hear(self, data: bytes) -> None:
        if len(data) > MAX_AUDIO_BYTES:
            raise ProtocolError(f"Audio message too large: {len(data)} bytes, at most {MAX_AUDIO_BYTES}")
        await self._running().handle_client_audio(data)

    def _running(self) -> WebSocketRelay:
        if self._relay is None:
            raise StateError('The relay is not started: send {"action":"start"} first')
        return self._relay

    async def _act(self, text: str) -> None:
        message = parse_text(text)
        if isinstance(message, dict):
            await self._running().handle_client_event(message)
            return
        self._session.check(message.action)
        if isinstance(message, RelayStart):
            await self._start(message)
        else:
            await self._turn(message)

    async def _turn(self, action: RelayAction) -> None:
        if isinstance(action, Played):
            self._running().played(action.ms, action.item_id)
        elif isinstance(action, Interrupt):
            self._running().interrupt()
        elif isinstance(action, Stop):
            self._running().finish()
        elif isinstance(action, ChangeVoice):
            await self._change(action)
        elif isinstance(action, TurnVoice):
            await self._set_parameters(action)
        elif action.action == "getStatus":
            status: dict[str, Any] = {"processing": self._relay is not None}
            await self._reply(messages.status_reply(status, self._relay.stats() if self._relay else {}))
        else:
            await self._reply(messages.voices_reply(self._services.voices.infos()))

    async def _change(self, action: ChangeVoice) -> None:
        """Other voices; both are looked for before either is changed."""
        relay, services, named = self._running(), self._services, action.model_fields_set
        changes: list[tuple[Direction, str, Voice | None]] = []
        if "voice_up" in named:
            changes.append(("up", "voiceUp", services.voices_for(action.voice_up or NO_VOICE, NO_VOICE)[0]))
        if "voice_down" in named:
            changes.append(("down", "voiceDown", services.voice(action.voice_down)))
        reply: dict[str, Any] = {"type": "voiceChanged"}
        turned = []
        for direction, name, voice in changes:
            before, own = relay.set_parameters(direction, {}), services.own_of(direction, voice)
            await relay.change_voice(direction, voice, own)
            self._name(direction, voice)
            reply[name] = voice and voice.id
            if own is not None or relay.set_parameters(direction, {}) != before:
                turned.append(direction)
        await self._reply(reply)
        for direction in turned:
            await self._tell_parameters(direction, {})

    async def _set_parameters(self, action: TurnVoice) -> None:
        self._services.check_parameters(action.direction, action.parameters)
        await self._tell_parameters(action.direction, action.parameters)

    async def _tell_parameters(self, direction: Direction, changes: Mapping[str, float]) -> None:
        parameters = self._running().set_parameters(direction, changes).as_dict()
        await self._reply({"type": "parametersSet", "direction": direction, "parameters": parameters})

    async def _start(self, start: RelayStart) -> None:
        if self._relay is not None:
            raise StateError("The relay is started already")
        settings = self._services.settings
        assert settings is not None  # else nobody comes here
        voices = self._services.voices_for(start.voice_up, start.voice_down)
        relay = WebSocketRelay(
            api_key=settings.api_key or "",
            model=settings.model,
            url=settings.url,
            headers=settings.headers,
            session=_session(settings.session, start.session),
            client_format=StreamFormat(start.audio.format, start.audio.sample_rate),
            voice_up=voices[0],
            voice_down=voices[1],
            parameters={
                each: self._services.parameters_of(each, v) for each, v in zip(DIRECTIONS, voices, strict=True)
            },
            options=settings.options,
            pool=self._services.pool,
        )
        await relay.start()
        self._relay = relay
        for direction, voice in zip(DIRECTIONS, voices, strict=True):
            self._name(direction, voice)
        self._services.engines.watch(relay.engine)
        audio = {"source": "client", "sample_rate": start.audio.sample_rate, "format": str(start.audio.format)}
        up, down = (voice and voice.id for voice in voices)
        relay.say(type="started", audio=audio, voiceUp=up, voiceDown=down)
        self._sender = asyncio.create_task(self._send_all(relay))
        self._watcher = asyncio.create_task(self._watch_stall(settings.options.client_stall_s))


def _message(item: str | bytes) -> dict[str, Any]:
    return {"type": "websocket.send", "bytes" if isinstance(item, bytes) else "text": item}


def _session(operator: Mapping[str, Any] | None, client: Mapping[str, Any] | None) -> dict[str, Any]:
    """The operator's settings, and the client's on top, as far as they are a client's."""
    ours, _ = to_ga({"type": "session.update", "session": dict(operator or {})})
    theirs = clean_client_event({"type": "session.update", "session": dict(client or {})})
    return merge(ours["session"], theirs["session"])
