import asyncio
import threading
import time

import numpy as np
import pytest

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.clock import VirtualClock
from menura.devices.synthetic_oneway import SyntheticInput
from menura.errors import ConfigError, DeviceError, StateError
from menura.live.capture import DirectAudioCapture

TIMEOUT_S = 10.0
RATE = 24_000
CONFIG = AudioConfig(chunk_duration_ms=20)
CHUNK = 480


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def noise(n, seed=0, channels=1):
    x = np.random.default_rng(seed).integers(-16_000, 16_000, (n, channels))
    return (x / 32768).astype(np.float32), x.astype("<i2")


class Rig:
    """A capture, and the microphone it has opened last."""

    def __init__(self, config=CONFIG, fail=None, **options):
        self.ports, self.asked, self.fail = [], [], fail
        self.clock = VirtualClock()
        self.capture = DirectAudioCapture(config, "mic", open_port=self.open, clock=self.clock, **options)

    def open(self, device, *, rate, channels):
        self.asked.append((device, rate, channels))
        if self.fail is not None:
            raise self.fail
        self.ports.append(SyntheticInput(rate, rate // 100, channels, device_s=0.005))
        return self.ports[-1]

    @property
    def port(self):
        return self.ports[-1]

    def hear(self, x):
        """Let it be captured, and the capture keep up."""
        self.port.feed(x)
        for at in range(0, len(x), self.port.block):
            before = self.capture.stats().captured_ms
            n = min(self.port.block, len(x) - at)
            self.clock.advance(n / self.port.rate)
            self.port.pump(n)
            goal = before + 1000.0 * n / self.port.rate
            until(lambda goal=goal: self.capture.stats().captured_ms >= goal - 1e-6)


@pytest.fixture
def rig():
    rigs = []

    def make(*args, **options):
        rigs.append(Rig(*args, **options))
        return rigs[-1]

    yield make
    for each in rigs:
        each.capture.stop()
    assert "menura-capture" not in [thread.name for thread in threading.enumerate()]


async def collect(stream):
    return [chunk async for chunk in stream]


def test_chunks_are_exact_and_hold_what_was_heard(rig):
    rig = rig()
    stream = rig.capture.stream()
    x, raw = noise(10 * CHUNK + 100)
    rig.hear(x)
    rig.capture.stop()
    chunks = asyncio.run(collect(stream))
    assert [len(chunk) for chunk in chunks] == [960] * 10
    assert b"".join(chunks) == raw[: 10 * CHUNK].tobytes()
    assert rig.asked == [("mic", RATE, 1)]
    stats = rig.capture.stats()
    assert (stats.chunks, stats.gaps, stats.dropped_chunks, stats.running) == (10, 0, 0, False)
    assert stats.captured_ms == pytest.approx(204.17, abs=0.01)


def test_a_stream_counts_from_the_call_not_from_the_first_iteration(rig):
    rig = rig()
    rig.capture.start()
    early = rig.capture.stream()
    x, raw = noise(4 * CHUNK)
    rig.hear(x[: 2 * CHUNK])
    late = rig.capture.stream()
    rig.hear(x[2 * CHUNK :])
    rig.capture.stop()
    assert b"".join(asyncio.run(collect(early))) == raw.tobytes()
    assert b"".join(asyncio.run(collect(late))) == raw[2 * CHUNK :].tobytes()


def test_iteration_waits_for_audio_that_is_still_to_come(rig):
    rig = rig()
    stream = rig.capture.stream()
    x, raw = noise(3 * CHUNK)
    got = []

    async def consume():
        async for chunk in stream:
            got.append(chunk)  # noqa: PERF401

    thread = threading.Thread(target=lambda: asyncio.run(consume()))
    thread.start()
    for at in range(0, len(x), CHUNK):
        rig.hear(x[at : at + CHUNK])
        until(lambda at=at: len(got) == at // CHUNK + 1)
    rig.capture.stop()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    assert b"".join(got) == raw.tobytes()


def test_chunks_tell_when_they_were_captured(rig):
    rig = rig()
    stream = rig.capture.stream()
    rig.clock.advance(100.0)
    rig.hear(noise(5 * CHUNK)[0])
    times = []
    for _ in range(5):
        stream.read(TIMEOUT_S)
        times.append(stream.captured_s)
    np.testing.assert_allclose(times, 100.0 - 0.005 + 0.02 * np.arange(5), atol=1e-4)


def test_the_oldest_is_dropped_and_counted_when_nobody_takes_it(rig):
    rig = rig(queue_ms=60)
    slow, quick = rig.capture.stream(), rig.capture.stream()
    x, raw = noise(8 * CHUNK)
    got = []
    for at in range(0, len(x), CHUNK):
        rig.hear(x[at : at + CHUNK])
        got.append(quick.read(TIMEOUT_S))
    rig.capture.stop()
    assert b"".join(got) == raw.tobytes()
    assert b"".join(asyncio.run(collect(slow))) == raw[5 * CHUNK :].tobytes()
    assert (slow.dropped, quick.dropped, rig.capture.stats().dropped_chunks) == (5, 0, 5)


def test_losses_of_the_device_are_counted(rig):
    rig = rig()
    stream = rig.capture.stream()
    rig.hear(noise(CHUNK)[0])
    rig.port.pump(240, lost=True)
    until(lambda: rig.capture.stats().captured_ms >= 30.0)
    with rig.capture._guard:  # as if the thread were starved
        rig.port.pump(2 * RATE)
    until(lambda: rig.capture.stats().captured_ms >= 1030.0)
    stats = rig.capture.stats()
    assert stats.gaps == 2
    assert stats.xruns == 1
    assert 900.0 <= stats.lost_ms <= 1000.0
    assert len(stream.read(TIMEOUT_S)) == 960


def test_a_device_that_cannot_be_closed_holds_up_nobody(rig):
    """As with a sound server that hangs."""
    rig, go = rig(), threading.Event()
    stream = rig.capture.stream()
    rig.port.close = lambda: go.wait(TIMEOUT_S)
    rig.port.unplug()
    with pytest.raises(DeviceError):
        stream.read(TIMEOUT_S)
    assert not rig.capture.stats().running
    assert not go.is_set()
    go.set()


def test_a_lost_device_is_raised_after_what_was_queued(rig, caplog):
    rig = rig()
    stream, other = rig.capture.stream(), rig.capture.stream()
    rig.hear(noise(2 * CHUNK)[0])
    rig.port.unplug()
    until(lambda: not rig.capture.is_running)
    until(lambda: rig.port.closed)
    got = []

    async def consume():
        async for chunk in stream:
            got.append(chunk)  # noqa: PERF401

    with pytest.raises(DeviceError, match="Audio device not available: it has stopped"):
        asyncio.run(consume())
    assert len(got) == 2
    assert other.read(TIMEOUT_S)
    assert other.read(TIMEOUT_S)
    with pytest.raises(DeviceError):
        other.read(TIMEOUT_S)
    assert "has lost its device" in caplog.text


def test_a_device_that_falls_silent_is_lost(rig):
    rig = rig(lost_after_s=0.1)
    stream = rig.capture.stream()
    with pytest.raises(DeviceError, match=r"silent for 0\.1 s"):
        stream.read(TIMEOUT_S)


def test_it_starts_again_on_another_event_loop(rig):
    rig = rig()
    for seed in range(3):
        rig.capture.start()
        rig.capture.start()
        stream = rig.capture.stream()
        x, raw = noise(2 * CHUNK, seed)
        rig.hear(x)
        rig.capture.stop()
        rig.capture.stop()
        assert b"".join(asyncio.run(collect(stream))) == raw.tobytes()
    assert len(rig.ports) == 3
    assert all(port.closed for port in rig.ports)
    assert rig.capture.stats().chunks == 6


def test_a_cancelled_consumer_loses_nothing(rig):
    rig = rig()
    stream = rig.capture.stream()

    async def give_up():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)

    asyncio.run(give_up())
    x, raw = noise(CHUNK)
    rig.hear(x)
    assert asyncio.run(anext(stream)) == raw.tobytes()


def test_two_consumers_of_one_stream_are_refused(rig):
    rig = rig()
    stream = rig.capture.stream()

    async def both():
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(StateError, match="one consumer"):
            await anext(stream)
        first.cancel()

    asyncio.run(both())


def test_a_closed_stream_ends_and_holds_nothing_up(rig):
    rig = rig()
    stream = rig.capture.stream()
    rig.hear(noise(2 * CHUNK)[0])
    asyncio.run(stream.aclose())
    rig.hear(noise(2 * CHUNK)[0])
    assert asyncio.run(collect(stream)) == []
    assert rig.capture._streams == []


def test_reading_without_an_event_loop(rig):
    rig = rig()
    with pytest.raises(StateError, match=r"call start\(\) first"):
        rig.capture.read()
    rig.capture.start()
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        rig.capture.read(0.01)
    x, raw = noise(2 * CHUNK)
    rig.hear(x)
    assert rig.capture.read(TIMEOUT_S) + rig.capture.read(TIMEOUT_S) == raw.tobytes()
    rig.capture.stop()
    assert rig.capture.read(TIMEOUT_S) is None


def test_any_format_and_channels_can_be_captured(rig):
    rig = rig(AudioConfig(sample_rate=8000, channels=2, chunk_duration_ms=30, format=AudioFormat.G711_ULAW))
    stream = rig.capture.stream()
    rig.hear(np.full((480, 2), 0.5, np.float32))
    chunk = stream.read(TIMEOUT_S)
    assert len(chunk) == 480
    assert set(chunk) == {0x8F}


def test_a_device_that_does_not_open_says_so(rig):
    rig = rig(fail=DeviceError("Audio device not available: none"))
    for call in (rig.capture.start, rig.capture.stream):
        with pytest.raises(DeviceError, match="none"):
            call()
    rig.fail = None
    with rig.capture:
        assert rig.capture.is_running
    assert not rig.capture.is_running


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError):
        DirectAudioCapture(lost_after_s=0)
    with pytest.raises(ConfigError):
        DirectAudioCapture(queue_ms=-1)
