"""How one who waits is woken: a task in its loop, or a thread; from any thread."""

import asyncio
import threading

__all__ = ["TaskWaker", "ThreadWaker", "Waker", "in_loop"]


class TaskWaker:
    """Wakes the task that made it; await ``future``."""

    __slots__ = ("_loop", "_thread", "future")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.future: asyncio.Future[None] = self._loop.create_future()

    def __call__(self) -> bool:
        """Wake it; False where it does not wait any more, or its loop has ended."""
        if self.future.done():
            return False
        try:
            if threading.get_ident() == self._thread:
                self._set()
            else:
                self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _set(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class ThreadWaker:
    """Wakes the thread that waits for ``event``."""

    __slots__ = ("event",)

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self) -> bool:
        """Wake it."""
        self.event.set()
        return True


Waker = TaskWaker | ThreadWaker


def in_loop() -> bool:
    """Whether this thread runs an event loop now, so that it must not wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
