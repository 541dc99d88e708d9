import numpy as np
import pytest
from scipy import signal

from menura.dsp.sweep import Sweep, SweepKind
from menura.errors import ConfigError

RATE = 48_000


@pytest.mark.parametrize("kind", SweepKind)
def test_filter_at_rest_is_the_textbook_one(kind: SweepKind) -> None:
    """The bilinear transform of the analogue prototype, whose corner is warped to lie where it should."""
    q, freq = 3.0, 1000.0
    impulse = np.zeros((RATE, 1), np.float32)
    impulse[0] = 1.0
    y = Sweep(RATE, freq_hz=freq, q=q, octaves=0.0, kind=kind).process(impulse)[:, 0]
    w = 2 * RATE * np.tan(np.pi * freq / RATE)
    top = {SweepKind.LOW_PASS: [w * w], SweepKind.BAND_PASS: [w / q, 0], SweepKind.HIGH_PASS: [1, 0, 0]}[kind]
    want = signal.lfilter(*signal.bilinear(top, [1, w / q, w * w], RATE), impulse[:, 0])
    np.testing.assert_allclose(y, want, atol=1e-6)


def test_corner_swings_with_the_sine() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal((4 * RATE, 1))).astype(np.float32)
    y = Sweep(RATE, freq_hz=1000.0, q=15.0, octaves=2.0, lfo_hz=0.25, kind="band_pass").process(noise)[:, 0]
    for t, freq in ((1.0, 4000.0), (2.0, 1000.0), (3.0, 250.0)):
        part = y[round((t - 0.05) * RATE) : round((t + 0.05) * RATE)] * np.hanning(4800)
        power = np.abs(np.fft.rfft(part)) ** 2
        centre = np.sum(power * np.fft.rfftfreq(4800, 1 / RATE)) / power.sum()
        assert centre == pytest.approx(freq, rel=0.25), t


def test_no_setting_blows_up() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (RATE, 2)).astype(np.float32)
    y = Sweep(RATE, 2, freq_hz=5000.0, q=30.0, octaves=5.0, lfo_hz=50.0).process(noise)
    assert np.abs(y).max() < 60.0


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"freq_hz": 1.0}, {"q": 0.0}, {"octaves": 9.0}, {"lfo_hz": 99.0}, {"kind": "notch"}):
        with pytest.raises(ConfigError, match="sweep: "):
            Sweep(RATE, **wrong)
