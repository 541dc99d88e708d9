import asyncio
import base64
import random
import threading
from typing import Any

import numpy as np
import pytest

from menura.client.connection import RealtimeConnectionManager
from menura.client.options import Backlog, ConnectionState
from menura.engine.position import PlaybackPosition
from menura.errors import AuthenticationError, ConfigError, FormatError, ProtocolError, StateError
from menura.protocol.realtime_server import AudioDelta, ServerEvent
from tests.client.ears import KEY, Ears, connected
from tests.client.faults import TIMEOUT_S, FaultServer, Peer


def noise(ms: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(ms * 48)


SEED = {"modalities": ["text", "audio"], "input_audio_format": "pcm16", "voice": "alloy"}


def test_seed_example_works_from_start_to_stop() -> None:
    with FaultServer() as server:
        connection = RealtimeConnectionManager(api_key=KEY, url=server.url)
        ears = Ears(connection)
        connection.start()
        assert connection.connected
        connection.send_event({"type": "session.update", "session": SEED})
        chunk = noise(200)
        connection.send_event({"type": "input_audio_buffer.append", "audio": base64.b64encode(chunk).decode()})
        connection.send_audio(noise(20, 1))
        connection.commit()
        connection.create_response()
        ears.until("response.done")
        connection.stop()
        connection.stop()
        [peer] = server.peers
        assert peer.types == [
            "session.update",
            *["input_audio_buffer.append"] * 3,
            "input_audio_buffer.commit",
            "response.create",
        ]
        assert peer.audio == chunk + noise(20, 1)
        assert peer.events[0]["session"] == {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}, "output": {"voice": "alloy"}},
        }
        assert peer.headers["Authorization"] == f"Bearer {KEY}"
        assert "OpenAI-Beta" not in peer.headers
        assert peer.path == "/v1/realtime?model=gpt-realtime-2.1"
    states = [ears.states.get_nowait() for _ in range(3)]
    assert states == [ConnectionState.CONNECTING, ConnectionState.CONNECTED, ConnectionState.CLOSED]
    assert ears.errors.empty()


def test_callbacks_get_what_they_asked_for_under_the_name_they_asked_for() -> None:
    with FaultServer() as server, connected(server.url) as (manager, ears):
        heard, old, texts = list[AudioDelta](), list[ServerEvent](), list[ServerEvent]()

        @manager.on("response.output_audio.delta")
        async def hear(event: AudioDelta) -> None:
            await asyncio.sleep(0)
            heard.append(event)

        manager.on("response.audio.delta", old.append)
        gone = manager.on("response.output_audio.delta", texts.append)
        manager.off(gone)
        manager.create_response()
        done = ears.until("response.done")
        assert [event.audio for event in heard] == [bytes([i]) * 960 for i in (1, 2, 3)]
        assert {event["type"] for event in old} == {"response.audio.delta"}
        assert len(old) == 3
        assert texts == []
        assert done["response"]["status"] == done.response.status == "completed"


@pytest.mark.parametrize("broken", [ValueError("broken callback"), SystemExit(1)], ids=repr)
def test_callback_that_raises_is_reported_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture, broken: BaseException
) -> None:
    with FaultServer() as server, connected(server.url) as (manager, ears):

        @manager.on("response.created")
        def fail(_event: ServerEvent) -> None:
            raise broken

        @manager.on_error
        def fail_too(_error: Exception) -> None:
            raise broken

        manager.create_response()
        ears.until("response.done")
        assert ears.errors.get(timeout=TIMEOUT_S) is broken
        assert manager.stats().callback_errors == 2
    assert "a callback raised" in caplog.text


