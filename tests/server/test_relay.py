import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from menura.audio.block import Samples
from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat
from menura.client.options import ConnectionOptions
from menura.engine.config import ProcessingMode
from menura.errors import AuthenticationError, ConfigError, ProtocolError, StateError, VoiceNotFoundError
from menura.live.session import VoiceSession
from menura.protocol.realtime_server import parse_server_event
from menura.server.relay import WebSocketRelay
from menura.server.relay_engine import RelayEngine
from menura.server.relay_messages import clean_client_event, client_view
from menura.server.relay_options import RelayOptions, RelaySettings
from menura.server.relay_replies import Replies
from menura.server.relay_uplink import Uplink
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from tests.client.ears import KEY
from tests.client.faults import TIMEOUT_S, FaultServer, Peer
from tests.speech import speech


def run(job: Callable[[], Awaitable[None]]) -> None:
    """In a loop in which nothing is left when it ends."""

    async def whole() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await job()
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


async def until(relay: WebSocketRelay, kind: str, audio: bytearray | None = None, **fields: Any) -> dict[str, Any]:
    async for item in relay:
        if isinstance(item, bytes):
            if audio is not None:
                audio += item
        elif (event := json.loads(item))["type"] == kind and fields.items() <= event.items():
            return event
    raise AssertionError(f"no {kind}")


def pcm(x: Samples) -> bytes:
    return (x[:, 0] * 32767).astype("<i2").tobytes()


def test_relay_of_the_library_carries_a_turn() -> None:
    with FaultServer() as provider:

        async def job() -> None:
            relay = WebSocketRelay(api_key=KEY, url=provider.url, session={"voice": "marin"}, pace="at_once")
            with pytest.raises(StateError):
                await relay.handle_client_audio(bytes(960))
            async with relay:
                assert await relay.handle_client_audio(b"\x01\x02" * 480)
                assert not await relay.handle_client_audio(b"odd")
                assert (await until(relay, "error"))["code"] == "invalid_audio"
                await relay.handle_client_event({"type": "input_audio_buffer.commit"})
                await relay.handle_client_event({"type": "response.create"})
                audio = bytearray()
                await until(relay, "replyDone", audio, itemId="item_a")
                assert len(audio) == 3 * 960
                assert relay.played(20.0, "item_a")
                assert not relay.played(20.0, "item_z")
                stats = relay.stats()
                assert (stats["provider"], stats["sent_ms"], stats["received_ms"]) == ("connected", 20.0, 60.0)
            await relay.close()
            assert [item async for item in relay] == []

        run(job)
        [peer] = provider.peers
        assert peer.audio == b"\x01\x02" * 480
        assert peer.events[0]["session"]["audio"]["output"]["voice"] == "marin"


def test_voices_work_in_threads_and_never_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set[int]()
    process = VoiceSession.process

    def noted(self: VoiceSession, x: Samples) -> Samples:
        threads.add(threading.get_ident())
        return process(self, x)

    monkeypatch.setattr(VoiceSession, "process", noted)
    with FaultServer() as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, voice_up="robot", voice_down="robot", pace="at_once") as relay:
                for _ in range(20):
                    await relay.handle_client_audio(bytes(960))
                await relay.handle_client_event({"type": "response.create"})
                await until(relay, "replyDone")

        run(job)
    assert threads
    assert threading.get_ident() not in threads


def test_client_that_does_not_read_loses_the_oldest_audio_and_no_event() -> None:
    async def flood(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.answer(parts=50, part_ms=100)
        await peer.serve()

    with FaultServer(flood) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, pace="at_once", max_unread_ms=1000.0) as relay:
                while relay.stats()["received_ms"] != 5000.0 or relay.stats()["dropped_down_ms"] != 4000.0:
                    await asyncio.sleep(0.01)
                audio = bytearray()
                await until(relay, "replyDone", audio)
                assert bytes(audio) == b"".join(bytes([i]) * 4800 for i in range(41, 51))
                assert (await until(relay, "dropped", direction="down"))["ms"] == 4000.0

        run(job)


