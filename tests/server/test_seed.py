"""The control protocol's document has three tests; they pass as written there."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from menura import create_app
from menura.voices.builtin import builtin_voices


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
