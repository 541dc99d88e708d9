"""A subscriber's end of a channel."""

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from menura.audio.stream import AudioStream
from menura.channels.continuity import Continuity
from menura.channels.mailbox import EMPTY, END, Fate, Mailbox, Ticket
from menura.channels.options import Policy
from menura.channels.stats import SubscriptionStats
from menura.channels.wakers import TaskWaker, ThreadWaker, Waker, in_loop
from menura.clock import monotonic_s
from menura.errors import ChannelClosedError, StateError, WaitTimeoutError

__all__ = ["Inbox", "Subscription"]

TURN = 128
"""Items read without waiting, at least, before the loop's other tasks get a turn."""


def wake_all(tickets: list[Ticket]) -> None:
    """Wake those who wait for the fate of these."""
    for ticket in tickets:
        if ticket.wake is not None:
            ticket.wake()


class Inbox(Mailbox):
    """A mailbox with those who wait for its items. The channel's lock is held in every call."""

    __slots__ = ("name", "readers", "seen", "subscriber_id")

    def __init__(self, name: str, subscriber_id: str, policy: str, max_queue: int) -> None:
        super().__init__(policy, max_queue)
        self.name, self.subscriber_id = name, subscriber_id
        self.readers: deque[Waker] = deque()
        self.seen = Continuity()

    def wake(self) -> None:
        """Wake one reader, one that can be woken."""
        while self.readers and not self.readers.popleft()():
            pass

    def end(self, fate: Fate) -> None:
        """No more comes; wake everybody."""
        wake_all(self.close(fate))
        while self.readers:
            self.readers.popleft()()

    def stats(self) -> SubscriptionStats:
        """Figures as they are."""
        return SubscriptionStats(
            self.name, self.subscriber_id, self.policy, self.limit, self.received, self.delivered, self.dropped,
            len(self), self.blocked, self.errors, self.seen.gaps, self.seen.gap_s, self.closed,
        )  # fmt: skip


