import threading
import time

import numpy as np
import pytest

from menura.devices.synthetic import SyntheticDuplex
from menura.errors import DeviceError, FormatError, StateError
from menura.live.duplex import DuplexRunner

TIMEOUT_S = 10.0


class Stepped:
    """A process that tells when it has run, so that a test can pump without sleeping."""

    def __init__(self, process=lambda x: x):
        self.frames = 0
        self._process = process
        self._changed = threading.Condition()

    def __call__(self, x):
        y = self._process(x)
        with self._changed:
            self.frames += len(x)
            self._changed.notify_all()
        return y

    def wait(self, frames):
        with self._changed:
            assert self._changed.wait_for(lambda: self.frames >= frames, TIMEOUT_S)


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def pump(port, runner, blocks):
    for _ in range(blocks):
        callbacks = port.stats().callbacks
        port.pump(port.block)
        until(lambda c=callbacks: runner.stats().frames + runner._dropped >= (c + 1) * port.block)


def test_what_comes_out_is_processed_whole_and_as_late_as_told():
    port = SyntheticDuplex(device_s=0.02)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (48_000, 1)).astype(np.float32)
    port.feed(x)
    with DuplexRunner(port, lambda block: -0.5 * block) as runner:
        pump(port, runner, 100)
        lag = 2 * port.block
        assert runner.latency_ms == pytest.approx(1000.0 * lag / 48_000 + 20.0, abs=0.1)
        np.testing.assert_array_equal(port.played[lag:], -0.5 * x[:-lag])
        stats = runner.stats()
        assert (stats.xruns, stats.dropped, stats.padded, stats.running) == (0, 0, 0, True)
    assert not runner.running
    assert port.closed


def test_thread_is_named_and_gone_after_stop():
    runner = DuplexRunner(SyntheticDuplex(), lambda x: x)
    runner.start()
    runner.start()
    assert [t.name for t in threading.enumerate()].count("menura-audio") == 1
    runner.stop()
    runner.stop()
    assert "menura-audio" not in [t.name for t in threading.enumerate()]
    with pytest.raises(StateError, match="has ended"):
        runner.start()


def test_a_process_that_raises_ends_it_and_is_reported():
    seen = []
    port = SyntheticDuplex()

    def broken(x):
        raise ValueError("no voice")

    runner = DuplexRunner(port, broken, on_error=seen.append)
    runner.start()
    port.pump(480)
    until(lambda: seen)
    assert str(runner.error) == "no voice"
    assert seen == [runner.error]
    assert port.closed
    assert not runner.running
    runner.stop()


def test_a_process_of_another_length_is_refused():
    port = SyntheticDuplex()
    with DuplexRunner(port, lambda x: x[1:]) as runner:
        port.pump(480)
        until(lambda: not runner.running)
    assert isinstance(runner.error, FormatError)


def test_a_failing_on_error_is_logged(caplog):
    port = SyntheticDuplex()

    def failing(error):
        raise RuntimeError("in on_error")

    with DuplexRunner(port, lambda x: x, on_error=failing) as runner:
        port.unplug()
        until(lambda: "on_error of the thread menura-audio failed" in caplog.text)
    assert isinstance(runner.error, DeviceError)


@pytest.mark.parametrize(
    ("lose", "text"), [(lambda port: port.unplug(), "unplugged"), (lambda port: None, "silent for 0.1 s")]
)
def test_a_lost_device_is_reported(lose, text):
    seen = []
    port = SyntheticDuplex()
    runner = DuplexRunner(port, lambda x: x, on_error=seen.append, lost_after_s=0.1)
    runner.start()
    lose(port)
    until(lambda: seen)
    assert isinstance(seen[0], DeviceError)
    assert str(seen[0]).startswith("Audio device not available: ")
    assert text in str(seen[0])
    assert port.closed


def test_a_failing_callback_is_reported():
    port = SyntheticDuplex()
    with DuplexRunner(port, lambda x: x) as runner:
        port._exchange._note = None
        port.pump(480)
        until(lambda: not runner.running)
    assert isinstance(runner.error, DeviceError)
    assert isinstance(runner.error.__cause__, TypeError)


def test_a_port_that_does_not_start_is_closed():
    port = SyntheticDuplex()
    port.closed = True
    runner = DuplexRunner(port, lambda x: x)
    with pytest.raises(DeviceError):
        runner.start()
    assert not runner.running


def test_a_stall_is_bounded_counted_and_forgotten():
    """Half a second without processing leaves a gap, and the delay from before."""
    port = SyntheticDuplex()
    go, hold = threading.Event(), threading.Event()
    go.set()

    def slow(x):
        hold.set()
        assert go.wait(TIMEOUT_S)
        return x

    process = Stepped(slow)
    port.feed(np.full((480_000, 1), 0.5, np.float32))
    with DuplexRunner(port, process) as runner:
        pump(port, runner, 20)
        before = runner.latency_ms
        go.clear()
        hold.clear()
        port.pump(480)
        assert hold.wait(TIMEOUT_S)
        port.pump(24_000)
        go.set()
        pump(port, runner, 1)
        pump(port, runner, 200)
        stats = runner.stats()
        assert stats.padded > 20_000
        assert stats.dropped == pytest.approx(stats.padded, abs=8 * 480)
        assert port.queued <= 8 * 480
        assert runner.latency_ms <= before + 65.0


def test_delay_that_is_not_needed_goes_in_a_pause():
    port = SyntheticDuplex()
    port.feed(np.full((216_000, 1), 0.5, np.float32))  # then silence
    with DuplexRunner(port, lambda x: x) as runner:
        pump(port, runner, 2)
        port._exchange._playing.write(np.zeros((960, 1), np.float32))  # as if padded
        pump(port, runner, 448)
        assert runner.stats().dropped == 0, "speech is left alone"
        pump(port, runner, 30)
        assert runner.stats().dropped == 960
        assert runner.latency_ms == pytest.approx(20.0, abs=0.2)


def test_stop_plays_what_was_captured():
    port = SyntheticDuplex()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (960, 1)).astype(np.float32)
    port.feed(x)
    runner = DuplexRunner(port, lambda block: block)
    runner.start()
    port.pump(960)
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    while stopping.is_alive():
        if port.alive and port.queued:  # a device that does not outrun a starved thread
            port.pump(480)
        stopping.join(0.005)
    assert runner.error is None
    np.testing.assert_array_equal(port.played[960:1920], x)
    assert runner.stats().padded == 0
