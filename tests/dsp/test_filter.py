import numpy as np
import pytest
from scipy.signal import freqz, sosfilt

from menura.dsp.filter import Band, BandKind, Equalizer, biquad
from menura.errors import ConfigError

RATE = 48_000
BANDS = [Band(kind, freq, 6.0, q) for kind in BandKind for freq, q in ((60.0, 0.7071), (3000.0, 2.0))]


def gain_db_at(band: Band, freq_hz: float) -> float:
    k = biquad(band, RATE)
    response = freqz(k[:3], [1.0, *k[3:]], worN=[freq_hz], fs=RATE)[1]
    return float(20 * np.log10(abs(response[0]) + 1e-12))


def test_equalizer_equals_scipy() -> None:
    x = np.random.default_rng(5).standard_normal((4800, 2)).astype(np.float32)
    for bands in ([band] for band in BANDS):
        sos = [[*k[:3], 1.0, *k[3:]] for k in (biquad(band, RATE) for band in bands)]
        want = sosfilt(sos, x.astype(np.float64), axis=0)
        np.testing.assert_allclose(Equalizer(RATE, 2, bands=bands).process(x), want, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "low", "centre", "high"),
    [
        (BandKind.LOW_PASS, 0.0, -3.01, -60.0),
        (BandKind.HIGH_PASS, -60.0, -3.01, 0.0),
        (BandKind.PEAK, 0.0, 6.0, 0.0),
        (BandKind.LOW_SHELF, 6.0, 3.0, 0.0),
        (BandKind.HIGH_SHELF, 0.0, 3.0, 6.0),
    ],
)
def test_bands_have_their_cookbook_gains(kind: BandKind, low: float, centre: float, high: float) -> None:
    band = Band(kind, 1000.0, 6.0)
    assert abs(gain_db_at(band, 1000.0) - centre) < 0.05
    for freq_hz, want in ((1.0, low), (23_999.0, high)):
        got = gain_db_at(band, freq_hz)
        assert got < want if want == -60.0 else abs(got - want) < 0.05


def test_a_band_without_width_is_refused() -> None:
    with pytest.raises(ConfigError):
        Band(BandKind.PEAK, 1000.0, q=0.0)
    with pytest.raises(ConfigError):
        Band(BandKind.PEAK, float("nan"))
