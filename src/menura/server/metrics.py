"""Figures of all engines of a server, for Prometheus."""

from collections.abc import Iterator
from threading import Lock

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from menura.engine.engine import Engine
from menura.engine.metrics import Histogram
from menura.engine.totals import Key, Totals

__all__ = ["EngineCollector", "make_registry"]

PREFIX = "menura_engine_"
_HELP = {
    "chunks": "Chunks processed.",
    "bytes": "Bytes given to and returned by process_audio.",
    "audio_seconds": "Duration of the audio processed.",
    "dropped_bytes": "Bytes lost, by reason.",
    "refused_chunks": "Chunks refused, by reason.",
    "remarks": "Chunks accepted that were clipped, offset or silent.",
    "padded_bytes": "Bytes of silence or repetition that a stream buffer gave out.",
    "buffer_overflows": "Times that audio did not fit into a stream buffer.",
    "buffer_underflows": "Times that a stream buffer had too little.",
    "vad_transitions": "Changes of the voice detection's state.",
    "vad_utterances": "Utterances confirmed.",
    "vad_speech_seconds": "Time in speech.",
    "vad_silence_seconds": "Time in silence.",
    "vad_model_runs": "Times that a voice detection model was asked.",
    "sheds": "Times that a stage was shed under load.",
    "restores": "Times that a shed stage was taken up again.",
    "deadline_misses": "Chunks whose processing took longer than they last.",
    "shed_seconds": "Audio processed with less than all stages.",
    "playback_played_seconds": "Audio that listeners heard.",
    "playback_discarded_seconds": "Audio discarded by interruptions.",
    "playback_refused": "Pieces of a provider's audio that were refused, by reason.",
    "playback_gaps": "Times that a listener's audio ran dry within an item.",
    "jitter_concealed_seconds": "Audio made up where none had arrived.",
    "jitter_late": "Packets that came too late.",
    "jitter_lost_seconds": "Audio that was missing when its time came.",
    "jitter_duplicate": "Packets that came twice.",
    "jitter_accelerated_seconds": "Audio left out to catch up.",
    "jitter_expanded_seconds": "Audio stretched to wait.",
    "latency_seconds": "Delay of the signal by the stages in use.",
    "load": "Processing time as a share of the audio's duration.",
    "shed_stages": "Stages shed now.",
    "buffer_seconds": "Audio held in the stream buffer.",
    "jitter_seconds": "Interarrival jitter (RFC 3550).",
    "jitter_target_seconds": "Delay that the jitter buffer aims at.",
    "drift_ppm": "Clock of the client against ours.",
}


class EngineCollector(Collector):
    """Adds up all engines it watches, so that the number of series does not grow with the sessions.

    Any thread may watch, forget and collect.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._engines: list[Engine] = []
        self._ended = Totals()

    def watch(self, engine: Engine) -> None:
        """Count an engine from now on; twice is once."""
        with self._lock:
            if not any(engine is other for other in self._engines):
                self._engines.append(engine)

    def forget(self, engine: Engine) -> None:
        """A session has ended: its counts stay, its gauges go. One not watched is nothing."""
        with self._lock:
            if any(engine is other for other in self._engines):
                self._engines = [other for other in self._engines if other is not engine]
                self._ended.add([engine.totals()])

    def collect(self) -> Iterator[Metric]:
        """All metrics at this moment."""
        with self._lock:
            engines = list(self._engines)
            totals = Totals().add([self._ended, *(engine.totals() for engine in engines)])
            gauges = [engine.gauges() for engine in engines]
        yield GaugeMetricFamily(f"{PREFIX}sessions", "Engines in use.", value=len(engines))
        yield from _counters(totals)
        yield _durations(totals.times)
        yield from _gauges(gauges)


def _counters(totals: Totals) -> Iterator[Metric]:
    families: dict[str, CounterMetricFamily] = {}
    for (name, labels), value in sorted(totals.counters.items(), key=_by_name):
        names = [label for label, _ in labels]
        family = families.get(name)
        if family is None:
            family = families[name] = CounterMetricFamily(f"{PREFIX}{name}", _HELP.get(name, name), labels=names)
        family.add_metric([value for _, value in labels], value)
    yield from families.values()


def _by_name(item: tuple[Key, float]) -> Key:
    return item[0]


def _durations(times: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(f"{PREFIX}stage_seconds", "Time that a stage takes for a chunk.", labels=["stage"])
    for stage, histogram in sorted(times.items()):
        figures = histogram.times()
        buckets = [(repr(bound), float(count)) for bound, count in figures.buckets if 1e-7 <= bound < 20.0]
        family.add_metric([stage], [*buckets, ("+Inf", float(figures.count))], sum_value=figures.total_s)
    return family


def _gauges(gauges: list[dict[str, float]]) -> Iterator[Metric]:
    for name in gauges[0] if gauges else ():
        values = [figures[name] for figures in gauges if name in figures]
        family = GaugeMetricFamily(f"{PREFIX}{name}", _HELP.get(name, name), labels=["over_sessions"])
        family.add_metric(["mean"], sum(values) / len(values))
        family.add_metric(["max"], max(values))
        yield family


def make_registry() -> tuple[CollectorRegistry, EngineCollector]:
    """A registry of its own for a server, and the collector in it."""
    registry, engines = CollectorRegistry(auto_describe=False), EngineCollector()
    registry.register(engines)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry, engines