def test_paced_answer_is_sent_no_earlier_than_it_may() -> None:
    now, cut = [0.0], "conversation.item.truncate"

    async def long(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.answer(parts=20, part_ms=100)
        await peer.serve()

    with FaultServer(long) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, lead_ms=100.0, clock=lambda: now[0]) as relay:
                audio = bytearray()
                await until(relay, "response.done", audio)
                for step in range(6):
                    now[0] = 0.1 * step
                    while len(audio) < 4800 * (step + 1):
                        item = await anext(relay)
                        audio += item if isinstance(item, bytes) else b""
                assert 48 * 600 <= len(audio) <= 48 * 620
                assert relay.interrupt()
                clear = await until(relay, "clear", audio)
                assert (clear["playedMs"], clear["reason"]) == (500.0, "client")
                assert len(audio) <= 48 * 620
                await asyncio.to_thread(provider.until, lambda: cut in provider.peers[0].types)

        run(job)
        [told] = [event for event in provider.peers[0].events if event["type"] == cut]
        assert told["audio_end_ms"] == 500


def test_provider_that_needs_another_key_ends_the_relay() -> None:
    with FaultServer(refusals=[(401, {}, b"")]) as provider:

        async def job() -> None:
            async with WebSocketRelay(api_key=KEY, url=provider.url) as relay:
                assert (await until(relay, "error"))["code"] == "provider_refused"
                assert [item async for item in relay] == []
                assert relay.close_code == 1014
                assert await relay.handle_client_audio(bytes(960)), "nobody minds what comes too late"

        run(job)


def test_relay_that_is_closed_while_it_connects_leaves_nothing() -> None:
    async def silent(peer: Peer) -> None:
        await peer.hear()

    with FaultServer(silent) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, voice_up="robot") as relay:
                await relay.handle_client_audio(bytes(9600))

        run(job)


def test_arguments_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for settings in ({"pace": "late"}, {"barge_in": "x"}, {"lead_ms": 0.0}, {"mode": "x"}):
        with pytest.raises(ConfigError):
            RelayOptions(**settings)  # type: ignore[arg-type]
    with pytest.raises(AuthenticationError):
        WebSocketRelay()
    with pytest.raises(VoiceNotFoundError):
        WebSocketRelay(url="ws://localhost", voice_up="nobody")
    with pytest.raises(ConfigError):
        RelaySettings()
    with pytest.raises(ConfigError):
        RelaySettings("ftp://host")
    with pytest.raises(ProtocolError):
        RelaySettings("ws://localhost", session={"tools": "none"})
    assert KEY not in repr(RelaySettings("ws://localhost", KEY, headers={"api-key": KEY}))


def test_environment_names_the_provider_and_no_key_goes_to_another() -> None:
    read = RelaySettings.from_environment
    assert read({}) is None
    settings = read({"MENURA_REALTIME_URL": "ws://localhost", "OPENAI_API_KEY": KEY})
    assert settings is not None
    assert (settings.url, settings.api_key) == ("ws://localhost", None)
    settings = read({"MENURA_REALTIME_URL": "ws://localhost", "MENURA_REALTIME_KEY": KEY, "MENURA_REALTIME_MODEL": "m"})
    assert settings is not None
    assert (settings.api_key, settings.model) == (KEY, "m")


class _Broken:
    latency = 0

    def process(self, x: Samples) -> Samples:
        raise ValueError("broken voice")

    def finish(self) -> Samples:
        raise ValueError("broken voice")


def test_broken_voice_is_silent_so_that_the_speaker_is_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    engine = RelayEngine(ProcessingMode.REALTIME, AudioConfig(sample_rate=24_000))
    uplink = Uplink(engine, _Broken(), watch=False)  # type: ignore[arg-type]
    assert uplink.process(b"\x11\x22" * 480) == bytes(960)
    assert uplink.finish() == b""
    assert uplink.failures.count == 2
    assert caplog.text.count("a voice on the way up failed") == 1


