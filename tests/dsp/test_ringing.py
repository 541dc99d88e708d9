import numpy as np
import pytest

from menura.dsp.delay import Echo
from menura.dsp.reverb import Reverb
from menura.dsp.ringing import LONGEST_MS, Ringing, RingOut, resized

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


def left_by(stage, seconds, sizes=(480,), more=lambda _: None):
    """What a stage that has had half a second of noise gives when it is no longer wanted, and where it ended."""
    stage.process(NOISE)
    ring, out, at, n = RingOut(stage, 2), [], 0, int(seconds * RATE)
    x = np.zeros((n, 2), np.float32)
    while at < n and not ring.over:
        more(ring)
        out.append(ring.process(x[at : at + sizes[len(out) % len(sizes)]]))
        at += len(out[-1])
    return np.concatenate(out), at, ring


@pytest.mark.parametrize(
    "make", [lambda: Echo(RATE, 2, delay_ms=70.0, feedback=0.5, mix=0.5), lambda: Reverb(RATE, 2, room=0.3, wet=0.5)]
)
def test_stage_that_is_no_longer_wanted_rings_as_without_input_until_it_is_quiet(make):
    alone = make()
    alone.process(NOISE)
    y, end, ring = left_by(make(), 9.0)
    assert ring.over
    assert end < 3 * RATE
    np.testing.assert_allclose(y, alone.process(np.zeros((end, 2), np.float32)), atol=1e-5)
    assert np.abs(alone.process(np.zeros((RATE, 2), np.float32))).max() < 1e-5, "what is cut is not heard"
    np.testing.assert_array_equal(ring.process(NOISE), NOISE)


def test_voice_goes_over_from_the_stage_to_what_passes_it_by():
    """An echo lets the voice through as it is: so it stays to the last bit but rounding, and only echoes of it fade."""
    echo = Echo(RATE, 2, delay_ms=500.0)
    echo.process(NOISE[:4800])
    y = RingOut(echo, 2).process(NOISE[4800:9600])
    np.testing.assert_allclose(y, NOISE[4800:9600], atol=1e-7)


def test_ringing_out_does_not_depend_on_how_the_input_is_cut():
    def echo():
        return Echo(RATE, 2, delay_ms=70.0, feedback=0.5)

    whole, _, _ = left_by(echo(), 9.0, (1_000_000,))
    for sizes in [(480,), (1, 0, 333, 4097)]:
        y, other, _ = left_by(echo(), 9.0, sizes)
        np.testing.assert_array_equal(y, whole[: len(y)])
        np.testing.assert_array_equal(whole[other:], 0.0)


def test_what_would_ring_for_minutes_fades_in_time_and_sooner_where_that_is_asked_for():
    def endless():
        return Echo(RATE, 2, delay_ms=2000.0, feedback=0.95, mix=1.0, damp_hz=12_000.0)

    y, end, ring = left_by(endless(), 30.0, (4800,))
    assert ring.over
    assert end <= LONGEST_MS / 1000 * RATE + 4800
    assert np.abs(y[7 * RATE : 8 * RATE]).max() > 0.05
    steps = np.abs(np.diff(y, axis=0)).max(axis=1)
    assert steps[7 * RATE :].max() <= steps[: 7 * RATE].max(), "nothing leaps"
    _, end, _ = left_by(endless(), 30.0, (4800,), lambda ring: ring.age >= RATE and ring.end(100.0))
    assert RATE < end <= 1.3 * RATE
