"""What a server tells of its errors: nothing of its machine, its database or its tokens."""

import logging
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.websockets import WebSocketDisconnect

from menura.errors import FileError, LibraryError, public_text
from menura.server.access import Access
from menura.server.app import create_app
from menura.server.headers import HEADERS
from menura.server.limits import Rate, ServerLimits
from menura.server.masking import MaskSecrets
from menura.server.tokens import Token
from menura.store.access_tokens import AccessTokens
from tests.server.gate import TOKEN

SECRET = re.compile(
    r"secret|select |insert |sqlite|sqlalchemy|Traceback|File \\?\"|site-packages|/tmp/|/home/|" + TOKEN, re.IGNORECASE
)
LIMITS = ServerLimits(requests=Rate(1e6, 10**6), connections=Rate(1e6, 10**6))


def _routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and an address of every route."""
    paths = app.openapi()["paths"].items()
    return [(method.upper(), re.sub(r"\{[^}]*\}", "robot", path)) for path, methods in paths for method in methods]


@pytest.mark.parametrize("failure", ["database", "bug"])
def test_errors_tell_nothing_of_the_machine(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path / "secret home"))
    tokens = AccessTokens()
    _, text = tokens.add("stream", "manage")
    access = Access(Token(TOKEN), named=tokens, limits=LIMITS)
    app = create_app(relay=False, access=access)
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def fail(*_: object, **__: object) -> None:
        if failure == "bug":
            raise RuntimeError(f"secret bug at {tmp_path}")
        raise OperationalError("select secret from tokens", {"digest": "secret"}, Exception("secret disk I/O error"))

    statuses = set()
    with TestClient(app, raise_server_exceptions=False) as client:
        client.get("/api/voices", headers=headers)
        for name in ("execute", "scalars", "scalar", "get"):
            monkeypatch.setattr(Session, name, fail)
        for method, path in _routes(app):
            for body in (b"", b"{}", b'{"name":"a","role":"use","stages":[]}', b"\xff"):
                sent = {"Content-Type": "application/json"} | headers
                answer = client.request(method, path, content=body, headers=sent)
                statuses.add(answer.status_code)
                if "json" in answer.headers.get("content-type", "") and not path.endswith("openapi.json"):
                    assert not SECRET.search(answer.text), (method, path, answer.text)
                assert answer.headers["x-content-type-options"] == "nosniff", (method, path)
        with client.websocket_connect("/ws/realtime-control", headers=headers) as socket:
            socket.receive_json()
            for sent_text in ('{"action":"getVoices"}', '{"action":"selectVoice","voiceId":"robot"}', "x"):
                socket.send_text(sent_text)
                assert not SECRET.search(socket.receive_text())
    tokens.close()
    assert statuses - {200, 404}
    assert TOKEN not in caplog.text
    assert text not in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot read /home/jo/voices/a.pth: gone", "cannot read a.pth: gone"),
        (r"cannot read C:\Users\jo\a.pth", "cannot read a.pth"),
        ("~/models/x.onnx is missing", "x.onnx is missing"),
        ("cannot open the library sqlite:////home/jo/library.db: locked", "cannot open the library …: locked"),
        ("postgresql+psycopg://jo:pw@db/voices was written", "… was written"),
        ("see https://menura.example/a/b/c and /api/voices/x", "see https://menura.example/a/b/c and /api/voices/x"),
        ("a pitch of 3/4 or 1/2/3", "a pitch of 3/4 or 1/2/3"),
    ],
)
def test_error_is_told_without_folders(text: str, told: str) -> None:
    assert public_text(FileError(text)) == told


def test_what_a_database_says_is_not_told() -> None:
    error = LibraryError("the library cannot be read or written: no such table: secret")
    error.__cause__ = OperationalError("select", {}, Exception())
    assert public_text(error) == "the library cannot be read or written"


def test_tokens_are_masked_in_the_log() -> None:
    text = "menura_" + "a1-_" * 10
    record = logging.LogRecord("uvicorn.error", 30, "", 0, "%s came with " + text, (f"/ws?token={text}",), None)
    assert MaskSecrets().filter(record)
    assert text not in record.getMessage()
    assert "menura_voice came" in _masked("menura_voice came")


def _masked(text: str) -> str:
    record = logging.LogRecord("uvicorn.error", 30, "", 0, text, (), None)
    MaskSecrets().filter(record)
    return record.getMessage()


def test_page_may_load_nothing_from_elsewhere_and_run_nothing_inline() -> None:
    with TestClient(create_app(relay=False)) as client:
        for path in ("/", "/health", "/page/nothing.js", "/metrics"):
            answer = client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert {name for name in HEADERS if name.lower() not in answer.headers} == set()
            assert "strict-transport-security" not in answer.headers
        with pytest.raises(WebSocketDisconnect):
            client.websocket_connect("/ws/nothing").__enter__()
