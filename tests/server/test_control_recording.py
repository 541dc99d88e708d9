import numpy as np

from menura.audio.files import read_audio
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import encode
from menura.store.library import VoiceLibrary
from menura.store.recordings import Recordings
from tests.listen import lag_frames
from tests.server.conftest import Served
from tests.serving import Client

SPEECH, RATE = read_audio("tests/fixtures/speech/am_michael_u1.flac")
PCM = encode(SPEECH, StreamFormat(AudioFormat.PCM16, RATE))


def test_a_session_is_recorded_with_both_sides_aligned(served: Served) -> None:
    with Client(served.address) as client:
        assert client.ask("startRecording")["code"] == "not_active"
        client.ask("setParameters", parameters={"mix": 0.0})
        client.begin("natural-man", RATE)
        started = client.ask("startRecording", name="Monday")
        assert started["type"] == "recordingStarted"
        assert started["recording"]["state"] == "recording"
        assert client.ask("startRecording")["error"] == "Recording already active"
        for start in range(0, len(PCM), 4800):
            client.socket.send(PCM[start : start + 4800])
        client.hear(len(PCM))
        assert client.ask("getStatus")["details"]["recording"] == 1.0
        stopped = client.ask("stopRecording")
        assert stopped["type"] == "recordingStopped"
        assert (stopped["recording"]["state"], stopped["recording"]["name"]) == ("done", "Monday")
        assert client.ask("stopRecording")["code"] == "not_active"
        client.ask("startRecording", sides="output")
        client.socket.send(PCM[:960])
        assert client.ask("stop")["type"] == "recordingStopped"
        assert client.reply()["status"]["processing"] is False
    with VoiceLibrary(served.home) as library:
        recordings = Recordings.of(library)
        x, _ = read_audio(recordings.path(stopped["recording"]["id"], "input"))
        y, _ = read_audio(recordings.path(stopped["recording"]["id"], "output"))
    np.testing.assert_allclose(x, SPEECH, atol=1e-4)
    assert lag_frames(x, y) == 0


def test_a_client_that_leaves_ends_its_recording(served: Served) -> None:
    with Client(served.address) as client:
        client.begin("radio", RATE)
        started = client.ask("startRecording")
        client.socket.send(PCM[:48_000])
        client.hear(48_000)
    with VoiceLibrary(served.home) as library:
        recordings = Recordings.of(library)
        for _ in range(2000):
            stored = recordings.get(started["recording"]["id"])
            if stored.state != "recording":
                break
    assert stored.state == "done"
    assert stored.frames == 24_000
