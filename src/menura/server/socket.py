"""One control connection: the edge between a WebSocket and a session."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from fastapi import WebSocket, WebSocketDisconnect

from menura.errors import ConfigError, DeviceError, MenuraError, ModelError, ProtocolError
from menura.live.lanes import DEVICE_RATE, ClientLane, DeviceLane, DeviceLease, Lane
from menura.live.making import make_stage
from menura.live.session import VoiceSession
from menura.live.speaking_stats import Devices
from menura.log import get_logger, log_internal_error
from menura.protocol import messages
from menura.protocol.control import Control, NotActiveError
from menura.protocol.control_actions import (
    Action,
    ConfigureAudio,
    GetStatus,
    GetVoices,
    MixPart,
    MixVoices,
    SelectVoice,
    SetEffects,
    SetInput,
    SetParameters,
    SetStatusInterval,
    Start,
    StartRecording,
    Stop,
    StopRecording,
)
from menura.protocol.control_replies import (
    MixedVoice,
    ParametersSet,
    StatusInterval,
    VoicesChanged,
    VoiceSelected,
    VoicesMixed,
)
from menura.server.access import session_of
from menura.server.catalogue import Catalogue
from menura.server.control_recording import ControlRecording
from menura.server.control_settings import ControlSettings
from menura.server.outbox import Outbox
from menura.server.tokens import answered_subprotocol
from menura.voices.build import VoiceStage
from menura.voices.mix import VoiceMix
from menura.voices.voice import VoiceParameters

__all__ = ["ControlSocket", "Services"]

_log = get_logger(__name__)
_T = TypeVar("_T")
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
        self._settings = ControlSettings()
        self._mixed: tuple[MixPart, ...] = ()
        self._mix: VoiceMix | None = None
        self._lane: Lane | None = None
        self._pushing: asyncio.Task[None] | None = None
        self._session = session_of(websocket.scope)
        self._recording = ControlRecording(
            services.voices,
            services.pool,
            lambda reply: self._reply(reply.as_dict()),
            self._refuse,
            self._session.token,
        )
        self._session.describe = self._describe
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
            self._recording.leave()
            self._push_every(0)
            self._services.voices.unsubscribe(self._tell_changed)
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
        if not isinstance(action, _FOR_LISTENERS):
            self._session.require("use")
        self._session.check(action.action)
        handler = _HANDLERS.get(type(action))
        if handler is None:
            raise ProtocolError(f"This server does not know the action {action.action}")
        await handler(self, action)

    async def _voices(self, _: GetVoices) -> None:
        self._services.voices.subscribe(self._tell_changed)
        self._reply(messages.voices_reply(list(self._control.voices.values())))

    def _tell_changed(self) -> None:
        if not self._outbox.full:  # who reads nothing asks again when it does
            self._reply(VoicesChanged().as_dict())

    async def _beside(self, work: Callable[[], _T]) -> _T:
        """Do what takes its time on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._services.pool, work)

    async def _build(self, voice_id: str, rate: int) -> VoiceStage:
        voice, parameters = self._services.voices.get(voice_id)
        self._parameters = parameters.changed(self._turned)
        make = partial(make_stage, voice, rate, parameters=self._parameters)
        try:
            return await self._beside(make)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"internal error {log_internal_error(_log, 'building a voice failed', error)}") from error

    async def _select(self, action: SelectVoice) -> None:
        voice_id = action.voice_id
        self._parameters = self._services.voices.get(voice_id)[1].changed(self._turned)
        if self._lane:
            self._lane.session.switch(await self._build(voice_id, self._lane.session.rate))
        self._mixed, self._mix = (), None
        self._reply(VoiceSelected(voice=self._control.selected(voice_id).summary).as_dict())

    async def _mix_voices(self, action: MixVoices) -> None:
        parts = tuple(sorted(action.voices, key=lambda part: part.voice_id))
        same = [part.voice_id for part in parts] == [part.voice_id for part in self._mixed]
        if self._lane and not (same and self._mix):
            self._mix = await self._build_mix(parts, self._lane.session.rate)
            self._lane.session.switch(self._mix)
        elif self._lane and self._mix:
            self._mix.gains = tuple(part.gain for part in parts)
        self._mixed = parts
        self._control.selected(action.voices[0].voice_id)
        infos = [(self._control.voices[part.voice_id].summary, part.gain) for part in action.voices]
        voices = [MixedVoice(id=info.id, name=info.name, category=info.category, gain=gain) for info, gain in infos]
        self._reply(VoicesMixed(voices=voices).as_dict())

    async def _build_mix(self, parts: Sequence[MixPart], rate: int) -> VoiceMix:
        return VoiceMix([await self._build(part.voice_id, rate) for part in parts], [part.gain for part in parts])

    async def _start(self, action: Start) -> None:
        voice = self._control.voice
        assert voice is not None  # Control let `start` through
        services, audio = self._services, action.audio
        if audio:
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
        self._mix = await self._build_mix(self._mixed, rate) if self._mixed else None
        session = VoiceSession(self._mix or await self._build(voice_id, rate))
        settings = self._settings
        settings.level(session)
        session.set_treatment(await self._beside(partial(settings.build_treatment, rate)))
        session.set_effects(await self._beside(partial(settings.build_effects, rate)))
        return session

    async def _configure(self, action: ConfigureAudio) -> None:
        self._reply(self._settings.configure(action.audio).as_dict())

    async def _treat(self, action: SetInput) -> None:
        reply = self._settings.treat(action.input)
        if self._lane:
            session = self._lane.session
            self._settings.level(session)
            session.set_treatment(await self._beside(partial(self._settings.build_treatment, session.rate)))
        self._reply(reply.as_dict())

    async def _affect(self, action: SetEffects) -> None:
        before = self._settings.effects
        reply = self._settings.affect(action.effects)
        if self._lane:
            session = self._lane.session
            try:
                session.set_effects(await self._beside(partial(self._settings.build_effects, session.rate)))
            except ConfigError:
                self._settings.effects = before
                raise
        self._reply(reply.as_dict())

    async def _set_interval(self, action: SetStatusInterval) -> None:
        self._push_every(action.interval_ms)
        self._reply(StatusInterval(interval_ms=action.interval_ms).as_dict())

    def _push_every(self, interval_ms: int) -> None:
        if self._pushing:
            self._pushing.cancel()
        self._pushing = asyncio.create_task(self._push(interval_ms / 1000.0)) if interval_ms else None

    async def _push(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            if not self._outbox.full:  # who reads slowly is told less often
                self._status()

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
        lane, self._lane = self._lane, None
        self._control.stopped()
        if lane:
            await lane.finish()
        await self._recording.stop()
        self._status()

    async def _record(self, action: StartRecording) -> None:
        if self._lane is None or self._control.voice is None:
            raise NotActiveError("Recording without processing: start first")
        await self._recording.start(action, self._lane.session, self._control.voice.name)

    async def _stop_recording(self, _: StopRecording) -> None:
        if not self._recording.active:
            raise NotActiveError("No recording is active")
        await self._recording.stop()

    async def _set(self, action: SetParameters) -> None:
        changes = action.parameters
        self._parameters = self._parameters.changed(changes)
        self._turned |= changes
        if self._lane:
            self._lane.session.set(self._parameters)
        self._reply(ParametersSet(parameters=self._parameters.as_dict()).as_dict())

    def _describe(self) -> dict[str, Any]:
        """For the list of sessions."""
        voice, lane = self._control.voice, self._lane
        known = self._control.voices
        names = [known[part.voice_id].name for part in self._mixed if part.voice_id in known]
        return {
            "voice": " + ".join(names) or (voice.name if voice else ""),
            "processing": lane is not None,
            "latency_ms": round(lane.latency_ms, 3) if lane else 0.0,
        }

    async def _tell_status(self, _: GetStatus) -> None:
        self._status()

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
        more = {"dropped_bytes": self._outbox.dropped_bytes, "speaker_hz": stats.speaker_hz}
        more["recording"] = float(self._recording.active)
        details = lane.details() | more | self._settings.details()
        self._reply(messages.status_reply(status, {name: round(float(value), 3) for name, value in details.items()}))


_FOR_LISTENERS = (GetVoices, GetStatus, SetStatusInterval)
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
    MixVoices: ControlSocket._mix_voices,
    StartRecording: ControlSocket._record,
    StopRecording: ControlSocket._stop_recording,
}
