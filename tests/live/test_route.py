import threading
import time

import numpy as np
import pytest

from menura.devices.synthetic_oneway import SyntheticInput, SyntheticOutput
from menura.errors import ConfigError, DeviceError, FormatError, StateError
from menura.live.route import Route

TIMEOUT_S = 20.0
RATE = 48_000
BLOCK = 480


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


class Desk:
    """A microphone and a loudspeaker, and a route between."""

    def __init__(self, process=lambda x: x, start=True, **options):
        self.source = SyntheticInput(RATE, BLOCK)
        self.sink = SyntheticOutput(RATE, BLOCK, 2)
        options = {"lost_after_s": 10.0} | options  # the machine may be busy
        self.route = Route(self.source, self.sink, process, **options)
        if start:
            self.route.start()

    def run(self, x):
        """Let it be heard, processed and played."""
        for at in range(0, len(x), BLOCK):
            part = x[at : at + BLOCK]
            goal = self.route.stats().frames + len(part)
            if self.sink.alive:
                self.sink.pump(len(part))
            self.source.feed(part)
            self.source.pump(len(part))
            until(lambda goal=goal: self.route.stats().frames >= goal or not self.route.running)

    @property
    def heard(self):
        return self.sink.given


@pytest.fixture
def desk():
    desks = []

    def make(*args, **options):
        desks.append(Desk(*args, **options))
        return desks[-1]

    yield make
    for each in desks:
        each.route.stop()
    assert "menura-route" not in [thread.name for thread in threading.enumerate()]


def noise(n, seed=0):
    # below 0.9 of Nyquist, where the change of speed is exact
    x = np.random.default_rng(seed).uniform(-0.5, 0.5, n + 64)
    return np.convolve(x, np.hanning(10) / 5, "valid")[:n, None].astype(np.float32)


def test_what_is_said_is_heard_processed_as_late_as_told(desk):
    desk = desk(lambda x: -0.5 * x)
    x = noise(4 * RATE)
    desk.run(x)
    part = desk.heard[3 * RATE : 3 * RATE + 9600, 0]
    lags = np.correlate(x[2 * RATE :, 0], part, "valid")
    lag = RATE - int(np.argmax(-lags))
    assert np.corrcoef(part, -x[3 * RATE - lag :][:9600, 0])[0, 1] > 0.999
    assert np.array_equal(desk.heard[:, 0], desk.heard[:, 1])
    stats = desk.route.stats()
    # a block is heard at once in this world, which ends with the block; the device is told so
    assert stats.latency_ms == pytest.approx(1000 * lag / RATE, abs=11.0)
    assert stats.capture_ms + stats.playback_ms == stats.latency_ms
    assert (stats.gaps, stats.xruns, stats.running) == (0, 0, True)
    assert stats.frames == 4 * RATE


def test_it_ends_clean_and_runs_once(desk):
    desk = desk()
    desk.route.start()
    desk.run(noise(RATE))
    desk.route.stop()
    desk.route.stop()
    assert not desk.route.running
    assert desk.source.closed
    assert desk.sink.closed
    assert desk.route.stats().frames == RATE
    with pytest.raises(StateError, match="has ended"):
        desk.route.start()


@pytest.mark.parametrize("lost", ["source", "sink"])
def test_a_lost_device_ends_it_and_is_reported(desk, lost):
    errors = []
    desk = desk(on_error=errors.append)
    desk.run(noise(4800))
    (desk.source if lost == "source" else desk.sink).unplug()
    if lost == "sink":
        desk.source.pump(BLOCK)
    until(lambda: errors)
    assert isinstance(errors[0], DeviceError)
    assert desk.route.error is errors[0]
    desk.route.stop()
    assert desk.source.closed
    assert desk.sink.closed


def test_a_loss_is_told_though_the_device_cannot_be_closed(desk):
    """As with a sound server that hangs."""
    errors, go = [], threading.Event()
    desk = desk(on_error=errors.append)
    desk.source.close = lambda: go.wait(TIMEOUT_S)
    desk.source.unplug()
    until(lambda: errors)
    assert not desk.route.running
    go.set()


def test_an_output_that_falls_silent_is_lost(desk):
    errors = []
    desk = desk(on_error=errors.append, lost_after_s=0.1)
    desk.run(noise(4800))
    while not errors:
        desk.source.pump(BLOCK) if desk.source.alive else None
        time.sleep(0.01)
    assert "silent for 0.1 s" in str(errors[0])


def test_a_process_that_fails_ends_it(desk):
    desk = desk(process=lambda x: x[1:])
    desk.source.pump(BLOCK)
    until(lambda: not desk.route.running)
    assert isinstance(desk.route.error, FormatError)


def test_a_device_that_does_not_start_closes_all(desk):
    desk = desk(start=False)
    desk.sink.close()
    with pytest.raises(DeviceError):
        desk.route.start()
    assert desk.source.closed
    assert desk.sink.closed


def test_a_failing_on_error_is_logged(desk, caplog):
    def failing(error):
        raise RuntimeError("in on_error")

    desk = desk(on_error=failing)
    desk.source.unplug()
    until(lambda: "on_error of the thread menura-route failed" in caplog.text)


def test_the_output_has_the_rate_of_the_microphone():
    with pytest.raises(ConfigError, match="one rate: 48000 Hz comes and 24000 Hz goes"):
        Route(SyntheticInput(RATE), SyntheticOutput(24_000), lambda x: x)
