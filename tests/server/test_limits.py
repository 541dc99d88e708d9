import asyncio
import json
import socket
import tracemalloc
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from menura.clock import VirtualClock
from menura.errors import ConfigError, ForbiddenError, RateLimitError
from menura.server.access import ON_SHUTDOWN, Access, Gate, session_of
from menura.server.app import create_app
from menura.server.limits import Ending, Limiter, Rate, ServerLimits, client_name
from menura.server.roles import Grant, Role
from menura.server.tokens import Token
from tests.server.gate import TOKEN, Asking


def test_burst_is_granted_and_then_the_rate() -> None:
    clock = VirtualClock()
    session = Limiter(ServerLimits(status=Rate(10.0, 5)), clock).open("a")
    for _ in range(5):
        session.check("getStatus")
    with pytest.raises(RateLimitError) as caught:
        session.check("getStatus")
    assert (caught.value.code, caught.value.retry_after_ms) == ("rate_limited", 100)
    session.check("selectVoice")
    granted = 0
    for _ in range(1000):
        clock.advance(0.01)
        try:
            session.check("getStatus")
            granted += 1
        except RateLimitError:
            pass
    assert granted == pytest.approx(100, abs=1)


def test_sliders_may_be_turned_as_fast_as_a_screen_shows_them_and_not_without_end() -> None:
    clock = VirtualClock()
    session = Limiter(ServerLimits(), clock).open("a")
    for _ in range(60 * 60):
        session.check("setParameters")
        clock.advance(1 / 60)
    with pytest.raises(RateLimitError, match="Too many changes of settings"):
        for action in ["setParameters", "setEffects", "setInput", "configureAudio"] * 100:
            session.check(action)


def test_what_was_told_to_wait_is_granted_after_it() -> None:
    clock = VirtualClock()
    session = Limiter(ServerLimits(transport=Rate(3.0, 1)), clock).open("a")
    session.check("start")
    with pytest.raises(RateLimitError) as caught:
        session.check("stop")
    clock.advance(caught.value.retry_after_ms / 1000)
    session.check("stop")


def test_connections_of_a_client_share_and_those_of_others_do_not() -> None:
    limiter = Limiter(ServerLimits(voice=Rate(1.0, 10), shared=2.0), VirtualClock())
    for _ in range(2):
        session = limiter.open("a")
        for _ in range(10):
            session.check("selectVoice")
    with pytest.raises(RateLimitError):
        limiter.open("a").check("selectVoice")
    limiter.open("b").check("changeVoice")


def test_sessions_are_limited_for_a_client_and_for_all_and_given_back() -> None:
    limiter = Limiter(ServerLimits(sessions=3, sessions_per_client=2))
    first, _ = limiter.open("a"), limiter.open("a")
    with pytest.raises(RateLimitError, match="You have"):
        limiter.open("a")
    limiter.open("b")
    with pytest.raises(RateLimitError, match="The server has"):
        limiter.open("c")
    first.close()
    limiter.open("c")
    assert limiter.sessions == 3


def test_many_addresses_take_bounded_memory() -> None:
    limiter = Limiter(ServerLimits(clients=500))
    held = limiter.open("held")
    tracemalloc.start()
    for number in range(50_000):
        limiter.connect(f"client-{number}")
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(limiter) == 500
    assert size < 500_000
    held.check("getStatus")
    held.close()
    assert limiter.sessions == 0


def test_client_is_an_address_or_a_network_of_ipv6() -> None:
    assert client_name(("2001:db8:0:1::1", 1)) == client_name(("2001:db8:0:1:ffff::9", 2)) == "2001:db8:0:1::/64"
    assert client_name(("2001:db8:0:2::1", 1)) != client_name(("2001:db8:0:1::1", 1))
    assert client_name(("::1", 1)) == "::1"
    assert client_name(("fe80::1%eth0", 1)) == "fe80::/64"
    assert client_name(None) == "local"
    assert len(client_name(("x" * 1000, 1))) == 64


@pytest.mark.parametrize("wrong", [{"sessions": 0}, {"idle_s": -1.0}, {"shared": float("inf")}])
def test_limit_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ServerLimits(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="burst"):
        Rate(1.0, 0)


def test_requests_that_come_too_often_are_told_when_to_come() -> None:
    slow = Rate(0.001, 2)
    ask = Asking(Access(Token(TOKEN), limits=ServerLimits(requests=slow, connections=slow)))
    for _ in range(2):
        assert ask().status == 401
        assert ask("/ws/relay", subprotocols=[]).status == 403
    for answer in (ask(query=f"token={TOKEN}"), ask("/ws/relay", f"token={TOKEN}", subprotocols=[])):
        assert (answer.status, answer.body["code"], answer.reached) == (429, "rate_limited", False)
        assert 900_000 < answer.body["retry_after_ms"] <= 1_000_000
        assert 900 < int(answer.headers["retry-after"]) <= 1000
    (event,) = ask("/v1/realtime", subprotocols=[]).body
    assert event["error"]["code"] == "rate_limit_exceeded"
    assert ask(query=f"token={TOKEN}", client=("192.0.2.2", 1)).reached
    assert ask("/health").reached


