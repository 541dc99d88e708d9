"""Coroutines that are begun at once, and mostly are done then."""

from collections.abc import Awaitable, Coroutine, Generator
from types import coroutine
from typing import Any

__all__ = ["begin"]


def begin(job: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Run a coroutine up to where it first waits, without a task and a turn of the event loop for it.

    It must not ask for the task that it runs in before it waits.

    Returns:
        None if it is done; else its rest, which must be awaited.

    Raises:
        Exception: What it raises.
    """
    try:
        waits_for = job.send(None)
    except StopIteration:
        return None
    return _rest(job, waits_for)


@coroutine
def _rest(job: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    try:
        while True:
            try:
                value = yield waits_for
            except BaseException as error:
                waits_for = job.throw(error)
            else:
                waits_for = job.send(value)
    except StopIteration:
        return
