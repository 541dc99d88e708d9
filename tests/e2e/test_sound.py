"""The measures that judge what a page plays: each finds what it is for."""

from functools import lru_cache

import numpy as np
import pytest

from tests.e2e.sound import (
    RATE,
    Signal,
    dropouts,
    exact_lags,
    gaps,
    lag,
    longest_zero_run,
    raised_st,
    voiced_share,
)
from tests.speech import speech

LATE = 4321


@lru_cache(maxsize=1)
def said() -> Signal:
    x = speech("am_michael_u1", RATE)[:, 0]
    return x + np.random.default_rng(3).normal(0, 0.0005, len(x)).astype(np.float32)


def heard() -> Signal:
    return np.concatenate([np.zeros(LATE, np.float32), said()[:-LATE]])


def middle_of_speech() -> int:
    power = np.convolve(heard() ** 2, np.ones(RATE // 5), "same")
    return int(np.argmax(power))


def test_a_whole_recording_has_no_dropout_and_a_known_lag() -> None:
    assert dropouts(said(), heard(), LATE / RATE) == []
    exact = exact_lags(said(), heard())
    assert len(exact) > 20
    assert exact[:, 1] == pytest.approx(1000 * LATE / RATE, abs=0.01)
    assert exact[:, 2].min() > 0.999
    assert gaps(exact) == []
    assert lag(said(), heard())[0] == pytest.approx(LATE / RATE, abs=0.003)
    assert raised_st(said(), heard(), LATE / RATE) == pytest.approx(0, abs=0.05)
    assert voiced_share(said(), heard(), LATE / RATE) > 0.95


@pytest.mark.parametrize("length_ms", [20, 60])
def test_a_gap_in_speech_is_found(length_ms: int) -> None:
    broken, at = heard(), middle_of_speech()
    broken[at : at + RATE * length_ms // 1000] = 0
    found = dropouts(said(), broken, LATE / RATE)
    assert found
    assert all(abs(moment - (at - LATE) / RATE) < 0.1 for moment in found)
    assert longest_zero_run(broken) == pytest.approx(length_ms / 1000, abs=0.002)


@pytest.mark.parametrize("begin_s", [0.4, 0.9, 1.3])
@pytest.mark.parametrize("speed", [0.996, 1.004])
def test_what_is_played_a_little_faster_or_slower_is_the_same_wherever_it_begins(speed: float, begin_s: float) -> None:
    x = np.tile(said(), 2)
    begin = round(begin_s * RATE)
    at = begin + np.arange(3 * RATE) * speed - LATE
    slow = np.interp(at, np.arange(len(x)), x).astype(np.float32)
    found = exact_lags(x[begin : begin + 3 * RATE], slow)
    assert len(found) > 20
    assert gaps(found) == []


def test_what_stands_at_the_edge_of_a_recording_is_no_dropout() -> None:
    begin = middle_of_speech() - LATE
    part = heard()[begin:].copy()
    part[LATE : LATE + RATE // 80] = 0  # it may come as late as this where the page has just begun to catch up
    assert dropouts(said()[begin:], part, LATE / RATE) == []


@pytest.mark.parametrize("length_ms", [3, 10, 40])
def test_a_lost_piece_is_found(length_ms: int) -> None:
    at, lost = middle_of_speech(), RATE * length_ms // 1000
    found = gaps(exact_lags(said(), np.delete(heard(), slice(at, at + lost))))
    assert min(abs(moment - (at - LATE) / RATE) for moment in found) < 0.1
