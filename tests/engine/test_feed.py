"""Audio through the engine's stream buffer, at the pace of the network or of the clock."""

import numpy as np
import pytest

from menura.audio.config import AudioConfig
from menura.clock import VirtualClock
from menura.engine.config import BufferConfig, ProcessingMode
from menura.engine.engine import Engine
from menura.errors import ConfigError

FAST = AudioConfig(chunk_duration_ms=20)


def tone(ms: int) -> bytes:
    return np.round(9000 * np.sin(2 * np.pi * 200 * np.arange(24 * ms) / 24_000)).astype("<i2").tobytes()


def make(clock: VirtualClock) -> Engine:
    return Engine(ProcessingMode.REALTIME, FAST, BufferConfig(jitter=True), clock=clock)


def test_bunched_arrival_comes_out_at_the_pace_of_the_clock() -> None:
    clock = VirtualClock()
    engine = make(clock)
    given, audio = [], tone(2000)
    for i in range(100):
        if i % 4 == 3:  # four packets together, every 80 ms
            packets = [audio[960 * k : 960 * (k + 1)] for k in range(i - 3, i + 1)]
            given.extend((clock(), engine.add_to_stream_buffer(packet)) for packet in packets)
        clock.advance(0.02)
    total = sum(len(chunk) for _, chunk in given if chunk)
    elapsed_ms = 1000 * (given[-1][0] - given[0][0])
    assert abs(total / 48 - elapsed_ms) <= 20
    assert all(len(chunk) % 960 == 0 for _, chunk in given if chunk)
    assert engine.get_metrics()["stream_buffer"]["jitter"]["jitter_ms"] > 5


def test_a_long_pause_brings_a_second_at_most() -> None:
    clock = VirtualClock()
    engine = make(clock)
    engine.add_to_stream_buffer(tone(20))
    clock.advance(60.0)
    assert len(engine.add_to_stream_buffer(tone(20)) or b"") == 48_000


def test_a_reader_with_a_timer_gets_exactly_what_it_asks_for() -> None:
    clock = VirtualClock()
    engine = make(clock)
    assert engine.read_stream_buffer() is None
    heard = []
    for i in range(200):
        if i % 7:
            assert engine.add_to_stream_buffer(tone(20)) is None
        clock.advance(0.02)
        chunk = engine.read_stream_buffer(20)
        heard.append(chunk)
    assert {len(chunk) for chunk in heard if chunk} == {960}
    figures = engine.get_metrics()["stream_buffer"]
    assert figures["jitter"]["concealed_frames"] > 0


def test_plain_buffer_pads_by_its_policy_when_read() -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST, BufferConfig(underflow_strategy="repeat"))
    assert engine.read_stream_buffer() is None
    engine.add_to_stream_buffer(tone(30))
    first = engine.read_stream_buffer()
    assert first == tone(20)
    assert engine.read_stream_buffer() == tone(30)[960:] + first[:480]


@pytest.mark.parametrize("bounds", [{"max_duration_ms": 19}, {"max_size_bytes": 958}])
def test_a_buffer_that_never_holds_a_chunk_is_refused(bounds: dict[str, int]) -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST, BufferConfig(**bounds))
    with pytest.raises(ConfigError, match="never holds a chunk"):
        engine.add_to_stream_buffer(tone(20))


@pytest.mark.parametrize("duration_ms", [0.0, -20.0, float("nan"), float("inf"), 60_001.0])
def test_a_read_of_nothing_or_without_end_is_refused(duration_ms: float) -> None:
    engine = Engine(ProcessingMode.REALTIME, FAST)
    with pytest.raises(ConfigError, match="ms"):
        engine.read_stream_buffer(duration_ms)
    assert engine.add_to_stream_buffer(tone(20)) == tone(20)
