"""The connection against a provider that fails on purpose."""

import asyncio
import json
import logging
import pickle
import random
import socket
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable

import pytest

from menura.client.connection import RealtimeConnectionManager
from menura.client.link import Timing
from menura.client.options import ConnectionState
from menura.clock import VirtualClock
from menura.errors import (
    AuthenticationError,
    ConnectionLostError,
    ConnectTimeoutError,
    MenuraError,
    ProtocolError,
    ProviderError,
    QuotaError,
    ResponseTimeoutError,
    StateError,
)
from menura.protocol.realtime_turn import TurnLimits
from tests.client.ears import KEY, Ears, Pauses, connected
from tests.client.faults import TIMEOUT_S, FaultServer, Peer, Script, good


def noise(ms: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(ms * 48)


SESSION = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "marin"}}}


async def close_1001(peer: Peer) -> None:
    await peer.connection.close(1001, "Your session hit the maximum duration of 60 minutes.")


async def close_1011(peer: Peer) -> None:
    await peer.connection.close(1011, "internal error")


async def close_1012(peer: Peer) -> None:
    await peer.connection.close(1012)


async def expire(peer: Peer) -> None:
    await peer.error("session_expired")
    await peer.serve()


async def reset(peer: Peer) -> None:
    peer.reset()


async def vanish(peer: Peer) -> None:
    peer.connection.transport.close()


@pytest.mark.parametrize("end", [close_1001, close_1011, close_1012, expire, reset, vanish])
def test_session_is_restored_before_audio_and_the_turn_is_heard_exactly_once(end: Script) -> None:
    async def fail(peer: Peer) -> None:
        await peer.greet()
        assert (await peer.hear())["type"] == "session.update"
        await peer.say("session.updated", session={})
        await peer.hear_audio(len(noise(400)))
        await peer.say("input_audio_buffer.committed", item_id="item_1")
        await peer.hear_audio(len(noise(600)))
        await end(peer)

    pauses = Pauses()
    pauses.held.clear()
    with FaultServer(fail, good) as server, connected(server.url, session=SESSION, pauses=pauses) as (manager, ears):
        for i in range(20):
            manager.send_audio(noise(20, i))
        server.until(lambda: len(server.peers[0].audio) == 400 * 48)
        ears.until("input_audio_buffer.committed")
        for i in range(20, 30):
            manager.send_audio(noise(20, i))
        ears.until_state(ConnectionState.RECONNECTING)
        for i in range(30, 40):
            manager.send_audio(noise(20, i))
        manager.commit()
        pauses.held.set()
        server.until(lambda: len(server.peers) == 2 and "input_audio_buffer.commit" in server.peers[1].types)
        again = server.peers[1]
        assert again.types == ["session.update", *["input_audio_buffer.append"] * 20, "input_audio_buffer.commit"]
        assert again.events[0]["session"] == SESSION
        assert again.audio == b"".join(noise(20, i) for i in range(20, 40)), "the turn, to the byte, once"
        stats = manager.stats()
        assert stats.replayed_audio_ms == 200.0
        assert (stats.reconnects, stats.stale_audio_ms) == (1, 0.0)
        assert 0.0 <= pauses.waits[0] <= 0.5


def test_stale_audio_is_not_replayed() -> None:
    async def fail(peer: Peer) -> None:
        await peer.greet()
        await peer.hear_audio(20 * 48)
        await peer.connection.close(1011)

    clock, pauses = VirtualClock(), Pauses()
    pauses.held.clear()
    limits = TurnLimits(max_age_s=5.0)
    with (
        FaultServer(fail, good) as server,
        connected(server.url, clock=clock, pauses=pauses, turn=limits) as (manager, ears),
    ):
        manager.send_audio(noise(20))
        ears.until_state(ConnectionState.RECONNECTING)
        manager.send_audio(noise(20, 1))
        clock.advance(4.0)
        manager.send_audio(noise(20, 2))
        clock.advance(2.0)
        pauses.held.set()
        server.until(lambda: len(server.peers) == 2 and server.peers[1].audio)
        assert server.peers[1].audio == noise(20, 2)
        assert manager.stats().stale_audio_ms == 40.0


