import threading
import time

import numpy as np
import pytest

from menura.devices.port import DeviceInfo
from menura.devices.synthetic import SyntheticDuplex
from menura.devices.synthetic_oneway import SyntheticInput, SyntheticOutput
from menura.errors import DeviceError
from menura.live import speaking
from menura.live.recorder import Recorder
from menura.live.session import VoiceSession
from menura.live.speaking import Devices, Speaking, have_one_clock
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
        self.inputs, self.outputs, self.duplexes, self.missing = [], {}, [], None
        monkeypatch.setattr(speaking, "list_devices", lambda refresh=False: [MIC, SPEAKER, PHONES, HEADSET])
        monkeypatch.setattr(speaking, "open_input", self.open_input)
        monkeypatch.setattr(speaking, "open_output", self.open_output)
        monkeypatch.setattr(speaking, "open_duplex", self.open_duplex)

    def open_input(self, index, *, rate):
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


@pytest.fixture
def machine(monkeypatch):
    yield Machine(monkeypatch)
    assert not {"menura-route", "menura-audio"} & {thread.name for thread in threading.enumerate()}


def session():
    return VoiceSession(make_stage(find_voice("robot"), RATE))


@pytest.mark.parametrize(
    ("source", "sink", "one"),
    [
        (HEADSET, HEADSET, True),
        (MIC, SPEAKER, False),
        (DeviceInfo("pulse", 4, "ALSA", 32, 32, RATE), DeviceInfo("pulse", 4, "ALSA", 32, 32, RATE), False),
        (DeviceInfo("USB", 4, "Core Audio", 1, 2, RATE), DeviceInfo("USB", 4, "Core Audio", 1, 2, RATE), True),
    ],
)
def test_one_clock_is_one_piece_of_hardware(source, sink, one):
    assert have_one_clock(source, sink) is one


def test_separate_devices_with_a_monitor_and_a_recording(machine):
    blocks = []
    recorder = Recorder(blocks.append)
    one = Speaking(session(), Devices(monitor="phones"), recorder=recorder)
    one.start()
    assert one.names == ("Mic", "Speaker", "Phones")
    for n in range(100):
        for port in machine.outputs.values():
            port.pump(480)
        machine.inputs[0].feed(np.full((480, 1), 0.25, np.float32))
        machine.inputs[0].pump(480)
        until(lambda n=n: one.session.stats().frames == 480 * (n + 1))
    stats = one.stats()
    one.stop()
    recorder.close()
    assert set(machine.outputs) == {1, 2}
    assert stats.running
    assert not stats.one_clock
    assert stats.input_level == pytest.approx(0.25, abs=0.01)
    assert stats.latency_ms == pytest.approx(stats.capture_ms + stats.voice_ms + stats.playback_ms)
    assert stats.voice_ms == pytest.approx(one.session.stats().latency_ms)
    both = np.concatenate(blocks)
    assert both.shape == (48_000, 2)
    assert np.all(both[:, 0] == 0.25)
    assert not np.array_equal(both[:, 1], both[:, 0])
    assert machine.inputs[0].closed
    assert all(port.closed for port in machine.outputs.values())


def test_one_piece_of_hardware_runs_on_one_clock_and_a_monitor_follows_it(machine):
    one = Speaking(session(), Devices(input="Headset", output="Headset", monitor="Speaker"))
    one.start()
    port = machine.duplexes[0]
    for _ in range(10):
        machine.outputs[1].pump(480)
        port.pump(480)
        until(lambda: one.session.stats().frames == port._exchange._captured.consumed)
    assert one.stats().one_clock
    assert one.stats().running
    one.stop()
    assert machine.outputs[1].closed
    assert port.closed


def test_nothing_stays_open_when_a_device_is_missing(machine):
    machine.missing = 2
    one = Speaking(session(), Devices(monitor="Phones"))
    with pytest.raises(DeviceError, match="away"):
        one.start()
    assert machine.inputs[0].closed
    assert machine.outputs[1].closed
    one.devices = Devices(input="Headset", output="Headset", monitor="Phones")
    with pytest.raises(DeviceError):
        one.start()
    assert all(port.closed for port in machine.duplexes)


def test_it_starts_again_after_a_loss_and_goes_on_counting(machine):
    one = Speaking(session())
    one.start()
    machine.inputs[0].pump(480, lost=True)
    until(lambda: one.stats().xruns == 1)
    machine.inputs[0].unplug()
    until(lambda: not one.stats().running)
    assert isinstance(one.error, DeviceError)
    one.start(refresh=True)
    assert one.stats().running
    assert one.stats().xruns == 1
    assert one.error is None
    one.stop()
    assert not one.stats().running


def test_a_disk_that_fails_ends_the_recording_alone(caplog):
    def full(x):
        raise OSError("no space")

    recorder = Recorder(full)
    block = np.zeros((480, 1), np.float32)
    recorder.push(block, block)
    until(lambda: recorder.error is not None)
    recorder.push(block, block)
    recorder.close()
    recorder.close()
    assert str(recorder.error) == "no space"


def test_a_slow_disk_costs_no_time_and_what_does_not_fit_is_counted():
    go = threading.Event()
    recorder = Recorder(lambda x: go.wait(TIMEOUT_S))
    block = np.zeros((10, 1), np.float32)
    for _ in range(3100):
        recorder.push(block, block)
    assert 980 <= recorder.dropped <= 1000
    go.set()
    recorder.close()
