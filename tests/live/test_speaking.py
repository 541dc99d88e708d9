import threading
from dataclasses import replace

import numpy as np
import pytest

from menura.devices.port import DeviceInfo
from menura.errors import DeviceError, ModelError
from menura.live import speaking
from menura.live.recorder import Recorder
from menura.live.speaking import Devices, Speaking, have_one_clock
from tests.live.machine import HEADSET, MIC, PHONES, RATE, SPEAKER, TIMEOUT_S, session, until


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
    for n in range(100):
        machine.outputs[1].pump(480)
        port.feed(np.full((480, 1), 0.25, np.float32))
        port.pump(480)
        until(lambda n=n: one.session.stats().frames == 480 * (n + 1))
    assert np.abs(machine.outputs[1].given[-4800:]).max() > 0.01
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
    assert machine.inputs == []
    machine.missing = 1
    with pytest.raises(DeviceError, match="away"):
        one.start()
    assert machine.outputs[2].closed
    assert all(port.closed for port in machine.inputs)
    machine.missing = 2
    one.devices = Devices(input="Headset", output="Headset", monitor="Phones")
    with pytest.raises(DeviceError):
        one.start()
    assert all(port.closed for port in machine.duplexes)


class Told(list):
    """What is told, and that it is."""

    def wait(self, count):
        until(lambda: len(self) >= count)
        return self


def started(devices=None, **options):
    told = Told()
    one = Speaking(session(), devices, tell=told.append, **options)
    one.start()
    one.start()
    return one, told


def test_lost_devices_are_awaited_and_counting_goes_on(machine):
    one, told = started()
    machine.inputs[0].pump(480, lost=True)
    until(lambda: one.stats().xruns == 1)
    machine.missing = 0
    machine.inputs[0].unplug()
    assert isinstance(told.wait(1)[0], DeviceError)
    until(lambda: not one.stats().running)
    until(lambda: machine.refreshed.count(True) > 2)  # it is looked for again and again
    assert one.stats().lost
    machine.missing = None
    until(lambda: len(machine.inputs) == 2 and machine.inputs[1].alive)
    assert len(told) == 1  # it is back when it gives audio
    machine.inputs[1].pump(480)
    assert told.wait(2)[1] is None
    until(lambda: one.stats().running)  # a moment after it is told
    stats = one.stats()
    assert (stats.running, stats.lost, stats.reopened, stats.xruns) == (True, False, 1, 1)
    assert one.error is None
    one.stop()
    one.stop()
    assert not one.stats().running
    assert machine.inputs[1].closed


def test_a_device_that_came_by_index_is_found_again_by_name(machine):
    one, _ = started(Devices(input=0, output=1))
    moved = [replace(SPEAKER, index=0), replace(MIC, index=5), replace(PHONES, index=1)]
    machine.devices = moved
    opened = []
    machine.open_input, real = lambda index, *, rate: opened.append(index) or real(index, rate=rate), machine.open_input
    machine.monkeypatch.setattr(speaking, "open_input", machine.open_input)
    machine.inputs[0].unplug()
    until(lambda: opened == [5])
    assert set(machine.outputs) == {0, 1}
    one.stop()


def test_a_device_that_comes_after_portaudio_has_started_is_found(machine):
    machine.devices = [MIC]
    real = machine.list_devices

    def look(refresh=False):
        if refresh:
            machine.devices = [MIC, SPEAKER]
        return real(refresh)

    machine.monkeypatch.setattr(speaking, "list_devices", look)
    one, _ = started()
    assert one.names == ("Mic", "Speaker", "")
    one.stop()


def test_a_monitor_that_is_lost_harms_nothing_and_comes_back(machine):
    one, told = started(Devices(monitor="phones"))
    first = machine.outputs[2]
    machine.missing = 2
    first.unplug()
    machine.inputs[0].pump(480)
    assert isinstance(told.wait(1)[0], DeviceError)
    assert one.stats().running
    machine.missing = None
    assert told.wait(2)[1] is None
    assert first.closed
    assert machine.outputs[2] is not first
    assert machine.outputs[2].alive
    assert len(machine.inputs) == 1
    one.stop()
    assert machine.outputs[2].closed


def test_without_its_monitor_the_rest_comes_back(machine):
    one, told = started(Devices(monitor="phones"))
    machine.missing = 2
    machine.inputs[0].unplug()
    until(lambda: len(machine.inputs) == 2 and machine.inputs[1].alive)
    machine.inputs[1].pump(480)
    assert told.wait(2)[1] is None
    until(lambda: one.stats().running)
    machine.missing = None
    told.wait(3)
    assert machine.outputs[2].alive
    one.stop()


def test_a_voice_that_fails_ends_it(machine):
    def broken(x):
        raise ModelError("the voice has failed")

    one, told = started()
    one.session.process = broken
    machine.inputs[0].pump(480)
    assert told.wait(1) == [one.error]
    assert isinstance(one.error, ModelError)
    until(lambda: not one.stats().running)
    assert machine.inputs[0].closed
    one.stop()
    assert machine.refreshed == [False]


def test_it_may_be_stopped_by_whoever_is_told(machine):
    one, told = started()
    one._tell_outside = lambda error: (told.append(error), one.stop())
    machine.inputs[0].unplug()
    told.wait(1)
    until(lambda: machine.outputs[1].closed)
    one.stop()
    assert len(machine.inputs) == 1


def test_a_device_that_hangs_while_it_opens_holds_up_nobody_for_ever(machine, caplog):
    opening, go = threading.Event(), threading.Event()
    one, _ = started()
    real = machine.open_input

    def hangs(index, *, rate):
        opening.set()
        assert go.wait(TIMEOUT_S)
        return real(index, rate=rate)

    machine.monkeypatch.setattr(speaking, "open_input", hangs)
    machine.monkeypatch.setattr(speaking, "JOIN_S", 0.05)
    machine.inputs[0].unplug()
    assert opening.wait(TIMEOUT_S)
    one.stop()
    assert "not given back" in caplog.text
    with pytest.raises(DeviceError, match="it hangs since"):
        one.start()
    go.set()
    machine.monkeypatch.setattr(speaking, "JOIN_S", TIMEOUT_S)
    until(lambda: one._caretaker is None)
    assert all(port.closed for port in machine.inputs)
    one.start()
    one.stop()


def test_it_starts_again_after_a_stop(machine):
    one, _ = started()
    one.stop()
    one.start()
    assert one.stats().running
    assert len(machine.inputs) == 2
    one.stop()


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
