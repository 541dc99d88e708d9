import numpy as np
import pytest

from menura.devices.synthetic_oneway import SyntheticOutput
from menura.live.follower import Follower

RATE = 48_000
BLOCK = 480


class Clocks:
    """A stream that comes by one clock, and an output that plays by another, in simulated time."""

    def __init__(self, ppm, jitter_s=0.0, seed=0, burst=1):
        self.port = SyntheticOutput(RATE, BLOCK)
        self.follower = Follower(self.port)
        self.follower.start()
        self._rng = np.random.default_rng(seed)
        self._jitter_s, self._burst = jitter_s, burst
        self._ratio = 1.0 + ppm * 1e-6
        self.at_s, self._next_in, self._next_out = 0.0, 0.003, 0.0
        self.frames = 0

    def run(self, seconds, wave=None, stall=None):
        """Let time pass; returns the level at each block of the stream, ms."""
        end, levels = self.at_s + seconds, []
        while self.at_s < end:
            if self._next_out <= self._next_in:
                self.at_s = self._next_out
                self.port.now_s = self.at_s
                for _ in range(self._burst):
                    self.port.pump(BLOCK)
                self._next_out += self._burst * BLOCK / RATE
            else:
                self.at_s = self._next_in
                self.port.now_s = self.at_s
                t = np.arange(self.frames, self.frames + BLOCK) / RATE
                x = np.zeros((BLOCK, 1)) if wave is None else wave(t)[:, None]
                self.follower.push(x.astype(np.float32))
                self.frames += BLOCK
                due = 0.003 + self.frames / (RATE * self._ratio)
                late = abs(self._rng.normal(0, self._jitter_s)) if self._jitter_s else 0.0
                if stall is not None and stall[0] <= self.at_s < stall[1]:
                    late = stall[1] - due
                self._next_in = max(self.at_s, due + late)
                levels.append(self.follower.stats().level_ms)
        return np.array(levels)


@pytest.mark.parametrize("ppm", [-300, -50, 0, 50, 300])
@pytest.mark.parametrize("jitter_s", [0.0, 0.002])
def test_the_level_stays_whatever_the_clocks(ppm, jitter_s):
    clocks = Clocks(ppm, jitter_s)
    clocks.run(2.0)
    levels = clocks.run(238.0)
    stats = clocks.follower.stats()
    assert (stats.gaps, stats.padded, stats.dropped) == (0, 0, 0)
    assert np.ptp(levels) < 5.0
    assert np.ptp(levels[-6000:]) < 1.5 + 1000 * jitter_s, "the last minute"
    assert stats.drift_ppm == pytest.approx(ppm, abs=20 + 20_000 * jitter_s)
    assert stats.level_ms < 20.0 + 10.0 + 6000.0 * jitter_s, "no more than blocks, margin and dips"


@pytest.mark.parametrize("ppm", [-300, 300])
def test_a_tone_is_played_without_a_click(ppm):
    clocks = Clocks(ppm, 0.001)
    clocks.run(60.0, lambda t: 0.5 * np.sin(2 * np.pi * 440 * t))
    played = clocks.port.given[RATE * 2 :, 0]
    assert clocks.follower.stats().gaps == 0
    step = np.abs(np.diff(played, 2)).max()
    exact = 0.5 * (2 * np.pi * 440 * 1.004 / RATE) ** 2
    assert step < 1.02 * exact, "as smooth as the tone itself"
    late = played[-8 * RATE :]
    phases = np.unwrap(
        np.angle((late * np.exp(-2j * np.pi * 440 * np.arange(len(late)) / RATE)).reshape(-1, 4800).sum(1))
    )
    found_ppm = 1e6 * np.polyfit(np.arange(len(phases)) * 0.1, phases, 1)[0] / (2 * np.pi * 440)
    assert found_ppm == pytest.approx(ppm, abs=60)


def test_an_output_that_takes_several_blocks_at_once_gets_them():
    clocks = Clocks(100, 0.001, burst=3)
    clocks.run(60.0)
    stats = clocks.follower.stats()
    assert stats.gaps == 0
    assert 40.0 < stats.target_ms < 65.0


def test_a_stall_is_one_gap_and_the_delay_comes_back():
    clocks = Clocks(50)
    clocks.run(10.0)
    before = clocks.follower.stats().level_ms
    clocks.run(5.0, lambda t: np.full(len(t), 0.25), stall=(11.0, 11.3))
    assert 1 <= clocks.follower.stats().gaps <= 2
    clocks.run(240.0)
    stats = clocks.follower.stats()
    assert 1 <= stats.gaps <= 2
    assert stats.dropped > 0
    assert stats.level_ms < before + 10.0