def test_slow_callback_does_not_stall_the_socket() -> None:
    async def flood(peer: Peer) -> None:
        await peer.greet()
        await peer.answer(parts=2000)
        await peer.serve()

    with FaultServer(flood) as server:
        manager = RealtimeConnectionManager(KEY, url=server.url, max_events=100)
        entered, release, heard = threading.Event(), threading.Event(), threading.Event()

        @manager.on_event
        def slow(event: ServerEvent) -> None:
            entered.set()
            release.wait(TIMEOUT_S)
            if event.type == "input_audio_buffer.committed":
                heard.set()

        manager.start()
        assert entered.wait(TIMEOUT_S)
        reader = manager.events()
        manager.commit()
        assert next(event for event in reader if event.type == "input_audio_buffer.committed")
        stats = manager.stats()
        assert stats.waiting_events <= 100
        assert stats.dropped_events >= 1900
        release.set()
        assert heard.wait(TIMEOUT_S), "audio makes way first"
        manager.stop()


def test_provider_waits_for_a_slow_callback_where_that_is_the_policy() -> None:
    async def flood(peer: Peer) -> None:
        await peer.greet()
        await peer.answer(parts=500, part_ms=100)
        await peer.serve()

    with FaultServer(flood) as server:
        manager = RealtimeConnectionManager(KEY, url=server.url, max_events=10, backlog="block")
        held, ears, gate = list[bytes](), Ears(manager), threading.Event()

        @manager.on("response.output_audio.delta")
        def slow(event: AudioDelta) -> None:
            gate.wait(TIMEOUT_S)
            held.append(event.audio)

        manager.start()
        assert manager.stats().waiting_events <= 11
        gate.set()
        ears.until("response.done")
        manager.stop()
        assert len(held) == 500
        assert manager.stats().dropped_events == 0


