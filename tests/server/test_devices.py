"""``start`` without ``audio``: the server machine's own devices, which here are PulseAudio's."""

import os
import time
from collections.abc import Iterator

import numpy as np
import pytest

from menura.audio.files import read_audio
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from tests.hearing import parts, spoken, steady_s
from tests.listen import median_f0
from tests.serving import Client, running_server
from tests.virtual_audio import VirtualAudio, in_vain

pytestmark = pytest.mark.devices
SPEECH, RATE = read_audio("tests/fixtures/speech/af_heart_u2.flac")
SECONDS, STEADY_S = 12, 7.0
IN_USE = {
    "type": "error",
    "error": "Audio device not available",
    "code": "device_unavailable",
    "reason": "another session is using it",
    "action": "start",
}


@pytest.fixture(scope="module")
def machine(virtual_audio: VirtualAudio) -> Iterator[str]:
    with running_server(environment=virtual_audio.env) as address:
        yield address


def start_when_free(client: Client) -> None:
    """Start as soon as the devices are free."""
    deadline = time.monotonic() + 20.0
    while (reply := client.ask("start"))["type"] != "status":
        if reply.get("code") == "rate_limited":
            time.sleep(reply["retry_after_ms"] / 1000)
            continue
        assert reply == IN_USE
        assert time.monotonic() < deadline
    assert reply["status"]["processing"] is True


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


def through_the_loop(audio: VirtualAudio, address: str) -> dict[str, float]:
    """Speak for a while: the microphone is left, the loudspeaker right on one sink; what was told at the end."""
    x = spoken(SECONDS)
    with Client(address) as client:
        client.ask("setParameters", parameters={"mix": 0.0})
        client.ask("selectVoice", voiceId="natural-woman")
        assert client.ask("start")["status"]["processing"] is True
        recording = audio.record("vc_loop.monitor", 2)
        audio.play("vc_loop_in", x)
        told = client.ask("getStatus")
        both = recording.stop()[2 * 48_000 :]
        client.ask("stop")
    found = parts(both[:, 1], both[:, 0])
    latency_ms, details = told["status"]["latency_ms"], told["details"]
    split_ms = details["capture_ms"] + details["algorithm_ms"] + details["playback_ms"]
    assert split_ms == pytest.approx(latency_ms, abs=0.01)
    return {
        "parts": len(found),
        "steady_s": round(steady_s(found), 1),
        "measured_ms": round(float(np.median(found[-50:, 0])), 1),
        "told_ms": latency_ms,
        "lost": details["xruns"] + details["gaps"],
    }


def test_seconds_on_end_without_a_glitch_as_late_as_told(virtual_audio: VirtualAudio) -> None:
    """Best of five, as on a busy machine PulseAudio itself runs dry."""
    tries = []
    with running_server("-i", "vc_loop_mic", "-o", "vc_loop_out", environment=virtual_audio.env) as address:
        for _ in range(5):
            found = through_the_loop(virtual_audio, address)
            tries.append(found)
            near = abs(found["measured_ms"] - found["told_ms"]) < 30.0
            if found["parts"] > 100 and found["steady_s"] >= STEADY_S and near:
                print(tries)  # noqa: T201
                return
    in_vain("what was found", tries)


def test_one_session_has_the_devices_and_the_next_waits_for_them(machine: str) -> None:
    with Client(machine) as first, Client(machine) as second:
        for client in (first, second):
            client.ask("selectVoice", voiceId="robot")
        assert first.ask("start")["status"]["processing"] is True
        assert second.ask("start") == IN_USE
        assert first.ask("start")["code"] == "already_active"
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
        start_when_free(second)
        second.ask("stop")


def test_devices_are_free_again_when_a_connection_breaks(machine: str) -> None:
    first = Client(machine).__enter__()
    first.ask("selectVoice", voiceId="robot")
    first.socket.send('{"action": "start"}')
    first.socket.socket.close()  # no goodbye, while the devices may still be opening
    with Client(machine) as second:
        second.ask("selectVoice", voiceId="robot")
        start_when_free(second)
        second.ask("stop")


def test_lost_devices_are_told_awaited_and_kept_for_their_session() -> None:
    audio = VirtualAudio()
    try:
        with (
            running_server("-i", "vc_mic", "-o", "vc_speaker", environment=audio.env) as address,
            Client(address) as first,
            Client(address) as second,
        ):
            for client in (first, second):
                client.ask("selectVoice", voiceId="robot")
            first.ask("start")
            audio.play("vc_virtmic", spoken(1))
            audio.unplug_all()
            error, status = first.reply(), first.reply()
            assert (error["error"], error["code"]) == ("Audio device not available", "device_unavailable")
            assert error["reason"]
            assert status["status"] | {"processing": True, "latency_ms": 0.0} == status["status"]
            assert status["details"]["device_lost"] == 1
            assert second.ask("start") == IN_USE
            audio.plug_in()
            back = first.reply()
            assert back["status"]["processing"] is True
            assert (back["details"]["device_lost"], back["details"]["reopened"]) == (0, 1)
            recording = audio.record("vc_speaker.monitor")
            audio.play("vc_virtmic", spoken(3))
            assert np.abs(recording.stop()).max() > 0.1
            audio.unplug_all()
            assert first.reply()["type"] == "error"
            first.reply()
            assert first.ask("stop")["status"]["processing"] is False
            audio.plug_in()
            start_when_free(second)
    finally:
        audio.close()


def test_machine_without_devices_says_so() -> None:
    nothing = {**os.environ, "ALSA_CONFIG_PATH": "/usr/share/alsa/alsa.conf", "PULSE_SERVER": "unix:/nowhere"}
    with running_server(environment=nothing) as address, Client(address) as client:
        client.ask("selectVoice", voiceId="robot")
        refused = client.ask("start")
        assert (refused["error"], refused["code"]) == ("Audio device not available", "device_unavailable")
        assert refused["reason"]
        client.begin("robot")