def test_audio_waits_for_settings_that_are_confirmed_slowly() -> None:
    confirm, early = threading.Event(), list[bool]()

    async def slow(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        hearing = asyncio.create_task(peer.hear())
        await asyncio.to_thread(confirm.wait, TIMEOUT_S)
        early.append(hearing.done())
        await peer.say("session.updated", session={})
        await hearing
        await peer.serve()

    with FaultServer(slow) as server:
        manager = RealtimeConnectionManager(KEY, url=server.url, session=SESSION)
        manager.send_audio(noise(20))
        starting = threading.Thread(target=manager.start)
        starting.start()
        server.until(lambda: server.peers and server.peers[0].events)
        manager.send_audio(noise(20, 1))
        assert manager.state is ConnectionState.CONNECTING
        confirm.set()
        starting.join(TIMEOUT_S)
        server.until(lambda: server.peers[0].audio == noise(20) + noise(20, 1))
        assert early == [False]
        manager.stop()


def test_provider_that_never_confirms_is_left_for_another_try() -> None:
    async def silent(peer: Peer) -> None:
        await peer.greet()
        while True:
            await peer.hear()

    options = {"restore_timeout_s": 0.05, "tick_s": 0.01}
    with FaultServer(silent, good) as server, connected(server.url, session=SESSION, **options) as (manager, ears):
        assert isinstance(ears.errors.get(timeout=TIMEOUT_S), ConnectTimeoutError)
        assert len(server.peers) == 2
        assert manager.connected


def test_session_is_replaced_before_its_limit_without_losing_audio() -> None:
    clock = VirtualClock()
    options = {"recycle_after_s": 1500.0, "tick_s": 0.005, "session": SESSION}

    async def listen(peer: Peer) -> None:
        vad = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
        await peer.greet(**vad)
        await peer.serve(**vad)

    with FaultServer(listen) as server, connected(server.url, clock=clock, **options) as (manager, ears):
        for i in range(100):
            manager.send_audio(noise(20, i))
        server.until(lambda: len(server.peers[0].audio) == 2000 * 48)
        clock.advance(1501.0)
        for i in range(100, 150):
            manager.send_audio(noise(20, i))
        ears.until_state(ConnectionState.RECONNECTING)
        ears.until_state(ConnectionState.CONNECTED)
        for i in range(150, 200):
            manager.send_audio(noise(20, i))
        sent = b"".join(noise(20, i) for i in range(200))
        server.until(lambda: len(server.peers) == 2 and server.peers[1].audio[-960:] == noise(20, 199))
        first, second = (peer.audio for peer in server.peers)
        assert sent.startswith(first)
        assert sent.endswith(second)
        assert len(first) + len(second) >= len(sent), "nothing between the two is missing"
        assert server.peers[1].types[0] == "session.update"
        stats = manager.stats()
        assert (stats.recycles, stats.reconnects) == (1, 0)
        assert ears.errors.empty()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b'{"error":{"code":"invalid_api_key","message":"Incorrect API key provided: %s"}}', AuthenticationError),
        (403, b"", AuthenticationError),
        (402, b"", QuotaError),
        (404, b'{"error":{"code":"model_not_found","message":"no such model"}}', ProviderError),
        (429, b'{"error":{"code":"insufficient_quota","message":"You exceeded your quota"}}', QuotaError),
        (302, b"", ProviderError),
    ],
)
def test_refusal_that_another_try_cannot_change_is_final(status: int, body: bytes, error: type[Exception]) -> None:
    headers = {"Location": "ws://127.0.0.1:9/elsewhere"}
    with FaultServer(refusals=[(status, headers, body.replace(b"%s", KEY.encode()))] * 9) as server:
        manager = RealtimeConnectionManager(KEY, url=server.url)
        ears = Ears(manager)
        with pytest.raises(error) as caught:
            manager.start()
        assert type(caught.value) is error
        assert server.handshakes == 1
        assert ears.errors.get(timeout=TIMEOUT_S) is caught.value
        assert manager.state is ConnectionState.FAILED
        assert KEY not in str(caught.value)
        with pytest.raises(StateError, match="failed"):
            manager.commit()


