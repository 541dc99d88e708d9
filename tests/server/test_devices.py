"""``start`` without ``audio``: the server machine's own devices, which here are PulseAudio's."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from menura.audio.files import read_audio
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from tests.listen import median_f0
from tests.serving import Client, running_server
from tests.virtual_audio import VirtualAudio

pytestmark = pytest.mark.devices
SPEECH, RATE = read_audio("tests/fixtures/speech/af_heart_u2.flac")


@pytest.fixture(scope="module")
def machine(virtual_audio: VirtualAudio) -> Iterator[str]:
    with running_server(environment=virtual_audio.env) as address:
        yield address


def test_microphone_comes_out_of_the_speaker_in_another_voice(machine: str, virtual_audio: VirtualAudio) -> None:
    speech = process_whole(Resampler(RATE, 48_000), SPEECH)
    with Client(machine) as client:
        client.ask("selectVoice", voiceId="natural-man")
        assert client.ask("start")["status"]["processing"] is True
        recording = virtual_audio.record("vc_speaker.monitor")
        virtual_audio.play("vc_virtmic", speech)
        status = client.ask("getStatus")
        heard = recording.stop()
        assert client.ask("stop")["status"]["processing"] is False
    assert median_f0(speech, 48_000) > 160
    assert median_f0(heard.reshape(-1, 1).astype(np.float32), 48_000) < 135
    assert 30.0 < status["status"]["latency_ms"] < 400.0
    assert status["details"]["device_ms"] > 0.0


def test_one_session_has_the_devices_and_the_next_waits_for_them(machine: str) -> None:
    with Client(machine) as first, Client(machine) as second:
        for client in (first, second):
            client.ask("selectVoice", voiceId="robot")
        assert first.ask("start")["status"]["processing"] is True
        refused = second.ask("start")
        assert refused == {
            "type": "error",
            "error": "Audio device not available",
            "code": "device_unavailable",
            "reason": "another session is using it",
        }
        assert first.ask("selectVoice", voiceId="giant")["type"] == "voiceSelected"
        first.ask("stop")
        assert second.ask("start")["status"]["processing"] is True
        second.ask("stop")


def test_devices_are_free_again_when_a_client_just_leaves(machine: str) -> None:
    with Client(machine) as first:
        first.ask("selectVoice", voiceId="robot")
        first.ask("start")
    with Client(machine) as second:
        second.ask("selectVoice", voiceId="robot")
        replies = (second.ask("start") for _ in range(1000))
        assert next(reply for reply in replies if reply["type"] == "status")["status"]["processing"] is True
        second.ask("stop")


def test_machine_without_devices_says_so() -> None:
    nothing = {**os.environ, "ALSA_CONFIG_PATH": "/usr/share/alsa/alsa.conf", "PULSE_SERVER": "unix:/nowhere"}
    with running_server(environment=nothing) as address, Client(address) as client:
        client.ask("selectVoice", voiceId="robot")
        refused = client.ask("start")
        assert (refused["error"], refused["code"]) == ("Audio device not available", "device_unavailable")
        assert refused["reason"]
        client.begin("robot")
