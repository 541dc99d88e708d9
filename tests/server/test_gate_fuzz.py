"""10,000 hostile requests at a server with a token: nothing gets in without it."""

import gc
import json
import random
import re
import socket
import tracemalloc
from collections.abc import Iterator
from urllib.parse import quote

import httpx2 as httpx
import pytest

from menura.server.access import Access
from menura.server.app import create_app
from menura.server.hosts import HostRules
from menura.server.limits import Rate, ServerLimits
from menura.server.tokens import Token
from tests.server.gate import TOKEN, Asking
from tests.server.relaying import Served
from tests.serving import Client

TIMEOUT_S = 20.0
PATHS = [
    "/",
    "/page/app.js",
    "/metrics",
    "/openapi.json",
    "/ws/realtime-control",
    "/ws/relay",
    "/v1/realtime",
    "/api/x",
]
LIMITS = ServerLimits(requests=Rate(1e6, 10**6), connections=Rate(1e6, 10**6), clients=100)


def _near(dice: random.Random) -> str:
    """A token that is not the token."""
    text = dice.choice(
        [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), TOKEN[::-1], "", " ", "null", "*", "a" * 300, "\0" + TOKEN]
    )
    return text if dice.random() < 0.5 else "".join(chr(dice.randrange(1, 256)) for _ in range(dice.randrange(40)))


def _hostile(dice: random.Random) -> tuple[str, str, list[tuple[str, str]], list[str]]:
    path = dice.choice(PATHS)
    if dice.random() < 0.2:
        path = dice.choice(
            ["/health/../metrics", "//health", "/health?x", "/HEALTH", "/page/../metrics", path + "/", "*"]
        )
    query = dice.choice(["token=", "Token=", "token[]=", "tokens=", "&&;token=", "a=b&token="]) + quote(_near(dice))
    near = _near(dice)
    headers = [
        ("host", dice.choice(["localhost", "menura.example", "[::1", "a" * 500, "evil.example"])),
        ("authorization", dice.choice(["Bearer ", "bearer\t", "Basic ", "Token ", ""]) + near),
        ("cookie", dice.choice(["menura-page=", "token=", "menura.token=", ";;=", "menura-page-00000000="]) + near),
        ("origin", dice.choice(["null", "http://localhost", "http://evil.example", "\xff"])),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-original-url", "/health"),
        ("x-http-method-override", "GET"),
    ]
    offered = [dice.choice(["menura", "menura.token.", "openai-insecure-api-key.", "realtime", "token."]) + near]
    return path, query, dice.sample(headers, dice.randrange(len(headers) + 1)), offered


def test_no_hostile_request_reaches_the_application() -> None:
    dice = random.Random(7)
    ask = Asking(Access(Token(TOKEN), HostRules(None), LIMITS))
    for number in range(9000):
        path, query, headers, offered = _hostile(dice)
        method = dice.choice(["GET", "HEAD", "POST", "OPTIONS", "DELETE", "CONNECT", "get"])
        client = (f"192.0.{number % 250}.{number // 250}", 1)
        subprotocols = offered if dice.random() < 0.5 else None
        answer = ask(path, query, headers, method=method, subprotocols=subprotocols, client=client)
        assert not answer.reached, (path, query, headers, offered)
        assert TOKEN not in json.dumps(answer.body)
        assert answer.status in (101, 401, 403, 421)
    assert len(ask.gate.limiter) == 100
    assert ask.gate.limiter.sessions == 0
    assert ask(query=f"token={TOKEN}").reached


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served(create_app(relay=False, access=Access(Token(TOKEN), limits=LIMITS)))
    served.thread.start()
    yield served
    served.server.should_exit = True
    served.thread.join(TIMEOUT_S)
    served.listener.close()


def _request(dice: random.Random) -> bytes:
    """The bytes of an upgrade, in part mangled."""
    path, query, headers, offered = _hostile(dice)
    lines = [f"GET {path}?{query} HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Sec-WebSocket-Protocol: {offered[0]}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines = [re.sub(r"[\r\n]", "", line) for line in lines]
    data = bytearray(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    if dice.random() < 0.3:
        data[dice.randrange(len(data))] = dice.randrange(256)
    data += b"\x81\x96\0\0\0\0" + b'{"action":"getVoices"}'  # a message before any answer
    return bytes(data)


def test_server_lives_through_hostile_upgrades_on_its_socket(served: Served) -> None:
    dice = random.Random(11)
    port = served.listener.getsockname()[1]
    for number in range(1000):
        if number == 500:
            gc.collect()
            tracemalloc.start()
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as raw:
            raw.sendall(_request(dice))
            raw.shutdown(socket.SHUT_WR)
            try:
                answer = b"".join(iter(lambda: raw.recv(65536), b""))
            except ConnectionResetError:
                answer = b""
        assert b'"type":"voices"' not in answer
        assert b'"type":"connected"' not in answer
        assert b"HTTP/1.1 200" not in answer
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1_000_000
    address = f"http://127.0.0.1:{port}/"
    assert httpx.get(address).status_code == 401
    assert httpx.get(f"{address}health").status_code == 200
    with Client(address, subprotocols=["menura", f"menura.token.{TOKEN}"]) as client:
        for _ in range(50):
            client.socket.send("".join(chr(dice.randrange(32, 126)) for _ in range(dice.randrange(200))))
            assert client.reply()["code"] == "invalid_message"
        assert client.ask("getStatus")["type"] == "status"
