"""Voices changed while a relay runs."""

import asyncio
import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.audio.config import AudioConfig
from menura.engine.config import ProcessingMode
from menura.errors import ConfigError, ModelError, StateError
from menura.live.engine import AudioEngine
from menura.server.catalogue import Catalogue
from menura.server.metrics import EngineCollector
from menura.server.relay import WebSocketRelay
from menura.server.relay_options import RelaySettings
from menura.server.relay_replies import Replies
from menura.server.relay_socket import RelayServices
from menura.server.relay_uplink import Uplink
from menura.server.relay_voices import VoiceChoice
from menura.store.library import VoiceLibrary
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.voice import Voice, VoiceParameters
from tests.client.faults import FaultServer, Peer
from tests.server.relaying import Caller, serving
from tests.server.test_relay import run, until

RATE, LATENCY = 24_000, 100
WHERE = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}


class Scaled:
    """A voice that tells whose it is: the same, late, times a factor."""

    latency, channels, rate_in, speaker_hz = LATENCY, 1, RATE, 0.0

    def __init__(self, factor: float) -> None:
        self.factor, self.parameters = factor, VoiceParameters()
        self._held = silence(LATENCY)

    def process(self, x: Samples) -> Samples:
        y = np.concatenate([self._held, x])
        self._held = y[len(y) - LATENCY :]
        return np.asarray(self.factor * y[: len(x)], np.float32)

    def flush(self) -> Samples:
        held, self._held = self._held, silence(LATENCY)
        return np.asarray(self.factor * held, np.float32)

    def set(self, parameters: VoiceParameters) -> None:
        self.parameters = parameters

    def warm(self, x: Samples) -> int:
        self.process(x)
        return 0

    def seed_speaker(self, speaker_hz: float) -> None:
        pass


FACTORS = {"robot": -1.0, "natural-woman": -0.5}


def scaled(voice: Voice, rate: int, **_: Any) -> Scaled:
    assert rate == RATE
    return Scaled(FACTORS[voice.id])


@pytest.fixture
def factors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("menura.server.relay_voices.make_stage", scaled)


def hill(frames: int, rate_hz: float = 100.0) -> Samples:
    """Positive throughout: whose voice it is shows in each sample."""
    t = np.arange(frames) / RATE
    return (0.35 + 0.15 * np.sin(2 * np.pi * rate_hz * t)).astype(np.float32)[:, None]


def pcm(x: Samples) -> bytes:
    return np.rint(x[:, 0] * 32768).astype("<i2").tobytes()


def floats(audio: bytes) -> Samples:
    return (np.frombuffer(audio, "<i2") / 32768).astype(np.float32)


def engine() -> AudioEngine:
    return AudioEngine(ProcessingMode.REALTIME, AudioConfig(sample_rate=RATE, chunk_duration_ms=20))


def steps(y: Samples) -> float:
    """The largest step from sample to sample."""
    return float(np.abs(np.diff(y)).max())


@pytest.mark.parametrize("block", [7, 60, 480, 2000])
def test_own_voice_ends_where_another_begins_without_a_click(block: int) -> None:
    uplink, x = Uplink(engine(), None, watch=False), pcm(hill(24_000))
    out, size = b"", 2 * block
    change_at = 12_000 // size * size
    for i in range(0, len(x), size):
        if i == change_at:
            uplink.change(lambda: Scaled(-1.0))  # type: ignore[arg-type, return-value]
        out += uplink.process(x[i : i + size])
    out += uplink.finish()
    y, at, fade = floats(out), change_at // 2, 120
    assert out[:change_at] == x[:change_at]
    assert len(y) == 12_000 * 2 + LATENCY
    after = y[at + LATENCY + 1 :]
    assert (after[fade:] <= 0.0).all(), "nothing of the speaker's own"
    last = y[at - 1]
    assert (y[at : at + fade] <= last).all()
    assert steps(y) < 0.03
    assert np.allclose(after[fade:], -floats(x)[at + fade + 1 :], atol=1e-4), "and all of the other"


def test_from_a_voice_to_none_nothing_is_lost() -> None:
    uplink, x = Uplink(engine(), None, watch=False), pcm(hill(24_000))
    out = b""
    for i in range(0, 48_000, 960):
        if i == 9600:
            uplink.change(lambda: Scaled(-1.0))  # type: ignore[arg-type, return-value]
        if i == 19_200:
            uplink.change(lambda: Scaled(-0.5))  # type: ignore[arg-type, return-value]
        if i == 28_800:
            uplink.change(None)
        out += uplink.process(x[i : i + 960])
    assert uplink.finish() == b""
    y = floats(out)
    assert len(y) == 24_000 + LATENCY, "what the voice still held is there"
    assert steps(y) < 0.03
    assert out[-9600:] == x[-9600:], "byte for byte again"
    assert (y[5000:9500] < 0.0).all()


