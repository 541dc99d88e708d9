import base64

import numpy as np
import pytest

from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode
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
from tests.live.capturing import RATE, CaptureRig, Connection, noise, raw, until
from tests.utterances import speech

CHUNK = 4800


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
        {"chunk_size": 4800.5},
        {"chunk_size": "4800"},
        {"chunk_size": float("nan")},
        {"channel_count": True},
        {"auto_flush_ms": None},
        {"vad_threshold": "0.02"},
        {"end_silence_ms": -1},
        {"device_index": -1},
        {"device_index": "2"},
        {"device": ""},
        {"device": 3},
        {"vad": 3},
        {"lost_after_s": 0},
        {"silent_after_s": -1},
        {"device": "a", "device_index": 1},
    ],
)
def test_settings_it_cannot_have_are_refused(settings):
    with pytest.raises(ConfigError):
        AudioCaptureConfig(**settings)


def test_whole_numbers_may_come_as_floats_and_from_numpy():
    config = AudioCaptureConfig(chunk_size=24_000 * 0.2, device_index=np.int64(2), buffer_size=np.int32(2048))
    assert [config.chunk_size, config.device_index, config.buffer_size] == [4800, 2, 2048]
    assert {type(number) for number in (config.chunk_size, config.device_index, config.buffer_size)} == {int}


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
    rig = rig(connection, vad_enabled=True, chunk_size=chunk_size, end_silence_ms=0).start()
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


def test_a_provider_that_finds_turns_itself_hears_the_end_of_each(rig):
    connection = Connection()
    rig = rig(connection, vad_enabled=True).start()
    rig.hear(np.concatenate([speech(RATE, "am_michael")[: 2 * RATE], np.zeros((RATE, 1), np.float32)]))
    rig.manager.stop_recording()
    silence = bytes(RATE)  # half a second
    assert rig.log.count("end") >= 1
    assert connection.audio.endswith(rig.audio[-9600:] + silence)
    assert len(connection.audio) == len(rig.audio) + rig.log.count("end") * len(silence)
    assert rig.manager.get_stats()["sent_bytes"] == len(rig.audio)


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


class Session(Connection):
    """One that says what it takes."""

    def __init__(self, form):
        super().__init__()
        self.input_format = form


MU = StreamFormat(AudioFormat.G711_ULAW, 8000)
A = StreamFormat(AudioFormat.G711_ALAW, 8000)
PCM_24 = StreamFormat(AudioFormat.PCM16, 24_000)


@pytest.mark.parametrize("form", [MU, A, PCM_24], ids=["mu-law", "A-law", "pcm"])
@pytest.mark.parametrize(("rate", "channels"), [(24_000, 1), (48_000, 2), (16_000, 1), (44_100, 1)])
def test_a_session_gets_the_form_it_says_whole_and_in_place(rig, form, rate, channels):
    """Of a tone that all of them can carry; to the last frame, once it stops."""
    connection = Session(form)
    rig = rig(connection, sample_rate=rate, channel_count=channels, chunk_size=rate // 10).start()
    frames = rate + 7
    x = np.repeat(0.5 * np.sin(2 * np.pi * 440 * np.arange(frames) / rate), channels)
    x = x.reshape(-1, channels).astype(np.float32)
    rig.hear(x)
    rig.manager.stop_recording()
    assert rig.audio == raw(x)
    sent = decode(connection.audio, form)
    assert abs(len(sent) - frames * form.rate / rate) <= 1.0
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(sent)) / form.rate)
    inner = slice(form.rate // 50, -form.rate // 50)
    error = np.abs(sent[:, 0] - wanted)[inner].max()
    assert error < (0.03 if form.encoding is not AudioFormat.PCM16 else 0.001)
    assert rig.errors == []


def test_what_a_session_wants_may_change_while_it_records(rig):
    connection = Session(PCM_24)
    rig = rig(connection, chunk_size=480).start()
    rig.hear(np.full((480, 1), 0.25, np.float32))
    connection.input_format = MU
    rig.hear(np.full((960, 1), 0.25, np.float32))
    rig.manager.stop_recording()
    data = connection.audio
    assert data[:960] == raw(np.full((480, 1), 0.25))
    assert len(data) == 960 + 320
    assert rig.errors == []


def test_an_utterance_and_the_silence_after_it_have_the_sessions_form(rig):
    connection = Session(MU)
    rig = rig(connection, vad_enabled=True, end_silence_ms=300).start()
    rig.hear(np.concatenate([np.zeros((12_000, 1), np.float32), noise(12_000)[0], np.zeros((24_000, 1), np.float32)]))
    assert rig.log[-1] == "end"
    assert len(connection.audio) == len(rig.audio) // 6 + 2400
    assert set(connection.audio[-2400:]) == {0xFF}


class Mute:
    pass


class Loop:
    async def send_event(self, event):
        raise AssertionError("nobody awaits it")


@pytest.mark.parametrize(
    ("connection", "text"),
    [
        (Mute(), "a connection has a method send_event"),
        (Loop(), "send_event is a coroutine function"),
        (Session("pcm16"), "input_format is a StreamFormat, not str"),
    ],
)
def test_what_cannot_be_sent_to_is_refused_at_once_and_later(rig, connection, text):
    with pytest.raises(ConfigError, match=text):
        AudioCaptureManager(connection_manager=connection)
    before = Connection()
    rig = rig(before).start()
    with pytest.raises(ConfigError, match=text):
        rig.manager.connection_manager = connection
    assert rig.manager.connection_manager is before


def test_a_form_that_becomes_wrong_is_reported_and_the_capture_goes_on(rig):
    connection = Session(MU)
    rig = rig(connection, chunk_size=480).start()
    connection.input_format = "g711"
    rig.hear(noise(960)[0])
    assert [type(error) for error in rig.errors] == [ConfigError]
    assert len(rig.chunks) == 2
    assert rig.manager.get_stats()["connection_errors"] == 2


def test_a_connection_that_answers_with_coroutines_is_told_from_one_that_sends(rig):
    class Hidden:
        def send_event(self, event):
            return Loop().send_event(event)

    rig = rig(Hidden()).start()
    rig.hear(noise(CHUNK)[0])
    assert "coroutine" in str(rig.errors[0])
