"""The status of a control connection, when asked and again and again."""

import asyncio
from collections.abc import Callable

from menura.live.lanes import Lane
from menura.protocol.control_replies import Status, StatusFigures
from menura.server.outbox import Outbox

__all__ = ["StatusPush", "status_of"]


def status_of(lane: Lane | None, more: dict[str, float]) -> Status:
    """What a client is told.

    Args:
        lane: Where audio is processed; None if none is.
        more: Details besides the lane's own.
    """
    if lane is None:
        return Status(status=StatusFigures(processing=False))
    stats = lane.session.stats()
    figures = StatusFigures(
        processing=True,
        input_level=round(min(stats.input_level, 1.0), 5),
        output_level=round(min(stats.output_level, 1.0), 5),
        latency_ms=round(lane.latency_ms, 3),
        processing_time_ms=round(stats.processing_time_ms, 3),
    )
    details = lane.details() | {"speaker_hz": stats.speaker_hz} | _pace(lane) | more
    return Status(status=figures, details={name: round(float(value), 3) for name, value in details.items()})


def _pace(lane: Lane) -> dict[str, float]:
    """How a voice that is a model keeps up; nothing for others."""
    pace = lane.session.pace()
    if pace is None:
        return {}
    return {
        "context_ms": pace.context_ms,
        "context_steps_down": pace.steps_down,
        "late_blocks": pace.late,
        "model_load": pace.load,
    }


class StatusPush:
    """Tells the status at an interval. Event loop only.

    Args:
        tell: Sends it.
        outbox: Who reads slowly is told less often.
    """

    def __init__(self, tell: Callable[[], None], outbox: Outbox) -> None:
        self._tell, self._outbox = tell, outbox
        self._pushing: asyncio.Task[None] | None = None

    def every(self, interval_ms: int) -> None:
        """From now on; 0 for no more."""
        if self._pushing:
            self._pushing.cancel()
        self._pushing = asyncio.create_task(self._push(interval_ms / 1000.0)) if interval_ms else None

    async def _push(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            if not self._outbox.full:
                self._tell()
