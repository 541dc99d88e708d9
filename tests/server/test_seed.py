"""The control protocol's document has three tests; they pass as written there. One more: a broken voice."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from menura import create_app
from menura.voices.builtin import builtin_voices
from menura.voices.voice import Category, StageSpec, Voice


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app()) as client:
        yield client


def test_websocket_connection(client: TestClient) -> None:
    with client.websocket_connect("/ws/realtime-control") as websocket:
        data = websocket.receive_json()
        assert data["type"] == "connected"


def test_get_voices(client: TestClient) -> None:
    with client.websocket_connect("/ws/realtime-control") as websocket:
        websocket.receive_json()
        websocket.send_json({"action": "getVoices"})
        data = websocket.receive_json()
        assert data["type"] == "voices"
        assert len(data["voices"]) > 0


def test_select_voice(client: TestClient) -> None:
    with client.websocket_connect("/ws/realtime-control") as websocket:
        websocket.receive_json()
        websocket.send_json({"action": "selectVoice", "voiceId": builtin_voices()[0].id})
        data = websocket.receive_json()
        assert data["type"] == "voiceSelected"


def test_voice_that_cannot_be_built_says_model_loading_failed() -> None:
    broken = Voice("broken", "Broken", Category.CUSTOM, "", (StageSpec("teleport"),))
    with (
        TestClient(create_app([broken])) as client,
        client.websocket_connect("/ws/realtime-control") as websocket,
    ):
        websocket.receive_json()
        websocket.send_json({"action": "selectVoice", "voiceId": "broken"})
        assert websocket.receive_json()["type"] == "voiceSelected"
        websocket.send_json({"action": "start", "audio": {"source": "client"}})
        reply = websocket.receive_json()
        assert (reply["error"], reply["code"]) == ("Model loading failed", "model_loading_failed")
        assert "teleport" in reply["reason"]
        websocket.send_json({"action": "getStatus"})
        assert websocket.receive_json()["status"]["processing"] is False
