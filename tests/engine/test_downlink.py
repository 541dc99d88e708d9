"""A provider's audio, PCM or Opus, to the client and to the listener."""

import numpy as np
import pytest

from menura.audio.config import AudioConfig
from menura.audio.files import read_audio
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.opus import OggOpusEncoder, OpusEncoder
from menura.engine.config import ProcessingMode
from menura.engine.engine import Engine
from menura.errors import ConfigError
from tests.audio.test_webm import muxed
from tests.listen import lag_frames

FAST = AudioConfig(chunk_duration_ms=20)


def speech() -> np.ndarray:
    x, _ = read_audio("tests/fixtures/speech/am_michael_u1.flac")
    return x


def pcm(x: np.ndarray) -> bytes:
    return np.round(np.clip(x, -1, 32767 / 32768) * 32768).astype("<i2").tobytes()


def floats(audio: bytes) -> np.ndarray:
    return (np.frombuffer(audio, "<i2") / 32768).astype(np.float32)[:, None]


def ogg() -> bytes:
    encoder = OggOpusEncoder(24_000, 1, 64_000, application="audio")
    return encoder.encode(speech()) + encoder.flush()


def test_pcm_of_the_same_format_passes_as_the_object_it_is() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    chunk = pcm(speech()[:480])
    assert engine.prepare_for_playback(chunk) is chunk
    assert engine.prepare_for_playback(b"1") == b""
    assert engine.get_metrics()["playback"]["refused"] == {"odd_bytes": 1}


@pytest.mark.parametrize("size", [6, 20, 100, 999, 100_000])
def test_ogg_opus_cut_anywhere_becomes_pcm(size: int) -> None:
    engine, data = Engine(ProcessingMode.REALTIME, FAST), ogg()
    assert engine.validate_audio(data)
    parts = [engine.prepare_for_playback(data[i : i + size]) for i in range(0, len(data), size)]
    y = floats(b"".join([*parts, engine.finish_playback()]))
    x = speech()
    assert len(y) == len(x)
    assert abs(lag_frames(x, y)) <= 24
    assert np.corrcoef(x[:, 0], y[:, 0])[0, 1] > 0.98


def heard(engine: Engine) -> np.ndarray:
    parts = []
    while part := engine.read_playback(20):
        parts.append(part)
    return floats(b"".join(parts))


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("at", [1, 4])
def test_after_an_interruption_opus_is_still_opus(anew: bool, at: int) -> None:
    engine, data = Engine(ProcessingMode.REALTIME, FAST), ogg()
    pieces = [data[i : i + 1001] for i in range(0, len(data), 1001)]
    for piece in pieces[:at]:
        engine.queue_playback(piece)
    engine.interrupt_playback()
    heard(engine)
    if anew:
        pieces = pieces[at - 1 :]
    for piece in [data] if anew else pieces[at:]:
        engine.queue_playback(piece)
    engine.mark_playback_complete()
    y, x = heard(engine)[240:, 0], speech()[:, 0]
    assert len(y) > (0.99 * len(x) if anew else 0.5 * len(x))
    assert np.sqrt(np.mean(y**2)) < 1.3 * np.sqrt(np.mean(x**2))
    assert engine.get_metrics()["playback"]["refused"] == {}


def test_the_rest_of_a_broken_container_is_not_heard_as_samples() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    noise = b"\x1a\x45\xdf\xa3" + np.random.default_rng(0).bytes(400_000)
    assert not any(engine.prepare_for_playback(noise[i : i + 1000]) for i in range(0, len(noise), 1000))
    assert set(engine.get_metrics()["playback"]["refused"]) == {"opus"}
    assert engine.prepare_for_playback(ogg())
    engine.finish_playback()
    assert engine.prepare_for_playback(pcm(speech()[:480]))


def test_opus_packets_are_decoded_where_they_are_named() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    encoder = OpusEncoder(24_000)
    packets = encoder.encode(speech())
    for packet in packets:
        engine.queue_playback(packet, "item", encoding="opus")
    engine.mark_playback_complete()
    position = engine.playback_position("item")
    assert position.queued_ms == pytest.approx(20.0 * len(packets), abs=45.0)
    with pytest.raises(ConfigError, match="pcm16 or opus"):
        engine.queue_playback(b"", encoding="mp3")


def test_a_telephone_is_sent_g711() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST, source=StreamFormat(AudioFormat.G711_ULAW, 8000))
    out = [engine.prepare_for_playback(pcm(speech()[i : i + 480])) for i in range(0, 24_000, 480)]
    assert {len(part) for part in out} == {160}


