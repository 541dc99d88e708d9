"""Bounded bytes: every byte is held, given out or counted as lost, in order."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.clock import VirtualClock
from menura.engine.buffer import AudioStreamBuffer
from menura.engine.config import BufferConfig
from menura.errors import ConfigError, LimitError


def numbered(frames: int, start: int = 0) -> bytes:
    return b"".join((i % 65536).to_bytes(2, "little") for i in range(start, start + frames))


def make(capacity: int = 100, **settings: object) -> AudioStreamBuffer:
    return AudioStreamBuffer(BufferConfig(max_size_bytes=capacity, **settings))  # type: ignore[arg-type]


def test_chunk_comes_back_as_the_object_it_was_where_sizes_agree() -> None:
    buffer = make(4000)
    chunks = [numbered(480), numbered(480, 480)]
    for chunk in chunks:
        assert buffer.add_audio(chunk)
    assert buffer.get_chunk(960) is chunks[0]
    view = buffer.view_chunk(480)
    assert view is not None
    assert view.obj is chunks[1]
    assert bytes(view) == chunks[1][:480]


def test_bound_is_the_tighter_of_bytes_and_time() -> None:
    assert AudioStreamBuffer(BufferConfig(max_duration_ms=10)).capacity == 480
    assert AudioStreamBuffer(BufferConfig(max_size_bytes=101)).capacity == 100
    with pytest.raises(ConfigError, match="does not hold one frame"):
        make(1)


def test_drop_oldest_keeps_the_newest() -> None:
    buffer = make(100)
    assert buffer.add_audio(numbered(40))
    assert buffer.add_audio(numbered(20, 40))
    assert buffer.get_chunk(100) == numbered(50, 10)
    stats = buffer.stats()
    assert (stats.dropped_oldest, stats.dropped_newest, stats.overflow_count) == (20, 0, 1)


def test_drop_oldest_says_so_when_audio_is_longer_than_the_buffer() -> None:
    buffer = make(100)
    buffer.add_audio(numbered(10))
    assert not buffer.add_audio(numbered(80, 10))
    assert buffer.get_chunk(100) == numbered(50, 40)
    assert buffer.stats().dropped_oldest == 80


def test_drop_newest_keeps_what_fits() -> None:
    buffer = make(100, overflow_strategy="drop_newest")
    buffer.add_audio(numbered(40))
    assert not buffer.add_audio(numbered(20, 40))
    assert buffer.get_chunk(100) == numbered(50)
    assert buffer.stats().dropped_newest == 20


def test_overflow_error_adds_nothing() -> None:
    buffer = make(100, overflow_strategy="error")
    buffer.add_audio(numbered(40))
    with pytest.raises(LimitError, match="full"):
        buffer.add_audio(numbered(20, 40))
    assert buffer.get_available_bytes() == 80
    assert buffer.stats().total_added == 80


@pytest.mark.parametrize(
    ("form", "silent"), [(AudioFormat.PCM16, 0), (AudioFormat.G711_ULAW, 255), (AudioFormat.G711_ALAW, 0xD5)]
)
def test_underflow_pads_with_silence_of_the_format(form: AudioFormat, silent: int) -> None:
    buffer = AudioStreamBuffer(audio_config=AudioConfig(format=form))
    assert buffer.get_chunk(8) is None
    buffer.add_audio(bytes([1, 2, 3, 4]))
    assert buffer.get_chunk(8) == bytes([1, 2, 3, 4] + [silent] * 4)
    assert buffer.get_chunk(8) == bytes([silent] * 8)
    assert buffer.stats().padded_bytes == 12
    assert buffer.stats().underflow_count == 2


def test_underflow_repeats_the_last_chunk() -> None:
    buffer = make(underflow_strategy="repeat")
    buffer.add_audio(numbered(6))
    assert buffer.get_chunk(8) == numbered(4)
    assert buffer.get_chunk(8) == numbered(2, 4) + numbered(2)
    assert buffer.get_chunk(8) == numbered(4)


def test_underflow_error_takes_nothing() -> None:
    buffer = make(underflow_strategy="error")
    buffer.add_audio(numbered(2))
    with pytest.raises(LimitError, match="4 of 8 bytes"):
        buffer.get_chunk(8)
    assert buffer.get_chunk(4) == numbered(2)


def test_half_a_sample_is_refused_and_counted() -> None:
    buffer = make()
    assert not buffer.add_audio(b"abc")
    assert buffer.get_stats()["malformed"] == 1
    with pytest.raises(ConfigError, match="whole frames"):
        buffer.get_chunk(3)


@pytest.mark.parametrize("jitter", [False, True])
@pytest.mark.parametrize("bad", [None, "text", 3, [1], memoryview(bytes(8)).cast("h"), np.zeros(4, np.int16)])
def test_what_is_no_bytes_is_refused_and_counted(bad: object, jitter: bool) -> None:
    buffer = make(jitter=jitter)
    assert not buffer.add_audio(bad)  # type: ignore[arg-type]
    assert buffer.add_audio(memoryview(bytearray(numbered(2))))
    stats = buffer.stats()
    assert (stats.malformed, stats.total_added, stats.available_bytes) == (1, 4, 4)


def test_many_tiny_pieces_take_no_memory_of_their_own() -> None:
    buffer = make(100_000)
    for i in range(20_000):
        buffer.add_audio(numbered(1, i))
    assert len(buffer._pieces) < 30
    assert buffer.get_chunk(40_000) == numbered(20_000)


@settings(max_examples=200, deadline=None)
@given(
    capacity=st.integers(1, 60),
    overflow=st.sampled_from(["drop_oldest", "drop_newest", "error"]),
    underflow=st.sampled_from(["silence", "repeat", "error"]),
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "odd", "get", "view", "clear"]), st.integers(1, 100)), max_size=40
    ),
)
def test_bytes_in_are_bytes_out_and_dropped_and_held_in_any_order_of_calls(
    capacity: int, overflow: str, underflow: str, steps: list[tuple[str, int]]
) -> None:
    buffer = make(2 * capacity, overflow_strategy=overflow, underflow_strategy=underflow)
    model: list[int] = []
    numbers = itertools.count(1)
    for step, n in steps:
        if step == "add":
            new = [next(numbers) for _ in range(n)]
            chunk = b"".join(i.to_bytes(2, "little") for i in new)
            try:
                held = buffer.add_audio(chunk)
            except LimitError:
                assert overflow == "error"
                continue
            fits = len(model) + n <= capacity
            assert held == (fits or (overflow == "drop_oldest" and n <= capacity))
            model = (model + new)[-capacity:] if overflow == "drop_oldest" else (model + new)[:capacity]
        elif step == "odd":
            assert not buffer.add_audio(bytes(2 * n + 1))
        elif step == "clear":
            buffer.clear()
            model = []
        else:
            before = buffer.stats()
            try:
                got = buffer.get_chunk(2 * n) if step == "get" else buffer.view_chunk(2 * n)
            except LimitError:
                assert underflow == "error"
                assert buffer.stats().available_bytes == before.available_bytes
                continue
            if got is None:
                assert not model
                continue
            assert len(got) == 2 * n
            real = min(n, len(model))
            assert bytes(got[: 2 * real]) == b"".join(i.to_bytes(2, "little") for i in model[:real])
            model = model[real:]
        stats = buffer.stats()
        assert stats.available_bytes == 2 * len(model) <= stats.capacity_bytes
        assert stats.total_added == stats.total_consumed + stats.dropped_bytes + stats.available_bytes


def test_jitter_mode_smooths_conceals_and_keeps_the_account() -> None:
    clock = VirtualClock()
    buffer = AudioStreamBuffer(BufferConfig(jitter=True), AudioConfig(chunk_duration_ms=20), clock=clock)
    assert buffer.get_chunk() is None
    t = np.arange(24_000) / 24_000
    audio = np.round(8000 * np.sin(2 * np.pi * 200 * t)).astype("<i2").tobytes()
    out = []
    for i in range(50):
        clock.advance(0.02)
        if i % 5 == 0:  # five packets at once, and now and then none at all
            for k in range(i, i + 5):
                if k != 23:
                    assert buffer.add_audio(audio[960 * k : 960 * (k + 1)], sequence=k)
        out.append(buffer.get_chunk() or b"")
    stats = buffer.get_stats()
    assert [len(chunk) for chunk in out] == [960] * 50
    assert stats["padded_bytes"] > 0
    assert stats["jitter"]["lost"] == 1
    assert stats["total_added"] == stats["total_consumed"] + stats["dropped_bytes"] + stats["available_bytes"]
    assert not buffer.add_audio(b"1")
    buffer.clear()
    assert buffer.get_available_bytes() < 200  # what fades out
