"""How one who waits is woken: a task in its loop, or a thread; from any thread."""

import asyncio
import threading
from contextlib import suppress

__all__ = ["TaskWaker", "ThreadWaker", "Waker", "in_loop"]


class TaskWaker:
    """Wakes the task that made it; await ``future``."""

    __slots__ = ("_loop", "future")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()

    def __call__(self) -> bool:
        """Wake it; False where it does not wait any more, or its loop has ended."""
        if self.future.done():
            return False
        try:
            # without a task this may be a signal handler or a finalizer while the loop sleeps, which must be roused
            if asyncio._get_running_loop() is self._loop and asyncio.current_task(self._loop) is not None:
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
    """Wakes the thread that made it.

    A bare lock, for an event has a lock of its own that its waiter holds now and then: if just then an object is
    collected in that thread, and wakes it, both would wait for ever.
    """

    __slots__ = ("_asleep",)

    def __init__(self) -> None:
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait to be woken; False where that did not come in time."""
        if timeout_s is None:
            return self._asleep.acquire()
        return self._asleep.acquire(timeout=min(max(0.0, timeout_s), threading.TIMEOUT_MAX))

    def __call__(self) -> bool:
        """Wake it."""
        with suppress(RuntimeError):  # it was awake
            self._asleep.release()
        return True


Waker = TaskWaker | ThreadWaker


def in_loop() -> bool:
    """Whether this thread runs an event loop now, so that it must not wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
