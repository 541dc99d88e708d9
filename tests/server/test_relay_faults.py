"""A relay between hostile ends: providers that stall, flood or break, clients that flood, voices that fail."""

import asyncio
import base64
import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from menura.audio.block import Samples
from menura.client.options import ConnectionOptions
from menura.errors import ModelError
from menura.live.session import VoiceSession
from menura.server.relay import WebSocketRelay
from tests.client.ears import KEY
from tests.client.faults import TIMEOUT_S, FaultServer, Peer
from tests.server.relaying import Caller, serving
from tests.server.test_relay import run, until
from tests.server.test_relay_socket import noise, send

QUICK = ConnectionOptions(
    start_timeout_s=0.6,
    open_timeout_s=0.2,
    restore_timeout_s=0.2,
    ping_interval_s=0.1,
    ping_timeout_s=0.1,
    backoff_base_s=0.01,
    backoff_cap_s=0.02,
    max_attempts=3,
)
WHERE = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}


async def ready(peer: Peer) -> None:
    await peer.greet()
    await peer.hear()
    await peer.say("session.updated", session={"id": "s"})


async def mute(peer: Peer) -> None:
    await peer.connection.wait_closed()


async def unconfirming(peer: Peer) -> None:
    await peer.greet()
    await peer.connection.wait_closed()


async def unreading(peer: Peer) -> None:
    await ready(peer)
    peer.connection.transport.pause_reading()
    await peer.connection.wait_closed()


def unavailable(caller: Caller) -> None:
    error = caller.until("error")
    assert error == {"type": "error", "error": "The AI provider cannot be reached", "code": "provider_unavailable"}
    with pytest.raises(ConnectionClosed) as closed:
        caller.next()
    assert closed.value.rcvd.code == 1014


@pytest.mark.parametrize("script", [mute, unconfirming])
def test_provider_that_takes_the_connection_and_never_answers_is_unavailable(script: Any) -> None:
    with FaultServer(script) as provider, serving(provider.url, connection=QUICK) as relay, Caller(relay.url) as caller:
        caller.next()
        idle = relay.tasks()
        caller.say(action="start")
        send(caller, noise(100))
        unavailable(caller)
        relay.until_idle(idle - {"RelaySocket._receive_all", "Event.wait", "RelaySocket.serve"})


def test_provider_whose_machine_takes_connections_and_nothing_more_is_unavailable() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/v1"
        with serving(url, connection=QUICK) as relay, Caller(relay.url) as caller:
            caller.say(action="start")
            unavailable(caller)


def test_provider_that_stops_reading_and_then_answers_no_more_is_unavailable() -> None:
    with (
        FaultServer(unreading, mute) as provider,
        serving(provider.url, connection=QUICK) as relay,
        Caller(relay.url) as caller,
    ):
        caller.start()
        send(caller, noise(2000))
        caller.until("provider", state="reconnecting")
        unavailable(caller)
        assert [event["state"] for event in caller.events if event["type"] == "provider"][:2] == [
            "connecting",
            "connected",
        ]


def test_provider_that_asks_to_come_back_later_than_anybody_waits_is_unavailable() -> None:
    async def leave(peer: Peer) -> None:
        await ready(peer)
        await peer.connection.close(1012)

    patient = ConnectionOptions(give_up_s=20.0, backoff_base_s=0.01)
    with (
        FaultServer(leave, refusals=[None, (503, {"Retry-After": "60"}, b"")]) as provider,
        serving(provider.url, connection=patient) as relay,
        Caller(relay.url) as caller,
    ):
        caller.say(action="start")
        unavailable(caller)


def test_provider_is_not_left_while_it_has_to_wait_for_the_client() -> None:
    """Its pongs are not seen while nothing is read."""
    go = threading.Event()

    async def talk(peer: Peer) -> None:
        await ready(peer)
        for i in range(500):
            await peer.say("response.output_text.delta", delta=str(i), **WHERE)
        await peer.serve()

    options = ConnectionOptions(ping_interval_s=0.05, ping_timeout_s=0.05, max_events=100, backlog="block")
    with FaultServer(talk) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, connection=options) as relay:
                await until(relay, "provider", state="connected")
                while not relay._connection._hub.full:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.5)  # five times the time-out
                deltas = [(await until(relay, "response.output_text.delta"))["delta"] for _ in range(500)]
                assert deltas == [str(i) for i in range(500)]
                assert relay.stats()["reconnects"] == 0

        run(job)
        assert len(provider.peers) == 1
    go.set()


def test_flood_of_answers_does_not_grow_without_bound() -> None:
    """Each with an item of its own, to a client that does not read."""

    async def flood(peer: Peer) -> None:
        await ready(peer)
        for i in range(20_000):
            where = WHERE | {"item_id": f"item_{i}"}
            await peer.say("response.output_audio.delta", delta=base64.b64encode(bytes(96)).decode(), **where)
        await peer.serve()

    with FaultServer(flood) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, pace="at_once", max_unread_ms=100.0) as relay:
                await until(relay, "provider", state="connected")
                while not relay._connection._hub.full:
                    await asyncio.sleep(0.01)
                assert len(relay._outbox._items) < 200

        run(job)


