"""Bytes in, states out: whatever the chunks, and with every byte accounted for."""

import logging
from itertools import cycle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import encode
from menura.dsp.scan import Scanner
from menura.vad.config import VADConfig, VADState, VADType
from menura.vad.fast import FastVADDetector
from menura.vad.history import ByteRing
from menura.vad.machine import MOVES
from tests.streaming import speechlike

SILENCE, STARTING, SPEECH, ENDING = VADState
RATE = 8000
AUDIO = AudioConfig(sample_rate=RATE)
HOP_BYTES = 2 * RATE // 50


def loud(ms: float, seed: int = 0) -> bytes:
    rng = np.random.default_rng([seed, round(ms)])
    return rng.integers(-9000, 9000, round(ms * RATE / 1000)).astype("<i2").tobytes()


def quiet(ms: float, seed: int = 0) -> bytes:
    rng = np.random.default_rng([seed, round(ms), 1])
    return rng.integers(-90, 90, round(ms * RATE / 1000)).astype("<i2").tobytes()


def chunks_of(data: bytes, sizes: list[int]) -> list[bytes]:
    out, at = [], 0
    for size in cycle(sizes):
        if at >= len(data):
            return out
        out.append(data[at : at + size])
        at += size
    return out


patterns = st.lists(st.tuples(st.booleans(), st.integers(5, 400)), min_size=1, max_size=12)
cuts = st.lists(st.sampled_from([2, 64, 160, 320, 640, 642, 1600, 8000, 30_000]), min_size=1, max_size=6)