class Subscription(AsyncIterator[Any]):
    """What was published on a channel from the moment this was made, in order.

    ``async for`` reads it in any loop, ``for`` in any thread. Several readers share the items. A reader that is
    cancelled loses none. It ends, after what is queued, when the channel is closed. Whoever reads no more closes it,
    or drops it: then it is closed when it is collected.

    Attributes:
        name: Of the channel.
        subscriber_id: As given; the same may be used again, each subscription has a queue of its own.
        gap_s: Audio missing between the stream read last and the one before, seconds, by their timestamps, whether
            this subscriber was too slow or the source has left it out; 0 for none, negative where time went back.
    """

    def __init__(
        self,
        inbox: Inbox,
        lock: threading.RLock,
        remove: Callable[[Inbox], None],
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.name, self.subscriber_id = inbox.name, inbox.subscriber_id
        self.gap_s = 0.0
        self._inbox, self._lock, self._ready = inbox, lock, ready
        # beyond a full queue only publishers in other threads can make reading go on without waiting
        self._turn = max(TURN, 2 * inbox.limit)
        self._unbroken = 0
        self._finalizer = weakref.finalize(self, remove, inbox)
        self._finalizer.atexit = False

    @property
    def policy(self) -> Policy:
        """What happens when the queue is full."""
        return self._inbox.policy

    @property
    def max_queue(self) -> int:
        """Items the queue holds at most."""
        return self._inbox.limit

    @property
    def closed(self) -> bool:
        """Whether no more comes; some may still be queued."""
        return self._inbox.closed

    def __len__(self) -> int:
        """Items queued now."""
        return len(self._inbox)

    def __bool__(self) -> bool:
        return True

    def stats(self) -> SubscriptionStats:
        """Figures as they are."""
        with self._lock:
            return self._inbox.stats()

    def _take(self, make: type[Waker]) -> Any:
        """The next item, ``END``, or what wakes us when it is worth another try."""
        inbox = self._inbox
        with self._lock:
            while (item := inbox.take()) is EMPTY:
                waker = make()
                inbox.readers.append(waker)
                if inbox.quiet:  # else a signal handler, say, has just published
                    return waker
                with suppress(ValueError):
                    inbox.readers.remove(waker)
            if inbox.blocked:
                wake_all(inbox.admit())
            if isinstance(item, AudioStream):
                self.gap_s = inbox.seen.step(item.timestamp)
        return item

    def _leave(self, waker: Waker) -> None:
        """We wait no more; if we were woken, somebody else shall read instead."""
        with self._lock:
            try:
                self._inbox.readers.remove(waker)
            except ValueError:
                if not self._inbox.quiet:
                    self._inbox.wake()

    # --- a task

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        self._unbroken += 1
        if self._unbroken > self._turn:
            self._unbroken = 0
            await asyncio.sleep(0)
        while True:
            item = self._take(TaskWaker)
            if type(item) is not TaskWaker:
                if item is END:
                    raise StopAsyncIteration
                return item
            self._unbroken = 0
            try:
                await item.future
            except BaseException:
                self._leave(item)
                raise

    async def get(self, timeout_s: float | None = None) -> Any:
        """The next item.

        Raises:
            ChannelClosedError: There is none, and no more comes.
            WaitTimeoutError: None came in time.
            SlowSubscriberError: Items were lost here, and the policy is ``error``.
        """
        try:
            if timeout_s is None:
                return await self.__anext__()
            async with asyncio.timeout(timeout_s):
                return await self.__anext__()
        except StopAsyncIteration:
            raise self._closed_error() from None
        except TimeoutError:
            item = self.get_nowait(EMPTY)  # it may have given the others a turn, and not have waited
            if item is EMPTY:
                raise self._timeout_error(timeout_s) from None
            return item

    def get_nowait(self, default: Any = None) -> Any:
        """The next item, or ``default`` where none waits; any thread.

        Raises:
            ChannelClosedError: There is none, and no more comes.
            SlowSubscriberError: Items were lost here, and the policy is ``error``.
        """
        item = self._take(ThreadWaker)
        if item is END:
            raise self._closed_error()
        if type(item) is ThreadWaker:
            self._leave(item)
            return default
        return item

    def _closed_error(self) -> ChannelClosedError:
        return ChannelClosedError(f"channel {self.name!r} is closed: there is nothing more to read")

    def _timeout_error(self, timeout_s: float | None) -> WaitTimeoutError:
        return WaitTimeoutError(f"nothing came on channel {self.name!r} within {timeout_s} s")

    async def ready(self) -> None:
        """Wait until what is published elsewhere comes too; in one process it does at once."""
        if self._ready is not None:
            await self._ready()

    # --- a thread

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        item = self._take_in_thread(None)
        if item is END:
            raise StopIteration
        return item

    def get_threadsafe(self, timeout_s: float | None = None) -> Any:
        """The next item, for a thread without an event loop.

        Raises:
            ChannelClosedError: There is none, and no more comes.
            WaitTimeoutError: None came in time.
            SlowSubscriberError: Items were lost here, and the policy is ``error``.
            StateError: It would stop this thread's event loop.
        """
        item = self._take_in_thread(timeout_s)
        if item is END:
            raise self._closed_error()
        return item

    def _take_in_thread(self, timeout_s: float | None) -> Any:
        until_s = None if timeout_s is None else monotonic_s() + timeout_s
        while True:
            item = self._take(ThreadWaker)
            if type(item) is not ThreadWaker:
                return item
            try:
                if in_loop():
                    raise StateError("this would stop the event loop: use async for, or await get()")
                if not item.wait(None if until_s is None else until_s - monotonic_s()):
                    raise self._timeout_error(timeout_s)
            except BaseException:
                self._leave(item)
                raise

    # --- the end

    def close(self) -> None:
        """Read no more: what is queued is dropped, publishers that wait for room go on, readers end. Any thread."""
        self._finalizer()

    async def aclose(self) -> None:
        """The same, as asynchronous iterators have it."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