def test_client_that_reports_one_position_and_no_other_hears_everything() -> None:
    async def many(peer: Peer) -> None:
        await ready(peer)
        for i in range(5000):
            where = WHERE | {"item_id": f"item_{i}"}
            await peer.say("response.output_audio.delta", delta=base64.b64encode(bytes(96)).decode(), **where)
        await peer.say("response.output_audio.done", **where)
        await peer.serve()

    with FaultServer(many) as provider:

        async def job() -> None:
            async with WebSocketRelay(url=provider.url, pace="at_once") as relay:
                await until(relay, "replyDone", itemId="item_0")
                assert relay.played(1.0, "item_0")
                audio = bytearray()
                await until(relay, "replyDone", audio, itemId="item_4999")
                assert relay.stats()["dropped_down_ms"] == 0.0

        run(job)


def broken(*_: object) -> Samples:
    raise ValueError("broken voice")


def test_client_is_told_that_a_voice_fails_and_the_speaker_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VoiceSession, "process", broken)
    monkeypatch.setattr(VoiceSession, "finish", broken)
    with FaultServer() as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.start(voiceUp="robot", voiceDown="robot")
        send(caller, noise(200))
        error = caller.until("error")
        assert (error["code"], error["direction"]) == ("voice_failed", "up")
        assert "broken" not in error["error"]
        caller.say(type="response.create")
        assert caller.until("error", direction="down")["code"] == "voice_failed"
        caller.until("replyDone")
        provider.until(lambda: len(provider.peers[0].audio) == 9600)
        assert provider.peers[0].audio == bytes(9600)
        assert bytes(caller.audio) == b"".join(bytes([i]) * 960 for i in (1, 2, 3)), "of the provider nothing is hidden"


def test_relay_whose_voice_cannot_be_built_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModelError("no such file")

    monkeypatch.setattr("menura.server.relay_voices.make_stage", missing)
    with FaultServer() as provider:

        async def job() -> None:
            relay = WebSocketRelay(url=provider.url, voice_up="robot")
            with pytest.raises(ModelError):
                async with relay:
                    pass

        run(job)
        for thread in threading.enumerate():
            if "menura-relay" in thread.name:
                thread.join(TIMEOUT_S)
                assert not thread.is_alive()


def test_client_that_connects_and_never_starts_makes_room_for_others() -> None:
    with (
        FaultServer() as provider,
        serving(provider.url, max_clients=1, settings={"start_within_s": 0.2}) as relay,
        Caller(relay.url) as caller,
    ):
        caller.next()
        assert caller.until("error")["code"] == "timeout"
        with pytest.raises(ConnectionClosed) as closed:
            caller.next()
        assert closed.value.rcvd.code == 1008
        with Caller(relay.url) as other:
            other.start()


def test_flood_of_single_frames_is_bounded_and_others_are_served() -> None:
    with (
        FaultServer(mute) as provider,
        serving(provider.url, connection=ConnectionOptions(start_timeout_s=30.0, restore_timeout_s=30.0)) as relay,
        Caller(relay.url) as flooding,
        Caller(relay.url) as caller,
    ):
        flooding.say(action="start")
        flooding.until("started")
        tracemalloc.start()
        for i in range(15_000):
            flooding.socket.send(b"\x01\x02")
            if i % 3000 == 0:
                caller.say(action="getVoices")
                caller.until("voices")
        flooding.say(action="getStatus")
        details = flooding.until("status")["details"]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert details["waiting_up_ms"] < 9300 / 24
        assert details["dropped_up_ms"] > 5000 / 24
        assert most < 16_000_000


def test_settings_said_while_the_provider_is_away_are_not_piled_up() -> None:
    from menura.protocol.realtime_session import RealtimeSession

    session = RealtimeSession(lambda: 0.0)
    for i in range(10_000):
        session.submit({"type": "session.update", "session": {"type": "realtime", "instructions": str(i) * 1000}})
    assert len(json.dumps(session.settings.wanted)) < 10_000
    assert len(session.settings._pending) == 0


def test_settings_cannot_grow_by_names_nobody_knows() -> None:
    with FaultServer() as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.start()
        vad = {"type": "server_vad", "threshold": 0.5, "x": "y"}
        caller.say(type="session.update", session={"audio": {"input": {"turn_detection": vad}}})
        assert "turn_detection.x" in caller.until("error")["error"]
        caller.say(
            type="session.update", session={"turn_detection": {"type": "server_vad", "silence_duration_ms": 400}}
        )
        provider.until(lambda: provider.peers[0].types.count("session.update") == 2)


def test_messages_stay_in_order_when_the_client_reads_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some leave at once, some wait for the socket, some in the queue."""

    async def talk(peer: Peer) -> None:
        await ready(peer)
        for i in range(600):
            delta = base64.b64encode(i.to_bytes(2, "little") * 4800).decode()
            await peer.say("response.output_audio.delta", delta=delta, **WHERE)
            await peer.say("response.output_text.delta", delta=str(i), **WHERE)
            if i % 50 == 0:
                await asyncio.sleep(0.001)
        await peer.say("response.output_audio.done", **WHERE)
        await peer.serve()

    options = {"pace": "at_once", "max_unread_ms": 600_000.0}
    with (
        FaultServer(talk) as provider,
        serving(provider.url, **options) as relay,
        Caller(relay.url, max_queue=1, close_timeout=0.1) as caller,
    ):
        caller.start()
        threading.Event().wait(0.3)  # what comes meanwhile fills the sockets
        order = []
        while True:
            message = caller.next()
            if isinstance(message, bytes):
                order += [int.from_bytes(message[i : i + 2], "little") for i in range(0, len(message), 9600)]
            elif message["type"] == "response.output_text.delta":
                assert order[-1] >= int(message["delta"])
            elif message["type"] == "replyDone":
                break
        assert sorted(order) == order
        assert set(order) == set(range(600))


@pytest.fixture(autouse=True)
def _no_key_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert KEY not in caplog.text
