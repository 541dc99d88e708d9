"""One control connection: the edge between a WebSocket and a session."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from menura.errors import DeviceError, MenuraError
from menura.live.lanes import DEVICE_RATE, ClientLane, DeviceLane, DeviceLease, Lane
from menura.live.session import VoiceSession
from menura.live.speaking_stats import Devices
from menura.log import get_logger, log_internal_error
from menura.protocol import messages
from menura.protocol.control import Control, NotActiveError
from menura.protocol.control_actions import (
    Action,
    ConfigureAudio,
    ControlAudio,
    GetStatus,
    GetVoices,
    MixVoices,
    PreviewVoice,
    SelectVoice,
    SetEffects,
    SetInput,
    SetParameters,
    SetStatusInterval,
    Start,
    StartRecording,
    Stop,
    StopPreview,
    StopRecording,
)
from menura.protocol.control_replies import (
    ErrorReply,
    MixedVoice,
    ParametersSet,
    Reply,
    StatusInterval,
    VoicesChanged,
    VoiceSelected,
    VoicesMixed,
)
from menura.server.access import session_of
from menura.server.catalogue import Catalogue
from menura.server.control_preview import ControlPreview
from menura.server.control_recording import ControlRecording
from menura.server.control_settings import ControlSettings
from menura.server.control_status import StatusPush, status_of
from menura.server.control_voice import ControlVoice
from menura.server.figures import ServerFigures
from menura.server.outbox import Outbox
from menura.server.previews import Previews
from menura.server.tokens import answered_subprotocol

__all__ = ["ControlSocket", "Services"]

_log = get_logger(__name__)
MAX_AUDIO_QUEUE = 2 * 1024 * 1024
"""Audio waiting for a slow reader, in bytes: 20 s of 48 kHz pcm16. Then the oldest is dropped."""
PART_S = 2.0
"""For a client to take what is still held when the server ends its session."""


@dataclass(frozen=True)
class Services:
    """What all connections of a server share."""

    voices: Catalogue
    pool: Executor
    previews: Previews
    figures: ServerFigures
    devices: Devices = field(default_factory=Devices)
    lease: DeviceLease = field(default_factory=DeviceLease)


class ControlSocket:
    """Serves one client until it leaves; its session lives and ends with it."""

    def __init__(self, websocket: WebSocket, services: Services) -> None:
        self._socket, self._services = websocket, services
        self._control = Control(services.voices.by_id)
        self._outbox = Outbox(MAX_AUDIO_QUEUE)
        self._voice = ControlVoice(services.voices, services.pool)
        self._settings = ControlSettings(services.pool)
        self._lane: Lane | None = None
        self._pushing = StatusPush(self._status, self._outbox)
        self._session = session_of(websocket.scope)
        voices, pool, owner = services.voices, services.pool, self._session.token
        self._recording = ControlRecording(voices, pool, self._tell, self._refuse, owner, services.figures)
        self._preview = ControlPreview(services.previews, pool, self._outbox, self._tell, self._no_preview)
        self._session.describe = self._describe
        self._session.busy = lambda: self._control.processing and not self._control.client_audio

    async def serve(self) -> None:
        """Greet, then answer until the client leaves."""
        await self._socket.accept(answered_subprotocol(self._socket.scope["subprotocols"]))
        self._reply(messages.connected())
        sender = asyncio.create_task(self._send_all())
        try:
            await self._receive_all()
        except asyncio.CancelledError:
            if self._session.ended is not None:
                await self._part(sender)
            raise
        finally:
            sender.cancel()
            self._recording.leave()
            self._preview.leave()
            self._pushing.every(0)
            self._services.voices.unsubscribe(self._tell_changed)
            if self._lane:
                self._lane.abandon()

    async def _part(self, sender: asyncio.Task[None]) -> None:
        """The server ends this session: what is held goes out, and what was recorded is kept, before it says why."""
        with suppress(Exception):
            async with asyncio.timeout(PART_S):
                await self._finish()
                self._outbox.end()
                await sender

    async def _send_all(self) -> None:
        try:
            while (item := await self._outbox.get()) is not None:
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

    def _tell(self, reply: Reply) -> None:
        self._reply(reply.as_dict())

    def _refuse(self, error: Exception, action: str | None = None) -> None:
        """Answer an action, if it is to one, with an error; only menura's own tells the client its text."""
        if isinstance(error, MenuraError):
            self._reply(messages.error_reply(error, action))
        else:
            log_id = log_internal_error(_log, "a request failed", error)
            self._tell(ErrorReply(error=f"Internal error {log_id}", code="internal", action=action))

    def _no_preview(self, error: Exception) -> None:
        self._refuse(error, "previewVoice")

    async def _hear(self, data: bytes) -> None:
        self._control.receive_audio(len(data))
        if isinstance(self._lane, ClientLane):
            self._lane.feed(data)
            await self._lane.room()

    async def _act(self, text: str) -> None:
        action = messages.parse_action(text)
        try:
            if not isinstance(action, _FOR_LISTENERS):
                self._session.require("use")
            self._control.check(action)
            self._session.check(self._counted(action))
            await _HANDLERS[type(action)](self, action)
        except Exception as error:
            self._refuse(error, action.action)

    def _counted(self, action: Action) -> str:
        """As what an action counts: gains of a mix are turned like other settings."""
        gains = isinstance(action, MixVoices) and self._voice.mixes(action.voices)
        return "setParameters" if gains else action.action

    async def _voices(self, _: GetVoices) -> None:
        self._services.voices.subscribe(self._tell_changed)
        self._reply(messages.voices_reply(list(self._control.voices.values())))

    def _tell_changed(self) -> None:
        if not self._outbox.full:  # who reads nothing asks again when it does
            self._tell(VoicesChanged())

    @property
    def _running(self) -> VoiceSession | None:
        return self._lane.session if self._lane else None

    async def _select(self, action: SelectVoice) -> None:
        other = await self._voice.select(action.voice_id, self._running)
        self._tell(VoiceSelected(voice=self._control.selected(action.voice_id).summary))
        if other:
            self._tell_parameters()

    def _tell_parameters(self) -> None:
        self._tell(ParametersSet(parameters=self._voice.parameters.as_dict()))

    async def _mix(self, action: MixVoices) -> None:
        other = await self._voice.mix(action.voices, self._running)
        ids = self._voice.mixed  # of the same two in another order the chosen one stays, and its settings
        self._control.selected(ids[0])
        parts = sorted(action.voices, key=lambda part: ids.index(part.voice_id))
        infos = [(self._control.voices[part.voice_id].summary, part.gain) for part in parts]
        self._tell(VoicesMixed(voices=[MixedVoice(**info.model_dump(), gain=gain) for info, gain in infos]))
        if other:
            self._tell_parameters()

    async def _start(self, action: Start) -> None:
        voice = self._control.voice
        assert voice is not None  # Control let `start` through
        services, audio = self._services, action.audio
        if audio:
            self._preview.stop()
            sent, received = self._settings.forms(audio)
            session = await self._make_session(voice.id, sent.rate)
            self._lane = ClientLane(session, sent, services.pool, self._outbox.put_audio, self._refuse, output=received)
        else:
            session = await self._make_session(voice.id, DEVICE_RATE)
            chosen = action.devices.model_dump(exclude_none=True) if action.devices else {}
            devices = replace(services.devices, **chosen)
            self._lane = await DeviceLane.open(session, devices, services.lease, services.pool)
        self._control.started(client_audio=audio is not None)
        self._status()
        if isinstance(self._lane, DeviceLane):
            self._lane.listen(self._device_news)

    async def _make_session(self, voice_id: str, rate: int) -> VoiceSession:
        session = VoiceSession(await self._voice.stage(voice_id, rate))
        await self._settings.furnish(session)
        return session

    async def _configure(self, action: ConfigureAudio) -> None:
        self._tell(self._settings.configure(action.audio))

    async def _treat(self, action: SetInput) -> None:
        self._tell(await self._settings.treat(action.input, self._running))

    async def _affect(self, action: SetEffects) -> None:
        self._tell(await self._settings.affect(action.effects, self._running))

    async def _set_interval(self, action: SetStatusInterval) -> None:
        self._pushing.every(action.interval_ms)
        self._tell(StatusInterval(interval_ms=action.interval_ms))

    def _device_news(self, error: Exception | None) -> None:
        """The devices are lost and awaited, or back; or the voice has failed, which ends it."""
        if error is not None:
            if self._lane and not isinstance(error, DeviceError):
                self._recording.leave()
                self._lane.abandon()
                self._lane = None
                self._control.stopped()
            self._refuse(error)
        self._status()

    async def _stop(self, _: Stop) -> None:
        await self._finish()
        self._status()

    async def _finish(self) -> None:
        lane, self._lane = self._lane, None
        self._control.stopped()
        if lane:
            await lane.finish()
        await self._recording.stop()

    async def _record(self, action: StartRecording) -> None:
        if self._lane is None or self._control.voice is None:
            raise NotActiveError("Recording without processing: start first")
        await self._recording.start(action, self._lane.session, self._control.voice.name)

    async def _stop_recording(self, _: StopRecording) -> None:
        if not self._recording.active:
            raise NotActiveError("No recording is active")
        await self._recording.stop()

    async def _set(self, action: SetParameters) -> None:
        self._voice.turn(action.parameters, self._running)
        self._tell_parameters()

    async def _play_preview(self, action: PreviewVoice) -> None:
        form = self._settings.forms(ControlAudio(source="client"))[1]
        self._preview.start(self._control.voices[action.voice_id].summary, form)

    async def _stop_preview(self, _: StopPreview) -> None:
        if not self._preview.active:
            raise NotActiveError("No preview is being made or sent")
        self._preview.stop()

    def _describe(self) -> dict[str, Any]:
        """For the list of sessions."""
        known, voice, lane = self._control.voices, self._control.voice, self._lane
        names = [known[voice_id].name for voice_id in self._voice.mixed if voice_id in known]
        return {
            "voice": " + ".join(names) or (voice.name if voice else ""),
            "processing": lane is not None,
            "latency_ms": round(lane.latency_ms, 3) if lane else 0.0,
        }

    async def _tell_status(self, _: GetStatus) -> None:
        self._status()

    def _status(self) -> None:
        more = {"dropped_bytes": self._outbox.dropped_bytes, "recording": float(self._recording.active)}
        self._tell(status_of(self._lane, more | self._settings.details()))


_FOR_LISTENERS = (GetVoices, GetStatus, SetStatusInterval, PreviewVoice, StopPreview)
_HANDLERS: Mapping[type[Action], Callable[[ControlSocket, Any], Awaitable[None]]] = {
    GetVoices: ControlSocket._voices,
    SelectVoice: ControlSocket._select,
    Start: ControlSocket._start,
    Stop: ControlSocket._stop,
    GetStatus: ControlSocket._tell_status,
    SetParameters: ControlSocket._set,
    ConfigureAudio: ControlSocket._configure,
    SetInput: ControlSocket._treat,
    SetEffects: ControlSocket._affect,
    SetStatusInterval: ControlSocket._set_interval,
    MixVoices: ControlSocket._mix,
    PreviewVoice: ControlSocket._play_preview,
    StopPreview: ControlSocket._stop_preview,
    StartRecording: ControlSocket._record,
    StopRecording: ControlSocket._stop_recording,
}
