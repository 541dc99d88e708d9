import pytest

from menura.errors import ConfigError
from menura.server.access import Access
from menura.server.tokens import Token, answered_subprotocol
from tests.server.gate import TOKEN, Asking

HOST = ("host", "menura.example")


@pytest.fixture
def ask() -> Asking:
    return Asking(Access(Token(TOKEN)))


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 257, "has a blank in it, you see", "umlaut-ä-and-more-of-it", "a,b" * 9]
)
def test_token_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Token(text)
    assert not text or text not in str(caught.value)


def test_token_is_seen_nowhere() -> None:
    token = Token(TOKEN)
    shown = [repr(token), str(token), repr(Access(token)), repr({"a": [token]}), repr(token.page_cookie)]
    assert not any(TOKEN in text for text in shown)
    assert not any(TOKEN in str(getattr(token, name)) for name in Token.__slots__)


def test_made_tokens_are_tokens_and_differ() -> None:
    made = {Token.make() for _ in range(50)}
    assert len(made) == 50
    assert all(Token(text).matches(text) for text in made)


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/metrics", "/openapi.json", "/nothing", "/health/", "/Health"])
def test_every_route_needs_the_token(ask: Asking, path: str) -> None:
    answer = ask(path, headers=[HOST])
    assert (answer.status, answer.body["code"], answer.reached) == (401, "unauthorized", False)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ask(path, f"token={TOKEN}", [HOST]).reached
    assert ask(path, headers=[HOST, ("authorization", f"bearer {TOKEN}")]).reached


def test_health_needs_none(ask: Asking) -> None:
    assert ask("/health", headers=[]).reached
    assert not ask("/health", headers=[HOST], method="POST").reached
    assert not ask("/health", headers=[HOST], subprotocols=[]).reached


@pytest.mark.parametrize(
    "query",
    ["token=", "token=wrong", f"Token={TOKEN}", f"token={TOKEN}x", f"token={TOKEN[:-1]}", f"token={TOKEN}%00",
     "token=%ff%ff", f"token=%20{TOKEN}", "a=b&" * 99 + f"token={TOKEN}", f";token={TOKEN}"],
)  # fmt: skip
def test_what_is_nearly_the_token_is_not_it(ask: Asking, query: str) -> None:
    assert not ask(query=query, headers=[HOST]).reached


@pytest.mark.parametrize(
    "value", [TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}, {TOKEN}", "\xff\xfe"]
)
def test_header_that_is_no_bearer_is_not_it(ask: Asking, value: str) -> None:
    assert not ask(headers=[HOST, ("authorization", value)]).reached


@pytest.mark.parametrize("path", ["/ws/realtime-control", "/ws/relay", "/v1/realtime", "/ws/nothing"])
def test_every_socket_needs_the_token(ask: Asking, path: str) -> None:
    refused = ask(path, headers=[HOST], subprotocols=["menura", "menura.token.wrong-wrong-wrong"])
    assert not refused.reached
    assert ask(path, headers=[HOST], subprotocols=["menura", f"menura.token.{TOKEN}"]).reached
    assert ask(path, f"token={TOKEN}", [HOST], subprotocols=[]).reached
    assert ask(path, headers=[HOST, ("authorization", f"Bearer {TOKEN}")], subprotocols=[]).reached
    if path != "/v1/realtime":
        assert refused.sent == [{"type": "websocket.close", "code": 1008}]


def test_client_of_the_realtime_api_is_told_in_its_words(ask: Asking) -> None:
    answer = ask("/v1/realtime", headers=[HOST], subprotocols=["realtime", "openai-insecure-api-key.sk-other-key-123"])
    assert answer.sent[0]["subprotocol"] == "realtime"
    (event,) = answer.body
    assert (event["type"], event["error"]["code"], event["error"]["type"]) == (
        "error",
        "invalid_api_key",
        "invalid_request_error",
    )
    assert (answer.sent[-1]["type"], answer.sent[-1]["code"]) == ("websocket.close", 1008)
    assert not answer.reached
    assert ask("/v1/realtime", headers=[HOST], subprotocols=["realtime", f"openai-insecure-api-key.{TOKEN}"]).reached


def test_api_key_of_a_browser_is_for_the_realtime_api_only(ask: Asking) -> None:
    assert not ask("/ws/relay", headers=[HOST], subprotocols=[f"openai-insecure-api-key.{TOKEN}"]).reached


def test_page_comes_with_a_cookie_that_opens_its_parts_and_nothing_else(ask: Asking) -> None:
    cookie = ask("/", f"token={TOKEN}", [HOST]).headers["set-cookie"]
    assert TOKEN not in cookie
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
    held = [HOST, ("cookie", f"other=1; {cookie.split(';')[0]}")]
    assert ask("/", headers=held).reached
    assert ask("/page/audio.js", headers=held).reached
    assert not ask("/metrics", headers=held).reached
    assert not ask("/", headers=held, method="POST").reached
    assert not ask("/ws/realtime-control", headers=held, subprotocols=[]).reached
    assert not ask("/", headers=[HOST, ("cookie", cookie.split(";")[0][:-1])]).reached
    assert not Asking(Access(Token(TOKEN + "x")))("/", headers=held).reached
    assert "set-cookie" not in ask("/metrics", f"token={TOKEN}", [HOST]).headers
    assert "set-cookie" not in ask("/", headers=[HOST]).headers


def test_without_a_token_nothing_is_asked() -> None:
    answer = Asking(Access())("/", headers=[HOST])
    assert answer.reached
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ([], None),
        (["menura"], "menura"),
        (["menura.token.x"], "menura.token.x"),
        (["menura.token.x", "menura"], "menura"),
    ],
)
def test_subprotocol_is_one_of_those_offered(offered: list[str], answered: str | None) -> None:
    assert answered_subprotocol(offered) == answered
