import asyncio
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from starlette.routing import WebSocketRoute
from websockets.exceptions import ConnectionClosed

from menura.clock import VirtualClock
from menura.errors import LibraryError
from menura.server.access import Access, Gate, grant_of, session_of
from menura.server.app import create_app
from menura.server.limits import Rate, ServerLimits
from menura.server.roles import ROUTES, Role, needed_role
from menura.server.roster import TRUSTED_S, Roster
from menura.server.tokens import Token
from menura.store.access_tokens import AccessTokens, NamedToken
from tests.server.gate import TOKEN, Asking
from tests.serving import Client, running_server

HOST = ("host", "menura.example")
FAST = ServerLimits(requests=Rate(1e6, 10**6), connections=Rate(1e6, 10**6))


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[AccessTokens]:
    tokens = AccessTokens(tmp_path)
    yield tokens
    tokens.close()


@pytest.fixture
def ask(tokens: AccessTokens) -> Asking:
    return Asking(Access(Token(TOKEN), named=tokens, limits=FAST))


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/", "listen"),
        ("HEAD", "/page/a/b.js", "listen"),
        ("GET", "/api/access", "listen"),
        ("GET", "/api/voices", "listen"),
        ("GET", "/api/voices/x", "listen"),
        ("GET", "/api/voices/import", "listen"),
        ("GET", "/api/voices/x/export", "manage"),
        ("POST", "/api/voices", "manage"),
        ("POST", "/", "manage"),
        ("GET", "/api/recordings/x/audio", "use"),
        ("DELETE", "/api/recordings/x", "manage"),
        ("POST", "/api/conversions", "use"),
        ("SOCKET", "/ws/realtime-control", "listen"),
        ("SOCKET", "/v1/realtime", "use"),
        ("GET", "/ws/realtime-control", "manage"),
        ("SOCKET", "/api/voices", "manage"),
        ("GET", "/api/sessions", "manage"),
        ("GET", "/api/tokens", "manage"),
        ("GET", "/api/anything", "manage"),
        ("GET", "/api/voices/", "manage"),
        ("GET", "/api/voices/x/y", "manage"),
        ("GET", "/api/voices\n", "manage"),
        ("get", "/api/voices", "manage"),
        ("GET", "//api/voices", "manage"),
        ("GET", "", "manage"),
    ],
)
def test_request_needs_a_role(method: str, path: str, role: str) -> None:
    assert needed_role(method, path) == role


def test_every_route_is_in_the_table() -> None:
    known = {(method, path.replace("{path}", "")) for _, methods, path in ROUTES for method in methods}
    open_to_all = {"/health", "/api/health", "/api/ready"}
    app = create_app(relay=False)
    routes = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    routes |= {("SOCKET", route.path) for route in app.routes if isinstance(route, WebSocketRoute)}
    assert len(routes) > 30
    missing = {(method, re.sub(r"\{[^}]*\}", "{}", path)) for method, path in routes if path not in open_to_all} - known
    assert not missing, "a new route needs a line in menura/server/roles.py"


def test_token_opens_what_its_role_allows(ask: Asking, tokens: AccessTokens) -> None:
    texts = {role: tokens.add(f"of {role}", role)[1] for role in Role}
    for method, path, needed in [
        ("GET", "/api/voices", Role.LISTEN),
        ("POST", "/api/conversions", Role.USE),
        ("PUT", "/api/settings", Role.MANAGE),
        ("POST", "/api/unheard-of", Role.MANAGE),
    ]:
        for role, text in texts.items():
            answer = ask(path, headers=[HOST, ("authorization", f"Bearer {text}")], method=method)
            assert answer.reached is role.covers(needed)
            if not answer.reached:
                assert (answer.status, answer.body["code"]) == (403, "forbidden")
        assert ask(path, f"token={TOKEN}", [HOST], method=method).reached
        assert ask(path, headers=[HOST], method=method).status == 401


def test_socket_needs_a_role(ask: Asking, tokens: AccessTokens) -> None:
    _, text = tokens.add("ears", "listen")
    assert ask("/ws/realtime-control", f"token={text}", [HOST], subprotocols=[]).reached
    assert ask("/ws/relay", f"token={text}", [HOST], subprotocols=[]).status == 403
    (event,) = ask("/v1/realtime", f"token={text}", [HOST], subprotocols=[]).body
    assert event["error"]["code"] == "insufficient_permissions"


