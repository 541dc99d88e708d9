"""The engine of a session: bytes in are bytes out and bytes dropped, in order, whatever is called when."""

import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menura.audio.config import AudioConfig
from menura.audio.files import read_audio
from menura.audio.format import AudioFormat, StreamFormat
from menura.clock import VirtualClock
from menura.engine.config import BufferConfig, ProcessingMode
from menura.engine.engine import Engine
from menura.errors import FormatError
from menura.live.engine import AudioEngine
from menura.vad.config import VADConfig, VADState
from tests.listen import clicks, lag_frames

FAST = AudioConfig(chunk_duration_ms=20)
MODES = list(ProcessingMode)


def pcm(x: np.ndarray) -> bytes:
    return np.round(np.clip(x, -1, 32767 / 32768) * 32768).astype("<i2").tobytes()


def floats(audio: bytes) -> np.ndarray:
    return (np.frombuffer(audio, "<i2") / 32768).astype(np.float32)


def block(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32)[:, None]


def speech(name: str = "af_heart_u1", repeats: int = 1) -> np.ndarray:
    x, rate = read_audio(f"tests/fixtures/speech/{name}.flac")
    assert rate == 24_000
    return np.tile(x[:, 0], repeats)


def chunks(audio: bytes, size: int = 960) -> list[bytes]:
    return [audio[i : i + size] for i in range(0, len(audio), size)]


def through(engine: Engine, audio: bytes, size: int = 960) -> bytes:
    return b"".join(engine.process_audio(chunk) for chunk in chunks(audio, size))


def unhurried(*arguments: Any, **options: Any) -> Engine:
    """An engine that seems to need no time: on a busy machine one sheds load, and does not sound the same."""
    return Engine(*arguments, clock=VirtualClock(), **options)


def test_realtime_gives_the_very_object_back() -> None:
    engine = Engine(ProcessingMode.REALTIME)
    chunk = pcm(speech()[:480])
    assert engine.validate_audio(chunk)
    assert engine.process_audio(chunk) is chunk
    assert engine.latency_ms == 0.0
    assert engine.process_audio(bytearray(chunk)) == chunk


@pytest.mark.parametrize("mode", MODES)
def test_twenty_ms_in_are_twenty_ms_out(mode: ProcessingMode) -> None:
    engine = unhurried(mode, FAST)
    for chunk in chunks(pcm(speech())):
        assert len(engine.process_audio(chunk)) == len(chunk)
    figures = engine.get_metrics()
    assert figures["bytes_in"] == figures["bytes_out"] == 2 * len(speech())
    assert len(engine.flush()) == round(engine.latency_ms * 24) * 2


@pytest.mark.parametrize(("mode", "target_ms"), [("realtime", 5.0), ("balanced", 20.0), ("quality", 50.0)])
def test_latency_is_within_the_documented_target_and_true(mode: str, target_ms: float) -> None:
    engine = unhurried(ProcessingMode(mode), FAST)
    assert engine.latency_ms <= target_ms
    x = 0.3 * speech(repeats=3)
    y = floats(through(engine, pcm(x)) + engine.flush())[: len(x)]
    assert abs(lag_frames(block(x), block(y)) - engine.latency_ms * 24) <= 24


