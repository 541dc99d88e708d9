"""Clients behind a reverse proxy."""

from typing import Any

import pytest

from menura.errors import ConfigError
from menura.server.access import Access
from menura.server.proxies import FORWARDED_SCHEME, Proxies
from menura.server.rates import Rate, ServerLimits
from tests.server.gate import Asking

PROXY = "192.0.2.9"
HOST = ("host", "voice.example")


def _behind(*headers: tuple[str, str], peer: str = PROXY) -> dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope: dict[str, Any] = {"client": (peer, 5), "headers": raw}
    Proxies.of([PROXY, "2001:db8:1::/48", "10.0.0.0/8"]).look_behind(scope)
    return scope


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("127.0.0.1, 198.51.100.7", "198.51.100.7"),  # who asks may begin the list with anything
        ("198.51.100.7, 10.1.1.1", "198.51.100.7"),  # two proxies
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", "10.1.1.1"),  # a proxy that asks for itself
        ("unknown", PROXY),
        ("198.51.100.7, unknown, 10.1.1.1", "10.1.1.1"),
        ("", PROXY),
    ],
)
def test_client_is_the_last_who_is_no_proxy(told: str, client: str) -> None:
    assert _behind(("x-forwarded-for", told))["client"][0] == client


def test_lists_of_several_headers_are_one() -> None:
    heads = [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "10.9.9.9")]
    assert _behind(*heads)["client"][0] == "198.51.100.7"


def test_who_is_no_proxy_is_not_believed() -> None:
    scope = _behind(("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", "https"), peer="203.0.113.4")
    assert scope["client"] == ("203.0.113.4", 5)
    assert FORWARDED_SCHEME not in scope


def test_nobody_is_believed_unless_told() -> None:
    scope: dict[str, Any] = {"client": ("127.0.0.1", 5), "headers": [(b"x-forwarded-for", b"198.51.100.7")]}
    Proxies().look_behind(scope)
    assert scope["client"] == ("127.0.0.1", 5)


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "", "10.0.0.0/99"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="an address or a network"):
        Proxies.of([text])


def test_clients_behind_a_proxy_have_rates_of_their_own() -> None:
    ask = Asking(Access(limits=ServerLimits(requests=Rate(0.001, 2)), proxies=Proxies.of([PROXY])))

    def status(client: str) -> int:
        return ask(headers=[("host", "localhost"), ("x-forwarded-for", client)], client=(PROXY, 1)).status

    assert [status("198.51.100.7") for _ in range(3)] == [200, 200, 429]
    assert status("198.51.100.8") == 200


@pytest.mark.parametrize(
    ("origin", "scheme", "status"),
    [
        ("https://voice.example", "https", 101),
        ("https://voice.example", "wss", 101),
        ("http://voice.example", "https", 403),  # whoever sits on the network may have made that page
        ("http://voice.example", "http", 101),
        ("https://voice.example:8443", "https", 403),
        ("https://evil.example", "https", 403),
    ],
)
def test_page_comes_from_the_scheme_that_the_proxy_tells(origin: str, scheme: str, status: int) -> None:
    ask = Asking(Access(proxies=Proxies.of([PROXY])))
    heads = [HOST, ("origin", origin), ("x-forwarded-proto", scheme)]
    answer = ask("/ws/realtime-control", headers=heads, subprotocols=[], client=(PROXY, 1))
    assert answer.status == status


def test_cookie_of_a_page_behind_tls_goes_over_tls_only() -> None:
    from menura.server.tokens import Token
    from tests.server.gate import TOKEN

    ask = Asking(Access(Token(TOKEN), proxies=Proxies.of([PROXY])))
    for scheme, secure in (("https", True), ("http", False)):
        heads = [HOST, ("x-forwarded-proto", scheme)]
        answer = ask("/", f"token={TOKEN}", headers=heads, client=(PROXY, 1))
        assert ("Secure" in answer.headers["set-cookie"]) is secure
