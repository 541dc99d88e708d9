"""Meter, gain, gate, compressor, limiter."""

import numpy as np
import pytest

from menura.audio.block import silence
from menura.dsp.dynamics import Compressor, Gain, Gate, Limiter
from menura.dsp.meter import Meter, peak, rms, rms_db
from menura.dsp.stage import process_whole
from menura.errors import ConfigError
from menura.units import db_to_gain

RATE = 48_000


def tone(level: float, seconds: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)[:, None]


def test_levels() -> None:
    assert abs(rms_db(tone(1.0)) + 3.01) < 0.01
    assert rms(silence(0)) == 0.0
    assert peak(silence(0)) == 0.0
    assert rms_db(silence(10)) == -120.0
    meter = Meter(2400)
    for _ in range(100):
        meter.push(tone(0.5, 0.01))
    assert abs(meter.level - 0.3536) < 0.01
    meter.reset()
    assert meter.level == 0.0


def hostile() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    n = RATE // 2
    impulses = np.zeros(n)
    impulses[rng.integers(0, n, 200)] = rng.uniform(-50, 50, 200)
    return {
        "square": 3.0 * np.sign(np.sin(2 * np.pi * 97 * np.arange(n) / RATE)),
        "impulses": impulses,
        "loud noise": 100.0 * rng.standard_normal(n),
        "ramp": np.linspace(0, 5, n),
        "alternating": 1.5 * (-1.0) ** np.arange(n),
    }


@pytest.mark.parametrize("name", hostile())
@pytest.mark.parametrize("ceiling_db", [0.0, -0.1, -6.0])
def test_no_sample_leaves_the_limiter_above_its_ceiling(name: str, ceiling_db: float) -> None:
    x = hostile()[name].astype(np.float32)[:, None]
    y = process_whole(Limiter(RATE, ceiling_db=ceiling_db), x)
    assert np.abs(y).max() <= np.float32(db_to_gain(ceiling_db))
    assert np.abs(y).max() > 0.8 * db_to_gain(ceiling_db)


def test_limiter_leaves_alone_what_is_below() -> None:
    x = tone(0.98)
    np.testing.assert_array_equal(process_whole(Limiter(RATE), x), x)
    with pytest.raises(ConfigError):
        Limiter(RATE, ceiling_db=1.0)


def test_gate_opens_and_closes() -> None:
    gate = Gate(RATE, threshold_db=-40.0, hold_ms=50.0)
    quiet, loud = tone(db_to_gain(-55.0)), tone(0.1)
    assert rms_db(gate.process(quiet)) < -100
    y = gate.process(loud)
    assert abs(rms_db(y[RATE // 50 :]) - rms_db(loud)) < 0.1
    y = gate.process(quiet)
    assert rms_db(y[: RATE // 50]) > -60  # held
    assert rms_db(y[-RATE // 20 :]) < -100


@pytest.mark.parametrize("level_db", [-40.0, -26.0, -20.0, -10.0, 0.0])
def test_compressor_follows_its_curve(level_db: float) -> None:
    # a square wave's peak is its level, so the curve can be read off
    x = np.full((RATE, 1), db_to_gain(level_db), np.float32)
    y = Compressor(RATE, threshold_db=-20.0, ratio=4.0, knee_db=0.0, makeup_db=2.0).process(x)
    want = (level_db if level_db < -20 else -20 + (level_db + 20) / 4) + 2.0
    assert abs(20 * np.log10(y[-1, 0]) - want) < 0.05


def test_a_new_gain_arrives_without_a_step() -> None:
    gain = Gain(RATE, gain_db=0.0)
    x = np.ones((960, 1), np.float32)
    np.testing.assert_array_equal(gain.process(x), x)
    gain.gain_db = -20.0
    y = gain.process(x)
    assert np.abs(np.diff(y[:, 0], prepend=1.0)).max() < 0.01
    assert abs(gain.process(x)[-1, 0] - 0.1) < 1e-3