@pytest.mark.parametrize("mode", MODES)
def test_how_the_stream_is_cut_changes_nothing(mode: ProcessingMode) -> None:
    audio = pcm(speech())
    still = VirtualClock()  # a few samples at a time are no load worth shedding anything for
    whole = through(Engine(mode, FAST, clock=still), audio, len(audio))
    for size in (2, 320, 962, 4800):
        short = audio[: len(audio) // 20 * 2] if size == 2 else audio
        assert through(Engine(mode, FAST, clock=still), short, size) == whole[: len(short)]


def test_balanced_levels_what_is_quiet_and_silences_what_is_noise() -> None:
    engine = unhurried(ProcessingMode.BALANCED, FAST)
    x = 0.03 * speech(repeats=4)
    y = floats(through(engine, pcm(x)))
    assert np.sqrt(np.mean(y[-24_000:] ** 2)) > 4 * np.sqrt(np.mean(x[-24_000:] ** 2))
    noise = 0.0005 * np.random.default_rng(1).standard_normal(48_000)
    quiet = floats(through(unhurried(ProcessingMode.BALANCED, FAST), pcm(noise)))
    assert np.sqrt(np.mean(quiet[24_000:] ** 2)) < 0.5 * np.sqrt(np.mean(noise**2))


def test_quality_takes_the_noise_away_and_levels_the_loudness() -> None:
    rng = np.random.default_rng(2)
    clean = 0.1 * np.concatenate([speech(), np.zeros(24_000)] * 3)
    noise = 0.004 * rng.standard_normal(len(clean))
    y = floats(through(unhurried(ProcessingMode.QUALITY, FAST), pcm(clean + noise)))
    pause = slice(-12_000, None)
    loud = slice(-len(speech()) - 24_000, -30_000)
    before = np.std(clean[loud]) / np.std(noise[pause])
    after = np.std(y[loud]) / max(np.std(y[pause]), 1e-5)
    assert after > 4 * before


def test_echo_is_cancelled_where_a_reference_is_given() -> None:
    far = 0.3 * speech("am_michael_u1", 3)
    room = np.zeros(1200)
    room[[240, 500, 900]] = 0.5, 0.25, 0.1
    echo = np.convolve(far, room)[: len(far)]
    outs = []
    for tell in (True, False):
        engine = unhurried(ProcessingMode.QUALITY, FAST)
        out = []
        for played, heard in zip(chunks(pcm(far)), chunks(pcm(echo)), strict=True):
            if tell:
                assert engine.add_echo_reference(played)
            out.append(engine.process_audio(heard))
        outs.append(floats(b"".join(out))[-48_000:])
    assert np.std(outs[0]) < 0.1 * np.std(outs[1])
    assert not Engine().add_echo_reference(b"1")


@pytest.mark.parametrize(
    "source",
    [
        StreamFormat(AudioFormat.PCM16, 48_000, 2),
        StreamFormat(AudioFormat.G711_ULAW, 8000),
        StreamFormat(AudioFormat.PCM_F32, 16_000),
        StreamFormat(AudioFormat.PCM16, 44_100),
    ],
    ids=str,
)
def test_a_client_of_another_format_is_converted_without_bursts(source: StreamFormat) -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST, source=source)
    chunk = b"\xff" * source.bytes_for(source.rate // 50)
    if source.encoding is AudioFormat.PCM_F32:
        chunk = bytes(len(chunk))
    sizes = [len(engine.process_audio(chunk)) for _ in range(50)]
    assert set(sizes) == {960}
    assert engine.latency_ms <= 5.0


def test_a_telephone_goes_up_as_g711_where_asked() -> None:
    config = AudioConfig(sample_rate=8000, format=AudioFormat.G711_ULAW, chunk_duration_ms=20)
    engine = unhurried(ProcessingMode.BALANCED, config)
    out = engine.process_audio(b"\x80\x00" * 80)
    assert len(out) == 160
    assert engine.process_vad_chunk(out) in VADState


@pytest.mark.parametrize(
    ("audio", "reason"), [(b"", "empty"), (b"1", "odd_bytes"), (None, "wrong_type"), (bytes(3_000_000), "too_long")]
)
def test_bad_audio_is_refused_and_counted_by_reason(audio: Any, reason: str) -> None:
    engine = Engine(ProcessingMode.REALTIME)
    assert not engine.validate_audio(audio)
    assert engine.explain(audio)
    assert engine.process_audio(audio) == b""
    figures = engine.get_metrics()
    assert figures["refused"] == {reason: 1}
    assert figures["bytes_dropped"] == figures["bytes_in"] == len(audio or b"")


def released() -> memoryview:
    view = memoryview(bytes(960))
    view.release()
    return view


def table() -> memoryview:
    return memoryview(bytes(960)).cast("B", (10, 96))


def words() -> memoryview:
    return memoryview(bytes(960)).cast("h")


@pytest.mark.parametrize("make", [released, table, words])
@pytest.mark.parametrize("mode", MODES)
def test_views_that_are_no_bytes_in_a_row_are_refused(make: Callable[[], memoryview], mode: ProcessingMode) -> None:
    engine, audio = unhurried(mode), make()
    assert not engine.validate_audio(audio)
    assert engine.explain(audio)
    assert engine.process_audio(audio) == engine.prepare_for_playback(audio) == b""
    engine.queue_playback(audio)
    engine.queue_playback(audio, encoding="opus")
    assert engine.add_to_stream_buffer(audio) is None
    assert engine.process_vad_chunk(audio) == "silence"
    figures = engine.get_metrics()
    assert figures["refused"] == {"wrong_type": 2}
    assert figures["playback"]["refused"] == {"wrong_type": 3}


@pytest.mark.parametrize("mode", MODES)
def test_a_buffer_that_is_used_again_is_remembered_as_it_was(mode: ProcessingMode) -> None:
    audio = pcm(speech()[:24_000])
    engine, other = unhurried(mode), unhurried(mode)
    memory = bytearray()
    for chunk in chunks(audio):
        memory[:] = chunk
        view = memoryview(memory)
        assert engine.process_audio(view) == other.process_audio(chunk)
        view.release()
    memory[:] = b"odd"
    for each in (engine, other):
        each.mode = ProcessingMode.QUALITY if mode is not ProcessingMode.QUALITY else ProcessingMode.BALANCED
    assert engine.process_audio(audio[:9600]) == other.process_audio(audio[:9600])


def test_remarks_are_counted() -> None:
    engine = Engine(ProcessingMode.REALTIME)
    engine.process_audio(bytes(960))
    engine.process_audio(b"\xff\x7f" * 480)
    assert engine.get_metrics()["remarks"] == {"silence": 1, "clipped": 1}


@pytest.mark.parametrize("start", MODES)
@pytest.mark.parametrize("end", MODES)
def test_changing_the_mode_does_not_click(start: ProcessingMode, end: ProcessingMode) -> None:
    t = np.arange(48_000) / 24_000
    x = 0.3 * np.sin(2 * np.pi * 310 * t)
    engine = unhurried(start, FAST)
    out = []
    for i, chunk in enumerate(chunks(pcm(x))):
        if i == 70:
            engine.mode = end
        out.append(engine.process_audio(chunk))
    y = floats(b"".join(out))
    assert len(y) == len(x)
    assert clicks(block(y), 24_000) == 0
    assert engine.mode is end


def test_optimizing_changes_the_mode() -> None:
    engine = Engine()
    assert engine.mode is ProcessingMode.BALANCED
    engine.optimize_for_latency()
    assert (engine.mode, engine.latency_ms) == (ProcessingMode.REALTIME, 0.0)
    engine.optimize_for_quality()
    assert engine.mode is ProcessingMode.QUALITY


class SlowClock(VirtualClock):
    """Time that passes only while the engine works: so much for each reading."""

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self.step_s = step_s

    def __call__(self) -> float:
        self.advance(self.step_s)
        return super().__call__()


def test_balanced_sheds_before_it_misses_and_says_so() -> None:
    clock = SlowClock(0.006)
    engine = Engine(ProcessingMode.BALANCED, FAST, latency_target_ms=50.0, clock=clock)
    audio = pcm(0.2 * speech()[:60_000])
    through(engine, audio)
    figures = engine.get_metrics()
    assert figures["shed"] == ["noise", "gain"]
    assert figures["load_shedding"]["misses"] == 0
    assert "shed under load" in str(engine.get_performance_report()["recommendations"])
    clock.step_s = 1e-6
    through(engine, audio * 4)
    assert engine.get_metrics()["shed"] == []


def test_stream_buffer_gives_whole_processed_chunks() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    audio = pcm(speech()[:4000])
    got = [engine.add_to_stream_buffer(piece) for piece in chunks(audio, 700)]
    out = b"".join(piece for piece in got if piece)
    assert all(len(piece) % 960 == 0 for piece in got if piece)
    assert None in got
    assert out == audio[: len(out)]
    assert len(audio) - len(out) == engine.get_metrics()["stream_buffer"]["available_bytes"] < 960
    assert engine.add_to_stream_buffer(b"1") is None
    assert engine.get_metrics()["refused"] == {"odd_bytes": 1}


def test_chunks_are_generated() -> None:
    engine = Engine(ProcessingMode.REALTIME)
    assert len(list(engine.chunk_audio_generator(bytes(48_000), chunk_ms=20))) == 50
    with pytest.raises(FormatError):
        list(engine.chunk_audio_generator(b"1", 20))


def test_speech_is_told_by_plain_strings() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    assert engine.process_vad_chunk(bytes(960)) == "silence"
    engine.configure_vad(VADConfig(speech_start_ms=60, speech_end_ms=100))
    states = [str(engine.process_vad_chunk(chunk)) for chunk in chunks(pcm(speech()) + bytes(24_000))]
    assert {"silence", "speech_starting", "speech", "speech_ending"} == set(states)
    assert states[-1] == "silence"
    assert engine.get_metrics()["vad"]["current_state"] == "silence"


def test_metrics_have_the_documented_names() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    engine.process_audio(pcm(speech()[:480]))
    figures = engine.get_metrics()
    assert figures["avg_latency_ms"] > 0.0
    assert figures["buffer_pool"]["in_use"] == 0
    assert figures.get("vad", {}).get("current_state") is None
    assert figures.get("stream_buffer", {}).get("available_bytes", 0) == 0
    report = engine.get_performance_report()
    assert report["performance"]["realtime_capable"] is True
    assert report["latency"]["within_target"] is True
    engine.reset_metrics()
    assert engine.get_metrics()["total_chunks"] == 0


def test_the_report_judges_by_the_latency_that_was_asked_for() -> None:
    engine = Engine(ProcessingMode.BALANCED, FAST, latency_target_ms=50.0, clock=lambda: 0.0)
    through(engine, pcm(speech()[:4800]))
    report = engine.get_performance_report()
    assert 20.0 < report["latency"]["total_p99_ms"] < report["latency"]["target_ms"] == 50.0
    assert report["latency"]["within_target"]
    assert report["recommendations"] == []
    engine.mode = ProcessingMode.REALTIME
    assert engine.get_performance_report()["latency"]["target_ms"] == 5.0


@pytest.mark.parametrize("mode", MODES)
def test_figures_are_json(mode: ProcessingMode) -> None:
    engine = unhurried(mode, FAST)
    for used in (False, True):
        if used:
            engine.add_to_stream_buffer(pcm(speech()[:4800]))
            engine.process_vad_chunk(bytes(960))
            engine.queue_playback(bytes(960))
            engine.process_audio(b"1")
        for figures in (engine.get_metrics(), engine.get_performance_report()):
            assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_without_preallocation_there_is_no_pool() -> None:
    assert "buffer_pool" not in Engine(config=AudioConfig(pre_allocate_buffers=False)).get_metrics()


Call = tuple[Callable[[Engine, bytes], Any], bytes]
CALLS: dict[str, Callable[[Engine, bytes], Any]] = {
    "validate": lambda engine, audio: engine.validate_audio(audio),
    "process": lambda engine, audio: engine.process_audio(audio),
    "vad": lambda engine, audio: engine.process_vad_chunk(audio),
    "buffer": lambda engine, audio: engine.add_to_stream_buffer(audio),
    "latency": lambda engine, _: engine.optimize_for_latency(),
    "balanced": lambda engine, _: setattr(engine, "mode", ProcessingMode.BALANCED),
    "metrics": lambda engine, _: engine.get_performance_report(),
    "configure": lambda engine, _: engine.configure_vad(VADConfig(adaptive=True)),
    "pre_buffer": lambda engine, _: engine.get_pre_buffer(),
    "explain": lambda engine, audio: engine.explain(audio),
}


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(sorted(CALLS)),
            st.one_of(
                st.binary(max_size=50),
                st.integers(0, 3000).map(bytes),
                st.integers(1, 400).map(lambda n: b"\x10\x20" * n),
            ),
        ),
        max_size=25,
    ),
    channels=st.sampled_from([1, 2]),
    overflow=st.sampled_from(["drop_oldest", "drop_newest"]),
)
def test_no_order_of_calls_breaks_the_account(steps: list[tuple[str, bytes]], channels: int, overflow: str) -> None:
    config = AudioConfig(channels=channels, chunk_duration_ms=20)
    engine = Engine(ProcessingMode.REALTIME, config, BufferConfig(max_size_bytes=2000, overflow_strategy=overflow))
    for name, audio in steps:
        result = CALLS[name](engine, audio)
        if name == "process":
            assert len(result) in (0, len(audio))
        if name == "vad":
            assert result in VADState
        figures = engine.get_metrics()
        assert figures["bytes_in"] == figures["bytes_out"] + figures["bytes_dropped"]
        stats = figures.get("stream_buffer")
        if stats:
            assert stats["total_added"] == stats["total_consumed"] + stats["dropped_bytes"] + stats["available_bytes"]


