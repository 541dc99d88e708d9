import base64
import threading
from dataclasses import replace

import numpy as np
import pytest

from menura.devices.port import DeviceInfo
from menura.devices.synthetic_oneway import SyntheticInput
from menura.errors import ConfigError, DeviceError, StateError
from menura.live.capture_manager import (
    AudioCaptureCallbacks,
    AudioCaptureConfig,
    AudioCaptureManager,
    CaptureState,
    create_audio_capture,
)
from menura.vad.config import VADConfig
from tests.live.capturing import RATE, TIMEOUT_S, CaptureRig, Connection, noise, none_runs, raw, until
from tests.utterances import speech

CHUNK = 4800


@pytest.fixture
def rig():
    rigs = []

    def make(*args, **settings):
        rigs.append(CaptureRig(*args, **settings))
        return rigs[-1]

    yield make
    for each in rigs:
        each.close()
    assert none_runs()


# what the document says


def test_defaults_are_those_of_the_document():
    config = AudioCaptureConfig()
    assert (config.sample_rate, config.channel_count, config.chunk_size, config.buffer_size) == (24000, 1, 4800, 4096)
    assert (config.device_index, config.vad_enabled, config.vad_threshold, config.auto_flush_ms) == (
        None,
        False,
        0.02,
        200,
    )
    assert [str(state) for state in CaptureState] == ["inactive", "recording", "paused"]


def test_chunks_have_exactly_the_size_asked_for_and_hold_what_was_heard(rig):
    rig = rig().start()
    x, data = noise(3 * CHUNK + 1000)
    rig.hear(x)
    assert [len(chunk) for chunk in rig.chunks] == [2 * CHUNK] * 3
    stats = rig.manager.get_stats()
    rig.manager.stop_recording()
    assert rig.audio == data, "the rest is flushed by the stop"
    assert rig.log == ["recording", 9600, 9600, 9600, 2000, "inactive"]
    expected = {
        "state": "recording",
        "is_recording": True,
        "is_paused": False,
        "total_samples": 3 * CHUNK + 1000,
        "total_chunks": 3,
        "buffer_samples": 1000,
        "buffer_ms": pytest.approx(41.67, abs=0.01),
        "vad_enabled": False,
        "vad_speech_active": False,
        "sample_rate": 24000,
        "channels": 1,
    }
    assert {key: stats[key] for key in expected} == expected
    assert list(stats)[: len(expected)] == list(expected)
    assert rig.asked[-1] == (None, 24000, 1, 480, 0.0853, False)


def test_volume_is_the_level_of_the_chunk_and_of_what_was_heard_last(rig):
    rig = rig().start()
    rig.hear(np.full((CHUNK, 1), 0.5, np.float32))
    assert rig.levels == [pytest.approx(0.5)]
    assert rig.volumes == [pytest.approx(0.5)], "told when it changes"
    assert rig.manager.get_current_volume() == pytest.approx(0.5)
    rig.hear(np.full((480, 1), -0.25, np.float32))
    assert rig.manager.get_current_volume() == pytest.approx(0.25)
    rig.manager.pause()
    assert rig.manager.get_current_volume() == 0.0
    assert rig.volumes == [pytest.approx(0.5), pytest.approx(0.25), 0.0]


