import json

import numpy as np
import pytest

from menura.audio.files import read_audio
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import encode
from tests.listen import lag_frames
from tests.serving import Client

SPEECH, RATE = read_audio("tests/fixtures/speech/am_michael_u1.flac")
PCM = encode(SPEECH, StreamFormat(AudioFormat.PCM16, RATE))


def send(client: Client, data: bytes = PCM) -> None:
    for start in range(0, len(data), 960):
        client.socket.send(data[start : start + 960])


def test_audio_is_configured_and_start_takes_it(server: str) -> None:
    with Client(server) as client:
        configured = client.ask("configureAudio", audio={"sample_rate": RATE, "output": {"format": "pcm_f32"}})
        assert configured == {
            "type": "audioConfigured",
            "audio": {
                "sample_rate": RATE,
                "format": "pcm16",
                "output": {"sample_rate": RATE, "format": "pcm_f32"},
            },
        }
        client.ask("selectVoice", voiceId="natural-man")
        assert client.ask("start", audio={"source": "client"})["status"]["processing"] is True
        send(client, PCM[:9600])
        assert len(client.hear(19_200)) == 19_200
        assert client.ask("configureAudio", audio={})["code"] == "already_active"


def test_what_is_received_may_have_another_rate_and_is_as_late_as_told(server: str) -> None:
    with Client(server) as client:
        client.ask("setParameters", parameters={"mix": 0.0})
        client.ask("selectVoice", voiceId="natural-man")
        audio = {"source": "client", "sample_rate": RATE, "output": {"sample_rate": 2 * RATE}}
        assert client.ask("start", audio=audio)["type"] == "status"
        send(client)
        client.hear(2 * len(PCM))
        told_ms = client.ask("getStatus")["details"]["algorithm_ms"]
        assert len(client.audio) == 2 * len(PCM)
        lag = lag_frames(SPEECH, client.pcm16()[::2])
        assert abs(1000 * lag / RATE - told_ms) < 0.1


def test_effects_are_told_in_full_and_change_the_sound_and_the_latency(server: str) -> None:
    with Client(server) as client:
        assert client.ask(
            "setEffects", effects=[{"kind": "drive", "params": {"drive_db": 20}}, {"kind": "reverb"}]
        ) == {
            "type": "effectsSet",
            "effects": [
                {"kind": "drive", "params": {"drive_db": 20.0, "bias": 0.0, "level_db": -6.0}, "enabled": True},
                {"kind": "reverb", "params": {"room": 0.5, "damping": 0.4, "wet": 0.25}, "enabled": True},
            ],
        }
        client.begin("radio", RATE)
        send(client, PCM[:9600])
        client.hear(9600)
        with_effects = client.ask("getStatus")["details"]["latency_frames"]
        assert client.ask("setEffects", effects=[]) == {"type": "effectsSet", "effects": []}
        send(client, PCM[:19_200])
        client.hear(28_800)
        assert client.ask("getStatus")["details"]["latency_frames"] < with_effects


@pytest.mark.parametrize(
    ("effect", "says"),
    [
        ({"kind": "teleport"}, "unknown effect 'teleport'"),
        ({"kind": "echo", "params": {"warp": 1}}, "echo: unknown parameter 'warp'"),
        ({"kind": "echo", "params": {"mix": 2}}, "echo: mix must be"),
    ],
)
def test_an_effect_that_cannot_be_is_refused_and_nothing_changes(server: str, effect: object, says: str) -> None:
    with Client(server) as client:
        client.begin("radio", RATE)
        before = client.ask("getStatus")["details"]["latency_frames"]
        reply = client.ask("setEffects", effects=[{"kind": "robot"}, effect])
        assert reply["code"] == "invalid_config"
        assert reply["error"].startswith(says)
        send(client, PCM[:960])
        client.hear(960)
        assert client.ask("getStatus")["details"]["latency_frames"] == before


