"""The REST interface as its clients use it."""

import io
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi.testclient import TestClient

from menura.errors import FileError, LimitError
from menura.server.app import create_app
from menura.store.library import VoiceLibrary
from menura.voices.builtin import builtin_voices
from tests.neural.rvc import FIXTURES
from tests.postgres import postgres
from tests.serving import running_server
from tests.utterances import SPEECH

PLAIN = {"name": "Mine", "stages": [{"kind": "gain", "params": {"gain_db": -3.0}}]}
HEADERS = {"host": "localhost"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def api(home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(relay=False), raise_server_exceptions=False) as client:
        yield client


def lifecycle(api: TestClient) -> None:
    made = api.post("/api/voices", json=PLAIN)
    assert made.status_code == 201, made.text
    voice = made.json()
    assert made.headers["etag"] == '"1"'
    path = f"/api/voices/{voice['id']}"
    stale = api.patch(path, json={"name": "Two"}, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")
    changed = api.patch(path, json={"name": "Two"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert api.put(f"{path}/favourite", json={"favourite": True}).json()["favourite"] is True
    assert api.get("/api/voices?favourite=true").json()["total"] == 1
    assert [found["id"] for found in api.get("/api/voices?search=two&category=custom").json()["voices"]] == [
        voice["id"]
    ]
    copy = api.post(f"{path}/duplicate")
    assert (copy.status_code, copy.json()["name"]) == (201, "Two (copy)")
    packed = api.get(f"{path}/export")
    assert packed.content.startswith(b"PK")
    again = api.post("/api/voices/import", content=packed.content)
    assert (again.status_code, again.json()["name"]) == (201, "Two")
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 404


def test_voice_lives_from_creation_to_deletion(api: TestClient) -> None:
    lifecycle(api)


def test_the_same_with_postgresql(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres() as url:
        monkeypatch.setenv("MENURA_DATABASE", url)
        with TestClient(create_app(relay=False)) as api:
            lifecycle(api)


def test_reading_makes_no_library(api: TestClient, home: Path) -> None:
    listed = api.get("/api/voices").json()
    assert listed["total"] == len(builtin_voices())
    assert api.get("/api/voices/robot").json()["builtin"] is True
    assert api.get("/api/voices?limit=2&offset=1").json()["voices"][0]["id"] == builtin_voices()[1].id
    assert api.get("/api/settings").json()["theme"] == "system"
    assert not home.exists()


def test_change_of_a_built_in_voice_makes_a_copy(api: TestClient) -> None:
    changed = api.patch("/api/voices/robot", json={"name": "My Robot"})
    assert (changed.status_code, changed.json()["builtin"]) == (201, False)
    refused = api.delete("/api/voices/robot")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_state")


def test_sockets_see_a_new_voice_at_once(api: TestClient) -> None:
    with api.websocket_connect("/ws/realtime-control") as socket:
        socket.receive_json()
        voice_id = api.post("/api/voices", json=PLAIN).json()["id"]
        socket.send_json({"action": "selectVoice", "voiceId": voice_id})
        assert socket.receive_json()["voice"]["id"] == voice_id
        sessions = api.get("/api/sessions").json()["sessions"]
        assert [session["kind"] for session in sessions] == ["control"]
        assert api.delete(f"/api/sessions/{sessions[0]['id']}").status_code == 204
    assert api.delete("/api/sessions/nobody").status_code == 404


def test_preview_is_kept_and_follows_its_voice(api: TestClient) -> None:
    first = api.get("/api/voices/robot/preview")
    assert first.content[:4] == b"RIFF"
    tag = first.headers["etag"]
    assert api.get("/api/voices/robot/preview", headers={"If-None-Match": tag}).status_code == 304
    mine = api.post("/api/voices", json=PLAIN).json()["id"]
    before = api.get(f"/api/voices/{mine}/preview").headers["etag"]
    with VoiceLibrary() as library:
        assert library.get(mine).files["preview"].details["version"] == 1
    stages = [{"kind": "gain", "params": {"gain_db": -9.0}}]
    assert api.patch(f"/api/voices/{mine}", json={"stages": stages}).status_code == 200
    assert api.get(f"/api/voices/{mine}/preview").headers["etag"] != before


def test_model_becomes_a_voice(api: TestClient, home: Path) -> None:
    data = (FIXTURES / "v2_48k_f0.pth").read_bytes()
    sent = api.post("/api/models?filename=singer.pth", content=data)
    assert sent.status_code == 201, sent.text
    assert sent.json()["about"]["rate"] == 48_000
    made = api.post(f"/api/models/{sent.json()['id']}/voice", json={"name": "Singer"})
    assert (made.status_code, made.json()["preview"]) == (201, False)
    assert api.delete(f"/api/models/{sent.json()['id']}").status_code == 404
    hushed = api.get(f"/api/voices/{made.json()['id']}/preview")
    assert (hushed.status_code, "menura models pull" in hushed.json()["error"]) == (422, True)
    assert not list((home / "incoming").iterdir())


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_model_is_refused_and_leaves_nothing(api: TestClient, home: Path, content: bytes) -> None:
    for path in ("/api/models?filename=x.pth", "/api/voices/import"):
        refused = api.post(path, content=content)
        assert refused.status_code in (400, 422)
        assert {"error", "code"} <= set(refused.json())
    assert not list((home / "incoming").iterdir())


@pytest.mark.parametrize("content", [b"nothing of the kind", b"PK\x03\x04" + bytes(100), b"\x80\x02cos\nsystem\n."])
def test_refusal_names_the_file_as_its_sender_does(api: TestClient, home: Path, content: bytes) -> None:
    for path, name in (("/api/models", "my singer.pth"), ("/api/voices/import", "my singer.menura")):
        text = api.post(path, params={"filename": f"C/{name}"}, content=content).json()["error"]
        assert text.startswith(f"{name}: ")
        assert text.count(name) == 1
        assert not re.search(r"[0-9a-f]{16}|incoming", text), text
        assert str(home) not in text


def test_refusal_of_a_file_that_cannot_be_read_names_it_too(
    api: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: Path, *_: object) -> None:
        raise FileError(f"{path}: cannot be opened (Input/output error)")

    monkeypatch.setattr("menura.server.api.models.inspect_model", unreadable)
    refused = api.post("/api/models?filename=singer.pth", content=b"x")
    assert refused.json()["error"] == "singer.pth: cannot be opened (Input/output error)"
    assert not list((home / "incoming").iterdir())


def test_too_large_an_upload_is_refused_told_or_found(
    api: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menura.server.api.models.MAX_MODEL_BYTES", 1000)
    assert api.post("/api/models?filename=x", content=bytes(1001)).status_code == 413
    assert api.post("/api/models?filename=x", content=iter([bytes(600), bytes(600)])).status_code == 413
    assert not list((home / "incoming").iterdir())


def finished(api: TestClient, job: str) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while (state := api.get(f"/api/conversions/{job}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return state


def test_file_is_converted(api: TestClient) -> None:
    import soundfile

    path = SPEECH / "am_michael_u1.flac"
    begun = api.post("/api/conversions?voice=robot&mix=0.5&filename=me.flac", content=path.read_bytes())
    assert begun.status_code == 202, begun.text
    job = begun.json()["id"]
    assert finished(api, job)["state"] == "done"
    reply = api.get(f"/api/conversions/{job}/audio")
    with soundfile.SoundFile(io.BytesIO(reply.content)) as out, soundfile.SoundFile(path) as source:
        assert (len(out), out.samplerate) == (len(source), source.samplerate)
    assert api.delete(f"/api/conversions/{job}").status_code == 204
    assert api.get(f"/api/conversions/{job}").status_code == 404


def test_conversion_that_fails_says_why(api: TestClient) -> None:
    job = api.post("/api/conversions?voice=robot&filename=me.flac", content=b"no audio").json()["id"]
    state = finished(api, job)
    assert state["state"] == "failed"
    assert str(state["error"]).startswith("me.flac: cannot be read as audio")
    assert api.get(f"/api/conversions/{job}/audio").status_code == 409
    assert api.post("/api/conversions?voice=nobody", content=b"x").status_code == 404


def test_conversion_that_fails_tells_no_place_of_the_server(
    api: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: Path, *_: object, **__: object) -> None:
        raise FileError(f"{source}: cannot be read in time; {home / 'files' / 'ab' / 'model.pth'}: cannot be opened")

    monkeypatch.setattr("menura.server.api.conversions.convert", broken)
    data = (SPEECH / "am_michael_u1.flac").read_bytes()
    job = api.post("/api/conversions?voice=robot&filename=me%20too", content=data).json()["id"]
    assert finished(api, job)["error"] == "me too: cannot be read in time; model.pth: cannot be opened"


def test_settings_are_checked_and_kept(api: TestClient) -> None:
    assert api.put("/api/settings", json={"theme": "dark"}).status_code == 200
    assert api.get("/api/settings").json()["theme"] == "dark"
    refused = api.put("/api/settings", json={"theme": "green"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_settings_are_changed_one_by_one_and_by_several_at_once(api: TestClient) -> None:
    assert api.patch("/api/settings", json={"theme": "dark"}).json()["sample_rate"] == 48_000
    assert api.patch("/api/settings", json={"sample_rate": 44_100}).json()["theme"] == "dark"
    page = {"layout": {"columns": 2}, "hidden": ["mixer"]}
    assert api.patch("/api/settings", json={"page": page}).json()["page"] == page
    kept = api.get("/api/settings").json()
    assert (kept["theme"], kept["sample_rate"], kept["page"]) == ("dark", 44_100, page)
    assert api.put("/api/settings", json=kept).json() == kept
    for wrong in ({"page": {"a": "x" * 16_384}}, {"page": []}, {"pages": {}}, {"recordings_max_s": 0}):
        assert api.patch("/api/settings", json=wrong).status_code == 422
    assert api.get("/api/settings").json() == kept
    nested = '{"page": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}"
    assert api.patch("/api/settings", content=nested, headers={"Content-Type": "application/json"}).status_code == 400


def test_recordings_are_limited_as_the_settings_say(api: TestClient) -> None:
    catalogue = api.app.state.catalogue  # type: ignore[attr-defined]
    assert api.patch("/api/settings", json={"recordings_max_s": 2, "recordings_max_bytes": 0}).status_code == 200
    recordings = catalogue.recordings()
    assert (recordings.max_s, recordings.max_bytes) == (2, 0)
    with pytest.raises(LimitError, match="as much as they may"):
        recordings.start(("input",), 48_000, voice_name="Robot")


def test_presets_of_effects_are_kept_told_and_deleted(api: TestClient, home: Path) -> None:
    path = "/api/effect-presets"
    assert api.get(path).json() == {"presets": []}
    assert api.delete(f"{path}/none").status_code == 404
    assert not home.exists()
    made = api.post(path, json={"name": "My hall", "effects": [{"kind": "reverb", "params": {"room": 0.9}}]})
    assert made.status_code == 201, made.text
    [effect] = made.json()["effects"]
    assert (effect["kind"], effect["params"]["room"], effect["enabled"]) == ("reverb", 0.9, True)
    assert effect["params"]["wet"] == 0.25
    assert api.post(path, json={"name": "My hall", "effects": [{"kind": "echo"}]}).status_code == 409
    for wrong in (
        {"kind": "teleport"},
        {"kind": "reverb", "params": {"room": 9}},
        {"kind": "reverb", "params": {"x": 1}},
    ):
        refused = api.post(path, json={"name": "Wrong", "effects": [wrong]})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_config")
    assert api.post(path, json={"name": "None", "effects": []}).status_code == 422
    assert api.get(path).json() == {"presets": [made.json()]}
    replacing = api.post(path, json={"name": "My hall", "effects": [{"kind": "echo"}], "replace": True})
    assert replacing.status_code == 201, replacing.text
    assert api.get(path).json() == {"presets": [replacing.json()]}
    assert (replacing.json()["id"], replacing.json()["effects"][0]["kind"]) == (made.json()["id"], "echo")
    one = f"{path}/{made.json()['id']}"
    assert api.patch(one, json={"name": "My hills"}).json() == replacing.json() | {"name": "My hills"}
    assert api.patch(one, json={"name": ""}).status_code == 422
    assert api.patch(f"{path}/none", json={"name": "x"}).status_code == 404
    assert api.patch(f"{path}/none", json={"name": "x"}).json()["code"] == "not_found"
    assert [api.delete(one).status_code for _ in range(2)] == [204, 404]


def test_errors_have_one_shape(api: TestClient) -> None:
    assert api.get("/api/nothing").json()["code"] == "not_found"
    assert api.put("/api/voices").json()["code"] == "method_not_allowed"
    assert api.get("/api/voices/nobody").json()["code"] == "voice_not_found"
    assert api.get("/api/openapi.json").json()["paths"]["/api/voices"]


def test_ready_says_what_is_missing(api: TestClient, home: Path) -> None:
    assert api.get("/api/health").json()["status"] == "ok"
    home.mkdir()
    (home / "library.db").write_bytes(b"no database" * 1000)
    ready = api.get("/api/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "library" in ready.json()["missing"][0]


def test_effects_and_base_models_are_listed(api: TestClient) -> None:
    assert {"reverb"} <= {effect["kind"] for effect in api.get("/api/effects").json()["effects"]}
    assert [model["present"] for model in api.get("/api/base-models").json()["models"]] == [False, False]


def test_tokens_are_told_once(api: TestClient) -> None:
    assert api.get("/api/tokens").json() == {"tokens": []}
    made = api.post("/api/tokens", json={"name": "Ann", "role": "use"})
    assert made.status_code == 201, made.text
    assert len(made.json()["token"]) > 32
    assert api.post("/api/tokens", json={"name": "Ann", "role": "use"}).status_code == 409
    listed = api.get("/api/tokens").json()["tokens"]
    assert [token["name"] for token in listed] == ["Ann"]
    assert "token" not in listed[0]
    path = f"/api/tokens/{made.json()['id']}"
    assert [api.delete(path).status_code for _ in range(2)] == [204, 404]


def test_recordings_are_listed_renamed_heard_and_deleted(api: TestClient, home: Path) -> None:
    import numpy as np

    assert api.get("/api/recordings").json() == {"recordings": []}
    assert api.get("/api/recordings/none").status_code == 404
    recordings = api.app.state.catalogue.recordings()  # type: ignore[attr-defined]
    opened = recordings.start(("input", "output"), 48_000, voice_name="Robot")
    opened.write(np.zeros((4800, 1), np.float32), np.ones((4800, 1), np.float32))
    path = f"/api/recordings/{recordings.list()[0].id}"
    assert [api.delete(path).status_code, api.get(f"{path}/audio?side=input").status_code] == [409, 409]
    opened.close()
    assert api.get(path).json()["duration_ms"] == pytest.approx(100.0)
    assert api.patch(path, json={"name": "First"}).json()["name"] == "First"
    part = api.get(f"{path}/audio?side=output", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_token_counts_from_its_making_to_its_removal(tmp_path: Path) -> None:
    operator, address_end = "the-token-of-the-operator", "api/voices"
    environment = {**os.environ, "MENURA_HOME": str(tmp_path / "home"), "MENURA_TOKEN": operator}
    with running_server("--no-relay", environment=environment) as address, httpx.Client(base_url=address) as client:
        manage = {"Authorization": f"Bearer {operator}"}
        made = client.post("api/tokens", json={"name": "Ann", "role": "listen"}, headers=manage).json()
        ann = {"Authorization": f"Bearer {made['token']}"}
        assert client.get(address_end, headers=ann).status_code == 200
        assert client.get("api/tokens", headers=ann).status_code == 403
        assert client.delete(f"api/tokens/{made['id']}", headers=manage).status_code == 204
        assert client.get(address_end, headers=ann).status_code == 401


def told(api: TestClient) -> dict[str, float]:
    """All figures, by name and labels."""
    lines = [line for line in api.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_what_is_sent_converted_recorded_and_opened_is_counted(api: TestClient) -> None:
    before = told(api)
    assert before['menura_uploads_total{kind="model",outcome="kept"}'] == 0.0
    assert before['menura_sessions{kind="control"}'] == 0.0
    data = (FIXTURES / "v2_48k_f0.pth").read_bytes()
    api.post("/api/models?filename=singer.pth", content=data)
    api.post("/api/models?filename=singer.pth", content=b"no model")
    api.post("/api/voices/import", content=b"no voice")
    sound = (SPEECH / "am_michael_u1.flac").read_bytes()
    for content in (sound, b"no sound"):
        finished(api, api.post("/api/conversions?voice=robot&filename=me.flac", content=content).json()["id"])
    api.get("/api/voices/robot/preview")
    with api.websocket_connect("/ws/realtime-control") as socket:

        def ask(action: str, **fields: object) -> str:
            socket.send_json({"action": action, **fields})
            return str(socket.receive_json()["type"])

        socket.receive_json()
        assert ask("selectVoice", voiceId="robot") == "voiceSelected"
        assert ask("start", audio={"source": "client"}) == "status"
        during = told(api)
        assert ask("startRecording") == "recordingStarted"
        socket.send_bytes(bytes(9600))
        assert len(socket.receive_bytes()) == 9600
        assert ask("stopRecording") == "recordingStopped"
    assert during['menura_sessions{kind="control"}'] == during['menura_sessions_processing{kind="control"}'] == 1.0
    after = told(api)
    grown = {name: value - before[name] for name, value in after.items() if name in before and value != before[name]}
    assert grown == grown | {
        'menura_uploads_total{kind="model",outcome="kept"}': 1.0,
        'menura_uploads_total{kind="model",outcome="refused"}': 1.0,
        'menura_uploads_total{kind="voice",outcome="refused"}': 1.0,
        'menura_uploads_total{kind="audio",outcome="kept"}': 2.0,
        'menura_upload_bytes_total{kind="model"}': len(data) + 8.0,
        'menura_conversions_total{outcome="done"}': 1.0,
        'menura_conversions_total{outcome="failed"}': 1.0,
        'menura_conversions_held{state="done"}': 1.0,
        'menura_previews_rendered_total{outcome="done"}': 1.0,
        'menura_recordings_total{outcome="done"}': 1.0,
        "menura_recorded_seconds_total": 0.1,
        'menura_sessions_opened_total{kind="control"}': 1.0,
    }
    new = {name.partition("{")[0] for name in after.keys() - before.keys()}
    assert new <= {"menura_http_requests_total", "menura_http_requests_created"}, "no label was made of what was asked"


def test_head_is_answered_where_get_is_and_without_a_body(api: TestClient) -> None:
    for path in ("/health", "/api/ready", "/api/voices", "/api/voices/robot", "/metrics", "/api/voices/nobody"):
        got, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert api.head("/api/models").status_code == 405


def test_head_of_a_large_file_reads_little_of_it(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    catalogue = api.app.state.catalogue  # type: ignore[attr-defined]
    opened = catalogue.recordings().start(("input",), 48_000, voice_name="Robot")
    for _ in range(60):
        opened.write(np.zeros((48_000, 1), np.float32), np.zeros((48_000, 1), np.float32))
    path = f"/api/recordings/{opened.close().id}/audio?side=input"
    read: list[int] = []
    real = anyio.AsyncFile.read

    async def noted(file: anyio.AsyncFile[bytes], size: int = -1) -> bytes:
        data = await real(file, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(anyio.AsyncFile, "read", noted)
    head = api.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(60 * 96_000 + 92))
    assert 0 < sum(read) < 1_000_000


def test_requests_are_counted_by_route_and_not_by_what_is_asked(api: TestClient) -> None:
    for path in ("/api/voices/robot", "/api/voices/nobody", "/api/nothing", "/health"):
        api.get(path)
        api.request("MADEUP", path)
    told = api.get("/metrics").text
    for labels, count in (
        ('method="GET",route="/api/voices/{voice_id}",status="200"', 1),
        ('method="GET",route="/api/voices/{voice_id}",status="404"', 1),
        ('method="other",route="/api/voices/{voice_id}",status="405"', 2),
        ('method="other",route="other",status="404"', 2),
        ('method="GET",route="/health",status="200"', 1),
    ):
        assert f"menura_http_requests_total{{{labels}}} {count}.0" in told, told
    assert "nobody" not in told
    assert "MADEUP" not in told
