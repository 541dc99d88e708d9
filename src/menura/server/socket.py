"""One control connection: the edge between a WebSocket and a session."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from menura.audio.format import StreamFormat
from menura.errors import DeviceError, MenuraError, ModelError, ProtocolError
from menura.live.lanes import DEVICE_RATE, ClientLane, DeviceLane, DeviceLease, Lane
from menura.live.session import VoiceSession
from menura.live.speaking_stats import Devices
from menura.log import get_logger, log_internal_error
from menura.protocol import messages
from menura.protocol.control import Control
from menura.protocol.control_replies import ParametersSet, VoiceSelected
from menura.protocol.messages import ClientAudio, GetVoices, SelectVoice, SetParameters, Start
from menura.server.access import session_of
from menura.server.catalogue import Catalogue
from menura.server.outbox import Outbox
from menura.server.tokens import answered_subprotocol
from menura.voices.build import VoiceStage, make_stage
from menura.voices.voice import VoiceParameters

__all__ = ["ControlSocket", "Services"]

_log = get_logger(__name__)
MAX_AUDIO_QUEUE = 2 * 1024 * 1024
"""Audio waiting for a slow reader, in bytes: 20 s of 48 kHz pcm16. Then the oldest is dropped."""


@dataclass(frozen=True)
class Services:
    """What all connections of a server share."""

    voices: Catalogue
    pool: Executor
    devices: Devices = field(default_factory=Devices)
    lease: DeviceLease = field(default_factory=DeviceLease)


class ControlSocket:
    """Serves one client until it leaves; its session lives and ends with it."""

    def __init__(self, websocket: WebSocket, services: Services) -> None:
        self._socket, self._services = websocket, services
        self._control = Control(services.voices.by_id)
        self._outbox = Outbox(MAX_AUDIO_QUEUE)
        self._parameters = VoiceParameters()
        self._turned: dict[str, float] = {}  # by the client; the others are as the voice begins
        self._lane: Lane | None = None
        self._session = session_of(websocket.scope)
        self._session.busy = lambda: self._control.processing and not self._control.client_audio

    async def serve(self) -> None:
        """Greet, then answer until the client leaves."""
        await self._socket.accept(answered_subprotocol(self._socket.scope["subprotocols"]))
        self._reply(messages.connected())
        sender = asyncio.create_task(self._send_all())
        try:
            await self._receive_all()
        finally:
            sender.cancel()
            if self._lane:
                self._lane.abandon()

    async def _send_all(self) -> None:
        try:
            while True:
                item = await self._outbox.get()
                if isinstance(item, bytes):
                    await self._socket.send_bytes(item)
                else:
                    await self._socket.send_text(item)
        except (WebSocketDisconnect, RuntimeError):
            self._outbox.close()  # the client left: receiving notices too, unless it waits for room

    async def _receive_all(self) -> None:
        while True:
            await self._outbox.room()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text, data = message.get("text"), message.get("bytes")
            try:
                if text is not None:
                    await self._act(text)
                elif data is not None:
                    await self._hear(data)
            except Exception as error:
                self._refuse(error)

    def _reply(self, reply: Mapping[str, Any]) -> None:
        self._outbox.put_text(json.dumps(reply, ensure_ascii=False, separators=(",", ":")))

    def _refuse(self, error: Exception) -> None:
        """Answer with an error; only menura's own tells the client its text."""
        if isinstance(error, MenuraError):
            self._reply(messages.error_reply(error))
        else:
            log_id = log_internal_error(_log, "a request failed", error)
            self._reply({"type": "error", "error": f"Internal error {log_id}", "code": "internal"})

    async def _hear(self, data: bytes) -> None:
        self._control.receive_audio(len(data))
        if isinstance(self._lane, ClientLane):
            self._lane.feed(data)
            await self._lane.room()

    async def _act(self, text: str) -> None:
        action = self._control.receive_text(text)
        self._session.check(action.action)
        if isinstance(action, SelectVoice):
            await self._select(action.voice_id)
        elif isinstance(action, Start):
            await self._start(action.audio)
        elif isinstance(action, SetParameters):
            self._set(action.parameters)
        elif action.action == "stop":
            await self._stop()
        elif action.action == "getStatus":
            self._status()
        elif isinstance(action, GetVoices):
            self._reply(messages.voices_reply(list(self._control.voices.values())))
        else:
            raise ProtocolError(f"This server does not know the action {action.action}")

    async def _build(self, voice_id: str, rate: int) -> VoiceStage:
        voice, parameters = self._services.voices.get(voice_id)
        self._parameters = parameters.changed(self._turned)
        make = partial(make_stage, voice, rate, parameters=self._parameters)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._services.pool, make)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"internal error {log_internal_error(_log, 'building a voice failed', error)}") from error

    async def _select(self, voice_id: str) -> None:
        self._parameters = self._services.voices.get(voice_id)[1].changed(self._turned)
        if self._lane:
            self._lane.session.switch(await self._build(voice_id, self._lane.session.rate))
        self._reply(VoiceSelected(voice=self._control.selected(voice_id).summary).as_dict())

    async def _start(self, audio: ClientAudio | None) -> None:
        voice = self._control.voice
        assert voice is not None  # Control let `start` through
        rate = audio.sample_rate if audio else DEVICE_RATE
        session = VoiceSession(await self._build(voice.id, rate))
        if audio:
            form = StreamFormat(audio.format, rate)
            self._lane = ClientLane(session, form, self._services.pool, self._outbox.put_audio, self._refuse)
        else:
            services = self._services
            self._lane = await DeviceLane.open(session, services.devices, services.lease, services.pool)
        self._control.started(client_audio=audio is not None)
        self._status()
        if isinstance(self._lane, DeviceLane):
            self._lane.listen(self._device_news)

    def _device_news(self, error: Exception | None) -> None:
        """The devices are lost and awaited, or back; or the voice has failed, which ends it."""
        if error is not None:
            if self._lane and not isinstance(error, DeviceError):
                self._lane.abandon()
                self._lane = None
                self._control.stopped()
            self._refuse(error)
        self._status()

    async def _stop(self) -> None:
        lane, self._lane = self._lane, None
        self._control.stopped()
        if lane:
            await lane.finish()
        self._status()

    def _set(self, changes: Mapping[str, float]) -> None:
        self._parameters = self._parameters.changed(changes)
        self._turned |= changes
        if self._lane:
            self._lane.session.set(self._parameters)
        self._reply(ParametersSet(parameters=self._parameters.as_dict()).as_dict())

    def _status(self) -> None:
        lane = self._lane
        if lane is None:
            figures = dict.fromkeys(("input_level", "output_level", "latency_ms", "processing_time_ms"), 0.0)
            self._reply(messages.status_reply({"processing": False, **figures}, {}))
            return
        stats = lane.session.stats()
        status = {
            "processing": True,
            "input_level": round(min(stats.input_level, 1.0), 5),
            "output_level": round(min(stats.output_level, 1.0), 5),
            "latency_ms": round(lane.latency_ms, 3),
            "processing_time_ms": round(stats.processing_time_ms, 3),
        }
        details = lane.details() | {"dropped_bytes": self._outbox.dropped_bytes, "speaker_hz": stats.speaker_hz}
        self._reply(messages.status_reply(status, {name: round(float(value), 3) for name, value in details.items()}))
