"""Captured chunks on their way to one consumer, in a thread or an event loop."""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from menura.errors import StateError

__all__ = ["CaptureStream", "Chunk"]


class Chunk(NamedTuple):
    """Bytes, and when their first frame was captured."""

    data: bytes
    captured_s: float


class CaptureStream:
    """Chunks from the moment it was asked for: ``async for`` over it, or :meth:`read`.

    Chunks wait in a queue of bounded length; of what nobody takes in time, the oldest is dropped and counted. It ends,
    after what is queued, when the capture is stopped, and raises :class:`~menura.errors.DeviceError` when the device is
    lost. One consumer at a time; the event loop is that in which it is iterated.

    Attributes:
        dropped: Chunks lost.
        captured_s: When the first frame of the chunk last taken was captured, by the capture's clock.
    """

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self.captured_s = 0.0
        self._chunks: deque[Chunk] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._ended = False
        self._error: Exception | None = None
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    @property
    def ended(self) -> bool:
        """Whether no more comes."""
        return self._ended

    def push(self, chunk: Chunk) -> None:
        """Queue a chunk. Any thread."""
        with self._changed:
            if self._ended:
                return
            if len(self._chunks) >= self._capacity:
                self._chunks.popleft()
                self.dropped += 1
            self._chunks.append(chunk)
            self._wake()

    def end(self, error: Exception | None = None) -> None:
        """No more comes, because of an error or not. Any thread."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            loop, future = waiter
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(None))

    def _take(self) -> bytes | None:
        """The oldest chunk; None if there is none yet, or no more."""
        if self._chunks:
            chunk = self._chunks.popleft()
            self.captured_s = chunk.captured_s
            return chunk.data
        if self._error is not None:
            raise self._error
        return None

    def read(self, timeout_s: float | None = None) -> bytes | None:
        """Wait for the next chunk, in a thread that may wait.

        Returns:
            The chunk; None at the end.

        Raises:
            TimeoutError: None came within ``timeout_s``.
            DeviceError: The device is lost.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._chunks or self._ended, timeout_s):
                raise TimeoutError(f"no audio was captured within {timeout_s:g} s")
            return self._take()

    def __aiter__(self) -> "CaptureStream":
        return self

    async def __anext__(self) -> bytes:
        while True:
            with self._changed:
                data = self._take()
                if data is not None:
                    return data
                if self._ended:
                    raise StopAsyncIteration
                if self._waiter is not None and not self._waiter[1].done():
                    raise StateError("a capture stream has one consumer: call stream() once more for another")
                loop = asyncio.get_running_loop()
                future: asyncio.Future[None] = loop.create_future()
                self._waiter = (loop, future)
            await future

    async def aclose(self) -> None:
        """Take no more."""
        self.close()

    def close(self) -> None:
        """Take no more; what is queued is dropped."""
        self.end()
        with self._changed:
            self._chunks.clear()
            self._error = None