@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key", "account_deactivated", "billing_not_active"])
def test_error_that_another_try_cannot_change_ends_a_session_for_good(code: str) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.error(code)
        await peer.connection.close(1011)

    with FaultServer(refuse) as server, connected(server.url) as (manager, ears):
        events = manager.events()
        manager.create_response()
        ears.until_state(ConnectionState.FAILED)
        assert isinstance(ears.errors.get(timeout=TIMEOUT_S), QuotaError | AuthenticationError)
        assert len(server.peers) == 1
        with pytest.raises(ProviderError):
            list(events)


def test_busy_provider_is_asked_again_when_it_said() -> None:
    limited = b'{"error":{"code":"rate_limit_exceeded","message":"slow down"}}'
    pauses = Pauses()
    refusals = [(429, {"Retry-After": "7"}, limited), (503, {"Retry-After": "3"}, b""), (500, {}, b""), None]
    with FaultServer(refusals=refusals) as server, connected(server.url, pauses=pauses) as (manager, ears):
        assert manager.connected
        assert server.handshakes == 4
        first, second, third = pauses.waits
        assert 7.0 <= first <= 7.5
        assert 3.0 <= second <= 4.0
        assert 0.0 <= third <= 2.0
        for _ in range(3):
            assert isinstance(ears.errors.get(timeout=TIMEOUT_S), ConnectionLostError)


def test_rejection_for_want_of_slots_is_tried_again() -> None:
    async def full(peer: Peer) -> None:
        await peer.say("error", error={"type": "session_limit_reached", "message": "All 1 session slots are in use."})
        await peer.connection.close(1008, "All session slots are in use")

    with FaultServer(full, full, good) as server, connected(server.url) as (_, ears):
        server.until(lambda: len(server.peers) == 3)
        assert isinstance(ears.errors.get(timeout=TIMEOUT_S), ProviderError)


def test_start_gives_up_in_time_and_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and never answers
        port = listener.getsockname()[1]
        manager = RealtimeConnectionManager(KEY, url=f"ws://127.0.0.1:{port}")
        with pytest.raises(ConnectTimeoutError, match="not connected to ws://127"):
            manager.start(timeout_s=0.2)
        assert manager.state is ConnectionState.CLOSED
    timing = Timing(pause=Pauses())
    manager = RealtimeConnectionManager(KEY, url=f"ws://127.0.0.1:{port}", max_attempts=3, timing=timing)
    with pytest.raises(ConnectionLostError, match="cannot reach"):
        manager.start()
    assert manager.stats().attempts == 3


NONSENSE: list[str | bytes] = [
    "",
    "nonsense",
    b"\x00\xff\xfe",
    "[]",
    "{}",
    '{"type":7}',
    '{"type":"response.created","response":"x"}',
    '{"type":"response.output_audio.delta","delta":3}',
    '{"type":"input_audio_buffer.speech_started","item_id":"i","audio_start_ms":-99999999999}',
    '{"type":"session.updated","session":{"audio":"x","id":{}}}',
    '{"type":"error","error":{"code":{},"message":[]}}',
    '{"type":"error","error":{}}',
    '{"type":"brand.new","x":' + "[" * 900 + "]" * 900 + "}",
    json.dumps({"type": "x" * 100_000}),
]


def test_nonsense_does_not_end_a_session() -> None:
    async def babble(peer: Peer) -> None:
        await peer.greet()
        for message in NONSENSE:
            await peer.connection.send(message)
        await peer.answer()
        await peer.serve()

    with FaultServer(babble) as server, connected(server.url) as (manager, ears):
        ears.until("response.done")
        stats = manager.stats()
        assert stats.malformed_events == 10
        assert stats.unknown_events == 1
        assert isinstance(ears.errors.get(timeout=TIMEOUT_S), ProtocolError)
        manager.send_audio(noise(20))
        server.until(lambda: server.peers[0].audio == noise(20))
        assert len(server.peers) == 1


