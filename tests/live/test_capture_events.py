"""What a capture tells and when: its callbacks, and what happens to its microphone."""

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from menura.devices.port import DeviceInfo
from menura.errors import DeviceError, StateError
from menura.live import microphone
from menura.live.capture_manager import AudioCaptureCallbacks
from tests.live.capturing import RATE, TIMEOUT_S, Connection, noise, until

CHUNK = 4800


# callbacks


def broken(*_):
    raise ValueError("broken")


@pytest.mark.parametrize("name", ["on_audio_data", "on_volume_change", "on_state_change", "on_vad_speech_start"])
def test_a_callback_that_raises_is_reported_and_the_capture_goes_on(rig, name):
    rig = rig(vad_enabled=name.startswith("on_vad"))
    rig.manager.set_callbacks(replace(rig.callbacks, **{name: broken}))
    rig.start()
    rig.hear(np.concatenate([noise(2 * CHUNK)[0], np.zeros((2 * CHUNK, 1), np.float32)]))
    assert rig.errors
    assert all(isinstance(error, ValueError) for error in rig.errors)
    assert rig.manager.get_state() == "recording"
    assert rig.manager.get_stats()["total_samples"] == 4 * CHUNK
    assert rig.manager.get_stats()["callback_errors"] == len(rig.errors)


def test_an_on_error_that_raises_is_logged(rig, caplog):
    rig = rig()
    rig.manager.set_callbacks(AudioCaptureCallbacks(on_audio_data=broken, on_error=broken))
    rig.start()
    rig.hear(noise(2 * CHUNK)[0])
    assert "on_error of the audio capture failed" in caplog.text
    assert rig.manager.get_stats()["total_chunks"] == 2


def test_without_on_error_errors_are_logged(rig, caplog):
    rig = rig(on=AudioCaptureCallbacks(on_audio_data=broken)).start()
    rig.hear(noise(CHUNK)[0])
    assert "audio capture: broken" in caplog.text


METHODS = ["stop_recording", "dispose", "pause", "resume", "flush", "get_stats", "get_state", "get_current_volume"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["on_audio_data", "on_volume_change", "on_state_change"])
def test_every_method_may_be_called_from_every_callback(rig, name, method):
    rig = rig(chunk_size=480)
    calls = []

    def call(*_):
        if not calls:
            calls.append(getattr(rig.manager, method)())
            calls.append(rig.manager.get_state())

    rig.manager.set_callbacks(replace(rig.callbacks, **{name: call}))
    rig.start()
    if rig.manager.get_state() != "inactive":
        rig.port.feed(noise(480)[0])
        rig.port.pump(480)
    until(lambda: len(calls) == 2)
    rig.settle()
    if method in ("stop_recording", "dispose"):
        assert calls[1] == "inactive"
        assert rig.port.closed
    assert rig.errors == []


def test_a_callback_may_stop_and_start_again(rig):
    rig = rig(chunk_size=480)
    done = []

    def again(*_):
        if not done:
            done.append(rig.manager.stop_recording())
            done.append(rig.manager.start_recording())

    rig.manager.set_callbacks(replace(rig.callbacks, on_audio_data=again))
    rig.start()
    first = rig.port
    first.feed(noise(480)[0])
    first.pump(480)
    until(lambda: len(rig.states) == 3)
    assert first.closed
    assert rig.port is not first
    assert rig.states == ["recording", "inactive", "recording"]
    rig.manager.set_callbacks(rig.callbacks)
    rig.hear(noise(480)[0])
    assert len(rig.chunks) == 1


