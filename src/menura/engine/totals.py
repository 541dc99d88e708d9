"""Counters of an engine as they are exported: they only grow, whatever is reset or replaced."""

from collections import Counter
from collections.abc import Iterable, Mapping

from menura.dsp.governor import GovernorStats
from menura.engine.buffer import AudioStreamBuffer
from menura.engine.metrics import AudioMetrics, Histogram
from menura.engine.position import PlaybackStats
from menura.vad.fast import VADStats

__all__ = [
    "Key",
    "Totals",
    "buffer_totals",
    "governor_totals",
    "metrics_totals",
    "playback_totals",
    "vad_totals",
]

Key = tuple[str, tuple[tuple[str, str], ...]]
"""Name of a counter and its labels."""


class Totals:
    """Sums that can be added up over parts, and over engines.

    Attributes:
        counters: By name and labels; seconds and bytes, no other units.
        times: Durations of the stages, by name.
    """

    __slots__ = ("counters", "times")

    def __init__(self) -> None:
        self.counters: Counter[Key] = Counter()
        self.times: dict[str, Histogram] = {}

    def count(self, name: str, value: float, **labels: str) -> None:
        """Add to a counter."""
        self.counters[name, tuple(sorted(labels.items()))] += value  # type: ignore[assignment]

    def add(self, others: "Iterable[Totals]") -> "Totals":
        """Add other totals to these, and return these."""
        for other in others:
            for key, value in other.counters.items():
                self.counters[key] += value
            for name, times in other.times.items():
                self.times.setdefault(name, Histogram()).merge(times)
        return self


def metrics_totals(metrics: AudioMetrics) -> Totals:
    """Of the audio processed."""
    totals = Totals()
    totals.count("chunks", metrics.chunks)
    totals.count("bytes", metrics.bytes_in, direction="in")
    totals.count("bytes", metrics.bytes_out, direction="out")
    totals.count("audio_seconds", metrics.audio_ms / 1000.0)
    for name, counts in (
        ("dropped_bytes", metrics.dropped),
        ("refused_chunks", metrics.refused),
        ("remarks", metrics.remarks),
    ):
        for reason, value in list(counts.items()):
            totals.count(name, value, reason=str(reason))
    for stage, times in list(metrics.stages.items()):
        totals.times.setdefault(stage, Histogram()).merge(times)
    return totals


def vad_totals(stats: VADStats) -> Totals:
    """Of the voice detection."""
    totals = Totals()
    for move, value in stats.transitions.items():
        before, after = move.split(">")
        totals.count("vad_transitions", value, **{"from": before, "to": after})
    totals.count("vad_utterances", stats.speech_segments)
    totals.count("vad_speech_seconds", stats.speech_ms / 1000.0)
    totals.count("vad_silence_seconds", stats.silence_ms / 1000.0)
    totals.count("vad_model_runs", stats.model_runs)
    return totals


def buffer_totals(buffer: AudioStreamBuffer, rate: int) -> Totals:
    """Of a stream buffer, and of its jitter mode."""
    totals, stats = Totals(), buffer.stats()
    totals.count("buffer_overflows", stats.overflow_count)
    totals.count("buffer_underflows", stats.underflow_count)
    totals.count("padded_bytes", stats.padded_bytes)
    totals.count("dropped_bytes", stats.dropped_oldest, reason="buffer_oldest")
    if buffer.jitter is None:
        totals.count("dropped_bytes", stats.dropped_newest, reason="buffer_newest")
        return totals
    jitter = buffer.jitter.stats()
    totals.count("dropped_bytes", stats.dropped_newest, reason="late")
    totals.count("jitter_concealed_seconds", jitter.concealed_frames / rate)
    totals.count("jitter_accelerated_seconds", jitter.accelerated_frames / rate)
    totals.count("jitter_expanded_seconds", jitter.expanded_frames / rate)
    totals.count("jitter_late", jitter.late)
    totals.count("jitter_lost_seconds", jitter.lost_frames / rate)  # ``lost`` falls when a packet comes after all
    totals.count("jitter_duplicate", jitter.duplicate)
    return totals


def governor_totals(stats: GovernorStats) -> Totals:
    """Of load shedding."""
    totals = Totals()
    totals.count("sheds", stats.sheds)
    totals.count("restores", stats.restores)
    totals.count("deadline_misses", stats.misses)
    totals.count("shed_seconds", stats.shed_ms / 1000.0)
    return totals


def playback_totals(stats: PlaybackStats, refused: Mapping[str, int]) -> Totals:
    """Of what listeners heard, and of what providers sent that nobody could."""
    totals = Totals()
    for reason, value in refused.items():
        totals.count("playback_refused", value, reason=str(reason))
    totals.count("playback_played_seconds", stats.played_ms / 1000.0)
    totals.count("playback_discarded_seconds", stats.discarded_ms / 1000.0)
    totals.count("playback_gaps", stats.gaps)
    return totals