@pytest.mark.parametrize("message", ["not utf-8", "too long"])
def test_message_that_is_none_is_answered_with_another_connection(message: str) -> None:
    async def babble(peer: Peer) -> None:
        await peer.greet()
        await peer.hear_audio(len(noise(20)))
        await peer.connection.send(b"\xff\xfe" if message == "not utf-8" else b" " * 200_000, text=True)
        await peer.connection.wait_closed()

    with FaultServer(babble, good) as server, connected(server.url, max_message_bytes=100_000) as (manager, ears):
        manager.send_audio(noise(20))
        ears.until_state(ConnectionState.RECONNECTING)
        assert isinstance(ears.errors.get(timeout=TIMEOUT_S), ConnectionLostError)
        server.until(lambda: len(server.peers) == 2 and server.peers[1].audio == noise(20))


def test_refused_event_is_told_with_its_type_and_the_session_goes_on() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.greet()
        event = await peer.hear()
        await peer.error("conversation_already_has_active_response", event_id=event["event_id"])
        await peer.serve()

    with FaultServer(refuse) as server, connected(server.url) as (manager, ears):
        event_id = manager.create_response()
        error = ears.errors.get(timeout=TIMEOUT_S)
        assert isinstance(error, ProviderError)
        assert (error.event_id, error.event_type) == (event_id, "response.create")
        assert error.provider_code == "conversation_already_has_active_response"
        manager.create_response()
        ears.until("response.done")
        assert len(server.peers) == 1


async def stall(peer: Peer) -> None:
    await peer.greet()
    peer.connection.transport.pause_reading()
    await peer.connection.wait_closed()


def test_memory_is_bounded_with_a_provider_that_never_reads() -> None:
    limits = TurnLimits(max_bytes=500_000)
    with FaultServer(stall) as server, connected(server.url, turn=limits) as (manager, _):
        chunk = noise(100)
        for _ in range(2000):
            manager.send_audio(chunk)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20_000):
            manager.send_audio(chunk)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert after - before < 1_500_000, "half a million bytes of audio as base64, and what the socket holds"
        stats = manager.stats()
        assert stats.kept_audio_ms <= 500_000 / 48
        assert stats.overflow_audio_ms > 1_900_000
        begun = time.perf_counter()
        manager.stop()
        assert time.perf_counter() - begun < TIMEOUT_S, "and it can be stopped"


def test_provider_that_does_not_answer_pings_is_left() -> None:
    options = {"ping_interval_s": 0.05, "ping_timeout_s": 0.05}
    with FaultServer(stall, good) as server, connected(server.url, **options) as (manager, ears):
        manager.send_audio(noise(20))
        ears.until_state(ConnectionState.RECONNECTING)
        assert isinstance(ears.errors.get(timeout=TIMEOUT_S), ConnectionLostError)
        server.until(lambda: len(server.peers) == 2 and server.peers[1].audio == noise(20))
        assert manager.stats().reconnects == 1


@pytest.mark.parametrize("begins", [False, True])
def test_answer_that_does_not_come_is_told_and_the_connection_stays(begins: bool) -> None:
    async def lazy(peer: Peer) -> None:
        await peer.greet()
        while (await peer.hear())["type"] != "response.create":
            pass
        if begins:
            await peer.say("response.created", response={"id": "resp_0", "status": "in_progress"})
        while (await peer.hear())["type"] != "response.create":
            pass
        if begins:
            await peer.say("response.done", response={"id": "resp_0", "status": "failed"})
        await peer.answer()
        await peer.serve()

    options = {"answer_timeout_s": 0.05, "tick_s": 0.01}
    with FaultServer(lazy) as server, connected(server.url, **options) as (manager, ears):
        manager.create_response()
        error = ears.errors.get(timeout=TIMEOUT_S)
        assert isinstance(error, ResponseTimeoutError)
        assert isinstance(error, TimeoutError)
        assert error.code == "response_timeout"
        assert ("gone on" if begins else "begun") in str(error)
        assert manager.connected
        assert manager.stats().overdue_answers == 1
        manager.create_response()
        while ears.until("response.done").response.status != "completed":
            pass
        assert len(server.peers) == 1