def test_one_thread_drives_while_another_reads() -> None:
    engine = AudioEngine(ProcessingMode.REALTIME, FAST)
    done = threading.Event()
    wrong: list[Any] = []

    def read() -> None:
        while not done.is_set():
            figures = engine.get_metrics()
            if figures["bytes_in"] != figures["bytes_out"] + figures["bytes_dropped"]:
                wrong.append(figures)

    reader = threading.Thread(target=read)
    reader.start()
    good, bad = pcm(speech()[:480]), bytes(961)
    for i in range(600):
        engine.process_audio(bad if i % 3 == 0 else good)
        engine.process_vad_chunk(good)
    done.set()
    reader.join()
    assert not wrong
    assert engine.get_metrics()["total_chunks"] == 400


def test_changing_the_mode_twice_before_a_chunk_fades_from_what_was_heard() -> None:
    x = 0.3 * np.sin(2 * np.pi * 310 * np.arange(48_000) / 24_000)
    engine = Engine(ProcessingMode.REALTIME, FAST)
    out = []
    for i, chunk in enumerate(chunks(pcm(x))):
        if i == 70:
            engine.optimize_for_quality()
            engine.optimize_for_latency()
        out.append(engine.process_audio(chunk))
    y = floats(b"".join(out))
    assert np.abs(y - floats(pcm(x))).max() < 1e-3
    assert engine.process_audio(b"\x00\x10" * 480) == b"\x00\x10" * 480