def test_change_to_none_and_back_before_any_audio_says_nothing_of_ones_own() -> None:
    uplink, x = Uplink(engine(), None, watch=False), pcm(hill(9600))
    uplink.change(lambda: Scaled(-1.0))  # type: ignore[arg-type, return-value]
    out = uplink.process(x[:9600])
    uplink.change(None)
    uplink.change(lambda: Scaled(-0.5))  # type: ignore[arg-type, return-value]
    out += uplink.process(x[9600:])
    assert (floats(out)[LATENCY + 1 :] <= 0.0).all()


def test_real_voices_follow_one_another_without_a_click() -> None:
    t = np.arange(48_000) / RATE
    x = pcm((0.4 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)[:, None])
    uplink = Uplink(engine(), None, watch=False)
    out = b""
    for i in range(0, len(x), 960):
        if i in (19_200, 48_000):
            voice = find_voice("natural-woman" if i == 19_200 else "natural-man")
            uplink.change(lambda voice=voice: make_stage(voice, RATE))
        out += uplink.process(x[i : i + 960])
    assert steps(floats(out)) < 0.12, "a tone of 220 Hz at 0.4 steps by 0.023; higher ones by more"


def test_voice_that_cannot_be_built_changes_nothing() -> None:
    def missing() -> Any:
        raise ModelError("no")

    uplink, x = Uplink(engine(), None, watch=False), pcm(hill(960))
    for _ in range(2):
        with pytest.raises(ModelError):
            uplink.change(missing)
        assert uplink.process(x) == x
        uplink.change(None)


@pytest.mark.parametrize("step", [960, 4000])
def test_answer_changes_its_voice_without_a_click_and_none_of_it_is_lost(step: int) -> None:
    replies, x = Replies(engine(), None, 60_000.0), pcm(hill(24_000))
    changes: dict[int, Any] = {12_000: lambda: Scaled(-1.0), 24_000: lambda: Scaled(-0.5), 36_000: None}
    for i in range(0, len(x), step):
        for at in [at for at in changes if at <= i]:
            replies.change(changes.pop(at))
        replies.add(x[i : i + step], "a", replies.era)
    replies.end(replies.era)
    out = b""
    while piece := replies.read(100.0):
        out += piece.audio
    assert piece is None
    y = floats(out)
    assert len(y) == 24_000
    assert steps(y) < 0.03
    assert out[:12_000] == x[:12_000]
    assert out[-8000:] == x[-8000:]
    assert (y[8000:11_900] < 0.0).all()


def test_next_answer_in_another_voice_begins_as_it_is() -> None:
    replies, x = Replies(engine(), None, 60_000.0), pcm(hill(2400))
    replies.add(x, "a", replies.era)
    replies.end(replies.era)
    replies.change(lambda: Scaled(-1.0))  # type: ignore[arg-type, return-value]
    replies.add(x, "b", replies.era)
    replies.end(replies.era)
    pieces = []
    while piece := replies.read(1000.0):
        pieces.append(piece.audio)
    assert pieces == [x, pcm(-hill(2400))]


