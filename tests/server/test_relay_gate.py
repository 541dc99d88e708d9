"""Only speech goes to the provider, and what commits and providers need besides."""

import asyncio
import random
import threading

import numpy as np
import pytest

from menura.audio.block import Samples
from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat
from menura.engine.config import ProcessingMode
from menura.errors import ConfigError
from menura.live.engine import AudioEngine
from menura.live.session import VoiceSession
from menura.server.relay import WebSocketRelay
from menura.server.relay_gate import SpeechGate
from menura.server.relay_options import RelayOptions
from menura.server.relay_uplink import Uplink
from menura.vad.config import VADState
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from tests.client.faults import FaultServer, Peer
from tests.server.relaying import Caller, serving
from tests.server.test_relay import run, until
from tests.speech import speech

FORM = StreamFormat(AudioFormat.PCM16, 24_000)
MS = 48


def pcm(x: Samples) -> bytes:
    return (x[:, 0] * 32767).astype("<i2").tobytes()


def quiet(seconds: float, seed: int = 0) -> Samples:
    """A room: never digital silence, never twice the same."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, 2e-4, (int(24_000 * seconds), 1)).astype(np.float32)


def said() -> tuple[Samples, slice]:
    words = speech("am_michael_u1")
    x = np.concatenate([quiet(3.0), words + quiet(len(words) / 24_000, 1), quiet(4.0, 2)])
    loud = np.flatnonzero(np.abs(words[:, 0]) > 0.05)
    return x, slice(72_000 + int(loud[0]), 72_000 + int(loud[-1]))


def uplink(voice: str | None = None, hangover_ms: float = 300.0) -> Uplink:
    engine = AudioEngine(ProcessingMode.REALTIME, AudioConfig(sample_rate=24_000, chunk_duration_ms=20))
    engine.configure_vad()
    session = None if voice is None else VoiceSession(make_stage(find_voice(voice), 24_000))
    return Uplink(engine, session, watch=True, gate=SpeechGate(FORM, hangover_ms, lambda: False))


def feed(up: Uplink, audio: bytes, step: int = 960) -> bytes:
    return b"".join(up.process(audio[i : i + step]) for i in range(0, len(audio), step))


@pytest.mark.parametrize("step", [960, 9600, 48_000])
def test_speech_passes_with_what_came_before_and_silence_does_not(step: int) -> None:
    x, loud = said()
    audio, up = pcm(x), uplink()
    out = feed(up, audio, step)
    at = audio.find(out)
    assert at >= 0, "one stretch, byte for byte"
    assert at / 2 <= loud.start - 0.2 * 24_000
    assert (at + len(out)) / 2 >= loud.stop + 0.3 * 24_000
    assert len(out) < len(audio) - 5.0 * 48_000
    assert up.withheld_ms == pytest.approx((len(audio) - len(out)) / MS)


def test_nothing_is_sent_twice_whatever_the_detection_says() -> None:
    rng = random.Random(3)
    gate = SpeechGate(FORM, 100.0, lambda: rng.random() < 0.2)
    audio = np.arange(1, 480 * 2000 + 1, dtype="<u4")  # each frame of two samples another
    data, out, state, past = audio.tobytes(), b"", VADState.SILENCE, b""
    for i in range(0, len(data), 960):
        piece = data[i : i + 960]
        if rng.random() < 0.1:
            state = rng.choice(list(VADState))
        out += gate.take(piece, state, lambda past=past: past[-19_200:] or None)
        past = (past + piece)[-40_000:]
        if rng.random() < 0.01:
            out += gate.end_turn()
        if rng.random() < 0.01:
            gate.clear()
    sent = np.frombuffer(out, "<u4")
    assert (np.diff(sent.astype(np.int64)) > 0).all()
    assert 0 < len(sent) < len(audio)


def test_each_segment_in_a_voice_is_whole() -> None:
    x, _ = said()
    up, plain = uplink("natural-woman"), uplink()
    audio = pcm(np.concatenate([x, x]))
    changed, own = feed(up, audio), feed(plain, audio)
    assert changed != own
    assert 0 <= len(changed) - len(own) <= 2 * 60 * MS, "and the voice's delay, once a segment"


def test_commit_of_a_turn_that_was_not_found_to_be_speech_is_no_empty_one() -> None:
    up = uplink()
    soft = pcm(quiet(5.0))
    assert feed(up, soft) == b""
    assert up.finish() == soft[-2000 * MS :]
    assert up.finish() == b"", "of an empty turn the provider says so itself"
    assert feed(up, soft[: 300 * MS]) == b""
    assert up.finish(discard=True) == b""
    assert up.finish() == b""


def test_commit_after_speech_adds_nothing() -> None:
    x, _ = said()
    up = uplink()
    assert feed(up, pcm(x))
    assert up.finish() == b""


def test_settings_are_checked() -> None:
    for wrong in ({"upload": "some"}, {"hangover_ms": 0.0}):
        with pytest.raises(ConfigError):
            RelayOptions(**wrong)  # type: ignore[arg-type]


def test_gate_stays_open_until_the_provider_has_found_the_end() -> None:
    """It counts silence in what it is sent: without any it would wait for ever."""
    stopped = threading.Event()

    async def listen(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.hear_audio(200 * MS)
        await peer.say("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
        words = len(pcm(speech("am_michael_u1")))
        await peer.hear_audio(words + 2000 * MS)
        await peer.say("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=1000)
        await peer.say("input_audio_buffer.committed", item_id="u")
        stopped.set()
        await peer.serve()

    x, _ = said()
    with FaultServer(listen) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, upload="speech") as relay:
                await until(relay, "provider", state="connected")
                audio = pcm(x)
                for i in range(0, len(audio), 960):
                    assert await relay.handle_client_audio(audio[i : i + 960]), "withheld, and no error"
                    if i % 9600 == 0:
                        await asyncio.sleep(0.001)
                await until(relay, "input_audio_buffer.committed")
                assert not await relay.handle_client_audio(b"odd")
                sent_ms = relay.stats()["sent_ms"]
                for i in range(0, 96_000, 960):
                    await relay.handle_client_audio(pcm(quiet(1.0))[i : i + 960])
                assert relay.stats()["sent_ms"] <= sent_ms + 20.0
                assert float(relay.stats()["withheld_ms"]) > 3000.0

        run(job)
    assert stopped.is_set()


def test_speech_alone_goes_up_from_a_client_that_streams_all_the_time() -> None:
    x, _ = said()
    audio = pcm(x)
    with FaultServer() as provider, serving(provider.url, upload="speech") as relay, Caller(relay.url) as caller:
        caller.start()
        for i in range(0, len(audio), 960):
            caller.socket.send(audio[i : i + 960])
        caller.say(type="input_audio_buffer.commit")
        provider.until(lambda: "input_audio_buffer.commit" in provider.peers[0].types)
        heard = provider.peers[0].audio
        assert heard in audio
        assert len(heard) < len(audio) - 4.0 * 48_000
        assert not [event for event in caller.events if event["type"] == "error"]