def test_removed_token_opens_nothing_at_once(ask: Asking, tokens: AccessTokens, tmp_path: Path) -> None:
    token, text = tokens.add("stream", "use")
    assert ask("/api/voices", f"token={text}", [HOST]).reached
    tokens.remove(token.id)
    assert ask("/api/voices", f"token={text}", [HOST]).status == 401
    other = AccessTokens(tmp_path)  # as another process
    _, text = other.add("made elsewhere", "use")
    other.close()
    assert ask("/api/voices", f"token={text}", [HOST]).reached


def test_page_of_a_named_token_comes_with_a_cookie_that_opens_only_its_parts(ask: Asking, tokens: AccessTokens) -> None:
    token, text = tokens.add("page", "listen")
    cookie = ask("/", f"token={text}", [HOST]).headers["set-cookie"].split(";")[0]
    assert text not in cookie
    assert token.digest[:16] not in cookie
    held = [HOST, ("cookie", f"other=1; {cookie}")]
    assert ask("/page/app.js", headers=held).reached
    assert ask("/api/voices", headers=held).status == 401
    assert ask("/page/app.js", headers=[HOST, ("cookie", cookie[:-1])]).status == 401
    tokens.remove(token.id)
    assert ask("/page/app.js", headers=held).status == 401


def test_open_server_asks_nobody_and_takes_any_key(tokens: AccessTokens) -> None:
    _, text = tokens.add("ears", "listen")
    ask = Asking(Access(named=tokens, limits=FAST))
    assert ask("/api/settings", headers=[HOST], method="PUT").reached
    assert ask("/v1/realtime", headers=[HOST, ("authorization", "Bearer sk-any")], subprotocols=[]).reached
    assert ask("/api/settings", f"token={text}", [HOST], method="PUT").status == 403


def test_required_token_may_be_a_named_one_only(tokens: AccessTokens) -> None:
    _, text = tokens.add("all", "manage")
    ask = Asking(Access(named=tokens, required=True, limits=FAST))
    assert ask("/", headers=[HOST]).status == 401
    assert ask("/api/tokens", f"token={text}", [HOST]).reached


