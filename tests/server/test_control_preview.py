import json
import threading
import urllib.request
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from menura.server import previews
from menura.server.app import create_app
from menura.voices.builtin import find_voice
from tests.neural.rvc import FIXTURES
from tests.server.conftest import Served
from tests.serving import TIMEOUT_S, Client


def post(address: str, data: bytes) -> Any:
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def heard(client: Client) -> bytes:
    """Until the preview has ended."""
    client.audio.clear()
    assert client.reply() == {"type": "previewEnded", "voiceId": "robot"}
    return bytes(client.audio)


def test_a_preview_is_sent_as_its_file_has_it(server: str) -> None:
    with urllib.request.urlopen(f"{server}api/voices/robot/preview") as answer:
        y, rate = soundfile.read(BytesIO(answer.read()), dtype="int16")
    with Client(server) as client:
        client.ask("configureAudio", audio={"output": {"sample_rate": rate}})
        started = client.ask("previewVoice", voiceId="robot")
        assert started == {
            "type": "previewStarted",
            "voice": {"id": "robot", "name": "Robot", "category": "character"},
            "sample_rate": rate,
            "format": "pcm16",
            "duration_ms": round(1000 * len(y) / rate, 3),
            "url": "/api/voices/robot/preview",
        }
        np.testing.assert_array_equal(np.frombuffer(heard(client), "<i2"), y)
        assert client.ask("stopPreview")["code"] == "not_active"


def test_a_preview_has_the_rate_and_format_that_the_client_configured(server: str) -> None:
    with Client(server) as client:
        client.ask(
            "configureAudio", audio={"sample_rate": 16_000, "output": {"sample_rate": 8000, "format": "pcm_f32"}}
        )
        started = client.ask("previewVoice", voiceId="robot")
        assert (started["sample_rate"], started["format"]) == (8000, "pcm_f32")
        x = np.frombuffer(heard(client), "<f4")
        assert len(x) == pytest.approx(8 * started["duration_ms"], abs=1)
        assert 0.05 < np.abs(x).max() <= 1.0


def test_a_preview_is_stopped_and_the_next_one_ends_the_one_before(server: str) -> None:
    with Client(server) as client:
        client.ask("configureAudio", audio={"sample_rate": 192_000, "format": "pcm_f32"})
        assert client.ask("previewVoice", voiceId="robot")["type"] == "previewStarted"
        assert client.ask("previewVoice", voiceId="radio") == {"type": "previewEnded", "voiceId": "robot"}
        assert client.reply()["voice"]["id"] == "radio"
        assert client.ask("stopPreview") == {"type": "previewEnded", "voiceId": "radio"}
        assert client.ask("stopPreview")["code"] == "not_active"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Rendering waits for this."""
    go, render = threading.Event(), previews._render

    def wait(*arguments: Any) -> previews.Preview:
        assert go.wait(TIMEOUT_S)
        return render(*arguments)

    monkeypatch.setattr(previews, "_render", wait)
    return go


def test_whoever_waits_for_a_preview_may_do_other_things_meanwhile(slow: threading.Event) -> None:
    app = create_app([find_voice("robot"), find_voice("radio")], relay=False)
    with TestClient(app) as http, http.websocket_connect("/ws/realtime-control") as socket:

        def ask(action: str, **fields: Any) -> Any:
            socket.send_json({"action": action, **fields})
            return socket.receive_json()

        assert socket.receive_json()["type"] == "connected"
        socket.send_json({"action": "previewVoice", "voiceId": "robot"})
        assert ask("selectVoice", voiceId="radio")["type"] == "voiceSelected"
        assert ask("previewVoice", voiceId="radio") == {"type": "previewEnded", "voiceId": "robot"}
        assert ask("stopPreview") == {"type": "previewEnded", "voiceId": "radio"}
        socket.send_json({"action": "previewVoice", "voiceId": "robot"})
        assert ask("setParameters", parameters={"mix": 0.5})["type"] == "parametersSet"
        slow.set()
        assert socket.receive_json()["type"] == "previewStarted"


def test_preview_that_was_made_waits_for_no_other(slow: threading.Event) -> None:
    slow.set()
    app = create_app([find_voice("robot"), find_voice("radio")], relay=False)
    with TestClient(app) as client, client.websocket_connect("/ws/realtime-control") as socket:
        tag = client.get("/api/voices/robot/preview").headers["etag"]
        slow.clear()
        assert socket.receive_json()["type"] == "connected"
        socket.send_json({"action": "previewVoice", "voiceId": "radio"})
        socket.send_json({"action": "getStatus"})
        assert socket.receive_json()["type"] == "status"
        assert client.get("/api/voices/robot/preview").headers["etag"] == tag
        slow.set()
        assert socket.receive_json()["voice"]["id"] == "radio"


def test_no_preview_of_a_voice_that_is_not_there_or_while_the_clients_audio_is_processed(server: str) -> None:
    with Client(server) as client:
        assert client.ask("previewVoice", voiceId="nobody")["error"] == "Voice not found: nobody"
        client.begin("radio")
        assert client.ask("previewVoice", voiceId="robot")["code"] == "already_active"
        client.ask("stop")
        assert client.ask("previewVoice", voiceId="robot")["type"] == "previewStarted"
        client.socket.send(json.dumps({"action": "start", "audio": {"source": "client"}}))
        assert client.reply()["type"] == "previewEnded"
        assert client.reply()["status"]["processing"] is True


def test_a_client_that_leaves_during_a_preview_takes_nothing_with_it(server: str) -> None:
    with Client(server) as client:
        client.ask("configureAudio", audio={"sample_rate": 192_000, "format": "pcm_f32"})
        assert client.ask("previewVoice", voiceId="robot")["type"] == "previewStarted"
    with Client(server) as client:
        assert client.ask("previewVoice", voiceId="robot")["type"] == "previewStarted"
        assert heard(client)


def test_a_voice_whose_models_are_missing_says_how_to_get_them(served: Served) -> None:
    with Client(served.address) as client:
        assert client.ask("getVoices")["type"] == "voices"
        sent = post(f"{served.address}api/models?filename=x.pth", (FIXTURES / "v2_48k_f0.pth").read_bytes())
        made = post(f"{served.address}api/models/{sent['id']}/voice", json.dumps({"name": "Singer"}).encode())
        assert client.reply() == {"type": "voicesChanged"}
        reply = client.ask("previewVoice", voiceId=made["id"])
        assert (reply["error"], reply["code"]) == ("Model loading failed", "model_loading_failed")
        assert reply["action"] == "previewVoice"
        assert "menura models pull" in reply["reason"]
        assert client.ask("previewVoice", voiceId="robot")["type"] == "previewStarted"
