"""A reading of an engine's figures."""

from typing import Any

__all__ = ["performance_report"]

HIGH_LOAD = 0.5


def performance_report(metrics: dict[str, Any], chunk_ms: float) -> dict[str, Any]:
    """Judge an engine's ``get_metrics``.

    Args:
        metrics: As ``Engine.get_metrics`` returns.
        chunk_ms: Duration of a chunk where none was processed yet.

    Returns:
        ``performance`` (``realtime_capable``: 99 of 100 chunks are done in less than they last, and the load leaves
        room; ``realtime_factor`` is ``None`` before the first chunk), ``latency``, ``losses`` and ``recommendations``,
        a list of sentences.
    """
    chunks = metrics["total_chunks"]
    duration_ms = metrics["audio_ms"] / chunks if chunks else chunk_ms
    load, p99_ms = metrics["load"], metrics["p99_latency_ms"]
    target_ms = metrics["latency_target_ms"]
    total_ms = metrics["latency_ms"] + p99_ms
    realtime = p99_ms < duration_ms and load < 1.0
    shedding = metrics.get("load_shedding", {})
    return {
        "mode": metrics["mode"],
        "performance": {
            "realtime_capable": realtime,
            "load": load,
            "processing_efficiency": max(0.0, 1.0 - load),
            "realtime_factor": 1.0 / load if load else None,
            "throughput_mbps": _throughput_mbps(metrics),
            "deadline_misses": shedding.get("misses", 0),
        },
        "latency": {
            "algorithmic_ms": metrics["latency_ms"],
            "processing_avg_ms": metrics["avg_latency_ms"],
            "processing_p99_ms": p99_ms,
            "total_p99_ms": total_ms,
            "target_ms": target_ms,
            "within_target": total_ms <= target_ms,
        },
        "losses": {
            "bytes_dropped": metrics["bytes_dropped"],
            "refused": metrics["refused"],
            "remarks": metrics["remarks"],
            "shed": metrics["shed"],
        },
        "recommendations": list(_recommend(metrics, realtime, total_ms, target_ms)),
    }


def _throughput_mbps(metrics: dict[str, Any]) -> float:
    """Megabytes processed per second of processing."""
    busy_s = metrics["avg_latency_ms"] * metrics["total_chunks"] / 1000.0
    return metrics["bytes_in"] / busy_s / 1e6 if busy_s else 0.0


def _recommend(metrics: dict[str, Any], realtime: bool, total_ms: float, target_ms: float) -> "list[str]":
    advice = []
    if not realtime:
        advice.append("chunks take longer than they last: run fewer sessions here, or optimize_for_latency()")
    elif metrics["load"] > HIGH_LOAD:
        advice.append(f"the load is {metrics['load']:.0%} of real time: there is little room for more")
    if realtime and total_ms > target_ms:
        advice.append(f"{total_ms:.0f} ms are more than the {target_ms:.0f} ms of this mode: optimize_for_latency()")
    if metrics["shed"]:
        advice.append(f"shed under load: {', '.join(metrics['shed'])}")
    if metrics["refused"]:
        worst = max(metrics["refused"], key=metrics["refused"].get)
        advice.append(f"{metrics['refused'][worst]} chunks were refused as {worst}: see what the client sends")
    if metrics["remarks"].get("clipped", 0) > 0.01 * max(1, metrics["total_chunks"]):
        advice.append("more than 1 % of the chunks are clipped: turn the microphone down")
    return advice
