"""How voices that are models keep up, for Prometheus."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from menura.live.making import paces, scheduler_stats

__all__ = ["ModelFigures"]


class ModelFigures(Collector):
    """Figures of the devices' schedulers, and of the contexts that became shorter; looked at when they are told."""

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        stats, found = scheduler_stats(), paces()
        for name, text, count in (
            ("computations", "Networks computed.", stats.computed),
            ("late", "Of them, those begun after they were due.", stats.late),
            ("failures", "Of them, those that failed.", stats.failed),
        ):
            yield CounterMetricFamily(f"menura_model_{name}", text, value=count)
        shorter = sum(pace.steps_down > pace.steps_up for pace in found)
        for name, text, count in (
            ("waiting", "Networks that wait to be computed.", stats.waiting),
            ("voices", "Live voices that are models and adapt to the load.", len(found)),
            ("voices_shortened", "Of them, those with a shorter context than they might have.", shorter),
        ):
            yield GaugeMetricFamily(f"menura_model_{name}", text, value=count)
