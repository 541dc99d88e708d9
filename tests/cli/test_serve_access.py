"""``menura serve`` with a token, as a process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from menura.cli.serve import AccessFlags, _admission, _given_token, _with_environment
from menura.errors import ConfigError
from menura.store.access_tokens import AccessTokens
from tests.serving import Client

TOKEN = "a-token-of-the-operator_42"
TIMEOUT_S = 20.0


@contextmanager
def served(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[list[str]]:
    """A server; gives its first line, and at the end all that it printed and logged."""
    said: list[str] = []
    command = [sys.executable, "-m", "menura", "serve", "--port", "0", *arguments]
    given = {**os.environ, **(environment or {})}
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=given)
        assert process.stdout is not None
        try:
            said.append(process.stdout.readline())
            yield said
        finally:
            process.terminate()
            said.append(process.stdout.read())
            process.wait(10)
            process.stdout.close()
            log.seek(0)
            said.append(log.read())


def _use(address: str, token: str) -> None:
    """Ask in every way, rightly and wrongly."""
    assert httpx.get(address).status_code == 401
    assert httpx.get(f"{address}health").status_code == 200
    assert httpx.get(f"{address}?token={token}").status_code == 200
    assert httpx.get(f"{address}metrics?%74oken=%{ord(token[0]):x}{token[1:]}").status_code == 200
    assert httpx.get(f"{address}metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    with pytest.raises(InvalidStatus) as caught, Client(address):
        pass
    assert caught.value.response.status_code == 403
    with Client(address, subprotocols=["menura", f"menura.token.{token}"]) as client:
        assert client.socket.subprotocol == "menura"
        assert client.ask("getStatus")["type"] == "status"
    with Client(address, additional_headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.greeting == {"type": "connected"}
    with connect(f"{address.replace('http', 'ws')}ws/relay?token={token}") as relay:
        assert json.loads(relay.recv(TIMEOUT_S))["code"] == "not_configured"
    realtime = address.replace("http", "ws") + "v1/realtime"
    for offered, code in ((f"openai-insecure-api-key.{token}", "not_configured"), ("realtime", "invalid_api_key")):
        with connect(realtime, subprotocols=["realtime", offered]) as socket:  # type: ignore[list-item]
            assert json.loads(socket.recv(TIMEOUT_S))["error"]["code"] == code
            with pytest.raises(ConnectionClosed):
                socket.recv(TIMEOUT_S)


def test_token_is_made_on_an_address_that_others_reach_and_printed_once(tmp_path: Path) -> None:
    with served(tmp_path, "--host", "0.0.0.0", "--log-level", "debug", "--no-relay") as said:
        found = re.search(r"(http://127\.0\.0\.1:\d+/)\?token=([\w-]{43})", said[0])
        assert found, said
        _use(found[1], found[2])
    assert sum(text.count(found[2]) for text in said) == 1
    assert found[2][1:] not in said[1] + said[2]
    assert "/metrics?…" in said[1]


def test_token_that_is_given_is_printed_and_logged_nowhere(tmp_path: Path) -> None:
    with served(tmp_path, "--log-level", "debug", "--no-relay", environment={"MENURA_TOKEN": TOKEN}) as said:
        found = re.search(r"http://127\.0\.0\.1:\d+/", said[0])
        assert found, said
        _use(found[0], TOKEN)
    assert TOKEN[1:] not in "".join(said)
    assert "add ?token=" in said[1]


def test_loopback_needs_no_token_and_other_addresses_get_one() -> None:
    for bound in ("127.0.0.1", "::1", "127.8.0.1", "::ffff:127.0.0.1"):
        admission = _admission(bound, bound, None, AccessFlags())
        assert (admission.access.token, admission.made) == (None, "")
    for bound in ("0.0.0.0", "::", "192.0.2.7", "fe80::1%eth0"):
        admission = _admission(bound, bound, None, AccessFlags())
        assert admission.access.token is not None
        assert admission.access.token.matches(admission.made)
        assert admission.made not in repr(admission)
        assert admission.access.hosts.allow("any.example")


def test_names_that_are_allowed_hold_on_any_address() -> None:
    rules = _admission("0.0.0.0", "0.0.0.0", None, AccessFlags(hosts=["voice.example"])).access.hosts
    assert rules.allow("voice.example:8000")
    assert not rules.allow("other.example")
    assert _admission("127.0.1.1", "mybox", None, AccessFlags()).access.hosts.allow("mybox:8000")


def test_file_goes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    given = _given_token(AccessFlags(tmp_path / "token"), {"MENURA_TOKEN": "another-token-of-them"})
    assert given is not None
    assert given.matches(TOKEN)
    assert _given_token(AccessFlags(), {}) is None


@pytest.mark.parametrize("text", ["", "short", "two words in this token", "é" * 20])
def test_token_that_cannot_be_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MENURA_TOKEN: a token has 16 to 256") as caught:
        _given_token(AccessFlags(), {"MENURA_TOKEN": text})
    assert not text or text not in str(caught.value)
    (tmp_path / "token").write_text(text)
    with pytest.raises(ConfigError, match="--token-file"):
        _given_token(AccessFlags(tmp_path / "token"), {})


def test_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere"):
        _given_token(AccessFlags(tmp_path / "nowhere"), {})


def test_required_token_is_made_unless_there_are_named_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    flags = AccessFlags(require_token=True)
    first = _admission("127.0.0.1", "127.0.0.1", None, flags)
    assert first.made
    assert not first.access.open
    tokens = AccessTokens()
    tokens.add("stream", "use")
    tokens.close()
    named = _admission("127.0.0.1", "127.0.0.1", None, flags)
    assert (named.made, named.access.token, named.access.open) == ("", None, False)
    assert _admission("0.0.0.0", "0.0.0.0", None, AccessFlags()).made


def test_behind_a_proxy_a_token_is_needed_on_loopback_too() -> None:
    admission = _admission("127.0.0.1", "127.0.0.1", None, AccessFlags(proxies=["127.0.0.1"]))
    assert admission.made
    assert not admission.access.open
    assert admission.access.hosts.allow("voice.example")
    assert admission.access.proxies.trust("127.0.0.1")
    named = _admission("127.0.0.1", "127.0.0.1", None, AccessFlags(hosts=["voice.example"], proxies=["10.0.0.0/8"]))
    assert not named.access.hosts.allow("evil.example")


def test_limits_and_proxies_come_from_the_environment_too() -> None:
    environment = {"MENURA_LIMITS": "sessions=7, requests=9/90", "MENURA_TRUSTED_PROXIES": "10.0.0.0/8"}
    flags = _with_environment(AccessFlags(limits=["sessions=8"], proxies=["127.0.0.1"]), environment)
    access = _admission("127.0.0.1", "127.0.0.1", None, flags).access
    assert (access.limits.sessions, access.limits.requests.burst) == (8, 90)
    assert access.proxies.trust("10.2.3.4")
    assert access.proxies.trust("127.0.0.1")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (AccessFlags(limits=["sesions=5"]), "there is no limit 'sesions'"),
        (AccessFlags(proxies=["proxy.example"]), "a proxy is an address"),
    ],
)
def test_limit_or_proxy_that_cannot_be_is_refused(flags: AccessFlags, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        _admission("127.0.0.1", "127.0.0.1", None, flags)
