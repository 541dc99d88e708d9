import numpy as np
import pytest

from menura.dsp.delay import Echo
from menura.dsp.reverb import Reverb
from menura.dsp.ringing import Ringing, resized

RATE = 48_000
NOISE = np.random.default_rng(5).standard_normal((RATE // 2, 2)).astype(np.float32) * 0.1


@pytest.mark.parametrize(
    "make", [lambda **more: Echo(RATE, 2, delay_ms=70.0, **more), lambda **more: Reverb(RATE, 2, **more)]
)
def test_stage_that_takes_over_goes_on_as_the_other_would(make):
    old, new = make(), make()
    assert isinstance(new, Ringing)
    old.process(NOISE[:12_345])
    new.process(NOISE[:777])
    new.take_over(old)
    for start in range(12_345, len(NOISE), 1000):
        x = NOISE[start : start + 1000]
        np.testing.assert_array_equal(new.process(x), old.process(x))
    new.reset()
    np.testing.assert_array_equal(new.process(NOISE[:5000]), make().process(NOISE[:5000]))


@pytest.mark.parametrize("frames", [30, 500, 960, 999, 1001, 1100, 3000])
def test_line_of_another_length_keeps_the_newest_and_begins_as_the_old(frames):
    t = np.arange(1000, dtype=np.float32)
    held = np.stack([np.sin(t / 50.0), np.cos(t / 50.0)], axis=1)
    y = resized(held, frames, 100)
    assert y.shape == (frames, 2)
    assert y.dtype == np.float32
    kept = min(frames, 1000) - 200
    if kept > 0:
        np.testing.assert_array_equal(y[-kept:], held[-kept:])
    np.testing.assert_allclose(y[0], held[0], atol=0.05)
    longest = np.abs(np.diff(held, axis=0)).max()
    if frames > 100:
        assert np.abs(np.diff(y, axis=0)).max() < longest + 2.0 * np.pi / 2 / 100, "nothing leaps"
    np.testing.assert_array_equal(resized(held, 1000, 100), held)
