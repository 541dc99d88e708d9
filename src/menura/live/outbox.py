"""Calls to the outside: in order, one at a time, and never with a lock held."""

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["Outbox"]

Call = Callable[[], None]


class Outbox:
    """Calls that any thread posts, made in the order they were posted.

    :meth:`deliver` makes them in the thread that asks, unless another one is at it, which then makes these too. So
    posting never waits, and a call may post, and ask to deliver, without end or deadlock.

    Args:
        capacity: Calls that may be left out, such as audio, that wait at most; beyond, the oldest of them is dropped.

    Attributes:
        dropped: Calls left out.

    >>> outbox = Outbox(8)
    >>> outbox.post(lambda: print("first") or outbox.post(lambda: print("second")))
    >>> outbox.deliver()
    first
    second
    """

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._calls: deque[tuple[Call, bool]] = deque()
        self._optional = 0
        self._idle = threading.Condition()
        self._courier: int | None = None

    def post(self, call: Call, *, optional: bool = False) -> None:
        """Append a call, which must not raise."""
        with self._idle:
            if optional and self._optional >= self._capacity:
                self._calls.remove(next(entry for entry in self._calls if entry[1]))
                self._optional -= 1
                self.dropped += 1
            self._calls.append((call, optional))
            self._optional += optional

    def deliver(self) -> None:
        """Make every call that waits; nothing if another call, or thread, is at it."""
        with self._idle:
            if self._courier is not None:
                return
            self._courier = threading.get_ident()
        try:
            while (call := self._next()) is not None:
                call()
        except BaseException:  # an interrupt within a call: what else waits is for the next who delivers
            self._leave()
            raise

    def _next(self) -> Call | None:
        with self._idle:
            if not self._calls:
                self._leave()
                return None
            call, optional = self._calls.popleft()
            self._optional -= optional
            return call

    def _leave(self) -> None:
        with self._idle:
            self._courier = None
            self._idle.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until every call was made, unless this is one of them; whether it is so."""
        with self._idle:
            if self._courier == threading.get_ident():
                return not self._calls
            return self._idle.wait_for(lambda: self._courier is None and not self._calls, timeout_s)
