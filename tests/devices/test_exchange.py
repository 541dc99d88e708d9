import numpy as np
import pytest

from menura.clock import VirtualClock
from menura.devices.exchange import Exchange
from menura.devices.synthetic import SyntheticDuplex
from menura.dsp.ring import Overflow, Ring
from menura.errors import DeviceError, StateError


def noise(n, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (n, 1)).astype(np.float32)


def test_read_into_equals_read_when_the_ring_wraps():
    a, b = Ring(100, 2, Overflow.DROP_NEWEST), Ring(100, 2, Overflow.DROP_NEWEST)
    rng = np.random.default_rng(1)
    for _ in range(200):
        x = rng.normal(size=(rng.integers(0, 60), 2)).astype(np.float32)
        assert a.write(x) == b.write(x)
        out = np.full((rng.integers(0, 60), 2), 7.0, np.float32)
        got = a.read_into(out)
        np.testing.assert_array_equal(out[:got], b.read(len(out)))
        assert np.all(out[got:] == 7.0)
        assert (a.written, a.consumed) == (b.written, b.consumed)


@pytest.mark.parametrize("prefill", [0, 480, 1000])
@pytest.mark.parametrize("device_s", [0.0, 0.03])
def test_latency_is_what_passes_when_audio_goes_through(prefill, device_s):
    port = SyntheticDuplex(device_s=device_s)
    x = noise(9600)
    port.write(np.zeros((prefill, 1), np.float32))
    port.start()
    port.feed(x)
    for _ in range(25):
        port.pump(480)
        port.write(port.read())
    lag = np.argmax(np.correlate(port.played[:, 0], x[:4800, 0], "valid"))
    assert port.latency_ms == pytest.approx(lag / 48.0 + 1000.0 * device_s, abs=0.03)


def test_latency_includes_the_conversion_when_the_device_has_another_rate():
    port = SyntheticDuplex(device_rate=44_100)
    # band-limited: both rates carry it
    x = np.convolve(noise(44_100)[:, 0], np.hanning(16) / 8, "same")[:, None].astype(np.float32)
    port.write(np.zeros((960, 1), np.float32))
    port.start()
    port.feed(x)
    for _ in range(90):
        port.pump(441)
        got = port.read()
        port.write(got)
    lag = np.argmax(np.correlate(port.played[:, 0], x[4410:22050, 0], "valid")) - 4410
    assert port.latency_ms == pytest.approx(lag / 44.1, abs=0.1)
    assert port.queued == pytest.approx(960, abs=3)
    aligned = port.played[lag + 4410 :][:17640]
    assert np.abs(aligned - x[4410:22050]).max() < 0.03, "at most half a frame beside"


def test_padding_is_counted_and_adds_to_the_latency():
    port = SyntheticDuplex()
    port.start()
    port.pump(480)
    assert port.stats().padded == 0, "nothing was written yet"
    port.write(port.read())
    port.pump(480)
    before = port.latency_ms
    late = port.read()
    port.pump(480)
    port.write(late)
    port.write(port.read())
    for _ in range(200):
        port.pump(480)
        port.write(port.read())
    assert port.stats().padded == 480
    assert port.latency_ms == pytest.approx(before + 10.0, abs=0.1)
    assert port.headroom == 0


def test_headroom_is_the_least_since_it_was_asked():
    port = SyntheticDuplex()
    port.write(np.zeros((1440, 1), np.float32))
    port.start()
    port.pump(960)
    assert port.headroom == 480
    port.write(np.zeros((960, 1), np.float32))
    port.pump(480)
    assert port.headroom == 960


def test_nothing_is_lost_silently_when_nobody_reads():
    clock = VirtualClock()
    port = SyntheticDuplex(clock=clock)
    port.start()
    port.pump(2 * 48_000, lost_in=True)
    stats = port.stats()
    assert (stats.dropped_in, stats.callbacks, stats.xruns_in, stats.xruns_out) == (48_000, 200, 200, 0)
    assert len(port.read()) == 48_000
    assert clock() == pytest.approx(2.0)
    port.write(np.zeros((50_000, 1), np.float32))
    assert port.stats().dropped_out == 2000


def test_an_error_in_the_callback_is_kept_and_stops_it():
    exchange = Exchange(48_000, 48_000, 1)
    out = np.full((480, 1), np.nan, np.float32)
    assert not exchange.run(np.zeros((480, 3), np.float32), out, 0.0, False, False)
    assert isinstance(exchange.error, ValueError)
    assert not out.any()


def test_mono_is_played_on_every_channel():
    port = SyntheticDuplex(channels=2)
    port.write(noise(480))
    port.start()
    port.pump(480)
    np.testing.assert_array_equal(port.played, np.repeat(noise(480), 2, axis=1))


def test_a_port_that_does_not_run_says_so():
    port = SyntheticDuplex()
    with pytest.raises(StateError, match="does not run"):
        port.pump(1)
    port.close()
    with pytest.raises(DeviceError, match="Audio device not available"):
        port.start()
