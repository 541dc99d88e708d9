"""The web server's own bounds, on real sockets."""

import asyncio
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from menura.server.access import Access
from menura.server.app import create_app
from menura.server.rates import ServerLimits
from menura.server.web_server import MAX_FRAGMENTS, server_config
from tests.serving import Client, running_server

TIMEOUT_S = 20.0


@contextmanager
def _served(app: Any = None, **limits: Any) -> Iterator[tuple[str, int]]:
    bounds = ServerLimits(**limits)
    app = app or create_app(relay=False, access=Access(limits=bounds))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(app, bounds, "error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)
        listener.close()


def _raw(address: tuple[str, int], data: bytes = b"") -> socket.socket:
    raw = socket.create_connection(address, TIMEOUT_S)
    raw.sendall(data)
    return raw


def _ended(raw: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    heard = b""
    try:
        while part := raw.recv(65536):
            heard += part
    except ConnectionError:
        pass
    return heard


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_head_must_come_in_time(said: bytes) -> None:
    with _served(head_s=0.2) as address, _raw(address, said) as raw:
        assert _ended(raw) == b""


def test_second_head_must_come_in_time_too() -> None:
    ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with _served(head_s=0.2) as address, _raw(address, ask) as raw:
        assert raw.recv(65536).startswith(b"HTTP/1.1 200")
        raw.sendall(b"GET /hea")
        while b"HTTP/1.1" in (heard := raw.recv(65536)):
            pass
        assert b"HTTP" not in heard


def test_head_may_not_be_too_large() -> None:
    with _served(head_bytes=4096) as address, _raw(address, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000) as raw:
        assert b"200" not in _ended(raw)[:20]


def test_body_must_come_in_time_and_not_be_too_large() -> None:
    with _served(stall_s=0.2, body_bytes=1000) as address:
        url = f"http://127.0.0.1:{address[1]}/api/voices"
        head = b"POST /api/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with _raw(address, head + b"Content-Length: 100\r\n\r\n{") as raw:
            assert b" 408 " in _ended(raw)[:20]
        answer = httpx.post(url, content=b"x" * 1001)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        answer = httpx.post(url, content=iter([b"{" * 600] * 2), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_answer_must_be_read_in_time() -> None:
    ended = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        sending = asyncio.create_task(_endless(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        sending.cancel()
        ended.set()

    async def _endless(send: Any) -> None:
        while True:
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
            await asyncio.sleep(0)

    with _served(application, stall_s=0.2) as address, _raw(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        assert ended.wait(TIMEOUT_S)


def test_oldest_connection_that_asks_nothing_makes_way() -> None:
    with (
        _served(open_per_client=5) as address,
        ExitStack() as stack,
        Client(f"http://127.0.0.1:{address[1]}/") as client,
    ):
        idle = [stack.enter_context(_raw(address)) for _ in range(10)]
        for raw in idle[:6]:
            assert _ended(raw) == b""
        assert httpx.get(f"http://127.0.0.1:{address[1]}/health").status_code == 200
        assert client.ask("getStatus")["type"] == "status"
        assert not select.select(idle[-1:], [], [], 0)[0]


def test_text_that_is_none_leaves_no_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with _served() as address, connect(f"ws://127.0.0.1:{address[1]}/ws/realtime-control") as client:
        client.recv(TIMEOUT_S)
        client.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(TIMEOUT_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007
    assert "Traceback" not in caplog.text


def test_message_in_endless_fragments_is_cut_off() -> None:
    with _served() as address, connect(f"ws://127.0.0.1:{address[1]}/ws/realtime-control") as client:
        client.recv(TIMEOUT_S)
        fragment = b"\x00\x80\0\0\0\0"
        client.socket.sendall(b"\x01\x80\0\0\0\0" + fragment * (MAX_FRAGMENTS + 10))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(TIMEOUT_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_pings_whose_answers_nobody_reads_end_the_connection() -> None:
    with _served() as address:
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        head = b"GET /ws/realtime-control HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(TIMEOUT_S)
        raw.connect(address)
        raw.sendall(head + key + b"\r\n")
        pings = (b"\x89\xfd\0\0\0\0" + bytes(125)) * 1000
        with raw, pytest.raises((ConnectionError, BrokenPipeError)):
            for _ in range(1000):
                raw.sendall(pings)


def test_500_slow_connections_keep_nobody_out() -> None:
    environment = {**os.environ, "MENURA_REALTIME_URL": ""}
    with running_server("--no-relay", environment=environment) as address, ExitStack() as stack:
        port = int(address.rsplit(":", 1)[1].strip("/"))
        slow = [stack.enter_context(_raw(("127.0.0.1", port), b"G")) for _ in range(500)]
        client = stack.enter_context(Client(address))
        client.begin("robot")
        for number in range(20):
            for raw in slow[number::20]:
                try:
                    raw.sendall(b"E")
                except OSError:
                    raw.close()  # made way
            assert client.ask("getStatus")["status"]["processing"] is True
            assert httpx.get(f"{address}health").json()["status"] == "ok"
            client.socket.send(bytes(960))
            client.hear(960 * (number + 1))