@pytest.mark.usefixtures("factors")
def test_client_changes_voices_while_it_speaks() -> None:
    x = pcm(hill(4800))
    with FaultServer() as provider, serving(provider.url, pace="at_once") as relay, Caller(relay.url) as caller:
        caller.start()
        caller.socket.send(x)
        caller.say(action="changeVoice", voiceUp="robot", voiceDown="natural-woman")
        caller.socket.send(x)
        assert caller.until("voiceChanged") == {
            "type": "voiceChanged",
            "voiceUp": "robot",
            "voiceDown": "natural-woman",
        }
        caller.say(type="input_audio_buffer.commit")
        provider.until(lambda: "input_audio_buffer.commit" in provider.peers[0].types)
        heard = provider.peers[0].audio
        assert heard[: len(x)] == x
        assert len(heard) == 2 * 9600 + 2 * LATENCY
        y = floats(heard)
        assert (y[4800 + 240 :] <= 0.0).all()
        caller.say(type="response.create")
        caller.until("replyDone")
        assert bytes(caller.audio) == b"".join(pcm(-0.5 * floats(bytes([i]) * 960)[:, None]) for i in (1, 2, 3))
        caller.say(action="changeVoice", voiceUp=None)
        assert caller.until("voiceChanged") == {"type": "voiceChanged", "voiceUp": None}
        caller.socket.send(x)
        caller.socket.send(x)
        caller.say(type="input_audio_buffer.commit")
        provider.until(lambda: provider.peers[0].types.count("input_audio_buffer.commit") == 2)
        assert provider.peers[0].audio.endswith(x)
        for wrong, code in (
            ({"action": "changeVoice", "voiceUp": "nobody"}, "voice_not_found"),
            ({"action": "changeVoice", "voiceUp": 1}, "invalid_message"),
            ({"action": "setParameters", "direction": "sideways", "parameters": {}}, "invalid_message"),
            ({"action": "setParameters", "direction": "up", "parameters": {"volume": 1.0}}, "invalid_config"),
        ):
            caller.say(**wrong)
            assert caller.until("error")["code"] == code, wrong
        caller.say(action="setParameters", direction="up", parameters={"pitch_st": 2.0})
        assert caller.until("parametersSet") == {
            "type": "parametersSet",
            "direction": "up",
            "parameters": {"pitch_st": 2.0, "formant": 1.0, "mix": 1.0},
        }


def test_audio_waits_while_a_voice_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    building, go = threading.Event(), threading.Event()

    def slow(voice: Voice, rate: int, **_: Any) -> Scaled:
        building.set()
        assert go.wait(20.0)
        return scaled(voice, rate)

    monkeypatch.setattr("menura.server.relay_voices.make_stage", slow)
    x = pcm(hill(480))
    with FaultServer() as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url) as relay:
                await until(relay, "provider", state="connected")
                await relay.handle_client_audio(x)
                change = asyncio.create_task(relay.change_voice("up", "robot"))
                while not building.is_set():
                    await asyncio.sleep(0.005)
                for _ in range(10):
                    assert await relay.handle_client_audio(x)
                commit = asyncio.create_task(relay.handle_client_event({"type": "input_audio_buffer.commit"}))
                await asyncio.sleep(0.05)
                assert provider.peers[0].audio in (b"", x)
                go.set()
                await change
                await commit

        run(job)
        provider.until(lambda: "input_audio_buffer.commit" in provider.peers[0].types)
        heard = provider.peers[0].audio
        assert heard[:960] == x
        assert len(heard) == 11 * 960 + 2 * LATENCY
        assert (floats(heard)[480 + 120 :] <= 0.0).all()


def test_relay_that_is_closed_while_a_voice_is_built_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    building, go = threading.Event(), threading.Event()

    def slow(voice: Voice, rate: int, **_: Any) -> Scaled:
        building.set()
        assert go.wait(20.0)
        return scaled(voice, rate)

    monkeypatch.setattr("menura.server.relay_voices.make_stage", slow)
    with FaultServer() as provider:

        async def job() -> None:
            relay = WebSocketRelay(url=provider.url)
            await relay.start()
            waiting = [asyncio.create_task(relay.change_voice("up", "robot"))]
            while not building.is_set():
                await asyncio.sleep(0.005)
            waiting.append(asyncio.create_task(relay.handle_client_event({"type": "response.create"})))
            await asyncio.sleep(0)
            await relay.close()
            await asyncio.gather(*waiting)
            assert await relay.handle_client_audio(bytes(960)), "nobody minds what comes too late"
            await relay.handle_client_event({"type": "response.create"})
            go.set()

        run(job)


def test_what_cannot_be_changed_is_refused() -> None:
    with FaultServer() as provider:

        async def job() -> None:
            relay = WebSocketRelay(url=provider.url)
            with pytest.raises(StateError):
                await relay.change_voice("up", "robot")
            async with relay:
                with pytest.raises(ConfigError):
                    await relay.change_voice("sideways", None)  # type: ignore[arg-type]
                with pytest.raises(ConfigError):
                    relay.set_parameters("up", {"mix": 2.0})
                assert relay.set_parameters("down", {"mix": 0.5}).mix == 0.5
                await relay.change_voice("up", None)

        run(job)


