"""Figures of this moment, for export."""

from menura.engine.buffer import AudioStreamBuffer
from menura.engine.jitter import JitterStats
from menura.engine.metrics import AudioMetrics
from menura.engine.pipeline import Pipeline

__all__ = ["gauges"]


def gauges(pipeline: Pipeline, metrics: AudioMetrics, buffer: AudioStreamBuffer | None) -> dict[str, float]:
    """Seconds, or shares of 1."""
    jitter = JitterStats() if buffer is None or buffer.jitter is None else buffer.jitter.stats()
    governor = None if pipeline.governor is None else pipeline.governor.stats()
    return {
        "latency_seconds": pipeline.latency_ms / 1000.0,
        "load": metrics.load if governor is None else governor.load,
        "shed_stages": 0.0 if governor is None else float(governor.level),
        "buffer_seconds": 0.0 if buffer is None else buffer.get_duration_ms() / 1000.0,
        "jitter_seconds": jitter.jitter_ms / 1000.0,
        "jitter_target_seconds": jitter.target_ms / 1000.0,
        "drift_ppm": jitter.drift_ppm,
    }
