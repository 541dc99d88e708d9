"""Who hears which recordings, and what a browser without a token sees."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from menura.server.access import Access
from menura.server.app import create_app
from menura.server.tokens import Token
from menura.store.access_tokens import AccessTokens
from menura.store.recordings import Recordings
from tests.server.gate import TOKEN


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    named = AccessTokens()
    with TestClient(create_app(relay=False, access=Access(Token(TOKEN), named=named))) as client:
        yield client


def _kept(client: TestClient, owner: str) -> str:
    recordings: Recordings = client.app.state.catalogue.recordings()  # type: ignore[attr-defined]
    opened = recordings.start(("input",), 48_000, voice_name="Robot", owner=owner)
    opened.write(np.zeros((480, 1), np.float32), np.zeros((480, 1), np.float32))
    return opened.close().id


def test_a_user_hears_its_own_recordings_and_who_manages_all(client: TestClient) -> None:
    operator = {"Authorization": f"Bearer {TOKEN}"}
    bearers = {}
    for name, role in (("Ann", "use"), ("Bob", "use"), ("Eve", "manage")):
        made = client.post("/api/tokens", json={"name": name, "role": role}, headers=operator).json()
        bearers[name] = {"Authorization": f"Bearer {made['token']}"}
    mine, theirs = _kept(client, "Ann"), _kept(client, "Bob")
    nobodys = _kept(client, "")

    def listed(headers: dict[str, str]) -> set[str]:
        return {one["id"] for one in client.get("/api/recordings", headers=headers).json()["recordings"]}

    assert listed(bearers["Ann"]) == {mine}
    assert listed(bearers["Bob"]) == {theirs}
    assert listed(bearers["Eve"]) == listed(operator) == {mine, theirs, nobodys}
    for path in (f"/api/recordings/{theirs}", f"/api/recordings/{theirs}/audio?side=input"):
        refused = client.get(path, headers=bearers["Ann"])
        assert (refused.status_code, refused.json()["error"]) == (404, "No recording has this id")
        assert client.get(path, headers=bearers["Bob"]).status_code == 200
        assert client.get(path, headers=bearers["Eve"]).status_code == 200


def test_names_of_tokens_may_be_longer_than_a_recording_keeps(client: TestClient) -> None:
    names = [80 * "n", 79 * "n" + "m", 64 * "n"]
    kept = {}
    for name in names:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        made = client.post("/api/tokens", json={"name": name, "role": "use"}, headers=headers).json()
        kept[made["token"]] = _kept(client, name)
    for token, mine in kept.items():
        answer = client.get("/api/recordings", headers={"Authorization": f"Bearer {token}"})
        assert [one["id"] for one in answer.json()["recordings"]] == [mine]


@pytest.mark.parametrize(("accept", "kind"), [("text/html,*/*;q=0.8", "text/html"), ("*/*", "application/json")])
def test_a_browser_without_a_token_is_told_so_in_a_sentence(client: TestClient, accept: str, kind: str) -> None:
    answer = client.get("/", headers={"Accept": accept})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith(kind)
    assert "asks for its token" in answer.text
    assert client.get("/api/voices", headers={"Accept": accept}).headers["content-type"] == "application/json"
