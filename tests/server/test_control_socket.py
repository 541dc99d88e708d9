import json

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from menura.audio.files import read_audio
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode, encode
from menura.live.session import VoiceSession
from menura.voices.build import make_stage
from menura.voices.builtin import builtin_voices, find_voice
from tests.listen import lag_frames
from tests.serving import Client

SPEECH, SPEECH_RATE = read_audio("tests/fixtures/speech/am_michael_u1.flac")
PCM = encode(SPEECH, StreamFormat(AudioFormat.PCM16, SPEECH_RATE))


def test_conversation_as_the_document_has_it(server: str) -> None:
    with Client(server) as client:
        assert client.greeting == {"type": "connected"}
        voices = client.ask("getVoices")
        assert voices["type"] == "voices"
        assert [v["id"] for v in voices["voices"]] == [v.id for v in builtin_voices()]
        assert set(voices["voices"][0]) >= {"id", "name", "category", "description"}
        assert client.ask("selectVoice", voiceId="robot") == {
            "type": "voiceSelected",
            "voice": {"id": "robot", "name": "Robot", "category": "character"},
        }
        status = client.ask("getStatus")
        assert status["status"] == {
            "processing": False,
            "input_level": 0.0,
            "output_level": 0.0,
            "latency_ms": 0.0,
            "processing_time_ms": 0.0,
        }
        client.begin("robot")
        assert client.ask("stop")["status"]["processing"] is False
        assert client.ask("stop")["status"]["processing"] is False


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        ('{"action":"selectVoice","voiceId":"invalid-id"}', "voice_not_found", "Voice not found: invalid-id"),
        ('{"action":"start"}', "no_voice_selected", "No voice selected"),
        ("not json", "invalid_message", "Invalid JSON"),
        ('{"action":"dance"}', "invalid_message", "Unknown action: dance"),
        ('{"action":"selectVoice","voiceId":7}', "invalid_message", "Invalid voiceId"),
        ('{"action":"setParameters","parameters":{"pitch_st":99}}', "invalid_config", "pitch_st must be"),
        ('{"action":"setParameters","parameters":{"warp":1}}', "invalid_config", "unknown parameter 'warp'"),
        ('{"a":"' + "x" * 70000 + '"}', "invalid_message", "Message too large"),
        (b"\0" * 960, "not_active", "Audio without processing"),
        (b"\0" * 70000, "invalid_message", "Audio message too large"),
    ],
)
def test_bad_message_is_answered_and_the_session_lives_on(
    server: str, message: str | bytes, code: str, says: str
) -> None:
    with Client(server) as client:
        client.socket.send(message)
        reply = client.reply()
        assert (reply["type"], reply["code"]) == ("error", code)
        assert reply["error"].startswith(says)
        assert client.ask("selectVoice", voiceId="robot")["type"] == "voiceSelected"


def test_bad_audio_while_processing_loses_nothing_else(server: str) -> None:
    with Client(server) as client:
        client.begin("radio")
        client.socket.send(PCM[:960])
        client.socket.send(b"\1" * 961)
        assert client.reply()["code"] == "invalid_audio"
        client.socket.send(PCM[960:1920])
        assert len(client.hear(1920)) == 1920
        assert client.ask("start", audio={"source": "client"})["error"] == "Processing already active"
        assert client.ask("getStatus")["status"]["processing"] is True


@pytest.mark.parametrize("form", ["pcm16", "pcm_f32", "g711_ulaw", "g711_alaw"])
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_as_many_samples_come_back_in_every_format(server: str, form: str, rate: int) -> None:
    stream = StreamFormat(AudioFormat(form), rate)
    data = encode(SPEECH[:rate], stream)
    with Client(server) as client:
        client.begin("natural-woman", rate, form)
        sizes = [1, 7, 480, 3333]
        at = number = 0
        while at < len(data):
            piece = data[at : at + sizes[number % 4] * stream.frame_bytes]
            client.socket.send(piece)
            at, number = at + len(piece), number + 1
        assert len(client.hear(len(data))) == len(data)
        late = client.ask("getStatus")["details"]["latency_frames"]
        client.ask("stop")
        assert len(client.audio) == len(data) + late * stream.frame_bytes