def _client(**limits: object) -> TestClient:
    return TestClient(create_app(relay=False, access=Access(limits=ServerLimits(**limits))))  # type: ignore[arg-type]


def test_burst_of_requests_is_told_and_the_session_lives_on() -> None:
    with _client(status=Rate(0.001, 3), voice=Rate(0.001, 1)).websocket_connect("/ws/realtime-control") as socket:
        socket.receive_json()
        replies = []
        for _ in range(10):
            socket.send_text('{"action":"getStatus"}')
            replies.append(socket.receive_json())
        assert [reply["type"] for reply in replies] == ["status"] * 3 + ["error"] * 7
        assert replies[-1]["code"] == "rate_limited"
        assert replies[-1]["retry_after_ms"] > 1000
        socket.send_text(json.dumps({"action": "selectVoice", "voiceId": "robot"}))
        assert socket.receive_json()["type"] == "voiceSelected"
        socket.send_text(json.dumps({"action": "start", "audio": {"source": "client"}}))
        assert socket.receive_json()["status"]["processing"] is True
        socket.send_text(json.dumps({"action": "selectVoice", "voiceId": "radio"}))
        assert socket.receive_json()["code"] == "rate_limited"
        socket.send_bytes(bytes(960))
        assert len(socket.receive_bytes()) == 960


def test_gains_of_a_mix_are_turned_as_often_as_other_settings() -> None:
    with _client(voice=Rate(0.001, 1)).websocket_connect("/ws/realtime-control") as socket:

        def mix(first: str, gain: float) -> str:
            voices = [{"voiceId": first, "gain": gain}, {"voiceId": "whisper", "gain": 1.0 - gain}]
            socket.send_json({"action": "mixVoices", "voices": voices})
            reply = socket.receive_json()
            return str(reply.get("code", reply["type"]))

        socket.receive_json()
        assert [mix("robot", n / 50) for n in range(50)] == ["voicesMixed"] * 50
        assert mix("radio", 0.5) == "rate_limited"


@pytest.mark.parametrize(("limits", "code"), [({"session_s": 1.0}, "session_expired"), ({"idle_s": 1.0}, "timeout")])
@pytest.mark.parametrize("path", ["/ws/realtime-control", "/ws/relay"])
def test_socket_ends_when_its_time_does(path: str, limits: dict[str, float], code: str) -> None:
    from menura.server.relay_options import RelaySettings

    silent = socket.create_server(("127.0.0.1", 0))  # a provider that takes calls and says nothing
    settings = RelaySettings(f"ws://127.0.0.1:{silent.getsockname()[1]}/v1")
    app = create_app(relay=settings, access=Access(limits=ServerLimits(**limits)))  # type: ignore[arg-type]
    with silent, TestClient(app) as client, client.websocket_connect(path) as caller:
        assert caller.receive_json()["type"] == "connected"
        assert caller.receive_json()["code"] == code
        with pytest.raises(WebSocketDisconnect) as closed:
            caller.receive_json()
        assert closed.value.code == 1008
    assert app.state.relays.clients == 0


def test_open_sessions_are_listed_and_found_until_they_end() -> None:
    limiter = Limiter(ServerLimits())
    first = limiter.open("a", Grant(Role.USE, "stream", "t1"), "relay")
    second = limiter.open("b")
    assert limiter.open_sessions() == [first, second]
    assert limiter.find(first.id) is first
    assert (first.kind, first.client, first.token, first.role) == ("relay", "a", "stream", "use")
    assert (second.kind, second.token, second.role) == ("control", "", "manage")
    assert first.started_at <= second.started_at
    assert first.id != second.id
    first.close()
    first.close()
    assert limiter.open_sessions() == [second]
    assert limiter.find(first.id) is None


def test_role_allows_itself_and_what_is_below() -> None:
    limiter = Limiter(ServerLimits())
    session = limiter.open("a", Grant(Role.USE, "stream", "t1"))
    session.require("listen")
    session.require(Role.USE)
    with pytest.raises(ForbiddenError, match="use, and manage is needed") as caught:
        session.require("manage")
    assert caught.value.code == "forbidden"
    assert isinstance(caught.value, PermissionError)


def test_token_is_counted_over_all_addresses() -> None:
    limiter = Limiter(ServerLimits(voice=Rate(1.0, 10), shared=2.0, sessions_per_client=3), VirtualClock())
    grant = Grant(Role.USE, "stream", "t1")
    for address in ("a", "b"):
        session = limiter.open(address, grant)
        for _ in range(10):
            session.check("selectVoice")
    third = limiter.open("c", grant)
    with pytest.raises(RateLimitError):
        third.check("selectVoice")
    with pytest.raises(RateLimitError, match="This token"):
        limiter.open("d", grant)
    limiter.open("d").check("selectVoice")
    third.close()
    limiter.open("d", grant)