def stream_of(pattern: list[tuple[bool, int]], sizes: list[int]) -> bytes:
    """As much of it as a few thousand chunks of these sizes hold."""
    data = b"".join((loud if on else quiet)(ms, i) for i, (on, ms) in enumerate(pattern))
    return data[: 3000 * sum(sizes) // len(sizes) // 2 * 2]


# ---- cuts ----


@given(patterns, cuts, st.booleans())
@settings(deadline=None)
def test_state_is_that_of_the_last_complete_hop(
    pattern: list[tuple[bool, int]], sizes: list[int], adaptive: bool
) -> None:
    data = stream_of(pattern, sizes)
    config = VADConfig(speech_start_ms=60, speech_end_ms=100, adaptive=adaptive)
    hopwise = FastVADDetector(config, AUDIO)
    states = [SILENCE, *(hopwise.process_chunk(chunk) for chunk in chunks_of(data, [HOP_BYTES]))]
    detector, taken = FastVADDetector(config, AUDIO), 0
    for chunk in chunks_of(data, sizes):
        taken += len(chunk)
        assert detector.process_chunk(chunk) == states[taken // HOP_BYTES]
    assert detector.machine.moves == hopwise.machine.moves
    assert all(new in MOVES[old] for old, new in detector.machine.moves)


@pytest.mark.parametrize("kind", VADType)
@pytest.mark.parametrize("sizes", [[2], [37 * 2], [20_000]], ids=str)
def test_every_type_is_free_of_cuts(kind: VADType, sizes: list[int]) -> None:
    form = StreamFormat(rate=24_000)
    data = encode(speechlike(12_000 if sizes == [2] else 36_000, 24_000), form)
    config = VADConfig(type=kind, speech_start_ms=32, speech_end_ms=64)
    starts: list[list[int]] = []
    for cut in (sizes, [960]):
        detector = FastVADDetector(config)
        for chunk in chunks_of(data, cut):
            detector.process_chunk(chunk)
        starts.append([detector.machine.frames, *detector.machine.moves.values()])
        probability = detector.stats().probability
    assert starts[0] == starts[1]
    assert 0 <= probability <= 1


@pytest.mark.parametrize("form", AudioFormat)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("adaptive", [False, True])
def test_every_format_is_heard(form: AudioFormat, channels: int, adaptive: bool) -> None:
    audio = AudioConfig(16_000, channels, 32 if form is AudioFormat.PCM_F32 else 16, form)
    detector = FastVADDetector(VADConfig(adaptive=adaptive), audio)
    x = speechlike(16_000, 16_000, channels)
    x[:8000] = 0.0
    states = [detector.process_chunk(chunk) for chunk in chunks_of(encode(x, audio.stream_format), [640 * channels])]
    assert states[0] is SILENCE
    assert SPEECH in states
    assert detector.stats().malformed_chunks == 0


@given(patterns, cuts, st.booleans(), st.booleans())
@settings(deadline=None)
def test_a_known_level_gives_the_same(
    pattern: list[tuple[bool, int]], sizes: list[int], adaptive: bool, shift: bool
) -> None:
    config = VADConfig(speech_start_ms=60, speech_end_ms=100, adaptive=adaptive)
    detector, plain = FastVADDetector(config, AUDIO), FastVADDetector(config, AUDIO)
    scanner = Scanner()
    for chunk in chunks_of(stream_of(pattern, sizes), [HOP_BYTES] * 9 + sizes if shift else [HOP_BYTES]):
        assert detector.process_level(chunk, scanner.scan(chunk)) is plain.process_chunk(chunk)
        assert detector.get_pre_buffer() == plain.get_pre_buffer()
    one, other = detector.get_metrics(), plain.get_metrics()
    for name in ("probability", "energy", "level", "noise_floor"):
        assert one.pop(name) == pytest.approx(other.pop(name))
    assert one == other


# ---- pre-buffer ----

FORWARDERS = {
    "the utterance": {SPEECH, ENDING},
    "from the start on": {STARTING, SPEECH, ENDING},
    "start and speech": {STARTING, SPEECH},
    "speech alone": {SPEECH},
}


@pytest.mark.parametrize("wanted", FORWARDERS.values(), ids=FORWARDERS.keys())
@given(
    patterns, cuts, st.sampled_from([0, 40, 300]), st.sampled_from([0, 60]), st.sampled_from([40, 500]),
    st.sampled_from([None, 500]),
)  # fmt: skip
@settings(deadline=None)
def test_forwarding_has_no_gap_and_nothing_twice(
    wanted: set[VADState], pattern: list[tuple[bool, int]], sizes: list[int], pre_ms: int, start_ms: int, end_ms: int,
    longest: int | None,
) -> None:  # fmt: skip
    data = stream_of(pattern, sizes)
    config = VADConfig(pre_buffer_ms=pre_ms, speech_start_ms=start_ms, speech_end_ms=end_ms, max_utterance_ms=longest)
    detector = FastVADDetector(config, AUDIO)
    at = sent = last = segments = 0
    before, spoke = SILENCE, False
    for chunk in chunks_of(data, sizes):
        state = detector.process_chunk(chunk)
        if state in wanted and before not in wanted:
            got = detector.get_pre_buffer() or b""
            assert data[at - len(got) : at] == got, "not the bytes before this chunk"
            assert at - len(got) >= sent, "sent twice"
            assert detector.get_pre_buffer() == (got or None)
            if before is ENDING and state is SPEECH and spoke and detector.machine.segments == segments:
                assert at - len(got) == sent, "a gap within the utterance"
            elif before is not ENDING:
                began = 2 * (detector.machine.frames - detector.machine.utterance)
                reach = max(0, began - 2 * RATE * pre_ms // 1000)
                assert at - len(got) <= max(reach, sent, last), "the onset is lost"
        before, spoke = state, state is SPEECH or (spoke and state is ENDING)
        segments = detector.machine.segments
        at += len(chunk)
        if state in wanted:
            sent = at
        if state in (SPEECH, ENDING):
            last = at


def test_pre_buffer_reaches_back_before_the_onset() -> None:
    config = VADConfig(pre_buffer_ms=300, speech_start_ms=100)
    detector = FastVADDetector(config, AUDIO)
    data = quiet(2000) + loud(400)
    at = 0
    for chunk in chunks_of(data, [HOP_BYTES]):
        if detector.process_chunk(chunk) is SPEECH:
            break
        at += len(chunk)
    got = detector.get_pre_buffer()
    assert got is not None
    onset = 2 * RATE * 2
    assert at - len(got) <= onset - 2 * RATE * 300 // 1000
    assert got == data[at - len(got) : at]


def test_pre_buffer_stays_while_the_state_does_and_is_bounded() -> None:
    detector = FastVADDetector(VADConfig(pre_buffer_ms=100), AUDIO)
    assert detector.get_pre_buffer() is None
    for chunk in chunks_of(quiet(60_000), [HOP_BYTES]):
        detector.process_chunk(chunk)
    assert detector.get_pre_buffer() is None
    for chunk in chunks_of(loud(200), [HOP_BYTES]):
        detector.process_chunk(chunk)
    first = detector.get_pre_buffer()
    for chunk in chunks_of(loud(20_000, 2), [HOP_BYTES]):
        detector.process_chunk(chunk)
    assert detector.get_pre_buffer() == first
    assert first is not None
    assert len(first) <= 2 * RATE * (100 + 100 + 40) // 1000
    assert detector.stats().pre_buffer_bytes == len(first)


def test_pre_buffer_is_the_bytes_of_any_format() -> None:
    audio = AudioConfig(RATE, 1, 16, AudioFormat.G711_ULAW)
    detector = FastVADDetector(VADConfig(), audio)
    x = speechlike(2 * RATE, RATE)
    x[:RATE] = 0.0
    data = encode(x, audio.stream_format)
    at = 0
    for chunk in chunks_of(data, [160]):
        if detector.process_chunk(chunk) is SPEECH:
            break
        at += len(chunk)
    got = detector.get_pre_buffer()
    assert got
    assert data[at - len(got) : at] == got


@given(st.integers(1, 20), st.lists(st.binary(max_size=30), max_size=20), st.integers(0, 40), st.integers(0, 30))
def test_ring_keeps_the_last_bytes(capacity: int, parts: list[bytes], count: int, more: int) -> None:
    ring = ByteRing(capacity)
    for part in parts:
        ring.write(part)
    held = b"".join(parts)[-capacity:]
    assert ring.last(count) == held[max(0, len(held) - count) :]
    ring.grow(capacity + more)
    ring.write(b"xyz")
    assert ring.last(99) == (held + b"xyz")[-capacity - more :]
    assert ring.written == sum(map(len, parts)) + 3


# ---- callbacks ----


def test_callbacks_are_called_once_for_each_utterance() -> None:
    calls: list[str] = []
    detector = FastVADDetector(
        VADConfig(speech_end_ms=100), AUDIO, lambda: calls.append("start"), lambda: calls.append("end")
    )
    for chunk in chunks_of((quiet(500) + loud(500) + quiet(500)) * 3, [HOP_BYTES]):
        detector.process_chunk(chunk)
    assert calls == ["start", "end"] * 3
    assert detector.process_chunk((loud(500) + quiet(500)) * 2) is SILENCE
    assert calls == ["start", "end"] * 5


def test_a_callback_finds_the_pre_buffer() -> None:
    found: list[Any] = []
    detector = FastVADDetector(VADConfig(), AUDIO, lambda: found.append(detector.get_pre_buffer()))
    data = quiet(1000) + loud(300)
    for chunk in chunks_of(data, [HOP_BYTES]):
        detector.process_chunk(chunk)
    assert found == [detector.get_pre_buffer()]
    assert found[0] in data


def test_a_callback_that_raises_is_logged_and_detection_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError("listener")

    detector = FastVADDetector(VADConfig(speech_end_ms=100), AUDIO, fail, fail)
    plain = FastVADDetector(VADConfig(speech_end_ms=100), AUDIO)
    with caplog.at_level(logging.ERROR):
        for chunk in chunks_of(quiet(200) + loud(500) + quiet(500), [HOP_BYTES]):
            assert detector.process_chunk(chunk) is plain.process_chunk(chunk)
    assert len(caplog.records) == 2


def test_a_callback_may_reset() -> None:
    detector = FastVADDetector(VADConfig(), AUDIO)
    detector.on_speech_start = detector.reset
    for chunk in chunks_of(quiet(200) + loud(300), [HOP_BYTES]):
        detector.process_chunk(chunk)
    assert detector.stats().speech_segments <= 2


# ---- what is no audio ----


@pytest.mark.parametrize("bad", [None, 3, "text", [1, 2], object(), 0.5, np.zeros(160, np.float32)], ids=type)
def test_what_is_no_bytes_is_counted_and_changes_nothing(bad: Any) -> None:
    detector = FastVADDetector(VADConfig(), AUDIO)
    for chunk in chunks_of(quiet(200) + loud(300), [HOP_BYTES]):
        state = detector.process_chunk(chunk)
    assert state is SPEECH
    assert detector.process_chunk(bad) is SPEECH
    assert detector.stats().malformed_chunks == 1


@given(st.lists(st.binary(max_size=700), max_size=30), st.sampled_from(AudioFormat), st.integers(1, 3))
@settings(deadline=None)
def test_no_bytes_break_it(parts: list[bytes], form: AudioFormat, channels: int) -> None:
    audio = AudioConfig(RATE, channels, 32 if form is AudioFormat.PCM_F32 else 16, form)
    detector = FastVADDetector(VADConfig(speech_start_ms=0, speech_end_ms=0), audio)
    for part in parts:
        assert detector.process_chunk(part) in VADState
    stats = detector.stats()
    assert stats.chunks_processed == len(parts)
    assert stats.malformed_chunks == sum(len(part) % audio.frame_bytes > 0 for part in parts)
    frames = sum(len(part) // audio.frame_bytes for part in parts)
    assert detector.machine.frames == frames // (RATE // 50) * (RATE // 50)
    assert all(new in MOVES[old] for old, new in detector.machine.moves)


def test_a_chunk_without_end_is_not_kept() -> None:
    audio = AudioConfig(RATE, max_chunk_ms=1000)
    detector = FastVADDetector(VADConfig(), audio)
    assert detector.process_chunk(loud(60_000)) is SPEECH
    assert detector._before.ring.capacity < audio.bytes_for_ms(3000)
    assert detector.process_chunk(quiet(300)) is VADState.SPEECH_ENDING
    assert detector.process_chunk(loud(20)) is SPEECH
    assert detector.get_pre_buffer() == quiet(300)


def test_an_odd_byte_is_left_out_and_the_rest_heard() -> None:
    detector, plain = FastVADDetector(VADConfig(), AUDIO), FastVADDetector(VADConfig(), AUDIO)
    for chunk in chunks_of(quiet(200) + loud(300), [HOP_BYTES]):
        assert detector.process_chunk(chunk + b"x") is plain.process_chunk(chunk)
    assert detector.get_pre_buffer() == plain.get_pre_buffer()
    assert detector.stats().malformed_chunks == 25


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_bytes_are_bytes(kind: Any) -> None:
    detector = FastVADDetector(VADConfig(), AUDIO)
    states = [detector.process_chunk(kind(chunk)) for chunk in chunks_of(quiet(200) + loud(300), [HOP_BYTES])]
    assert states[-1] is SPEECH
    assert detector.stats().malformed_chunks == 0


def test_a_view_of_every_other_frame_is_bytes_too() -> None:
    frames = np.frombuffer(loud(300), "<i2").reshape(-1, 2)
    detector, plain = FastVADDetector(VADConfig(), AUDIO), FastVADDetector(VADConfig(), AUDIO)
    assert detector.process_chunk(memoryview(frames[:, 0])) is plain.process_chunk(frames[:, 0].tobytes())
    assert detector.stats().energy == plain.stats().energy > 0


# ---- figures ----


def test_metrics_tell_what_happened() -> None:
    detector = FastVADDetector(VADConfig(speech_start_ms=100, speech_end_ms=100), AUDIO)
    for chunk in chunks_of(quiet(1000) + loud(1000) + quiet(1000), [HOP_BYTES]):
        detector.process_chunk(chunk)
    metrics = detector.get_metrics()
    assert metrics["current_state"] == "silence"
    assert metrics["type"] == "energy"
    assert metrics["chunks_processed"] == 150
    assert metrics["speech_segments"] == 1
    assert metrics["transitions"] == {
        "silence>speech_starting": 1,
        "speech_starting>speech": 1,
        "speech>speech_ending": 1,
        "speech_ending>silence": 1,
    }
    assert metrics["speech_ms"] == 1000
    assert metrics["silence_ms"] == 2000
    assert metrics["utterance_ms"] == 0
    assert metrics["level"] == metrics["energy"] == pytest.approx(90 / 3**0.5 / 32768, rel=0.1)
    assert metrics["noise_floor"] is None
    assert metrics["model_runs"] == metrics["malformed_chunks"] == 0
    assert metrics["threshold"] == 0.5


def test_reset_is_as_new() -> None:
    detector, fresh = FastVADDetector(VADConfig(), AUDIO), FastVADDetector(VADConfig(), AUDIO)
    for chunk in chunks_of(quiet(200) + loud(333), [300]):
        detector.process_chunk(chunk)
    detector.reset()
    assert detector.get_metrics() == fresh.get_metrics()
    assert detector.get_pre_buffer() is None
    for chunk in chunks_of(quiet(200) + loud(333), [300]):
        assert detector.process_chunk(chunk) is fresh.process_chunk(chunk)
    assert detector.get_metrics() == fresh.get_metrics()


def test_thresholds_may_be_set() -> None:
    stats = FastVADDetector(VADConfig(threshold=0.8), AUDIO).stats()
    assert (stats.threshold, stats.release_threshold) == (0.8, pytest.approx(0.56))
    stats = FastVADDetector(VADConfig(release_threshold=0.7), AUDIO).stats()
    assert (stats.threshold, stats.release_threshold) == (0.7, 0.7)
