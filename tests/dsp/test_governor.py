"""Load shedding, in audio time."""

import pytest

from menura.dsp.governor import Governor
from menura.errors import ConfigError


def run(governor: Governor, seconds: float, costs_ms: list[float]) -> None:
    """20 ms chunks whose cost depends on what is shed."""
    for _ in range(int(seconds * 50)):
        governor.observe(costs_ms[governor.level], 20.0)


def test_nothing_is_shed_below_the_budget() -> None:
    governor = Governor(2)
    run(governor, 60, [9.0, 5.0, 1.0])
    assert governor.stats().sheds == 0


def test_one_stage_after_the_other_is_shed_until_it_fits_without_a_miss() -> None:
    governor = Governor(2)
    run(governor, 5, [14.0, 11.0, 6.0])
    stats = governor.stats()
    assert stats.level == 2
    assert stats.misses == 0


def test_one_stage_is_enough_when_it_is() -> None:
    governor = Governor(2)
    run(governor, 5, [16.0, 4.9, 1.0])
    assert governor.level == 1


def test_a_single_late_chunk_sheds_at_once() -> None:
    governor = Governor(1)
    run(governor, 1, [2.0, 1.0])
    governor.observe(25.0, 20.0)
    assert governor.level == 1
    assert governor.stats().misses == 1


def test_a_stage_returns_when_there_is_room_for_two_seconds() -> None:
    governor = Governor(1)
    run(governor, 1, [18.0, 3.0])
    assert governor.level == 1
    run(governor, 3, [3.0, 3.0])
    assert governor.level == 0
    assert governor.stats().restores == 1


def test_attempts_become_rarer_while_the_load_stays_at_the_edge() -> None:
    governor = Governor(1)
    run(governor, 600, [14.0, 3.0])
    assert 5 <= governor.stats().restores <= 20
    assert governor.stats().shed_ms > 0.95 * 600_000


def test_chunks_of_any_length_count_by_their_duration() -> None:
    short, long = Governor(1), Governor(1)
    for _ in range(1000):
        short.observe(6.0, 10.0)
        long.observe(60.0, 100.0)
    assert short.level == long.level == 1
    assert Governor(1).observe(5.0, 0.0) == 0


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="room < budget"):
        Governor(1, budget=0.2, room=0.3)