@pytest.mark.parametrize(
    ("chunk_size", "auto_flush_ms", "sizes"),
    [(9600, 200, [4800, 4800]), (9600, 0, [9600]), (1200, 200, [1200] * 8), (1_000_000, 60_000, [])],
)
def test_no_audio_waits_longer_than_auto_flush(rig, chunk_size, auto_flush_ms, sizes):
    rig = rig(chunk_size=chunk_size, auto_flush_ms=auto_flush_ms).start()
    rig.hear(noise(9600)[0])
    assert [len(chunk) // 2 for chunk in rig.chunks] == sizes


def test_audio_that_nothing_follows_is_flushed(rig):
    rig = rig(lost_after_s=30.0, auto_flush_ms=50, chunk_size=960, buffer_size=480).start()
    x, data = noise(480)
    rig.hear(x, 480)
    now = rig.manager._clock()
    rig.manager._clock = lambda: now + 1.0
    rig.port._side.wake()  # as a callback without audio
    until(lambda: rig.chunks)
    assert rig.audio == data


def test_flush_sends_what_waits(rig):
    rig = rig().start()
    x, data = noise(1000)
    rig.hear(x)
    assert rig.chunks == []
    rig.manager.flush()
    rig.manager.flush()
    assert rig.chunks == [data]


def test_errors_of_the_document_are_runtime_errors_that_say_what_to_do(rig):
    rig = rig()
    with pytest.raises(RuntimeError, match=r"not initialized: call initialize\(\) first"):
        rig.manager.start_recording()
    rig.start()
    with pytest.raises(RuntimeError, match=r"Already recording: call stop_recording\(\) first"):
        rig.manager.start_recording()
    rig.manager.pause()
    with pytest.raises(StateError, match=r"Already recording, and paused: call resume\(\), or stop_recording\(\)"):
        rig.manager.start_recording()


def test_what_fits_no_state_changes_nothing(rig):
    rig = rig()
    for call in (rig.manager.stop_recording, rig.manager.pause, rig.manager.resume, rig.manager.flush):
        call()
    rig.start()
    rig.manager.resume()
    rig.manager.pause()
    rig.manager.pause()
    rig.manager.resume()
    rig.manager.stop_recording()
    rig.manager.stop_recording()
    rig.manager.dispose()
    rig.manager.dispose()
    assert rig.states == ["recording", "paused", "recording", "inactive"]
    assert rig.manager.get_state() is CaptureState.INACTIVE
    assert all(port.closed for port in rig.ports)
    with pytest.raises(RuntimeError, match="not initialized"):
        rig.manager.start_recording()


def test_no_microphone_is_told_by_initialize(rig):
    rig = rig()
    rig.absent = True
    with pytest.raises(DeviceError, match="Audio device not available"):
        rig.manager.initialize()
    assert [asked[-1] for asked in rig.asked] == [False, True], "looked again, for it may have come since"
    rig.absent = False
    rig.start()
    rig.manager.stop_recording()
    rig.absent = True
    with pytest.raises(OSError, match="Audio device not available"):
        rig.manager.start_recording()
    assert rig.manager.get_state() == "inactive"


def test_it_records_again_after_a_stop(rig):
    rig = rig().start()
    first, data = noise(CHUNK + 7)
    rig.hear(first)
    rig.manager.stop_recording()
    rig.manager.start_recording()
    second, more = noise(CHUNK, 1)
    rig.hear(second)
    rig.manager.stop_recording()
    assert rig.audio == data + more
    assert rig.manager.get_stats()["total_samples"] == 2 * CHUNK + 7
    assert rig.states == ["recording", "inactive"] * 2


def test_callbacks_can_be_replaced_while_it_records(rig):
    rig = rig().start()
    other = []
    rig.manager.set_callbacks(AudioCaptureCallbacks(on_audio_data=lambda audio, volume: other.append(audio)))
    rig.hear(noise(CHUNK)[0])
    rig.manager.set_callbacks(None)
    rig.hear(noise(CHUNK)[0])
    assert (len(other), rig.chunks) == (1, [])


def test_with_initializes_and_disposes():
    rig = CaptureRig()
    with rig.manager as manager:
        manager.start_recording()
        rig.hear(noise(100)[0])
    assert len(rig.audio) == 200
    assert rig.port.closed
    rig.close()


def test_create_audio_capture_makes_it_ready(monkeypatch):
    monkeypatch.setattr(
        AudioCaptureManager.__init__, "__kwdefaults__", {"open_port": lambda device, **form: SyntheticInput()} | {
            key: value for key, value in AudioCaptureManager.__init__.__kwdefaults__.items() if key != "open_port"
        }
    )  # fmt: skip
    connection = Connection()
    manager = create_audio_capture(connection, 16_000, True, chunk_size=1600, callbacks=AudioCaptureCallbacks())
    assert (manager.config.sample_rate, manager.config.vad_enabled, manager.config.chunk_size) == (16_000, True, 1600)
    assert manager.connection_manager is connection
    manager.start_recording()
    manager.dispose()
    with pytest.raises(TypeError, match="colour"):
        create_audio_capture(colour="blue")


@pytest.mark.parametrize(
    "settings",
    [
        {"channel_count": 3},
        {"chunk_size": 0},
        {"buffer_size": -1},
        {"vad_threshold": 1.5},
        {"auto_flush_ms": -1},
        {"sample_rate": 10},
        {"lost_after_s": 0},
        {"silent_after_s": -1},
        {"device": "a", "device_index": 1},
    ],
)
def test_settings_it_cannot_have_are_refused(settings):
    with pytest.raises(ConfigError):
        AudioCaptureConfig(**settings)


# pauses


def test_a_pause_cuts_where_it_was_asked_for_and_piles_nothing_up(rig):
    rig = rig(chunk_size=480, buffer_size=1920).start()
    x, data = noise(480)
    rig.hear(x)
    with rig.manager._outbox._idle:  # the capture's thread is held up: what came before the pause is read in it
        rig.port.feed(x)
        rig.port.pump(480)
    rig.manager.pause()
    for _ in range(10):
        rig.hear(noise(RATE // 2, 9)[0], RATE // 2)
    rig.settle()
    assert rig.audio == data + data
    assert rig.manager.get_stats()["total_samples"] == 960
    assert rig.manager.get_stats()["buffer_samples"] == 0
    rig.manager.resume()
    y, more = noise(960, 5)
    rig.hear(y)
    assert rig.audio == data + data + more
    assert rig.states == ["recording", "paused", "recording"]


def test_a_pause_ends_the_chunk_and_the_utterance(rig):
    rig = rig(vad_enabled=True).start()
    x = speech(RATE, "am_michael")[: 2 * RATE]
    rig.hear(x)
    assert rig.manager.get_stats()["vad_speech_active"]
    rig.manager.pause()
    rig.hear(np.zeros((480, 1), np.float32))
    assert rig.log[-2:] == ["paused", "end"] or rig.log[-1] == "end"
    assert not rig.manager.get_stats()["vad_speech_active"]
    assert rig.log.count("start") == rig.log.count("end")


# speech


def utterances(log):
    """The chunks' bytes of each utterance."""
    found = []
    for entry in log:
        if entry == "start":
            found.append(0)
        elif isinstance(entry, int):
            found[-1] += entry
    return found


@pytest.mark.parametrize("block", [480, 333, 4096])
@pytest.mark.parametrize("chunk_size", [480, 4800])
def test_utterances_go_out_whole_from_before_their_onset(rig, block, chunk_size):
    connection = Connection()
    rig = rig(connection, vad_enabled=True, chunk_size=chunk_size).start()
    quiet = np.random.default_rng(1).normal(0, 0.002, (RATE, 1)).astype(np.float32)
    parts = [speech(RATE, "af_heart")[: 2 * RATE], speech(RATE, "bm_george")[: 2 * RATE]]
    x = np.concatenate([quiet, parts[0], quiet, quiet, parts[1], quiet, quiet])
    rig.hear(x, block)
    rig.manager.stop_recording()
    data = raw(x)
    sent, at, spans = rig.audio, 0, []
    for size in utterances(rig.log):
        piece, sent = sent[:size], sent[size:]
        found = data.find(piece, at)
        assert found >= 0, "every utterance is one stretch of what was heard, and none begins before the last ended"
        at = found + size
        spans.append((found // 2, at // 2))
    assert sent == b""
    assert connection.audio == rig.audio
    onsets = [RATE, 3 * RATE + 2 * RATE]
    for onset in onsets:
        first = onset + int(np.flatnonzero(np.abs(x[onset : onset + 2 * RATE, 0]) > 0.02)[0])
        assert any(start <= first - RATE // 10 and stop > first + RATE for start, stop in spans), "its onset is cut"
    assert len(sent) < len(data)
    assert rig.log.count("start") == rig.log.count("end") == len(spans) >= 2
    assert rig.manager.get_stats()["utterances"] == len(spans)
    assert utterances(rig.log) == utterances(_log_of(x, chunk_size)), "however the device cuts"


def _log_of(x, chunk_size):
    rig = CaptureRig(vad_enabled=True, chunk_size=chunk_size).start()
    rig.hear(x, 480)
    rig.manager.stop_recording()
    rig.close()
    return rig.log


def test_a_low_threshold_hears_what_a_high_one_does_not(rig):
    x = np.random.default_rng(1).normal(0, 0.05, (RATE, 1)).astype(np.float32)
    found = []
    for threshold in (0.01, 0.2):
        one = rig(vad_enabled=True, vad_threshold=threshold).start()
        one.hear(x)
        found.append(one.log.count("start"))
    assert found == [1, 0]


def test_speech_is_committed_if_asked_for(rig):
    connection = Connection()
    rig = rig(connection, vad_enabled=True, commit_on_speech_end=True, vad=VADConfig(speech_end_ms=200)).start()
    x = np.concatenate([speech(RATE, "am_michael")[:RATE], np.zeros((RATE, 1), np.float32)])
    rig.hear(x)
    kinds = [event["type"] for event in connection.events]
    assert kinds.count("input_audio_buffer.commit") == rig.log.count("end") >= 1
    assert kinds[-1] == "input_audio_buffer.commit"
    assert kinds[0] == "input_audio_buffer.append"


# the connection


def test_the_connection_gets_every_chunk(rig):
    connection = Connection()
    rig = rig(connection).start()
    x, data = noise(2 * CHUNK)
    rig.hear(x)
    assert connection.events == [
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(data[at : at + 2 * CHUNK]).decode()}
        for at in (0, 2 * CHUNK)
    ]


def test_stereo_is_mixed_for_the_connection_alone(rig):
    connection = Connection()
    rig = rig(connection, channel_count=2, chunk_size=480).start()
    x = np.repeat(np.array([[0.5, 0.25]], np.float32), 480, axis=0)
    rig.hear(x)
    assert rig.audio == raw(x)
    assert connection.audio == raw(np.full((480, 1), 0.375, np.float32))
    assert rig.manager.get_stats()["channels"] == 2


def test_a_connection_that_fails_is_reported_once_and_does_not_stop_the_capture(rig):
    connection = Connection()
    rig = rig(connection, chunk_size=480).start()
    connection.fault = ConnectionError("gone")
    rig.hear(noise(5 * 480)[0])
    assert rig.errors == [connection.fault]
    connection.fault = None
    rig.hear(noise(480)[0])
    connection.fault = ConnectionError("again")
    rig.hear(noise(480)[0])
    assert [str(error) for error in rig.errors] == ["gone", "again"]
    assert len(rig.chunks) == 7
    assert rig.manager.get_stats()["connection_errors"] == 6


def test_a_connection_of_coroutines_is_told_from_one_that_sends(rig):
    class Loop:
        async def send_event(self, event):
            raise AssertionError("nobody awaits it")

    rig = rig(Loop()).start()
    rig.hear(noise(CHUNK)[0])
    assert "coroutine" in str(rig.errors[0])


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


@pytest.mark.parametrize(("settings", "wanted"), [({}, None), ({"device_index": 2}, 2), ({"device": "usb"}, "usb")])
def test_the_device_asked_for_is_opened(rig, settings, wanted):
    rig = rig(**settings).start()
    assert rig.asked[0][0] == wanted
    assert rig.manager.get_stats()["device"] == "Mic One"