def test_everything_queued_is_read_in_the_clients_format() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST, source=StreamFormat(AudioFormat.PCM16, 48_000))
    x = speech()[:24_000]
    engine.queue_playback(pcm(x))
    engine.mark_playback_complete()
    got = b""
    while part := engine.read_playback(20):
        got += part
    assert len(got) / 96 == pytest.approx(1000.0, abs=5.0)
    assert engine.playback_position().played_ms == 1000.0
    assert engine.read_playback() == b""


def test_positions_are_those_of_what_was_heard() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    engine.set_playback_latency(60.0)
    engine.queue_playback(pcm(speech()[:24_000]), "reply")
    for _ in range(10):
        engine.read_playback(20)
    assert engine.playback_position("reply").played_ms == pytest.approx(140.0)
    engine.interrupt_playback(force=True)
    position = engine.playback_position("reply")
    assert position.interrupted
    assert position.end_ms == pytest.approx(205.0, abs=1.0)
    assert engine.report_played(205.0, "reply")
    assert not engine.report_played(1.0, "another")
    assert next(event.kind for event in engine.playback_events()) == "item_started"


def test_broken_opus_is_counted_and_the_next_stream_is_heard() -> None:
    engine, data = Engine(ProcessingMode.REALTIME, FAST), ogg()
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0xFF
    engine.queue_playback(bytes(broken))
    engine.mark_playback_complete()
    first = engine.playback_position().queued_ms
    assert first > 1000.0
    engine.queue_playback(b"\x03" * 50, encoding="opus")
    engine.queue_playback(data)
    engine.mark_playback_complete()
    assert sum(engine.get_metrics()["playback"]["refused"].values()) <= 1


def test_webm_as_browsers_record_it_becomes_pcm() -> None:
    data, x = muxed(speech()), speech()
    engine = Engine(ProcessingMode.REALTIME, FAST)
    assert engine.validate_audio(data)
    assert engine.process_audio(data) == b""
    parts = [engine.prepare_for_playback(data[i : i + 777]) for i in range(0, len(data), 777)]
    y = floats(b"".join([*parts, engine.finish_playback()]))
    assert len(y) == pytest.approx(len(x), abs=480)
    assert abs(lag_frames(x, y)) <= 24


def test_pcm_follows_a_stream_that_was_broken() -> None:
    engine, chunk = Engine(ProcessingMode.REALTIME, FAST), pcm(speech()[:480])
    engine.prepare_for_playback(b"OggS\0" + bytes(range(256)) * 600)
    engine.prepare_for_playback(b"\xff" * 200_000)
    engine.finish_playback()
    assert engine.prepare_for_playback(chunk) is chunk
    engine.queue_playback(b"\x1a\x45\xdf\xa3" + bytes(300_000))
    engine.mark_playback_complete()
    engine.queue_playback(chunk, "after")
    assert engine.playback_position("after").queued_ms == 20.0


@pytest.mark.parametrize("duration_ms", [float("nan"), float("inf")])
def test_a_duration_that_is_none_is_refused(duration_ms: float) -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    engine.queue_playback(pcm(speech()[:960]))
    for call in (engine.read_playback, engine.set_playback_latency):
        with pytest.raises(ConfigError, match="milliseconds"):
            call(duration_ms)
    assert len(engine.read_playback(40)) == 1920


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_client_that_throws_away_what_it_has_hears_no_more_of_it(rate: int) -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST, source=StreamFormat(AudioFormat.PCM16, rate))
    assert engine.stop_playback() is None
    engine.report_played(0.0)
    engine.queue_playback(pcm(speech()[:24_000]), "a")
    engine.queue_playback(pcm(speech()[:4800]), "b")
    engine.read_playback(400)
    engine.report_played(120.0, "a")
    heard = engine.stop_playback()
    assert heard is not None
    assert (heard.item_id, heard.played_ms, heard.end_ms, heard.discarded_ms) == ("a", 120.0, 120.0, 880.0)
    assert engine.heard_ms == 120.0
    assert engine.read_playback(20) == b""
    assert engine.stop_playback() is None
    engine.queue_playback(pcm(speech()[:480]), "a")
    assert engine.read_playback(20) == b"", "of what was stopped nothing comes later"
    engine.queue_playback(bytes(960), "c")
    out = engine.read_playback(20)
    assert out == bytes(len(out)), "nor of what rate conversion held"


def test_samples_are_looked_at_once() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    looks = []
    for incoming in (engine._downlink._prepared, engine._downlink._queued):
        inspect = incoming.inspector.inspect
        incoming.inspector.inspect = lambda audio, inspect=inspect: looks.append(1) or inspect(audio)  # type: ignore[method-assign]
    engine.prepare_for_playback(bytes(960))
    engine.queue_playback(bytes(960))
    engine.prepare_for_playback(b"1")
    engine.queue_playback(b"1")
    assert len(looks) == 4
    assert engine.get_metrics()["playback"]["refused"] == {"odd_bytes": 2}
