"""One channel within a process: from any number of publishers to any number of subscribers."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from menura.audio.stream import AudioStream
from menura.channels.continuity import Continuity
from menura.channels.gate import Gate
from menura.channels.mailbox import Fate
from menura.channels.options import ChannelOptions, Policy, is_count
from menura.channels.settle import Blocked, give_beside, settle, settle_in_thread
from menura.channels.stats import ChannelStats
from menura.channels.subscription import Inbox, Subscription
from menura.channels.wakers import in_loop
from menura.errors import ChannelClosedError, ConfigError, FormatError, LimitError, StateError

__all__ = ["MAX_QUEUE", "Channel"]

MAX_QUEUE = 256
"""Items a subscriber's queue holds unless it says otherwise: five seconds of 20 ms streams."""
TURN = 128
"""Items published without waiting before the loop's other tasks get a turn."""
OFFLOAD_SAMPLES = 1 << 17
"""Audio to convert that is longer goes through a thread, so that the loop goes on: about 3 ms of work."""


class Channel:
    """A named way from publishers to subscribers; each subscriber has a queue of its own.

    Made by :meth:`ChannelManager.create_channel`. Publishing and subscribing is possible in any thread and loop.

    Attributes:
        name: Of the channel.
        options: What it carries; ``None`` where it exists for its subscribers only.
    """

    def __init__(
        self,
        name: str,
        options: ChannelOptions | None = None,
        *,
        lock: "threading.RLock | None" = None,
        on_idle: Callable[["Channel"], None] | None = None,
    ) -> None:
        self.name = name
        self._lock = lock or threading.RLock()
        self._on_idle = on_idle
        self._inboxes: tuple[Inbox, ...] = ()
        self._closed = False
        self._seen = Continuity()
        self._published = self._refused = 0
        self._turn = self._credit = TURN
        self._turns = 0
        self.declare(options)

    def declare(self, options: ChannelOptions | None) -> None:
        """Say what it carries; subscribers stay."""
        self.options = options
        self._type = options.message_type if options else None
        self._gate = Gate(self.name, options) if options and options.of_audio else None
        self._history: deque[Any] | None = deque(maxlen=options.replay) if options and options.replay else None

    @property
    def closed(self) -> bool:
        """Whether no more can be published."""
        return self._closed

    # --- publishing

    async def publish(self, item: Any) -> None:
        """Give an item to all subscribers; waits where one with the policy ``block`` is full.

        Every so often, and before a queue fills that a waiting reader could empty, other tasks get a turn.

        Raises:
            FormatError: It is not what the channel carries.
            ChannelClosedError: The channel is closed, or was while this waited.
        """
        if self._credit <= 0:
            await self._let_read()
        self._credit -= 1
        gate = self._gate
        heavy = gate is not None and self._is_heavy(gate, item)
        blocked = await give_beside(lambda: self._give(item), self._lock) if heavy else self._give(item)
        if blocked:
            await settle(blocked, self._lock)

    async def _let_read(self) -> None:
        turn = self._turns
        await asyncio.sleep(0)
        if turn == self._turns:  # else another publisher woke first, and this one gives a single item
            self._turns += 1
            self._credit = self._turn

    def publish_nowait(self, item: Any) -> None:
        """The same without waiting, from any thread and synchronous code.

        Raises:
            LimitError: A subscriber with the policy ``block`` is full; nobody got the item.
            FormatError: It is not what the channel carries.
            ChannelClosedError: The channel is closed.
        """
        blocked = self._give(item, wait=False)
        for inbox, ticket in blocked:  # of what a converter held back: it must not wait either
            with self._lock:
                inbox.withdraw(ticket)
                if ticket.fate is Fate.DISMISSED:
                    inbox.put_last(ticket.item)

    def publish_threadsafe(self, item: Any, timeout_s: float | None = None) -> None:
        """The same from a thread without an event loop, which waits where a subscriber with ``block`` is full.

        Args:
            timeout_s: Wait no longer; ``None`` for as long as it takes.

        Raises:
            StateError: It would stop this thread's event loop.
            WaitTimeoutError: There was no room in time; those who had room got the item.
            FormatError: It is not what the channel carries.
            ChannelClosedError: The channel is closed, or was while this waited.
        """
        if in_loop():
            try:
                return self.publish_nowait(item)
            except LimitError as error:
                raise StateError("this would stop the event loop: await publish(), or publish_nowait()") from error
        return settle_in_thread(self._give(item), self._lock, timeout_s)

    def _is_heavy(self, gate: Gate, item: Any) -> bool:
        if not isinstance(item, AudioStream):
            return False
        if gate.busy:  # with another's
            return True
        if len(item.data) <= OFFLOAD_SAMPLES:
            return False
        return item.frames * item.channels > OFFLOAD_SAMPLES and not gate.fits(item)

    def _give(self, item: Any, *, wait: bool = True) -> Blocked:
        self._check(item)
        gate = self._gate
        if gate is None or not isinstance(item, AudioStream) or gate.is_open(item):
            with self._lock:
                if not wait:
                    self._check_room()
                return self._spread(item)
        with gate.lock:
            if not wait:
                self._check_room()
            items = self._admit(gate, item)
            with self._lock:
                return [blocked for each in items for blocked in self._spread(each)]

    def _admit(self, gate: Gate, item: AudioStream) -> list[AudioStream]:
        try:
            return gate.admit(item)
        except FormatError:
            self._refused += 1
            raise

    def _check(self, item: Any) -> None:
        if self._closed:
            raise self._closed_error()
        if self._type is not None and not isinstance(item, self._type):
            self._refused += 1
            raise FormatError(f"channel {self.name!r} carries {_names(self._type)}, not {type(item).__name__}")

    def _closed_error(self) -> ChannelClosedError:
        return ChannelClosedError(f"channel {self.name!r} is closed")

    def _check_room(self) -> None:
        for inbox in self._inboxes:
            if inbox.would_block:
                raise LimitError(
                    f"subscriber {inbox.subscriber_id!r} of channel {self.name!r} is full and has the policy block: "
                    "await publish(), or publish_threadsafe() in a thread"
                )

    def _spread(self, item: Any) -> Blocked:
        if self._closed:
            raise self._closed_error()
        self._published += 1
        return self._fan_out(item)

    def _fan_out(self, item: Any) -> Blocked:
        if isinstance(item, AudioStream):
            self._seen.step(item.timestamp)
        if self._history is not None:
            self._history.append(item)
        blocked: Blocked = []
        for inbox in self._inboxes:
            ticket = inbox.put(item)
            if inbox.readers:
                inbox.wake()
            if ticket is not None:
                blocked.append((inbox, ticket))
        return blocked

    # --- subscribing

    def subscribe(
        self,
        subscriber_id: str = "",
        *,
        policy: str = Policy.DROP_OLDEST,
        max_queue: int = MAX_QUEUE,
        replay: int | None = None,
    ) -> Subscription:
        """Get what is published from now on.

        Args:
            subscriber_id: For statistics; each subscription has a queue of its own, whatever its id.
            policy: What happens when its queue is full.
            max_queue: Items its queue holds.
            replay: Begin with so many of the items kept, at most, and no more than the queue holds; ``None``: all.

        Raises:
            ConfigError: A setting has a value it cannot have.
            ChannelClosedError: The channel is closed.
        """
        if replay is not None and not is_count(replay, 0):
            raise ConfigError(f"replay must be a whole number of items, not {replay!r}")
        inbox = Inbox(self.name, subscriber_id, policy, max_queue)
        with self._lock:
            if self._closed:
                raise self._closed_error()
            kept = list(self._history or ())
            count = min(len(kept) if replay is None else replay, inbox.limit, len(kept))
            for item in kept[len(kept) - count :]:
                inbox.put(item)
            subscription = Subscription(inbox, self._lock, self._remove, self._ready())
            self._inboxes = (*self._inboxes, inbox)
            self._changed()
        return subscription

    def _ready(self) -> Callable[[], Awaitable[None]] | None:
        return None

    def _remove(self, inbox: Inbox) -> None:
        with self._lock:
            inbox.end(Fate.DISMISSED)
            if inbox in self._inboxes:
                self._inboxes = tuple(each for each in self._inboxes if each is not inbox)
                self._changed()

    def _changed(self) -> None:
        """Subscribers came or went; the lock is held."""
        queues = [box.limit for box in self._inboxes if box.policy not in {Policy.BLOCK, Policy.LATEST}]
        self._turn = max(1, min([TURN, *(size // 2 for size in queues)]))  # half, for several may publish
        self._credit = min(self._credit, self._turn)
        if not self._inboxes and self.options is None and self._on_idle is not None:
            self._on_idle(self)

    # --- the end

    def close(self) -> None:
        """Publish no more: what is queued is still read, then readers end; publishers that wait are refused."""
        if self._gate is None:
            self._end([])
            return
        with self._gate.lock:
            self._end(self._gate.flush())

    async def aclose(self) -> None:
        """The same; a conversion that is under way in a thread is waited for without stopping the loop."""
        try:
            if self._gate is not None and self._gate.busy:
                await asyncio.to_thread(self.close)
        finally:
            self.close()  # if cancelled, too

    def _end(self, last: list[AudioStream]) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for item in last:
                self._published += 1
                self._seen.step(item.timestamp)
            for inbox in self._inboxes:
                for item in last:
                    inbox.put_last(item)
                inbox.end(Fate.REFUSED)

    def stats(self) -> ChannelStats:
        """Figures as they are."""
        with self._lock:
            return ChannelStats(
                name=self.name,
                options=self.options,
                published=self._published,
                arrived=0,
                refused=self._refused,
                converted=self._gate.converted if self._gate else 0,
                gaps=self._seen.gaps,
                gap_s=self._seen.gap_s,
                subscribers=tuple(inbox.stats() for inbox in self._inboxes),
                closed=self._closed,
            )


def _names(types: type | tuple[type, ...]) -> str:
    return " or ".join(each.__name__ for each in (types if isinstance(types, tuple) else (types,)))
