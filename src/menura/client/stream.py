"""Events on their way from a connection to whoever wants them: in order, bounded, for a thread or a task."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Self, TypeVar

from menura.client.options import Backlog

__all__ = ["EventStream"]

T = TypeVar("T")


class EventStream(Generic[T]):
    """A bounded queue, read by ``for`` in a thread or by ``async for`` in a task; one reader.

    It takes part in nothing before it is made, and ends when the connection does.

    Args:
        max_events: Items it holds at most.
        max_bytes: Their size at most.
        backlog: What happens beyond; with ``block`` whoever fills it waits for :meth:`room`.
        on_drop: Called for each item dropped.

    >>> stream = EventStream[str](2, 100, Backlog.DROP_OLDEST)
    >>> for item, is_audio in (("a", True), ("b", False), ("c", True), ("d", False)):
    ...     stream.put(item, 1, is_audio)
    >>> stream.close()
    >>> list(stream), stream.dropped
    (['b', 'd'], 2)
    """

    def __init__(
        self, max_events: int, max_bytes: int, backlog: Backlog, on_drop: Callable[[], None] | None = None
    ) -> None:
        self._limits = (max_events, max_bytes)
        self._backlog = backlog
        self._filled = threading.Condition()
        self._audio: deque[tuple[int, int, T]] = deque()
        self._others: deque[tuple[int, int, T]] = deque()
        self._serial = self._bytes = 0
        self.dropped = 0
        self._on_drop = on_drop
        self._closed = False
        self._error: Exception | None = None
        self._on_filled: Callable[[], None] | None = None
        self._on_room: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._audio) + len(self._others)

    @property
    def _full(self) -> bool:
        return len(self) >= self._limits[0] or self._bytes >= self._limits[1]

    def put(self, item: T, size: int, audio: bool = False) -> None:
        """Add an item; any thread. What does not fit is dropped as the policy says, and counted."""
        with self._filled:
            if self._closed:
                return
            if self._backlog is Backlog.DROP_NEWEST and self._full:
                self._note_drop()
                return
            (self._audio if audio else self._others).append((self._serial, size, item))
            self._serial += 1
            self._bytes += size
            if self._backlog is Backlog.DROP_OLDEST:
                self._shorten()
            self._filled.notify()
            call, self._on_filled = self._on_filled, None
        if call:
            call()

    def _shorten(self) -> None:
        while len(self) > self._limits[0] or (self._bytes > self._limits[1] and len(self) > 1):
            _, size, _ = (self._audio or self._others).popleft()
            self._bytes -= size
            self._note_drop()

    def _note_drop(self) -> None:
        self.dropped += 1
        if self._on_drop:
            self._on_drop()

    @property
    def full(self) -> bool:
        """Whether whoever fills it should wait for :meth:`room`."""
        return self._backlog is Backlog.BLOCK and self._full and not self._closed

    @property
    def closed(self) -> bool:
        """Whether no more comes."""
        return self._closed

    def discard(self) -> None:
        """Throw away what waits."""
        with self._filled:
            self._audio.clear()
            self._others.clear()
            self._bytes = 0

    def close(self, error: Exception | None = None) -> None:
        """No more comes. What waits is still read; then the reader ends, with ``error``."""
        with self._filled:
            self._closed, self._error = True, self._error or error
            self._filled.notify_all()
            calls = [call for call in (self._on_filled, self._on_room) if call]
        for call in calls:
            call()

    def _pop(self) -> T:
        audio, others = self._audio, self._others
        first = audio if audio and (not others or audio[0][0] < others[0][0]) else others
        _, size, item = first.popleft()
        self._bytes -= size
        return item

    def _made_room(self) -> None:
        call, self._on_room = self._on_room, None
        if call:
            call()

    # --- a thread

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._filled:
            while not len(self):
                if self._closed:
                    raise self._error or StopIteration
                self._filled.wait()
            item = self._pop()
        self._made_room()
        return item

    # --- a task

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            with self._filled:
                if len(self):
                    item = self._pop()
                    break
                if self._closed:
                    raise self._error or StopAsyncIteration
                event = asyncio.Event()
                self._on_filled = _setter(event)
            await event.wait()
        self._made_room()
        return item

    async def room(self) -> None:
        """Wait until there is room again, where the policy is ``block``."""
        while self._backlog is Backlog.BLOCK:
            with self._filled:
                if not self._full or self._closed:
                    return
                event = asyncio.Event()
                self._on_room = _setter(event)
            await event.wait()


def _setter(event: asyncio.Event) -> Callable[[], None]:
    """Sets an event of this loop from any thread."""
    loop, thread = asyncio.get_running_loop(), threading.get_ident()

    def call() -> None:
        if threading.get_ident() == thread:
            event.set()
            return
        with suppress(RuntimeError):  # the loop has ended, and whoever waited with it
            loop.call_soon_threadsafe(event.set)

    return call