def test_input_is_muted_and_heard_again(server: str) -> None:
    with Client(server) as client:
        client.begin("natural-man", RATE)
        assert client.ask("setInput", input={"muted": True, "gain_db": -3}) == {
            "type": "inputSet",
            "input": {
                "muted": True,
                "gain_db": -3.0,
                "noise_suppression": False,
                "auto_gain": False,
                "echo_cancellation": False,
            },
        }
        send(client)
        muted = np.abs(np.frombuffer(client.hear(len(PCM)), "<i2")[RATE // 2 :]).max()
        assert client.ask("getStatus")["details"]["muted"] == 1.0
        assert muted <= 1
        assert client.ask("setInput", input={"muted": False})["input"]["gain_db"] == -3.0
        send(client)
        assert np.abs(np.frombuffer(client.hear(2 * len(PCM))[len(PCM) :], "<i2")).max() > 1000


def test_noise_suppression_and_gain_are_switched_while_running(server: str) -> None:
    with Client(server) as client:
        client.begin("natural-man", RATE)
        send(client, PCM[:4800])
        client.hear(4800)
        plain = client.ask("getStatus")["details"]["latency_frames"]
        assert client.ask("setInput", input={"noise_suppression": True, "auto_gain": True})["type"] == "inputSet"
        send(client, PCM[:4800])
        client.hear(9600)
        assert client.ask("getStatus")["details"]["latency_frames"] > plain
        assert client.ask("setInput", input={"echo_cancellation": True})["code"] == "invalid_config"


def test_status_is_pushed_until_it_is_enough(server: str) -> None:
    with Client(server) as client:
        assert client.ask("setStatusInterval", interval_ms=20) == {"type": "statusInterval", "interval_ms": 20}
        assert [client.reply()["type"] for _ in range(5)] == ["status"] * 5
        client.socket.send(json.dumps({"action": "setStatusInterval", "interval_ms": 0}))
        while client.reply()["type"] == "status":
            pass
        assert client.ask("selectVoice", voiceId="radio")["type"] == "voiceSelected"


def test_devices_are_not_chosen_for_the_clients_own_audio(server: str) -> None:
    with Client(server) as client:
        client.ask("selectVoice", voiceId="radio")
        reply = client.ask("start", audio={"source": "client"}, devices={"input": 1})
        assert (reply["code"], reply["error"][:15]) == ("invalid_message", "Invalid devices")
        assert client.ask("start", devices={"input": "no such microphone"})["code"] == "device_unavailable"


def test_two_voices_are_mixed_and_a_selection_ends_it(server: str) -> None:
    parts = [{"voiceId": "whisper", "gain": 0.5}, {"voiceId": "natural-man", "gain": 0.25}]
    with Client(server) as client:
        reply = client.ask("mixVoices", voices=parts)
        assert reply["type"] == "voicesMixed"
        assert [(voice["id"], voice["gain"]) for voice in reply["voices"]] == [("whisper", 0.5), ("natural-man", 0.25)]
        assert client.ask("start", audio={"source": "client", "sample_rate": RATE})["type"] == "status"
        send(client, PCM[:48_000])
        client.hear(48_000)
        mixed = client.ask("getStatus")["details"]["latency_frames"]
        parts[0]["gain"] = 0.0
        assert client.ask("mixVoices", voices=parts)["voices"][0]["gain"] == 0.0
        assert client.ask("selectVoice", voiceId="whisper")["type"] == "voiceSelected"
        send(client, PCM[:4800])
        client.hear(52_800)
        assert client.ask("getStatus")["details"]["latency_frames"] < mixed
        assert client.ask("mixVoices", voices=parts)["type"] == "voicesMixed"
        send(client, PCM[:4800])
        client.hear(57_600)
        assert client.ask("getStatus")["details"]["latency_frames"] == mixed
        assert client.ask("mixVoices", voices=[parts[0], parts[0]])["code"] == "invalid_message"
        unknown = client.ask("mixVoices", voices=[parts[0], {"voiceId": "nobody"}])
        assert unknown["error"] == "Voice not found: nobody"