def test_output_lags_by_the_latency_the_status_tells(server: str) -> None:
    with Client(server) as client:
        client.ask("setParameters", parameters={"mix": 0.0})
        client.begin("natural-man", SPEECH_RATE)
        for start in range(0, len(PCM), 960):
            client.socket.send(PCM[start : start + 960])
        client.hear(len(PCM))
        status = client.ask("getStatus")
        lag_ms = 1000 * lag_frames(SPEECH, client.pcm16()) / SPEECH_RATE
        assert abs(lag_ms - status["details"]["algorithm_ms"]) < 0.1
        assert lag_ms <= status["status"]["latency_ms"] < lag_ms + 20.0


def test_stream_equals_the_session_run_in_process(server: str) -> None:
    form = StreamFormat(AudioFormat.PCM16, SPEECH_RATE)
    with Client(server) as client:
        client.begin("cartoon", SPEECH_RATE)
        for start in range(0, len(PCM), 2000):
            client.socket.send(PCM[start : start + 2000])
        client.ask("stop")
    session = VoiceSession(make_stage(find_voice("cartoon"), SPEECH_RATE))
    here = [session.process(decode(PCM, form)), session.finish()]
    assert bytes(client.audio) == encode(np.concatenate(here), form)


def test_status_tells_levels_while_running(server: str) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(48000) / 48000).astype(np.float32)[:, None]
    with Client(server) as client:
        client.begin("natural-man")
        data = encode(tone, StreamFormat())
        for start in range(0, len(data), 1920):
            client.socket.send(data[start : start + 1920])
        client.hear(len(data))
        status = client.ask("getStatus")["status"]
        assert abs(status["input_level"] - 0.5 / np.sqrt(2)) < 0.01
        assert 0.05 < status["output_level"] <= 1.0
        assert status["processing_time_ms"] > 0.0


def test_voice_and_parameters_change_while_running(server: str) -> None:
    with Client(server) as client:
        client.begin("natural-man", SPEECH_RATE)
        half = len(PCM) // 2 & ~1
        client.socket.send(PCM[:half][:60000])
        assert client.ask("setParameters", parameters={"pitch_st": 3, "formant": 1.1})["parameters"] == {
            "pitch_st": 3.0,
            "formant": 1.1,
            "mix": 1.0,
        }
        assert client.ask("selectVoice", voiceId="helium")["type"] == "voiceSelected"
        client.socket.send(PCM[half:][:60000])
        client.hear(120000)


def test_each_client_has_its_own_session(server: str) -> None:
    with Client(server) as one, Client(server) as two:
        one.begin("robot")
        assert two.ask("getStatus")["status"]["processing"] is False
        assert two.ask("start")["error"] == "No voice selected"
        two.begin("whisper")
        one.ask("stop")
        assert two.ask("getStatus")["status"]["processing"] is True


def test_reader_that_sleeps_is_bounded_and_stalls_nobody(server: str) -> None:
    """A client that sends 60 s and reads nothing loses old audio, counted; another one is answered meanwhile."""
    with Client(server, max_queue=1) as slow, Client(server) as quick:
        slow.begin("radio")
        quick.begin("radio")
        second = bytes(2 * 48000)
        for _ in range(60):
            for start in range(0, len(second), 32000):
                slow.socket.send(second[start : start + 32000])
        quick.socket.send(bytes(1920))
        assert len(quick.hear(1920)) == 1920
        slow.socket.send(json.dumps({"action": "getStatus"}))
        status = slow.reply()
        got = len(slow.audio)
        assert got + status["details"]["dropped_bytes"] <= 60 * len(second)
        assert status["status"]["processing"] is True


def test_flood_of_requests_is_answered_each_in_order(server: str) -> None:
    with Client(server) as client:
        for number in range(2000):
            client.socket.send(json.dumps({"action": "selectVoice", "voiceId": f"no-{number}"}))
        for number in range(2000):
            assert client.reply()["error"] == f"Voice not found: no-{number}"


def test_page_of_another_site_may_not_connect(server: str) -> None:
    with pytest.raises(InvalidStatus) as caught, Client(server, origin="http://evil.example"):
        pass
    assert caught.value.response.status_code == 403
