"""A machine whose devices are synthetic."""

import time

from menura.devices.port import DeviceInfo
from menura.devices.synthetic import SyntheticDuplex
from menura.devices.synthetic_oneway import SyntheticInput, SyntheticOutput
from menura.errors import DeviceError
from menura.live import speaking
from menura.live.session import VoiceSession
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice

RATE = 48_000
TIMEOUT_S = 20.0
MIC = DeviceInfo("Mic", 0, "ALSA", 1, 0, RATE, is_default_input=True)
SPEAKER = DeviceInfo("Speaker", 1, "ALSA", 0, 2, RATE, is_default_output=True)
PHONES = DeviceInfo("Phones", 2, "ALSA", 0, 2, RATE)
HEADSET = DeviceInfo("Headset (hw:1,0)", 3, "ALSA", 1, 2, RATE)


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Machine:
    """Devices that open as synthetic ones."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.inputs, self.outputs, self.duplexes, self.missing = [], {}, [], None
        self.devices, self.refreshed = [MIC, SPEAKER, PHONES, HEADSET], []
        monkeypatch.setattr(speaking, "list_devices", self.list_devices)
        monkeypatch.setattr(speaking, "retry_after_s", lambda away_s: 0.01)
        monkeypatch.setattr(speaking, "open_input", self.open_input)
        monkeypatch.setattr(speaking, "open_output", self.open_output)
        monkeypatch.setattr(speaking, "open_duplex", self.open_duplex)

    def list_devices(self, refresh=False):
        self.refreshed.append(refresh)
        return list(self.devices)

    def open_input(self, index, *, rate):
        if index == self.missing:
            raise DeviceError("Audio device not available: it is away")
        self.inputs.append(SyntheticInput(rate))
        return self.inputs[-1]

    def open_output(self, index, *, rate):
        if index == self.missing:
            raise DeviceError("Audio device not available: it is away")
        self.outputs[index] = SyntheticOutput(rate)
        return self.outputs[index]

    def open_duplex(self, source, sink, *, rate):
        self.duplexes.append(SyntheticDuplex(rate))
        return self.duplexes[-1]


def session():
    return VoiceSession(make_stage(find_voice("robot"), RATE))
