"""``/v1/realtime``: a client of the Realtime API, which need not know that it speaks through a relay."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from menura.errors import LimitError, MenuraError, ModelError, ProtocolError, public_text
from menura.log import get_logger, log_internal_error
from menura.protocol.realtime_audio import APPEND, MAX_APPEND_BYTES
from menura.server.realtime_relay import RealtimeRelay
from menura.server.realtime_words import INVALID, SERVER, RefusalError, error_event, refusal_of
from menura.server.relay import INTERNAL
from menura.server.relay_engine import RelayEngine
from menura.server.relay_socket import NO_VOICE, RelayServices, RelaySocket
from menura.server.relay_voices import DIRECTIONS, Direction
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["RealtimeSocket"]

_log = get_logger(__name__)
PROTOCOL = "realtime"
"""What browsers offer as subprotocol, beside their key, since they cannot send headers."""
POLICY = 1008
MAX_NAME = 128
MAX_REASON = 123
"""Bytes of a close reason (RFC 6455, 5.5)."""
ENVELOPE_BYTES = 4096
MAX_EVENT_BYTES = 8 * 1024 * 1024
LARGE_BYTES, MAX_LARGE_BYTES = 64 * 1024, 16 * 1024 * 1024
"""Events from this size on, of which only so much may wait for the provider."""


class RealtimeSocket(RelaySocket):
    """Serves one client of the Realtime API until it or its relay ends.

    Which voices: ``?voice_up=…&voice_down=…``, or the headers ``Menura-Voice-Up`` and ``Menura-Voice-Down``; ids, or
    ``none``. Which model: the operator's, unless clients may choose.
    """

    _relay: RealtimeRelay | None

    def __init__(self, websocket: WebSocket, services: RelayServices) -> None:
        super().__init__(websocket, services)
        self._ready = asyncio.Event()
        self._large = 0
        self._reason = ""

    async def serve(self) -> None:
        """Accept the client and relay until one side ends it; or tell why not.

        The reason comes as an event and with the close code: browsers see nothing of an HTTP answer, and client
        libraries show its number only.
        """
        offered = self._socket.scope.get("subprotocols") or ()
        await self._socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
        refusal = self._refusal()
        if refusal is not None:
            text, code, close_code = refusal
            await self._turn_away(error_event(text, code, SERVER), close_code)
            return
        try:
            self._relay = self._make_relay()
        except MenuraError as error:
            await self._turn_away(error_event(public_text(error), error.code), POLICY)
            return
        await self._serve()

    async def _turn_away(self, event: Mapping[str, Any], close_code: int) -> None:
        self._reason = event["error"]["message"]
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._send(event)
        await self._close(close_code)

    async def _close(self, code: int) -> None:
        reason = self._reason or (self._relay.close_reason if self._relay is not None else "")
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._socket.close(code, reason.encode()[:MAX_REASON].decode("utf-8", "ignore"))
        self._stopped.set()

    def _asked(self, name: str) -> str | None:
        """What the client names in its address, or in a header."""
        header = "menura-" + name.replace("_", "-")
        value = self._socket.query_params.get(name, self._socket.headers.get(header))
        return value if value is None else value[:MAX_NAME]

    def _make_relay(self) -> RealtimeRelay:
        services, settings = self._services, self._services.settings
        assert settings is not None  # else it was turned away
        up, down = services.voices_for(self._asked("voice_up"), self._asked("voice_down"))
        model = self._asked("model") if settings.client_model else None
        relay = RealtimeRelay(
            tools=settings.client_tools,
            api_key=settings.api_key or "",
            model=model or settings.model,
            url=settings.url,
            headers=settings.headers,
            session=settings.session,
            voice_up=up,
            voice_down=down,
            parameters={"up": services.parameters_of("up", up), "down": services.parameters_of("down", down)},
            options=settings.options,
            pool=self._services.pool,
        )
        relay.on_engine, relay.find = self._count_other, self._find
        relay.check_parameters = services.check_parameters
        return relay

    def _find(self, direction: Direction, name: str | None) -> tuple[Voice | None, VoiceParameters | None]:
        """As at the beginning, so while it runs."""
        services = self._services
        voice = services.voices_for(name or NO_VOICE, NO_VOICE)[0] if direction == "up" else services.voice(name)
        return voice, services.own_of(direction, voice)

    def _describe(self) -> dict[str, Any]:
        if self._relay is not None:
            for direction, voice in zip(DIRECTIONS, self._relay.voices, strict=True):
                self._name(direction, voice)
        return super()._describe()

    def _count_other(self, old: RelayEngine, new: RelayEngine) -> None:
        self._services.engines.forget(old)
        self._services.engines.watch(new)

    # --- the conversation

    async def _greet(self) -> None:
        relay, settings = self._relay, self._services.settings
        assert relay is not None
        assert settings is not None
        try:
            await relay.start()
        except ModelError as error:
            await self._turn_away(error_event(public_text(error), error.code, SERVER), INTERNAL)
            return
        self._services.engines.watch(relay.engine)
        self._sender = asyncio.create_task(self._send_all(relay))
        self._watcher = asyncio.create_task(self._watch_stall(settings.options.client_stall_s))
        self._ready.set()

    async def _receive_all(self) -> None:
        await self._ready.wait()
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            await self._act(message["bytes"].decode("utf-8", "replace") if text is None else text)

    async def _act(self, text: str) -> None:
        relay, event = self._relay, dict[str, Any]()
        assert relay is not None
        try:
            event = self._parse(text)
            await relay.handle_client_event(event)
            return
        except (WebSocketDisconnect, asyncio.CancelledError):
            raise
        except Exception as error:
            answer = _explained(error, event)
        name = event.get("event_id")
        answer["error"]["event_id"] = name if isinstance(name, str) else None
        relay.tell(answer)
        with suppress(WebSocketDisconnect):
            await relay.room()

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            raise RefusalError("The message is not JSON", "invalid_json") from None
        if not isinstance(event, dict):
            raise RefusalError("An event is a JSON object", "invalid_json")
        if event.get("type") == APPEND:
            if len(text) > MAX_APPEND_BYTES + ENVELOPE_BYTES:
                raise RefusalError(f"More than {MAX_APPEND_BYTES} bytes of base64: cut the audio", param="audio")
        elif len(text) > LARGE_BYTES:
            self._check_large(len(text))
        return event

    def _check_large(self, size: int) -> None:
        """What waits for a provider is held here: counted in events by the connection, in bytes by this."""
        if size > MAX_EVENT_BYTES:
            raise RefusalError(f"The event has {size} bytes; at most {MAX_EVENT_BYTES}")
        assert self._relay is not None
        self._large = size + (self._large if self._relay.queued_events else 0)
        if self._large > MAX_LARGE_BYTES:
            raise LimitError("Too much waits for the AI provider: try again later")


def _explained(error: Exception, event: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(error, ProtocolError):
        refusal = refusal_of(error, event.get("type"))
        return error_event(public_text(refusal), refusal.reason, INVALID, refusal.param)
    if isinstance(error, LimitError):
        return error_event(public_text(error), "rate_limit_exceeded", SERVER)
    if isinstance(error, MenuraError):
        return error_event(public_text(error), error.code)
    log_id = log_internal_error(_log, "an event of a client failed", error)
    return error_event(f"Internal error {log_id}", "internal_error", SERVER)
