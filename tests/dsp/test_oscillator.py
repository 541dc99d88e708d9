import numpy as np
import pytest

from menura.dsp.oscillator import Noise, Oscillator, Shape
from menura.errors import ConfigError

RATE = 48_000


def spectrum(y: np.ndarray) -> np.ndarray:
    """Amplitude of each Hz of one second."""
    return 2.0 * np.abs(np.fft.rfft(y[:, 0].astype(np.float64))) / len(y)


PARTIALS = {
    Shape.SINE: lambda k: 0.5 if k == 1 else 0.0,
    Shape.SAW: lambda k: 0.5 * 2 / np.pi / k,
    Shape.SQUARE: lambda k: 0.5 * 4 / np.pi / k * (k % 2),
    Shape.TRIANGLE: lambda k: 0.5 * 8 / np.pi**2 / k**2 * (k % 2),
}


@pytest.mark.parametrize("shape", Shape)
def test_partials_are_those_of_the_shape_and_aliases_low(shape: Shape) -> None:
    freq = 997
    amplitude = spectrum(Oscillator(RATE, freq, shape=shape).read(RATE))
    for k in range(1, 6):
        assert amplitude[k * freq] == pytest.approx(PARTIALS[shape](k), rel=0.06, abs=1e-4), k
    others = amplitude.copy()
    others[::freq] = 0.0
    # without rounding it is −32 dB for saw and square, −64 for the triangle
    worst = {Shape.SINE: -120, Shape.TRIANGLE: -92, Shape.SAW: -60, Shape.SQUARE: -60}[shape]
    assert 20 * np.log10(others[:8000].max() / amplitude[freq] + 1e-12) < worst


@pytest.mark.parametrize("shape", Shape)
def test_cutting_changes_nothing(shape: Shape) -> None:
    def make() -> Oscillator:
        return Oscillator(RATE, 441.0, shape=shape, vibrato_st=1.0, vibrato_hz=6.0, phase=0.3)

    whole, parts = make(), make()
    x = whole.read(10_000)
    y = np.concatenate([parts.read(n) for n in (1, 0, 7, 512, 9480)])
    np.testing.assert_array_equal(x, y)
    whole.reset()
    np.testing.assert_array_equal(whole.read(100), x[:100])
    assert x.dtype == np.float32
    assert np.abs(x).max() <= 0.51


def test_pitch_swings_as_far_as_told() -> None:
    y = Oscillator(RATE, 1000.0, vibrato_hz=1.0, vibrato_st=2.0).read(RATE)[:, 0].astype(np.float64)
    crossings = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    exact = crossings + y[crossings] / (y[crossings] - y[crossings + 1])
    pitch = RATE / np.diff(exact)
    assert pitch.max() == pytest.approx(1000 * 2 ** (2 / 12), rel=1e-3)
    assert pitch.min() == pytest.approx(1000 * (2 - 2 ** (2 / 12)), rel=1e-3)


def test_phase_does_not_drift_in_an_hour() -> None:
    tone = Oscillator(RATE, 441.0)
    tone._at = 3600 * RATE
    np.testing.assert_allclose(tone.read(1000), Oscillator(RATE, 441.0).read(1000), atol=1e-6)


def test_noise_has_its_level_and_repeats() -> None:
    noise = Noise(RATE, level=0.1, channels=2)
    x = noise.read(RATE)
    assert x.std() == pytest.approx(0.1, rel=0.02)
    assert abs(np.corrcoef(x.T)[0, 1]) < 0.02
    noise.reset()
    np.testing.assert_array_equal(np.concatenate([noise.read(n) for n in (1, 999, 47_000)]), x[:48_000])


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"freq_hz": 20_000.0}, {"freq_hz": 100.0, "level": 2.0}, {"freq_hz": 100.0, "vibrato_st": 20.0}):
        with pytest.raises(ConfigError):
            Oscillator(RATE, **wrong)
    with pytest.raises(ConfigError, match="shape is one of sine"):
        Oscillator(RATE, 100.0, shape="round")
    with pytest.raises(ConfigError):
        Noise(RATE, level=1.0)