def test_audio_from_many_threads_arrives_whole() -> None:
    with FaultServer() as server, connected(server.url) as (manager, _):
        chunks = [[noise(20, 100 * i + k) for k in range(50)] for i in range(4)]

        def speak(mine: list[bytes]) -> None:
            for chunk in mine:
                manager.send_audio(memoryview(chunk))

        threads = [threading.Thread(target=speak, args=(mine,)) for mine in chunks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.until(lambda: len(server.peers[0].events) == 200)
        audio = server.peers[0].audio
        got = [audio[i : i + 960] for i in range(0, len(audio), 960)]
        assert sorted(got) == sorted(chunk for mine in chunks for chunk in mine)
        for mine in chunks:
            assert [chunk for chunk in got if chunk in set(mine)] == mine, "each thread's audio is in order"


async def in_a_loop() -> None:
    with FaultServer() as server:
        manager = RealtimeConnectionManager(KEY, url=server.url, session=SEED)
        seen = list[str]()

        @manager.on("response.audio.delta")
        async def hear(event: ServerEvent) -> None:
            seen.append(event.type)

        async with manager:
            events = manager.events()
            await asyncio.to_thread(manager.send_audio, noise(100))
            manager.commit()
            manager.create_response()
            async for event in events:
                if event.type == "response.done":
                    break
            with pytest.raises(StateError, match="already"):
                await manager.connect()
        assert [event async for event in manager.events()] == []
        assert manager.state is ConnectionState.CLOSED
        await manager.aclose()
        assert server.peers[0].types[0] == "session.update"
        assert server.peers[0].audio == noise(100)
        assert len(seen) <= 3


def test_everything_works_in_an_event_loop() -> None:
    asyncio.run(in_a_loop())


def test_reply_is_cut_where_the_listener_stopped_hearing_it() -> None:
    async def talk(peer: Peer) -> None:
        await peer.greet()
        await peer.say("response.created", response={"id": "resp_1"})
        where = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
        delta = base64.b64encode(bytes(400 * 48)).decode()
        await peer.say("response.output_audio.delta", delta=delta, **where)
        while (await peer.hear())["type"] != "conversation.item.truncate":
            pass
        await peer.say("response.output_audio.delta", delta=delta, **where)
        await peer.say("conversation.item.truncated", item_id="item_a", content_index=0, audio_end_ms=1)
        await peer.serve()

    with FaultServer(talk) as server, connected(server.url) as (manager, ears):
        ears.until("response.output_audio.delta")
        assert not manager.interrupt(PlaybackPosition())
        position = PlaybackPosition("item_a", played_ms=100.4, pending_ms=30.0, queued_ms=5.0, interrupted=True)
        assert manager.truncate(position)
        assert not manager.truncate(position)
        ears.until("conversation.item.truncated")
        assert ears.events.empty()
        peer = server.peers[0]
        assert peer.types == ["response.cancel", "conversation.item.truncate"]
        assert peer.events[1]["audio_end_ms"] == 135
        assert manager.stats().suppressed_events == 1


def test_what_is_wrong_is_said_to_whoever_did_it() -> None:
    with FaultServer() as server, connected(server.url) as (manager, _):
        with pytest.raises(ProtocolError, match="no client event"):
            manager.send_event({"type": "nonsense"})
        with pytest.raises(ProtocolError, match="base64"):
            manager.send_event({"type": "input_audio_buffer.append", "audio": "no base64!"})
        with pytest.raises(FormatError, match="whole"):
            manager.send_audio(b"abc")
        with pytest.raises(FormatError, match="int16"):
            manager.send_audio(np.zeros(480, np.float32))
        manager.send_audio(np.arange(480, dtype=np.int16))
        server.until(lambda: server.peers[0].audio == np.arange(480, dtype="<i2").tobytes())
        with pytest.raises(StateError, match="already"):
            manager.start()
    for call in (manager.commit, manager.cancel_response, lambda: manager.send_audio(b"ab")):
        with pytest.raises(StateError, match="stopped"):
            call()


def test_settings_dropped_from_a_beta_shape_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    manager = RealtimeConnectionManager(KEY)
    for _ in range(3):
        manager.update_session({"temperature": 0.8})
    assert caplog.text.count("temperature is not a setting any more") == 1


def test_connection_may_be_started_again_with_its_settings() -> None:
    with FaultServer() as server:
        manager = RealtimeConnectionManager(KEY, url=server.url, session=SEED)
        for _ in range(2):
            with manager:
                manager.send_audio(noise(20))
                server.until(lambda: server.peers and server.peers[-1].audio == noise(20))
        assert [peer.types for peer in server.peers] == [["session.update", "input_audio_buffer.append"]] * 2
        assert manager.stats().attempts == 2


def test_callback_may_stop_the_connection() -> None:
    with FaultServer() as server:
        manager = RealtimeConnectionManager(KEY, url=server.url)
        closed = threading.Event()
        manager.on("response.done", lambda _: manager.stop())
        manager.on_state_change(lambda state: closed.set() if state is ConnectionState.CLOSED else None)
        manager.start()
        manager.create_response()
        assert closed.wait(TIMEOUT_S)
        manager.stop()


def test_openai_needs_a_key_and_others_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        RealtimeConnectionManager()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert RealtimeConnectionManager().state is ConnectionState.IDLE
    with FaultServer() as server:
        with RealtimeConnectionManager(url=server.url, model=None):
            pass
        assert "Authorization" not in server.peers[0].headers, "the key is for OpenAI alone"
        assert server.peers[0].path == "/v1/realtime"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://host"},
        {"url": "wss://"},
        {"url": "wss://me:password@host"},
        {"url": "wss://host:port"},
        {"api_key": "two words"},
        {"api_key": "line\nbreak"},
        {"headers": {"OpenAI-Beta": "realtime=v1"}},
        {"backlog": "sometimes"},
        {"ping_interval_s": 0.0},
        {"max_events": -1},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        RealtimeConnectionManager(**{"api_key": KEY} | wrong)  # type: ignore[arg-type]
    assert "two words" not in str(caught.value)


def test_backlog_is_given_by_name_or_value() -> None:
    assert RealtimeConnectionManager(KEY, backlog=Backlog.BLOCK).events().closed is False


@pytest.mark.parametrize("event", [None, [], "response.create", {}, {"type": 1}, {"type": []}, {"type": None}])
def test_what_is_no_event_is_refused(event: Any) -> None:
    with pytest.raises(ProtocolError, match="an event is a dict with a type"):
        RealtimeConnectionManager(KEY).send_event(event)
