"""What a control connection refuses, and that it goes on afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from menura.errors import FileError
from menura.server.access import Access
from menura.server.app import create_app
from menura.store.access_tokens import AccessTokens
from menura.store.recordings import OpenRecording

RATE = 16_000
ACTIONS = {
    "selectVoice": {"voiceId": "robot"},
    "mixVoices": {"voices": [{"voiceId": "robot"}, {"voiceId": "whisper"}]},
    "start": {},
    "stop": {},
    "setParameters": {"parameters": {"mix": 0.5}},
    "setInput": {"input": {"muted": True}},
    "setEffects": {"effects": []},
    "configureAudio": {"audio": {}},
    "stopRecording": {},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path / "home"))


def ask(socket: Any, action: str, **fields: Any) -> dict[str, Any]:
    """The reply; audio before it is left out."""
    socket.send_json({"action": action, **fields})
    while "text" not in (message := socket.receive()):
        pass
    reply: dict[str, Any] = json.loads(message["text"])
    return reply


def test_one_who_may_only_listen_sees_and_hears_but_changes_nothing(tmp_path: Path) -> None:
    tokens = AccessTokens(tmp_path / "home")
    _, text = tokens.add("Lobby", "listen")
    app = create_app(relay=False, access=Access(named=tokens, required=True))
    with (
        TestClient(app) as api,
        api.websocket_connect(
            "/ws/realtime-control", headers={"Authorization": f"Bearer {text}", "host": "localhost"}
        ) as socket,
    ):
        assert socket.receive_json() == {"type": "connected"}
        for action, fields in ACTIONS.items():
            reply = ask(socket, action, **fields)
            assert reply["code"] == "forbidden", action
        assert ask(socket, "getVoices")["type"] == "voices"
        assert ask(socket, "getStatus")["status"]["processing"] is False
        assert ask(socket, "previewVoice", voiceId="robot")["type"] == "previewStarted"
    tokens.close()


def test_a_disk_that_fills_while_recording_is_told_and_the_session_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise FileError("the recording cannot be written (No space left on device)")

    with (
        TestClient(create_app(relay=False)) as api,
        api.websocket_connect("/ws/realtime-control", headers={"host": "localhost"}) as socket,
    ):
        assert socket.receive_json() == {"type": "connected"}
        ask(socket, "selectVoice", voiceId="radio")
        assert ask(socket, "start", audio={"source": "client", "sample_rate": RATE})["type"] == "status"
        assert ask(socket, "startRecording")["type"] == "recordingStarted"
        monkeypatch.setattr(OpenRecording, "write", full)
        socket.send_bytes(bytes(RATE))
        told = []
        while len(told) < 2:
            if "text" in (message := socket.receive()):
                told.append(json.loads(message["text"]))
        assert "No space left" in told[0]["error"]
        assert told[0]["code"] == "file_error"
        assert told[1]["type"] == "recordingStopped"
        status = ask(socket, "getStatus")
        assert (status["status"]["processing"], status["details"]["recording"]) == (True, 0.0)
        socket.send_bytes(bytes(960))
        assert len(socket.receive_bytes()) == 960
