import numpy as np
import pytest

from menura.engine.arrival import Arrivals

RATE = 24_000
PACKET = 480


def feed(
    arrivals: Arrivals,
    delays_ms: np.ndarray,
    *,
    begin: float = 0.0,
    first: int = 0,
    ppm: float = 0.0,
    timed: bool = True,
) -> float:
    """Packets with these delays, read without a wait; returns the time of the last."""
    at = begin
    for k, delay_ms in enumerate(delays_ms):
        at = begin + (k + 1) * PACKET * (1.0 + 1e-6 * ppm) + delay_ms * RATE / 1000.0
        arrivals.note(at, first + k * PACKET, PACKET, 0.0, timed=timed)
    return at


@pytest.mark.parametrize("share", [0.9, 0.95, 0.98])
def test_excess_is_the_quantile_of_the_delays(share: float) -> None:
    delays = np.random.default_rng(1).gamma(2.0, 8.0, 3000)
    arrivals = Arrivals(RATE, RATE // 2, share, 0.0, 0.0)
    arrivals._fast._memory = 1e12  # the slow distribution alone
    feed(arrivals, delays)
    want = np.quantile(delays[-600:], share) - delays[-600:].min()
    assert 1000 * arrivals.excess / RATE == pytest.approx(want, abs=0.2 * want)


def test_a_short_tail_is_waited_for_and_a_long_one_is_not() -> None:
    rng = np.random.default_rng(1)
    for tail_ms, waited in ((30.0, True), (400.0, False)):
        delays = np.where(rng.random(3000) < 0.02, tail_ms, rng.random(3000) * 10)
        arrivals = Arrivals(RATE, RATE // 2, 0.95, 4.0 * RATE, 0.0)  # 40 ms for one per cent
        arrivals._fast._memory = 1e12
        feed(arrivals, delays)
        assert (1000 * arrivals.excess / RATE > 20) is waited


def test_delay_that_hardly_hurts_is_taken() -> None:
    rng = np.random.default_rng(1)
    delays = np.where(rng.random(3000) < 0.01, 120.0, rng.random(3000) * 10)
    for easy_ms, waited in ((150.0, True), (0.0, False)):
        arrivals = Arrivals(RATE, RATE // 2, 0.95, 4.0 * RATE, easy_ms * RATE / 1000.0)
        arrivals._fast._memory = 1e12
        feed(arrivals, delays)
        assert (1000 * arrivals.excess / RATE > 100) is waited


def test_excess_follows_a_burst_within_a_second_and_forgets_it() -> None:
    arrivals = Arrivals(RATE, RATE // 2, 0.98, 0.0, 0.0)
    feed(arrivals, np.zeros(500))
    assert arrivals.excess <= RATE // 200
    late = np.zeros(25)
    late[5:] = np.linspace(400, 10, 20)
    feed(arrivals, late, begin=500 * PACKET, first=500 * PACKET)
    assert 1000 * arrivals.excess / RATE > 100
    feed(arrivals, np.zeros(2000), begin=525 * PACKET, first=525 * PACKET)
    assert 1000 * arrivals.excess / RATE < 10


@pytest.mark.parametrize("ppm", [-1000.0, -300.0, 20.0, 300.0, 1000.0])
@pytest.mark.parametrize("scale_ms", [0.0, 6.0, 20.0])
def test_drift_is_found_within_30_s_under_jitter(ppm: float, scale_ms: float) -> None:
    arrivals = Arrivals(RATE, RATE // 2, 0.98, 0.0, 0.0)
    delays = np.random.default_rng(3).gamma(1.2, max(scale_ms, 1e-9), 30 * 50)
    delays += 1000.0 * (np.random.default_rng(4).random(len(delays)) < 0.01) * 0.2
    feed(arrivals, delays, ppm=ppm)
    assert 1e6 * arrivals.slope == pytest.approx(ppm, abs=25.0 + 2.0 * scale_ms)


@pytest.mark.parametrize("ppm", [-1000.0, 1000.0])
def test_the_base_moves_with_the_drift(ppm: float) -> None:
    arrivals = Arrivals(RATE, RATE // 2, 0.98, 0.0, 0.0)
    at = feed(arrivals, np.zeros(6000), ppm=ppm)
    assert arrivals.base(at) == pytest.approx(at - 5999 * PACKET, abs=5)


def test_a_pause_moves_the_base_and_a_stall_does_not() -> None:
    for kind in ("pause", "stall"):
        arrivals = Arrivals(RATE, RATE // 2, 0.98, 0.0, 0.0)
        feed(arrivals, np.full(200, 5.0), timed=False)
        base = arrivals.base(200 * PACKET)
        gone = 24_000  # one second
        if kind == "pause":
            at = feed(arrivals, np.full(100, 5.0), begin=200 * PACKET + gone, first=200 * PACKET, timed=False)
            assert arrivals.base(at) == pytest.approx(base + gone, abs=1)
        else:
            for k in range(50):
                arrivals.note(200 * PACKET + gone + 2400, (200 + k) * PACKET, PACKET, 0.0, timed=False)
            at = feed(arrivals, np.full(100, 5.0), begin=250 * PACKET, first=250 * PACKET, timed=False)
            assert arrivals.base(at) == pytest.approx(base, abs=1)
        feed(
            arrivals, np.full(1000, 5.0), begin=at, first=300 * PACKET if kind == "pause" else 350 * PACKET, timed=False
        )
        assert 1000 * arrivals.excess / RATE < 20, f"the {kind} poisoned the statistics"


def test_jitter_is_that_of_rfc_3550() -> None:
    arrivals = Arrivals(RATE, RATE // 2, 0.98, 0.0, 0.0)
    delays = np.random.default_rng(1).random(200) * 30
    feed(arrivals, delays)
    want, last = 0.0, delays[0]
    for delay in delays[1:]:
        want += (abs(delay - last) - want) / 16
        last = delay
    assert 1000 * arrivals.jitter / RATE == pytest.approx(want)


def test_a_new_path_becomes_the_base() -> None:
    arrivals = Arrivals(RATE, RATE // 2, 0.98, 0.0, 0.0)
    feed(arrivals, np.full(500, 30.0))
    at = feed(arrivals, np.full(1000, 90.0), begin=500 * PACKET, first=500 * PACKET)
    assert arrivals.base(at) == pytest.approx(PACKET + 0.09 * RATE, abs=0.002 * RATE)
