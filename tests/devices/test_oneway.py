import threading

import numpy as np
import pytest

from menura.devices.oneway import Outlet
from menura.devices.synthetic_oneway import SyntheticInput, SyntheticOutput
from menura.errors import DeviceError, StateError


def noise(n, channels=1, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (n, channels)).astype(np.float32)


def smooth(n):
    return np.convolve(noise(n)[:, 0], np.hanning(16) / 8, "same")[:, None].astype(np.float32)


def lag(y, x):
    return int(np.argmax(np.correlate(y[:, 0], x[:, 0], "valid")))


# input


def test_what_is_captured_is_read_with_its_time():
    port, x = SyntheticInput(device_s=0.03), noise(4800)
    port.feed(x)
    port.start()
    read = []
    for n in (480, 960, 100, 3260):
        at_s = port.next_s if read else -0.03
        assert at_s == pytest.approx(sum(map(len, read)) / 48_000 - 0.03, abs=1e-6)
        port.pump(n)
        read.append(port.read())
    np.testing.assert_array_equal(np.concatenate(read), x)
    assert port.latency_ms == pytest.approx(40.0, abs=5.0)
    assert len(port.read()) == 0


@pytest.mark.parametrize("device_rate", [44_100, 16_000, 96_000])
def test_times_hold_when_the_device_has_another_rate(device_rate):
    port, x = SyntheticInput(device_rate=device_rate, device_s=0.02), smooth(device_rate)
    port.feed(x)
    port.start()
    port.pump(device_rate // 2)
    first_s, first = port.next_s, port.read()
    assert len(first) == 24_000
    port.pump(device_rate // 2)
    assert port.next_s == pytest.approx(first_s + 0.5, abs=1e-3)
    y = np.concatenate([first, port.read()])
    # the frame of y that was captured at 0.25 s, against the device's own
    at = round((0.25 - 0.02 - first_s) * 48_000)
    times = np.arange(2400) / 48_000 + 0.25
    expected = np.interp(times * device_rate, np.arange(len(x)), x[:, 0])
    offsets = [np.corrcoef(y[at + k : at + k + 2400, 0], expected)[0, 1] for k in range(-10, 11)]
    assert abs(int(np.argmax(offsets)) - 10) <= 1


def test_captured_audio_nobody_reads_is_counted_and_times_stay_true():
    port = SyntheticInput()
    port.start()
    port.pump(60_000, lost=True)
    stats = port.stats()
    assert (stats.callbacks, stats.dropped_in, stats.xruns_in) == (125, 12_000, 125)
    port.read()
    port.pump(480)
    assert port.next_s == pytest.approx(1.25, abs=0.001)


def test_channels_are_kept():
    port, x = SyntheticInput(channels=2), noise(960, 2)
    port.feed(x)
    port.start()
    port.pump(960)
    np.testing.assert_array_equal(port.read(), x)


# output


@pytest.mark.parametrize("device_s", [0.0, 0.05])
def test_played_is_what_has_been_heard(device_s):
    port = SyntheticOutput(device_s=device_s)
    x = noise(24_000)
    port.start()
    before = 0
    for at in range(0, len(x), 480):
        port.write(x[at : at + 480])
        port.pump(480)
        heard = port.heard
        assert port.played == pytest.approx(len(heard), abs=1)
        assert port.played >= before
        before = port.played
    np.testing.assert_array_equal(port.given, x)
    assert port.latency_ms == pytest.approx(1000 * device_s, abs=0.1)


def test_played_counts_no_silence_that_was_padded():
    port = SyntheticOutput(device_s=0.03)
    port.start()
    port.pump(4800)
    assert (port.played, port.stats().padded) == (0, 0)
    for _ in range(20):
        port.write(noise(480))
        port.pump(480)
    port.pump(1200)
    assert port.played == pytest.approx(9600 - 240, abs=2)
    port.pump(4800)
    assert port.played == 9600
    assert port.stats().padded == 6000
    port.write(noise(4800))
    port.pump(2400)
    assert port.played == pytest.approx(9600 + 960, abs=2)


@pytest.mark.parametrize("device_rate", [44_100, 16_000, 96_000])
def test_played_holds_when_the_device_has_another_rate(device_rate):
    port = SyntheticOutput(rate=24_000, block=240, device_rate=device_rate, device_s=0.02)
    x = smooth(24_000)
    port.start()
    for at in range(0, len(x), 240):
        port.write(x[at : at + 240])
        port.pump(device_rate // 100)
    heard = port.heard
    # the last of what was heard, found again in what was written
    tail_start_s = (len(heard) / device_rate) - 0.03
    tail = np.interp((np.arange(480) / 24_000 + tail_start_s) * device_rate, np.arange(len(heard)), heard[:, 0])
    found = lag(x, tail[:, None].astype(np.float32)) + 0.03 * 24_000
    assert port.played == pytest.approx(found, abs=3)


@pytest.mark.parametrize("device_rate", [48_000, 44_100])
@pytest.mark.parametrize("block", [64, 480])
def test_cut_fades_drops_and_tells_how_much(device_rate, block):
    port = SyntheticOutput(block=block, device_rate=device_rate, device_s=0.02)
    x = np.full((9600, 1), 0.5, np.float32)
    port.start()
    port.write(x)
    port.pump(4 * 480)
    assert port.settle() == 0
    port.cut()
    port.cut()
    assert port.settle() is None
    port.pump(480)
    dropped = port.settle()
    assert port.settle() == 0
    given = port.given[:, 0]
    sounding = np.count_nonzero(given[:1920] > 1e-9) + np.count_nonzero(given[1920:] > 1e-9)
    assert sounding == pytest.approx(1920 + min(240, block) * device_rate / 48_000, abs=250)
    # at 64 frames a callback the fade is as short as the block
    assert np.abs(np.diff(given[400:])).max() < 0.5 * 2 / min(240, round(block * device_rate / 48_000))
    port.pump(4800)
    assert port.played + dropped == 9600
    assert port.queued == 0
    # what follows is heard, and counts on
    before = port.played
    port.write(x[:2400])
    port.pump(1200)
    assert port.given[-1, 0] == pytest.approx(0.5, abs=1e-3)
    port.pump(9600)
    late = round(0.0055 * 48_000) if device_rate != 48_000 else 0  # still in the converter
    assert before + 2400 - late <= port.played <= before + 2400


def test_a_cut_of_nothing_drops_nothing():
    port = SyntheticOutput()
    port.start()
    port.cut()
    port.pump(480)
    assert port.settle() == 0
    assert not port.given.any()


def test_stopping_forgets_what_was_not_given():
    port = SyntheticOutput()
    port.write(noise(4800))
    port.start()
    port.pump(480)
    port.stop()
    assert port.queued == 0
    port.start()
    port.pump(480)
    assert port.played == 480


def test_written_audio_that_does_not_fit_is_counted():
    port = SyntheticOutput()
    port.write(noise(50_000))
    assert port.stats().dropped_out == 2000


def test_mono_plays_on_every_channel():
    port = SyntheticOutput(channels=2)
    port.write(noise(480))
    port.start()
    port.pump(480)
    np.testing.assert_array_equal(port.given, np.repeat(noise(480), 2, axis=1))


# both


def test_an_error_in_the_callback_is_kept_and_stops_it():
    outlet = Outlet(48_000, 48_000, 1)
    outlet.write(noise(480))
    outlet._ring = None
    playing = np.full((480, 1), np.nan, np.float32)
    assert not outlet.run(playing, 0.0, 0.0, False)
    assert isinstance(outlet.error, AttributeError)
    assert not playing.any()


@pytest.mark.parametrize("make", [SyntheticInput, SyntheticOutput])
def test_the_signal_is_released_by_each_callback_and_by_the_end(make):
    port, signal = make(), threading.Lock()
    signal.acquire()
    port.start(signal)
    port.pump(480)
    assert signal.acquire(blocking=False)
    port.unplug()
    assert signal.acquire(blocking=False)
    assert not port.alive
    with pytest.raises(StateError, match="does not run"):
        port.pump(1)
    port.close()
    with pytest.raises(DeviceError, match="Audio device not available"):
        port.start()
