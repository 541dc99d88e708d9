"""How a publisher waits: for room, as a task or as a thread; and for work that takes long."""

import asyncio
import threading
from collections.abc import Callable

from menura.channels.mailbox import Fate, Ticket
from menura.channels.subscription import Inbox
from menura.channels.wakers import TaskWaker, ThreadWaker
from menura.clock import monotonic_s
from menura.errors import ChannelClosedError, WaitTimeoutError

__all__ = ["Blocked", "give_beside", "settle", "settle_in_thread"]

Blocked = list[tuple[Inbox, Ticket]]
"""Who had no room, and what waits there."""


async def settle(blocked: Blocked, lock: "threading.RLock") -> None:
    """Wait until everybody has room; if cancelled, what still waits is taken back.

    Raises:
        ChannelClosedError: The channel was closed meanwhile.
    """
    try:
        for _, ticket in blocked:
            with lock:
                ticket.wake = waker = TaskWaker()
                if ticket.fate is not Fate.WAITING:
                    continue
            await waker.future
    except BaseException:
        _withdraw(blocked, lock)
        raise
    _check_fates(blocked)


def settle_in_thread(blocked: Blocked, lock: "threading.RLock", timeout_s: float | None) -> None:
    """The same for a thread, and no longer than so.

    Raises:
        WaitTimeoutError: Somebody had no room in time.
        ChannelClosedError: The channel was closed meanwhile.
    """
    until_s = None if timeout_s is None else monotonic_s() + timeout_s
    try:
        for inbox, ticket in blocked:
            with lock:
                ticket.wake = waker = ThreadWaker()
                if ticket.fate is not Fate.WAITING:
                    continue
            if not waker.wait(None if until_s is None else until_s - monotonic_s()):
                raise WaitTimeoutError(
                    f"subscriber {inbox.subscriber_id!r} of channel {inbox.name!r} had no room within {timeout_s} s"
                )
    except BaseException:
        _withdraw(blocked, lock)
        raise
    _check_fates(blocked)


async def give_beside(give: Callable[[], Blocked], lock: "threading.RLock") -> Blocked:
    """Give an item in a thread, so that the loop goes on; if cancelled, what then has no room is taken back."""
    blocked: Blocked = []
    cancelled = False

    def work() -> None:
        blocked.extend(give())
        if cancelled:
            _withdraw(blocked, lock)

    try:
        await asyncio.to_thread(work)
    except BaseException:
        cancelled = True
        _withdraw(blocked, lock)
        raise
    return blocked


def _withdraw(blocked: Blocked, lock: "threading.RLock") -> None:
    with lock:
        for inbox, ticket in blocked:
            inbox.withdraw(ticket)


def _check_fates(blocked: Blocked) -> None:
    for inbox, ticket in blocked:
        if ticket.fate is Fate.REFUSED:
            raise ChannelClosedError(f"channel {inbox.name!r} was closed before all subscribers took the item")
