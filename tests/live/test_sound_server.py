import os

import pytest

from menura.devices.port import DeviceInfo
from menura.errors import DeviceError
from menura.live import sound_server
from menura.live.sound_server import leading_to, reached, server_devices
from menura.live.speaking_stats import Devices, ServerDevice

LISTS = {
    "sinks": "0\tmenura_voice\tmodule-null-sink.c\ts16le 2ch 48000Hz\tIDLE\n1\theadset\tPipeWire\n",
    "sources": "0\tmenura_voice.monitor\tm\ts16le 2ch 48000Hz\tIDLE\n2\tusb_mic\tm\tfloat32le 1ch 44100Hz\tRUNNING\n",
}


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    devices = [DeviceInfo("pulse", 0, "ALSA", 32, 32, 44_100, True, True), DeviceInfo("hw", 1, "ALSA", 2, 2, 48_000)]
    monkeypatch.setattr(sound_server, "list_devices", lambda refresh=False: devices)
    monkeypatch.setattr(sound_server, "pactl", lambda *words: LISTS[words[-1]])


def test_devices_of_the_server_are_listed_but_for_what_hears_loudspeakers():
    told = [(d.name, d.index, d.inputs, d.outputs, d.default_rate) for d in server_devices()]
    assert told == [("usb_mic", -1, 1, 0, 44_100), ("menura_voice", -1, 0, 2, 48_000), ("headset", -1, 0, 0, 0)]


def test_without_a_server_there_are_none(monkeypatch):
    def refuse(*_):
        raise DeviceError("no sound server runs")

    monkeypatch.setattr(sound_server, "pactl", refuse)
    assert server_devices() == []
    with pytest.raises(DeviceError, match="no output is named 'headset'; there are 'pulse'"):
        reached(Devices(output="headset"))


def test_what_only_the_server_knows_is_reached_through_its_door():
    assert reached(Devices()) == Devices()
    assert reached(Devices("hw", 1, "pulse")) == Devices("hw", 1, "pulse")
    given = Devices("menura_voice.monitor", "menura_voice", "headset")
    found = [ServerDevice("pulse", name) for name in ("menura_voice.monitor", "menura_voice", "headset")]
    assert reached(given) == Devices(*found)
    with pytest.raises(DeviceError, match="no input is named 'headset'"):
        reached(Devices(input="headset"))


def test_a_door_leads_there_while_it_is_opened_and_no_longer(monkeypatch):
    monkeypatch.setenv("PULSE_SINK", "before")
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    with leading_to(ServerDevice("pulse", "usb_mic"), ServerDevice("pulse", "menura_voice")):
        assert (os.environ["PULSE_SOURCE"], os.environ["PULSE_SINK"]) == ("usb_mic", "menura_voice")
        with leading_to(sink="hw"):
            assert os.environ["PULSE_SINK"] == "menura_voice"
    assert os.environ["PULSE_SINK"] == "before"
    assert "PULSE_SOURCE" not in os.environ
