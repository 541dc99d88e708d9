"""A subscriber's queue: bounded, with a policy for what does not fit, and counters. No waiting, no locks.

Whoever calls it holds a lock, but may be interrupted in the middle by itself: a signal handler, or an object that is
collected, may put into the same mailbox or close it. So it looks once more after what such a call could have changed.
"""

from collections import deque
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Final

from menura.channels.options import Policy, is_count
from menura.errors import ConfigError, SlowSubscriberError

__all__ = ["EMPTY", "END", "Fate", "Mailbox", "Ticket"]


class _Mark(Enum):
    EMPTY = auto()
    END = auto()


EMPTY: Final = _Mark.EMPTY
"""Nothing waits now."""
END: Final = _Mark.END
"""Nothing waits, and no more comes."""


class Fate(Enum):
    """What became of an item that found no room."""

    WAITING = auto()
    TAKEN = auto()
    DISMISSED = auto()
    """The subscriber, or the publisher, has gone."""
    REFUSED = auto()
    """The channel was closed."""


class Ticket:
    """An item that waits for room, in its turn."""

    __slots__ = ("fate", "item", "wake")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.fate = Fate.WAITING
        self.wake: Any = None  # whoever waits for the fate may leave a callable here


class Mailbox:
    """Queue of one subscriber.

    Args:
        policy: What happens to what does not fit.
        max_queue: Items it holds at most; with ``latest`` it is 1.

    Raises:
        ConfigError: A setting has a value it cannot have.

    >>> box = Mailbox(Policy.DROP_OLDEST, 2)
    >>> for item in "abc":
    ...     box.put(item)
    >>> box.take(), box.take(), box.take() is EMPTY, box.dropped
    ('b', 'c', True, 1)
    """

    __slots__ = ("_busy", "_lost", "_queue", "_waiting", "closed", "dropped", "errors", "limit", "policy", "received")

    def __init__(self, policy: str = Policy.DROP_OLDEST, max_queue: int = 256) -> None:
        if policy not in tuple(Policy):
            raise ConfigError(f"policy must be one of {', '.join(Policy)}, not {policy!r}")
        if not is_count(max_queue, 1):
            raise ConfigError(f"max_queue must be a whole number from 1, not {max_queue!r}")
        self.policy = Policy(policy)
        self.limit = 1 if self.policy is Policy.LATEST else max_queue
        self.received = self.dropped = self.errors = 0
        self.closed = False
        self._queue: deque[Any] = deque()
        self._waiting: deque[Ticket] = deque()
        self._lost = 0  # items the subscriber has yet to be told about
        self._busy = False  # nothing may be queued past what waits, an untold loss, or the end

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def delivered(self) -> int:
        """Items read."""
        return self.received - self.dropped - len(self._queue)

    @property
    def blocked(self) -> int:
        """Items that wait for room."""
        return len(self._waiting)

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to read and nothing to tell."""
        return not (self._queue or self._lost or self.closed)

    @property
    def would_block(self) -> bool:
        """Whether the next item would have to wait."""
        return self.policy is Policy.BLOCK and not self.closed and (self._busy or len(self._queue) >= self.limit)

    def put(self, item: Any) -> Ticket | None:
        """Queue an item, or do with it what the policy says.

        Returns:
            A ticket where it has to wait for room (``block``); else ``None``.
        """
        if len(self._queue) < self.limit and not self._busy:
            self._queue.append(item)
            self.received += 1
            return None
        return self._overflow(item)

    def _overflow(self, item: Any) -> Ticket | None:
        if self.closed:
            return None
        if self.policy is Policy.BLOCK:
            ticket = Ticket(item)
            self._waiting.append(ticket)
            self._busy = True
            return self._unless_closed(ticket)
        self.received += 1
        if self.policy is Policy.ERROR:
            self._lost += 1
            self._busy = True
        elif self.policy is not Policy.DROP_NEWEST:
            self._queue.append(item)
            while len(self._queue) > self.limit:
                self.dropped += 1
                self._queue.popleft()
            return None
        self.dropped += 1
        return None

    def _unless_closed(self, ticket: Ticket) -> Ticket | None:
        if self.closed:
            self.withdraw(ticket)
            return None
        return ticket

    def put_last(self, item: Any) -> None:
        """Queue what must not wait, as the channel is about to close; with ``block`` it may be one too many."""
        if self.policy is Policy.BLOCK and not self.closed:
            self._queue.append(item)
            self.received += 1
        else:
            self.put(item)

    def take(self) -> Any:
        """The next item, ``EMPTY`` or ``END``. Then call :meth:`admit` if somebody is ``blocked``.

        Raises:
            SlowSubscriberError: Items were lost here (``error``); what comes after them is read next.
        """
        if self._queue:
            return self._queue.popleft()
        if self._lost:
            lost, self._lost = self._lost, 0
            self.errors += 1
            self._busy = self.closed
            raise SlowSubscriberError(
                f"the subscriber was too slow: {lost} item{'s' if lost > 1 else ''} lost; "
                "read faster, let max_queue be larger, or choose another policy",
                lost=lost,
            )
        return END if self.closed else EMPTY

    def admit(self) -> list[Ticket]:
        """Queue what waits, as far as there is room now.

        Returns:
            The tickets taken, whose owners may go on.
        """
        taken = []
        while self._waiting and len(self._queue) < self.limit:
            ticket = self._waiting.popleft()
            ticket.fate = Fate.TAKEN
            self._queue.append(ticket.item)
            self.received += 1
            taken.append(ticket)
        self._busy = bool(self._waiting) or self.closed
        return taken

    def withdraw(self, ticket: Ticket) -> None:
        """Take back an item that still waits; nothing happens where it does not."""
        if ticket.fate is Fate.WAITING:
            ticket.fate = Fate.DISMISSED
            with suppress(ValueError):
                self._waiting.remove(ticket)
            self._busy = bool(self._waiting) or self.closed

    def close(self, fate: Fate = Fate.REFUSED) -> list[Ticket]:
        """No more comes.

        Args:
            fate: Of what waits for room: ``REFUSED`` where the channel closes, and what is queued is still read;
                ``DISMISSED`` where the subscriber goes, and what is queued is dropped.

        Returns:
            The tickets that have waited, whose owners may go on.
        """
        self.closed = self._busy = True
        waited = list(self._waiting)
        self._waiting.clear()
        for ticket in waited:
            ticket.fate = fate
        if fate is Fate.DISMISSED:
            self.dropped += len(self._queue)
            self._queue.clear()
            self._lost = 0
        return waited
