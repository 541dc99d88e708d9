"""Histograms and counters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from menura.engine.metrics import AudioMetrics, Histogram


@given(st.lists(st.floats(1e-9, 100.0), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_quantiles_are_within_one_bucket(durations: list[float], share: float) -> None:
    times = Histogram()
    for duration in durations:
        times.observe(duration)
    exact = float(np.quantile(durations, share, method="inverted_cdf"))
    assert exact * (1 - 1e-9) - 1e-9 <= times.quantile_s(share) <= exact * 1.26 + 1e-9
    assert times.count == len(durations)
    assert times.max_s == max(durations)


def test_buckets_are_cumulative_and_hold_everything() -> None:
    times = Histogram()
    for duration in (0.0, 1e-6, 5e-3, 1e9, -1.0):
        times.observe(duration)
    counts = [count for _, count in times.times().buckets]
    assert counts == sorted(counts)
    assert counts[-1] == 5
    assert all(a < b for (a, _), (b, _) in zip(times.times().buckets, times.times().buckets[1:], strict=False))


def test_nothing_observed_is_zero() -> None:
    assert Histogram().quantile_s(0.5) == 0.0
    assert AudioMetrics().to_dict()["avg_latency_ms"] == 0.0
    assert AudioMetrics().load == 0.0


def test_drops_and_remarks_are_counted_by_reason() -> None:
    metrics = AudioMetrics()
    metrics.drop("odd_bytes", 3)
    metrics.drop("odd_bytes", 5)
    metrics.remark("silence")
    figures = metrics.to_dict()
    assert (figures["dropped"], figures["refused"]) == ({"odd_bytes": 8}, {"odd_bytes": 2})
    assert figures["bytes_dropped"] == 8
    assert figures["remarks"] == {"silence": 1}
    metrics.reset()
    assert metrics.to_dict()["dropped"] == {}