def test_requests_are_counted_for_an_address_and_for_a_token() -> None:
    limiter = Limiter(ServerLimits(requests=Rate(1.0, 2), clients=10), VirtualClock())
    grant = Grant(Role.USE, "stream", "t1")
    for address in ("a", "b"):
        limiter.request(address)
        limiter.request(address, grant)
    limiter.request("c")
    with pytest.raises(RateLimitError):
        limiter.request("c", grant)
    for number in range(100):
        limiter.request(f"crowd-{number}")
    with pytest.raises(RateLimitError):
        limiter.request("d", grant)
    for _ in range(10):
        limiter.request("operator", Grant())


@pytest.mark.parametrize("path", ["/ws/realtime-control", "/ws/relay"])
def test_operator_ends_a_session(path: str) -> None:
    from menura.server.relay_options import RelaySettings

    gates = []

    class Kept(Gate):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            gates.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("menura.server.app.Gate", Kept)
        app = create_app(relay=RelaySettings("ws://127.0.0.1:9/v1"))
        with TestClient(app) as client, client.websocket_connect(path) as socket:
            socket.receive_json()
            (session,) = gates[0].limiter.open_sessions()
            assert session.kind == {"/ws/relay": "relay"}.get(path, "control")
            assert client.portal is not None
            client.portal.call(session.end)
            told = socket.receive_json()
            while told["type"] != "error":
                told = socket.receive_json()
            assert told["code"] == "ended_by_operator"
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
            assert (closed.value.code, closed.value.reason) == (1008, "ended_by_operator")
        assert gates[0].limiter.sessions == 0


def test_first_reason_counts() -> None:
    session = Limiter(ServerLimits()).open("a")
    ended: list[str] = []
    session.on_end = lambda: ended.append("now")
    session.end(Ending.TOKEN)
    session.end()
    assert (session.ended, ended) == ("token_revoked", ["now"])


@pytest.mark.parametrize(("limits", "code"), [({"session_s": 0.1}, "session_expired"), ({"idle_s": 0.1}, "timeout")])
def test_client_of_the_realtime_api_is_told_in_its_words_when_its_time_is_over(
    limits: dict[str, float], code: str
) -> None:
    told: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "websocket", "path": "/v1/realtime", "headers": [], "client": None}
    asyncio.run(Gate(application, Access(limits=ServerLimits(**limits)), {})(scope, send, send))  # type: ignore[arg-type]
    event = json.loads(told[0]["text"])
    assert (event["type"], event["error"]["code"], told[1]["reason"]) == ("error", code, code)


def test_client_of_the_realtime_api_is_told_that_the_server_ends_by_no_fault_of_its_own() -> None:
    told: list[Any] = []
    goodbyes: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        for say in goodbyes:
            say()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "websocket", "path": "/v1/realtime", "headers": [], "client": None, ON_SHUTDOWN: goodbyes}
    asyncio.run(Gate(application, Access(), {})(scope, send, send))  # type: ignore[arg-type]
    error = json.loads(told[0]["text"])["error"]
    assert (error["type"], error["code"], told[1]["code"]) == ("server_error", "server_shutdown", 1012)


class FastLoop(asyncio.SelectorEventLoop):
    """Where nothing is to be done, its time passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        real = self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None = None) -> Any:
            if not timeout:
                return real(timeout)
            self._now_s += timeout
            return real(0)

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now_s


@pytest.mark.parametrize("used_s", [0.0, 90.0, 250.0, 1010.0])
def test_silence_is_counted_from_when_the_socket_was_last_in_use(used_s: float) -> None:
    ended_s: list[float] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        session_of(scope).busy = lambda: loop.time() < used_s
        try:
            await asyncio.Event().wait()
        finally:
            ended_s.append(loop.time())

    async def send(message: Any) -> None:
        pass

    scope = {"type": "websocket", "path": "/v1/realtime", "headers": [], "client": None}
    gate = Gate(application, Access(limits=ServerLimits(idle_s=100.0)), {})
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(gate(scope, send, send))  # type: ignore[arg-type]
    assert max(100.0, used_s + 100.0 * 7 / 8) <= ended_s[0] <= used_s + 100.1


def test_socket_in_use_is_not_silent_though_nothing_comes() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        session = session_of(scope)
        session.busy = lambda: True
        await asyncio.sleep(0.3)
        assert session.ended is None

    scope = {"type": "websocket", "path": "/v1/realtime", "headers": [], "client": None}
    asyncio.run(Gate(application, Access(limits=ServerLimits(idle_s=0.05)), {})(scope, None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("session=5", "there is no limit 'session'; there are body_bytes"),
        ("sessions", "limit sessions: a whole number, not ''"),
        ("sessions=1.5", "a whole number, not '1.5'"),
        ("sessions=0", "sessions must be above 0"),
        ("requests=50", "limit requests: PER_SECOND/BURST, not '50'"),
        ("requests=0/9", "a rate has per_s and burst above 0"),
        ("stall_s=soon", "limit stall_s: a number"),
        ("stall_s=nan", "above 0"),
    ],
)
def test_limit_that_cannot_be_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ServerLimits().changed([text])
