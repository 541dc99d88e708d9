"""Figures of an engine: what was done, how long it took, what was lost and why."""

from dataclasses import dataclass
from typing import Any

__all__ = ["AudioMetrics", "Histogram", "StageTimes"]

SUB = 2
"""Bits below the leading one that tell buckets apart: four to the octave, so a quantile is at most 12 % off."""
BUCKETS = 40 << SUB


def _upper_ns(bucket: int) -> int:
    """Longest duration in a bucket, ns."""
    octave, part = bucket >> SUB, bucket & 3
    return bucket if octave <= SUB else ((4 + part + 1) << octave - 1 - SUB) - 1


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Durations of one stage; ``buckets`` are cumulative: (upper bound in seconds, observations up to it)."""

    count: int
    total_s: float
    max_s: float
    buckets: tuple[tuple[float, int], ...]


class Histogram:
    """Durations, in buckets of equal ratio. Observing costs a quarter of a microsecond and allocates nothing.

    >>> times = Histogram()
    >>> for ms in range(1, 101): times.observe(ms / 1000.0)
    >>> times.count, round(times.mean_s * 1000, 1), 80 < times.quantile_s(0.9) * 1000 < 101
    (100, 50.5, True)
    """

    __slots__ = ("_counts", "count", "max_s", "total_s")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all observations."""
        self._counts = [0] * BUCKETS
        self.count = 0
        self.total_s = self.max_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Add a duration; one below zero counts as none."""
        ns = int(duration_s * 1e9)
        octave = ns.bit_length()
        at = octave << SUB | (ns >> octave - 1 - SUB) & 3 if octave > SUB else max(ns, 0)
        self._counts[at if at < BUCKETS else -1] += 1
        self.count += 1
        self.total_s += duration_s
        if duration_s > self.max_s:  # noqa: PLR1730 - max() is three times slower
            self.max_s = duration_s

    def merge(self, other: "Histogram") -> None:
        """Add the observations of another."""
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        self.count += other.count
        self.total_s += other.total_s
        self.max_s = max(self.max_s, other.max_s)

    @property
    def mean_s(self) -> float:
        """Mean duration; 0 without observations."""
        return self.total_s / self.count if self.count else 0.0

    def quantile_s(self, share: float) -> float:
        """Duration that this share of the observations does not exceed: the upper end of its bucket."""
        wanted, seen = share * self.count, 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min(_upper_ns(bucket) / 1e9, self.max_s)
        return 0.0

    def times(self) -> StageTimes:
        """All of it as a value, one bucket per octave that has any."""
        buckets, seen = [], 0
        for octave in range(BUCKETS >> SUB):
            seen += sum(self._counts[octave << SUB : octave + 1 << SUB])
            buckets.append(((1 << octave) / 1e9, seen))
        return StageTimes(self.count, self.total_s, self.max_s, tuple(buckets))


class AudioMetrics:
    """What an engine counts. Written by the thread that drives it; any thread may read.

    Attributes:
        chunks: Chunks processed.
        bytes_in: Bytes given to process.
        bytes_out: Bytes returned.
        dropped: Bytes not processed, by reason (a :class:`Verdict`, or ``overflow``).
        refused: Chunks refused, by reason.
        remarks: Accepted chunks that were clipped, offset or silent.
        audio_ms: Duration of the audio processed.
        stages: Durations of each part of the work, by name.
    """

    def __init__(self) -> None:
        self.process = Histogram()
        self.validate = Histogram()
        self.vad = Histogram()
        self.reset()

    def reset(self) -> None:
        """Start to count anew."""
        self.stages: dict[str, Histogram] = {"process": self.process, "validate": self.validate, "vad": self.vad}
        for times in self.stages.values():
            times.reset()
        self.chunks = self.bytes_in = self.bytes_out = 0
        self.audio_ms = 0.0
        self.dropped: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.remarks: dict[str, int] = {}

    def drop(self, reason: str, size_bytes: int) -> None:
        """Count a chunk that was not processed."""
        self.dropped[reason] = self.dropped.get(reason, 0) + size_bytes
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def remark(self, what: str) -> None:
        """Count an accepted chunk with something remarkable about it."""
        self.remarks[what] = self.remarks.get(what, 0) + 1

    def stage(self, name: str) -> Histogram:
        """Durations of a part of the work, made on first use."""
        return self.stages.setdefault(name, Histogram())

    @property
    def load(self) -> float:
        """Processing time as a share of the audio's duration: 1 is the most a core can do."""
        return self.process.total_s * 1000.0 / self.audio_ms if self.audio_ms else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All figures; durations in ms."""
        process = self.process
        return {
            "total_chunks": self.chunks,
            "total_bytes": self.bytes_in,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "bytes_dropped": sum(self.dropped.values()),
            "dropped": dict(self.dropped),
            "refused": dict(self.refused),
            "remarks": dict(self.remarks),
            "audio_ms": self.audio_ms,
            "load": self.load,
            "avg_latency_ms": process.mean_s * 1000.0,
            "max_latency_ms": process.max_s * 1000.0,
            "p50_latency_ms": process.quantile_s(0.5) * 1000.0,
            "p95_latency_ms": process.quantile_s(0.95) * 1000.0,
            "p99_latency_ms": process.quantile_s(0.99) * 1000.0,
            "stages": {
                name: {
                    "count": times.count,
                    "avg_ms": times.mean_s * 1000.0,
                    "p99_ms": times.quantile_s(0.99) * 1000.0,
                    "max_ms": times.max_s * 1000.0,
                }
                for name, times in self.stages.items()
            },
        }