def test_flood_is_bounded_and_leaves_the_caller_free() -> None:
    async def flood(peer: Peer) -> None:
        await peer.greet()
        message = json.dumps({"type": "flood", "x": "x" * 10_000})
        for _ in range(3000):
            await peer.connection.send(message)
        await peer.serve()

    with FaultServer(flood) as server:
        manager = RealtimeConnectionManager(KEY, url=server.url, max_event_bytes=1_000_000)
        gate = threading.Event()
        manager.on("flood", lambda _: gate.wait(TIMEOUT_S))
        manager.start()
        manager.send_audio(noise(20))
        server.until(lambda: server.peers[0].audio == noise(20))
        stats = manager.stats()
        assert stats.waiting_events <= 100
        assert stats.dropped_events > 2000
        gate.set()
        manager.stop()


SECRET_URL = "wss://127.0.0.1:{port}/v1?api-key=query-secret-key&api-version=2026"


@pytest.mark.parametrize("kind", ["refused", "unreachable", "status", "closed"])
def test_keys_are_seen_nowhere(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = (KEY, "query-secret-key", "header-secret-key")
    echo = f"you said {KEY} and query-secret-key, Bearer {KEY}".encode()

    async def tell(peer: Peer) -> None:
        await peer.greet()
        await peer.error("invalid_api_key", message=f"Incorrect API key provided: {KEY}.")

    refusals = {"refused": [(401, {}, echo)], "status": [(400, {"X": KEY}, b'{"error":{"code":"%s"}}' % KEY.encode())]}
    with FaultServer(tell, refusals=refusals.get(kind)) as server:
        port = 9 if kind == "unreachable" else server.port
        url = SECRET_URL.replace("wss", "ws").format(port=port)
        manager = RealtimeConnectionManager(KEY, url=url, headers={"api-key": "header-secret-key"}, max_attempts=1)
        ears, told = Ears(manager), list[BaseException]()
        try:
            manager.start()
            ears.until_state(ConnectionState.FAILED)
        except MenuraError as error:
            told.append(error)
        assert isinstance(ears.errors.get(timeout=TIMEOUT_S), MenuraError)
        manager.stop()
        told += list(ears.errors.queue)
        assert not any(secret in repr(event) for event in ears.events.queue for secret in secrets)
        if kind != "unreachable" and server.peers:
            assert "api-key=query-secret-key" in server.peers[0].path
            assert server.peers[0].headers["api-key"] == "header-secret-key"
        seen = [repr(manager), str(manager.get_stats()), repr(manager._target)]
        seen += [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
        for error in told:
            seen += ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
            assert isinstance(pickle.loads(pickle.dumps(error)), MenuraError)
        for text in seen:
            for secret in secrets:
                assert secret not in text, text


def test_stop_while_it_waits_or_connects_is_quick() -> None:
    pauses = Pauses()
    pauses.held.clear()
    with FaultServer(refusals=[(503, {}, b"")] * 99) as server:
        manager = RealtimeConnectionManager(KEY, url=server.url, timing=Timing(pause=pauses))
        starting: list[BaseException] = []

        def start() -> None:
            try:
                manager.start()
            except MenuraError as error:
                starting.append(error)

        thread = threading.Thread(target=start)
        thread.start()
        server.until(lambda: server.handshakes == 1)
        manager.stop()
        thread.join(TIMEOUT_S)
        assert isinstance(starting[0], ConnectionLostError)
        assert manager.state is ConnectionState.CLOSED


def test_nothing_is_left_behind() -> None:
    def ours() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("menura-realtime")]

    with FaultServer() as server:
        for _ in range(5):
            with connected(server.url):
                assert len(ours()) == 2
        assert ours() == []


def test_key_may_come_from_a_function_anew_each_time() -> None:
    keys = iter(["first-secret-key", "second-secret-key"])

    async def fail(peer: Peer) -> None:
        await peer.greet()
        await peer.connection.close(1011)

    with FaultServer(fail, good) as server:
        give: Callable[[], str] = lambda: next(keys)  # noqa: E731
        manager = RealtimeConnectionManager(give, url=server.url, timing=Timing(pause=Pauses()))
        ears = Ears(manager)
        manager.start()
        ears.until_state(ConnectionState.RECONNECTING)
        ears.until_state(ConnectionState.CONNECTED)
        manager.stop()
        assert [peer.headers["Authorization"][7:] for peer in server.peers] == ["first-secret-key", "second-secret-key"]
        with pytest.raises(AuthenticationError, match="StopIteration"):
            manager.start()