def test_every_method_from_many_threads_at_once(rig):
    rig = rig(chunk_size=480).start()
    stop = threading.Event()
    faults = []

    def hammer(method):
        while not stop.is_set():
            try:
                getattr(rig.manager, method)()
            except StateError:
                pass
            except Exception as error:
                faults.append(error)

    names = ["start_recording", "pause", "resume", "flush", "get_stats", "initialize", "stop_recording"]
    threads = [threading.Thread(target=hammer, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    until(lambda: len(rig.states) > 200)
    stop.set()
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    assert faults == []
    rig.manager.stop_recording()
    allowed = {
        ("inactive", "recording"),
        ("recording", "paused"),
        ("paused", "recording"),
        ("recording", "inactive"),
        ("paused", "inactive"),
    }
    assert set(zip(["inactive", *rig.states], rig.states, strict=False)) <= allowed
    assert all(port.closed for port in rig.ports)


def test_audio_does_not_wait_without_bound_while_a_callback_is_busy_in_another_thread(rig):
    rig = rig(chunk_size=480)
    busy, go = threading.Event(), threading.Event()

    def slow(*_):
        busy.set()
        assert go.wait(TIMEOUT_S)

    rig.start()
    rig.hear(noise(100)[0])
    rig.manager.set_callbacks(replace(rig.callbacks, on_audio_data=slow))
    thread = threading.Thread(target=rig.manager.flush)
    thread.start()
    assert busy.wait(TIMEOUT_S)
    x, data = noise(15 * RATE)
    for at in range(0, len(x), 4800):
        rig.port.feed(x[at : at + 4800])
        rig.port.pump(4800)
        until(lambda n=at + 4800 + 100: rig.port._intake._read >= n)
    until(lambda: rig.manager.get_stats()["dropped_chunks"] == 250)
    rig.manager.set_callbacks(rig.callbacks)
    go.set()
    thread.join(TIMEOUT_S)
    rig.settle()
    assert rig.audio == data[5 * 2 * RATE :], "the newest ten seconds"


# the device


def test_losses_of_the_device_are_counted_and_measured(rig):
    rig = rig().start()
    rig.hear(noise(2 * RATE)[0])
    rig.port.pump(480, lost=True)
    until(lambda: rig.manager.get_stats()["xruns"] == rig.manager.get_stats()["gaps"] == 1)
    rig.port.now_s += 0.5  # as much passed unheard
    rig.hear(noise(6 * RATE)[0])
    stats = rig.manager.get_stats()
    assert (stats["xruns"], stats["gaps"]) == (1, 1), "what the device said and what its times say is one"
    assert stats["lost_ms"] == pytest.approx(500.0, abs=5.0)
    rig.port.now_s += 0.25  # it says nothing
    rig.hear(noise(3 * RATE)[0])
    stats = rig.manager.get_stats()
    assert (stats["xruns"], stats["gaps"]) == (1, 2)
    assert stats["lost_ms"] == pytest.approx(750.0, abs=5.0)
    with rig.manager._outbox._idle:  # the capture's thread is held up until the ring is full
        read = rig.port._intake._read
        rig.port.pump(480)
        until(lambda: rig.port._intake._read > read)
        rig.port.pump(RATE + 4800)
    rig.hear(noise(3 * RATE)[0])
    stats = rig.manager.get_stats()
    assert stats["gaps"] == 3
    assert stats["lost_ms"] == pytest.approx(950.0, abs=50.0)


def test_a_lost_microphone_is_reported_once_and_heard_again_when_it_returns(rig):
    rig = rig(device_index=3, chunk_size=480).start()
    x, data = noise(960 + 100)
    rig.hear(x)
    rig.absent = True
    lost = rig.port
    rig.port.unplug()
    until(lambda: len(rig.asked) >= 4)
    rig.settle()
    assert rig.audio == data, "what waited is flushed"
    assert [str(error)[:26] for error in rig.errors] == ["Audio device not available"]
    assert rig.manager.get_state() == "recording"
    assert rig.manager.get_stats()["device_lost"]
    assert lost.closed
    rig.absent = False
    until(lambda: rig.port is not lost and rig.port.alive)
    y, more = noise(960, 7)
    rig.hear(y)
    assert rig.audio == data + more
    stats = rig.manager.get_stats()
    assert (stats["reopened"], stats["device_lost"], len(rig.errors)) == (1, False, 1)
    assert rig.asked[0][0] == 3
    assert rig.asked[-1][0] == "Mic One", "its index may have changed, its name has not"
    assert rig.asked[-1][-1], "devices are looked for anew"


def test_of_two_microphones_of_one_name_the_one_at_the_index_is_reopened(rig):
    rig = rig(device_index=3).start()
    opened, names = rig.manager._open_port, ["Mic Two", "Mic One"]

    def ambiguous(device, **form):
        if isinstance(device, str):
            raise DeviceError(f"Audio device not available: {device!r} fits 2 inputs")
        port = opened(device, **form)
        port.input = DeviceInfo(names.pop(0), 3, "Test", 1, 0, RATE)
        return port

    rig.manager._open_port = ambiguous
    lost = rig.port
    lost.unplug()
    until(lambda: rig.manager.get_stats()["device"] == "Mic One" and rig.port.alive and not names)
    assert rig.ports[-2].closed, "another one has the index meanwhile"


def test_a_rate_that_the_provider_does_not_take_is_remarked(rig, caplog):
    rig(Connection(), sample_rate=48_000)
    assert "audio is sent at 48000 Hz" in caplog.text
    caplog.clear()
    later = rig(sample_rate=16_000)
    assert caplog.text == ""
    later.manager.connection_manager = Connection()
    assert "audio is sent at 16000 Hz" in caplog.text


def test_a_microphone_without_frames_is_lost_and_reported_once_however_often_it_opens(rig):
    rig = rig(lost_after_s=0.05).start()
    until(lambda: len(rig.ports) >= 4)
    rig.settle()
    assert len(rig.errors) == 1
    assert "silent for 0.05 s" in str(rig.errors[0])


def test_a_pause_may_begin_and_end_while_the_microphone_is_away(rig):
    rig = rig(chunk_size=480).start()
    rig.absent = True
    lost = rig.port
    rig.port.unplug()
    until(lambda: rig.errors)
    rig.manager.pause()
    rig.absent = False
    until(lambda: rig.port is not lost and rig.port.alive)
    rig.hear(noise(480)[0])
    assert rig.chunks == []
    rig.manager.resume()
    x, data = noise(480, 3)
    rig.hear(x)
    assert rig.audio == data


def test_a_stop_does_not_wait_for_a_microphone_that_is_away(rig):
    rig = rig().start()
    rig.absent = True
    rig.port.unplug()
    until(lambda: rig.errors)
    rig.manager.stop_recording()
    assert rig.states == ["recording", "inactive"]


def test_without_reopen_a_lost_microphone_ends_the_recording(rig):
    rig = rig(reopen=False).start()
    rig.port.unplug()
    until(lambda: rig.states == ["recording", "inactive"])
    assert len(rig.errors) == 1
    rig.manager.start_recording()
    assert rig.manager.get_state() == "recording"


def test_a_muted_microphone_is_reported_once(rig):
    rig = rig(silent_after_s=0.5).start()
    silence = np.zeros((RATE // 4, 1), np.float32)
    rig.hear(silence)
    assert rig.errors == []
    for _ in range(4):
        rig.hear(silence)
    assert len(rig.errors) == 1
    assert "'Mic One' gives nothing but digital silence for 0.5 s" in str(rig.errors[0])
    rig.hear(noise(480)[0])
    for _ in range(4):
        rig.hear(silence)
    assert len(rig.errors) == 2
    assert rig.manager.get_state() == "recording"


def away(rig):
    """Lose the microphone, let it be looked for, and bring it back."""
    lost, rig.absent, asked = rig.port, True, len(rig.asked)
    lost.unplug()
    until(lambda: len(rig.asked) >= asked + 2)
    rig.absent = False
    until(lambda: rig.port is not lost and rig.port.alive)


def test_a_loss_is_told_though_the_device_cannot_be_closed(rig):
    """As with a sound server that hangs."""
    rig, go = rig().start(), threading.Event()
    rig.port.close = lambda: go.wait(TIMEOUT_S)
    rig.port.unplug()
    until(lambda: rig.errors)
    assert rig.manager.get_stats()["device_lost"]
    assert not go.is_set()
    go.set()
    until(lambda: rig.port.alive)


@pytest.mark.parametrize("fill", [True, False])
def test_the_time_in_which_a_microphone_is_away_is_counted_and_may_be_filled(rig, fill):
    rig = rig(fill_gaps=fill, chunk_size=480).start()
    x, data = noise(480)
    rig.hear(x)
    away(rig)
    y, more = noise(480, 7)
    rig.hear(y)
    rig.manager.flush()
    stats = rig.manager.get_stats()
    assert stats["gaps"] == 1
    assert 250.0 < stats["lost_ms"] < 20_000.0  # two looks, the first a quarter of a second after the loss
    between = rig.audio[len(data) : -len(more)]
    assert rig.audio == data + bytes(len(between)) + more
    assert len(between) // 2 == (round(stats["lost_ms"] * RATE / 1000.0) if fill else 0)
    assert stats["total_samples"] == 960 + len(between) // 2


def test_a_pause_is_not_filled(rig):
    rig = rig(fill_gaps=True, chunk_size=480).start()
    rig.hear(noise(480)[0])
    rig.manager.pause()
    rig.hear(noise(480)[0])
    away(rig)
    rig.hear(noise(480)[0])
    rig.manager.resume()
    rig.hear(noise(480)[0])
    assert len(rig.audio) == 2 * 960
    assert rig.manager.get_stats()["gaps"] == 0


def test_a_long_absence_is_filled_in_parts(rig, monkeypatch):
    rig = rig(fill_gaps=True).start()
    rig.hear(noise(480)[0])
    monkeypatch.setattr(microphone.Absence, "read", lambda self, port, frames: 30.0)
    rig.hear(noise(480)[0])
    until(lambda: len(rig.audio) >= 2 * (480 + 30 * RATE))
    rig.turn()  # each part is told by itself: what follows the last one may be on its way still
    rig.turn()
    rig.settle()
    rig.manager.flush()
    assert len(rig.audio) == 2 * (960 + 30 * RATE)
    assert rig.manager.get_stats()["dropped_chunks"] == 0


def test_a_named_microphone_that_falls_silent_is_opened_anew(rig):
    """Its stream may have been moved to another, as sound servers do."""
    rig = rig(device="mic", silent_after_s=0.5).start()
    first, opened = rig.port, len(rig.ports)
    rig.hear(np.zeros((RATE // 2, 1), np.float32))
    until(lambda: rig.port is not first and rig.port.alive)
    assert first.closed
    until(lambda: len(rig.errors) == 1)
    assert "digital silence" in str(rig.errors[0])
    rig.hear(np.zeros((RATE, 1), np.float32))
    assert (len(rig.ports) - opened, len(rig.errors)) == (1, 1)


def test_a_named_microphone_that_fell_silent_because_it_is_away_is_lost(rig):
    rig = rig(device="mic", silent_after_s=0.5).start()
    rig.hear(noise(480)[0])
    first, rig.absent = rig.port, True
    first.feed(np.zeros((RATE, 1), np.float32))
    first.pump(RATE // 2)
    until(lambda: rig.errors)
    assert [str(error) for error in rig.errors] == ["Audio device not available: it is away"]
    assert rig.manager.get_stats()["device_lost"]
    rig.absent = False
    until(lambda: rig.port is not first and rig.port.alive)
    rig.hear(noise(480)[0])
    assert rig.manager.get_stats()["reopened"] == 1
    assert len(rig.errors) == 1


@pytest.mark.parametrize(("settings", "wanted"), [({}, None), ({"device_index": 2}, 2), ({"device": "usb"}, "usb")])
def test_the_device_asked_for_is_opened(rig, settings, wanted):
    rig = rig(**settings).start()
    assert rig.asked[0][0] == wanted
    assert rig.manager.get_stats()["device"] == "Mic One"


# what ends a thread


class Ended(BaseException):
    """As ``KeyboardInterrupt`` and ``SystemExit`` are: no ``Exception``."""


def ends(*_):
    raise Ended


def test_an_interrupt_within_a_callback_leaves_the_capture_usable(rig):
    rig = rig(chunk_size=480)
    rig.manager.set_callbacks(replace(rig.callbacks, on_state_change=ends))
    rig.manager.initialize()
    with pytest.raises(Ended):
        rig.manager.start_recording()
    rig.manager.set_callbacks(rig.callbacks)
    x, data = noise(480)
    rig.hear(x)
    assert rig.audio == data
    rig.manager.stop_recording()
    assert rig.states == ["inactive"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_ends_the_microphones_thread_ends_the_recording(rig):
    rig = rig(chunk_size=480).start()
    rig.manager.set_callbacks(replace(rig.callbacks, on_audio_data=ends))
    rig.port.feed(noise(480)[0])
    rig.port.pump(480)
    until(lambda: rig.manager.get_state() == "inactive")
    assert rig.port.closed
    rig.manager.set_callbacks(rig.callbacks)
    rig.manager.start_recording()
    x, data = noise(480)
    rig.hear(x)
    assert rig.audio == data


def test_a_start_that_races_a_dispose_does_not_outlive_it(rig):
    rig = rig()
    rig.manager.initialize()
    opening, go = threading.Event(), threading.Event()
    opened = rig.manager._open_port

    def slow(device, **form):
        opening.set()
        assert go.wait(TIMEOUT_S)
        return opened(device, **form)

    rig.manager._open_port = slow
    starting = threading.Thread(target=rig.manager.start_recording)
    starting.start()
    assert opening.wait(TIMEOUT_S)
    disposing = threading.Thread(target=rig.manager.dispose)
    disposing.start()
    go.set()
    starting.join(TIMEOUT_S)
    disposing.join(TIMEOUT_S)
    assert rig.manager.get_state() == "inactive"
    assert rig.port.closed


UNSTOPPED = """
import time
from menura.devices.synthetic_oneway import SyntheticInput
from menura.live.capture_manager import AudioCaptureCallbacks, AudioCaptureManager

ports = []
def opens(device, **form):
    print("opened", flush=True)
    ports.append(SyntheticInput())
    return ports[-1]

def on_audio_data(audio, volume):
    print(len(audio), flush=True)

manager = AudioCaptureManager(callbacks=AudioCaptureCallbacks(on_audio_data, on_error=print), open_port=opens)
manager.initialize()
manager.start_recording()
ports[-1].pump(480)
"""


def test_a_program_may_end_without_a_stop_and_loses_nothing():
    done = subprocess.run([sys.executable, "-c", UNSTOPPED], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["opened", "opened", "1280"]
