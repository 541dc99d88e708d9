"""Work beside the event loop, where it is more than trivial."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from menura.clock import Clock, monotonic_s

__all__ = ["Offload"]

P = ParamSpec("P")
T = TypeVar("T")

TRIVIAL_S = 0.0005
"""Work as short as this may hold up the event loop; a thread would cost a good part of it."""


class Offload:
    """Runs calls one after another: in a thread, or at once where the last ones say that it takes no time.

    A call that was begun is finished, even if who waits for it is cancelled: what it works on is then free.
    """

    def __init__(self, clock: Clock = monotonic_s) -> None:
        self._clock = clock
        self._cost_s: float | None = None  # of one unit of work

    async def run(self, units: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on so many units of work, such as frames."""

        def work() -> T:
            start_s = self._clock()
            result = function(*args, **kwargs)
            cost_s = (self._clock() - start_s) / max(units, 1)
            self._cost_s = cost_s if self._cost_s is None else 0.5 * (self._cost_s + cost_s)
            return result

        if self._cost_s is not None and self._cost_s * max(units, 1) <= TRIVIAL_S:
            return work()
        return await _finished(asyncio.ensure_future(asyncio.to_thread(work)))


async def _finished(task: "asyncio.Task[T]") -> T:
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it has been seen
        raise
