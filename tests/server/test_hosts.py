import pytest

from menura.errors import ConfigError
from menura.server.access import Access
from menura.server.hosts import HostRules, same_origin
from tests.server.gate import Asking


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST.:8000", True),
        ("127.0.0.1:9", True),
        ("127.9.9.9", True),
        ("[::1]:8000", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("[::ffff:127.0.0.1]:80", True),
        ("voice.example", True),
        ("Voice.Example.:443", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example:8000@localhost", False),
        ("localhost:8000:8000", False),
        ("localhost:99999", False),
        ("localhost..", False),
        (".localhost", False),
        ("::1", False),
        ("[127.0.0.1]", False),
        ("2130706433", False),
        ("0x7f.1", False),
        ("local host", False),
        ("voice.example\u00e9", False),
    ],
)
def test_host_is_one_of_ours_or_not(host: str, allowed: bool) -> None:
    rules = HostRules.of("127.0.0.1", named=["Voice.example."])
    assert rules.allow(host) is allowed
    answer = Asking(Access(hosts=rules))(headers=[("host", host)] if host else [])
    assert answer.reached is allowed
    assert allowed or (answer.status, answer.body["code"]) == (421, "host_not_allowed")


def test_two_hosts_are_none() -> None:
    assert not Asking(Access())(headers=[("host", "a"), ("host", "a")]).reached


def test_any_name_with_a_token_unless_some_are_named() -> None:
    assert HostRules.of("0.0.0.0", token=True).names is None
    assert not HostRules.of("127.0.0.1", token=True).allow("any.example")
    named = HostRules.of("192.0.2.1", named=["a.example"], token=True)
    assert [named.allow(host) for host in ("a.example", "192.0.2.1:8", "b.example")] == [True, True, False]


@pytest.mark.parametrize("name", ["", "a.example:80", "http://a.example", "*.example", "a b", "[::1"])
def test_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="without port"):
        HostRules.of("127.0.0.1", named=[name])


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://host:8000", "host:8000", True),
        ("http://host:8000", "host:8001", False),
        ("http://HOST.:8000", "host:8000", True),
        ("HTTP://host", "Host:80", True),
        ("https://host", "host", True),
        ("https://host", "host:443", True),
        ("https://host:8443", "host", False),
        ("http://[0:0::1]:8000", "[::1]:8000", True),
        ("http://[::1]:8000", "[::2]:8000", False),
        ("http://localhost:8000", "127.0.0.1:8000", False),
        ("http://host.evil.example", "host", False),
        ("http://evil@host:8000", "host:8000", False),
        ("http://host:8000/path", "host:8000", False),
        ("http://host:8000, http://host:8000", "host:8000", False),
        ("null", "host", False),
        ("", "host", False),
        ("file://", "host", False),
        ("chrome-extension://host:8000", "host:8000", False),
        ("http://", "", False),
    ],
)
def test_page_is_from_here_or_not(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same
    headers = [("host", host), ("origin", origin)]
    ask = Asking(Access())
    for path in ("/ws/realtime-control", "/ws/relay", "/v1/realtime"):
        answer = ask(path, headers=headers, subprotocols=[])
        assert answer.reached is same
        assert same or answer.status == 403
    posted = ask("/api", headers=headers, method="POST")
    assert posted.reached is same
    assert same or posted.body["code"] == "origin_not_allowed"
    assert ask("/metrics", headers=headers).reached, "reading is for the browser to forbid"


def test_programs_that_say_no_origin_are_let_in() -> None:
    headers = [("host", "host:8000")]
    assert Asking(Access())("/api", headers=headers, method="DELETE").reached
    assert Asking(Access())("/ws/relay", headers=headers, subprotocols=[]).reached


def test_two_origins_are_none() -> None:
    headers = [("host", "host"), ("origin", "http://host"), ("origin", "http://host")]
    assert not Asking(Access())("/ws/relay", headers=headers, subprotocols=[]).reached