@pytest.mark.usefixtures("factors")
def test_operator_who_requires_a_voice_is_obeyed() -> None:
    settings = {"require_voice": True, "voice_up": "robot"}
    with FaultServer() as provider, serving(provider.url, settings=settings) as relay, Caller(relay.url) as caller:
        caller.start()
        caller.say(action="changeVoice", voiceUp=None)
        assert caller.until("error")["code"] == "invalid_message"
        caller.say(action="setParameters", direction="up", parameters={"mix": 0.1})
        assert caller.until("error")["code"] == "invalid_message"
        caller.say(action="changeVoice", voiceUp="natural-woman")
        caller.until("voiceChanged", voiceUp="natural-woman")
        caller.socket.send(pcm(hill(4800)))
        provider.until(lambda: len(provider.peers[0].audio) == 9600)
        assert (floats(provider.peers[0].audio) <= 0.0).all()


def test_voice_changed_in_the_middle_of_a_paced_answer_is_heard_from_what_comes_next(factors: None) -> None:
    more = threading.Event()

    async def talk(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        for _ in range(2):
            delta = base64.b64encode(pcm(hill(2400))).decode()
            await peer.say("response.output_audio.delta", delta=delta, **WHERE)
            while not more.is_set():
                await asyncio.sleep(0.01)
        await peer.say("response.output_audio.done", **WHERE)
        await peer.serve()

    with FaultServer(talk) as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.start()
        caller.hear(4800)
        caller.say(action="changeVoice", voiceDown="robot")
        caller.until("voiceChanged")
        more.set()
        caller.until("replyDone")
        y = floats(bytes(caller.audio))
        assert len(y) == 4800
        assert (y[:2400] > 0.0).all()
        assert (y[2520:] < 0.0).all()
        assert steps(y) < 0.03


def test_stored_voice_begins_with_its_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    with VoiceLibrary() as library:
        stages = [{"kind": "gain", "params": {"gain_db": -3.0}}]
        stored = library.create({"name": "Half", "stages": stages, "parameters": {"mix": 0.5}})
    made: list[VoiceParameters] = []

    def noted(voice: Voice, rate: int, parameters: VoiceParameters) -> Scaled:
        made.append(parameters)
        return Scaled(1.0)

    monkeypatch.setattr("menura.server.relay_voices.make_stage", noted)
    pool, catalogue = ThreadPoolExecutor(1), Catalogue()
    voice = catalogue.get(stored.id)[0]
    for required, mix in ((False, 0.5), (True, 1.0)):
        settings = RelaySettings(api_key="sk", voice_up=voice.id, require_voice=required)
        services = RelayServices(settings, catalogue, pool, EngineCollector())
        choice = VoiceChoice(RATE, pool, {"up": services.parameters_of("up", voice)})
        choice.make("up", voice)
        assert made[-1] == VoiceParameters(mix=mix)
        assert services.parameters_of("down", voice).mix == 0.5
        assert services.own_of("down", catalogue.get("robot")[0]) is None
    choice.turn("up", {"pitch_st": 2.0})
    last = choice.begin_with("up", VoiceParameters(pitch_st=-5.0, mix=0.7))
    choice.make("up", voice)
    assert made[-1] == VoiceParameters(pitch_st=-5.0, mix=0.7), "whatever was turned before"
    choice.turn("up", {"formant": 1.2})
    choice.begin_with("up", None)
    assert choice.parameters("up") == VoiceParameters(formant=1.2), "for a voice without its own what was turned stays"
    choice.restore("up", last)
    assert choice.parameters("up").pitch_st == 2.0
    catalogue.close()
    pool.shutdown()


def test_a_voice_that_was_kept_with_settings_begins_with_them_and_the_client_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    with VoiceLibrary() as library:
        stages = [{"kind": "gain", "params": {"gain_db": -3.0}}]
        kept = library.create({"name": "Half", "stages": stages, "parameters": {"mix": 0.5}}).id
    with FaultServer() as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.start()
        caller.say(action="setParameters", direction="up", parameters={"pitch_st": 2.0})
        caller.until("parametersSet")
        caller.say(action="changeVoice", voiceUp=kept, voiceDown="robot")
        caller.until("voiceChanged")
        own = {"pitch_st": 0.0, "formant": 1.0, "mix": 0.5}
        assert caller.next() == {"type": "parametersSet", "direction": "up", "parameters": own}
        caller.say(action="changeVoice", voiceUp="robot", voiceDown="helium")
        caller.until("voiceChanged")
        plain = {"pitch_st": 0.0, "formant": 1.0, "mix": 1.0}
        assert caller.next() == {"type": "parametersSet", "direction": "up", "parameters": plain}
        caller.say(action="getStatus")
        assert caller.until("status")
        assert sum(event["type"] == "parametersSet" for event in caller.events) == 3