@pytest.mark.parametrize("step", [960, 4096, 20_000])
def test_answers_in_a_voice_keep_their_length_and_do_not_depend_on_how_they_come(step: int) -> None:
    whole = pcm(speech("am_michael_u1"))

    def answer(step: int) -> bytes:
        engine = RelayEngine(ProcessingMode.REALTIME, AudioConfig(sample_rate=24_000, chunk_duration_ms=20))
        voice = VoiceSession(make_stage(find_voice("robot"), 24_000))
        replies = Replies(engine, voice, 60_000.0)
        for item in ("a", "b"):
            for i in range(0, len(whole), step):
                replies.add(whole[i : i + step], item, replies.era)
        replies.end(replies.era)
        pieces = []
        while piece := replies.read(100.0):
            pieces.append(piece)
        assert [piece.item_id for piece in pieces if piece.last] == ["a", "b"]
        return b"".join(piece.audio for piece in pieces)

    out = answer(step)
    assert len(out) == 2 * len(whole)
    assert out == answer(len(whole))


def test_stopped_answer_is_over_and_the_next_begins_clean() -> None:
    config = AudioConfig(sample_rate=24_000, chunk_duration_ms=20)
    engine = RelayEngine(ProcessingMode.REALTIME, config, source=StreamFormat(AudioFormat.PCM16, 48_000))
    engine.report_played(0.0)
    replies = Replies(engine, None, 1000.0)
    loud = (np.full(4800, 20_000, "<i2")).tobytes()
    era = replies.era
    replies.add(loud, "a", era)
    assert replies.read(100.0).duration_ms == 100.0  # type: ignore[union-attr]
    assert replies.played(60.0, "a")
    position = replies.stop()
    assert position is not None
    assert (position.item_id, position.played_ms, position.end_ms, position.discarded_ms) == ("a", 60.0, 60.0, 140.0)
    assert replies.stop() is None
    replies.add(loud, "a", era)
    assert replies.read(20.0) is None
    replies.add(bytes(9600), "b", replies.era)
    piece = replies.read(20.0)
    assert piece is not None
    assert piece.audio == bytes(len(piece.audio)), "nothing of the one before"


def test_clients_events_are_cleaned() -> None:
    update = {"input_audio_format": "g711_ulaw", "turn_detection": None, "temperature": 0.8, "instructions": "Hi."}
    assert clean_client_event({"type": "session.update", "session": update})["session"] == {
        "type": "realtime",
        "instructions": "Hi.",
        "audio": {"input": {"turn_detection": None}},
    }
    function = {"type": "function", "name": "f"}
    tools = clean_client_event({"type": "session.update", "session": {"tools": [function]}})
    assert tools["session"]["tools"] == [function]
    for event in (
        {"type": "session.update"},
        {"type": "session.update", "session": {"audio": {"input": {"url": "x"}}}},
        {"type": "session.update", "session": {"audio": "pcm16"}},
        {"type": "response.create", "response": {"model": "dear"}},
        {"type": "response.create", "response": {"input": [{"type": "mcp_call"}]}},
        {"type": "conversation.item.create", "item": {"type": "mcp_approval_response"}},
        {"type": "response.create", "api_key": KEY},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"type": []},
    ):
        with pytest.raises(ProtocolError):
            clean_client_event(event)


def test_error_of_a_failed_response_has_no_text() -> None:
    from menura.client.target import Redactor

    error = {"type": "server_error", "code": "insufficient_quota", "message": "org-123 is out of money"}
    done = {"id": "r", "status": "failed", "status_details": {"type": "failed", "error": error}}
    event = parse_server_event(json.dumps({"type": "response.done", "event_id": "e", "response": done}))
    shown = client_view(event, Redactor([KEY]))
    assert shown is not None
    assert shown["response"]["status_details"]["error"] == {"type": "server_error", "code": "insufficient_quota"}
    delta = {"delta": base64.b64encode(b"ab").decode(), "response_id": "r", "item_id": "i"}
    audio = {"type": "response.output_audio.delta", "event_id": "e", "output_index": 0, "content_index": 0} | delta
    assert client_view(parse_server_event(json.dumps(audio)), Redactor()) is None


def test_provider_that_breaks_for_good_is_told_as_unavailable() -> None:
    async def leave(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        peer.reset()

    options = ConnectionOptions(backoff_base_s=0.01, backoff_cap_s=0.02, max_attempts=2)
    with FaultServer(leave, refusals=[None, (503, {}, b""), (503, {}, b"")]) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, connection=options) as relay:
                assert (await until(relay, "error"))["code"] == "provider_unavailable"

        run(job)