def test_application_knows_who_asks(tokens: AccessTokens) -> None:
    _, text = tokens.add("stream", "use")
    seen = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(grant_of(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    ask = Asking(Access(named=tokens, required=True))
    ask.gate = Gate(application, Access(named=tokens, required=True), {})
    ask("/api/voices", f"token={text}", [HOST])
    assert (seen[0].token, seen[0].role) == ("stream", "use")


class _Source:
    """Tokens that fail on demand."""

    def __init__(self) -> None:
        self.changes, self.reads, self.broken = 0, 0, False
        now = datetime.now(UTC)
        self.tokens = [NamedToken("t1", "a", Role.USE, now, now + timedelta(hours=1), None, "0" * 64)]
        self.used: dict[str, datetime] = {}

    def all(self) -> list[NamedToken]:
        self.reads += 1
        if self.broken:
            raise LibraryError("the disk is full")
        return self.tokens

    def touch(self, used: Any) -> None:
        self.used |= used


def test_failing_database_lets_nobody_in_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    source, clock = _Source(), VirtualClock()
    roster = Roster(source, clock)
    asyncio.run(roster.refresh())
    assert roster.valid("t1")
    source.broken = True
    clock.advance(TRUSTED_S / 2)
    asyncio.run(roster.refresh())
    assert roster.valid("t1")
    clock.advance(TRUSTED_S)
    asyncio.run(roster.refresh())
    assert not roster.valid("t1")
    assert caplog.text.count("the disk is full") == 1, "told once, however often it fails"


def test_expired_token_is_not_valid_though_nobody_has_looked() -> None:
    source = _Source()
    source.tokens = [replace(source.tokens[0], expires_at=datetime.now(UTC))]
    roster = Roster(source)
    asyncio.run(roster.refresh())
    assert not roster.valid("t1")


def test_wrong_tokens_do_not_keep_the_database_busy() -> None:
    source = _Source()
    roster = Roster(source)

    async def crowd() -> None:
        await roster.refresh()
        await asyncio.gather(*(roster.refresh() for _ in range(1000)))

    asyncio.run(crowd())
    assert source.reads == 2


def test_sockets_of_a_removed_token_are_ended_in_a_running_server() -> None:
    source, told = _Source(), []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        told.append(message)

    async def run() -> None:
        gate = Gate(application, Access(named=source, required=True), {})
        living = asyncio.create_task(gate({"type": "lifespan"}, send, send))
        session = gate.limiter.open("a", replace(grant_of({}), token="a", token_id="t1"))
        scope = {"type": "websocket", "path": "/ws/realtime-control", "headers": [], "menura.session": session}
        serving = asyncio.create_task(gate._serve(session, scope, send, send))
        assert session_of(scope) is session
        while not source.reads:
            await asyncio.sleep(0.01)
        assert session.ended is None
        source.tokens = []
        await asyncio.wait_for(serving, 20)
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)

    asyncio.run(run())
    assert json.loads(told[0]["text"])["code"] == "token_revoked"
    assert told[1]["type"] == "websocket.close"


def test_named_token_from_its_making_to_its_removal_in_another_process(tmp_path: Path) -> None:
    environment = {**os.environ, "MENURA_HOME": str(tmp_path)}
    tokens = AccessTokens(tmp_path)
    _, manage = tokens.add("operator", "manage")
    with running_server("--require-token", "--no-relay", environment=environment) as address:
        assert httpx.get(address).status_code == 401
        _, text = tokens.add("stream", "use")
        page = httpx.get(address, params={"token": text})
        assert page.status_code == 200
        cookie = page.headers["set-cookie"].split(";")[0]
        part = re.findall(r'"(/page/[^"]+)"', page.text)[0]
        assert httpx.get(address[:-1] + part, headers={"Cookie": cookie}).status_code == 200
        assert httpx.get(address[:-1] + part).status_code == 401
        assert httpx.get(f"{address}metrics", headers={"Cookie": cookie}).status_code == 401
        with Client(address, subprotocols=["menura", f"menura.token.{text}"]) as client:
            sessions = httpx.get(f"{address}api/sessions", headers={"Authorization": f"Bearer {manage}"})
            assert [one["token"] for one in sessions.json()["sessions"]] == ["stream"]
            assert httpx.get(f"{address}api/sessions", params={"token": text}).status_code == 403
            tokens.remove("stream")
            assert client.reply()["code"] == "token_revoked"
            with pytest.raises(ConnectionClosed):
                client.reply()
        assert httpx.get(address, params={"token": text}).status_code == 401
        assert tokens.all()[0].name == "operator"
    noted = {token.name: token.used_at for token in tokens.all()}
    assert noted["operator"] is not None
    tokens.close()


def test_client_is_told_what_its_token_allows(tmp_path: Path) -> None:
    tokens = AccessTokens(tmp_path)
    app = create_app(relay=False, access=Access(Token(TOKEN), named=tokens))
    with TestClient(app) as client:
        for role in Role:
            _, text = tokens.add(f"of {role}", role)
            told = client.get("/api/access", headers={"Authorization": f"Bearer {text}"})
            assert told.json() == {"role": role, "token": f"of {role}"}
        told = client.get("/api/access", headers={"Authorization": f"Bearer {TOKEN}"})
        assert told.json() == {"role": "manage", "token": ""}
        assert client.get("/api/access").status_code == 401
    tokens.close()


def test_who_may_listen_may_not_speak(tmp_path: Path) -> None:
    tokens = AccessTokens(tmp_path)
    _, text = tokens.add("ears", "listen")
    app = create_app(relay=False, access=Access(named=tokens, required=True))
    with TestClient(app) as client, client.websocket_connect(f"/ws/realtime-control?token={text}") as socket:
        assert socket.receive_json()["type"] == "connected"
        socket.send_text('{"action":"getVoices"}')
        assert socket.receive_json()["type"] == "voices"
        for action in (
            '{"action":"selectVoice","voiceId":"robot"}',
            '{"action":"setParameters","parameters":{"mix":0.5}}',
        ):
            socket.send_text(action)
            told = socket.receive_json()
            assert (told["type"], told["code"]) == ("error", "forbidden")
    tokens.close()
