import numpy as np
import pytest

from menura.audio.block import silence
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole

RATES = (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
PAIRS = [(a, b) for a in RATES for b in RATES if a != b]


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_cadence_is_constant_and_lag_short(rate_in: int, rate_out: int) -> None:
    stage = Resampler(rate_in, rate_out)
    assert 1000 * stage.latency / rate_out <= 5.0
    n, m = rate_in // 50, rate_out // 50
    assert {len(stage.process(silence(n))) for _ in range(20)} == {m}


def tone(freq_hz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * freq_hz * np.arange(int(seconds * rate)) / rate).astype(np.float32)[:, None]


@pytest.mark.parametrize(("rate_in", "rate_out"), [*PAIRS, (44_100, 44_101), (48_000, 47_999)])
def test_a_tone_stays_where_and_what_it_is(rate_in: int, rate_out: int) -> None:
    freq_hz = 0.3 * min(rate_in, rate_out)
    y = process_whole(Resampler(rate_in, rate_out), tone(freq_hz, rate_in))
    want = tone(freq_hz, rate_out)
    n = min(len(y), len(want))
    inner = slice(rate_out // 50, n - rate_out // 50)
    error = y[inner] - want[inner]
    assert 10 * np.log10(np.mean(want[inner] ** 2) / np.mean(error**2)) > 65


@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(48_000, 16_000), (44_100, 16_000), (48_000, 24_000), (96_000, 44_100)]
)
def test_what_the_lower_rate_cannot_hold_is_gone(rate_in: int, rate_out: int) -> None:
    for freq_hz in (0.51 * rate_out, 0.6 * rate_out, 0.46 * rate_in):
        y = process_whole(Resampler(rate_in, rate_out), tone(freq_hz, rate_in))
        inner = y[rate_out // 50 : -rate_out // 50]
        assert 10 * np.log10(2 * np.mean(inner.astype(np.float64) ** 2)) < -65
