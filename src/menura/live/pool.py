"""Threads for audio work: as many run as there are cores, however many wait for a model."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from menura.errors import ConfigError

__all__ = ["VoicePool", "waiting"]

_here = threading.local()
MOST_WAITING = 256
"""Threads that wait beside those that run; more sessions than that share what is left."""


@contextmanager
def waiting() -> Iterator[None]:
    """Say that this thread only waits: its pool, if it has one that knows of it, lets another run meanwhile."""
    pool: VoicePool | None = getattr(_here, "pool", None)
    if pool is None:
        yield
        return
    pool._pause()
    try:
        yield
    finally:
        pool._resume()


class VoicePool(Executor):
    """An executor whose threads do not count while they are :func:`waiting`.

    So sessions that wait for a model leave the cores to those that have work to do.

    Args:
        threads: That run at once.
        name: Of the threads.

    >>> with VoicePool(1) as pool:
    ...     pool.submit(lambda: 2 + 2).result()
    4
    """

    def __init__(self, threads: int, name: str = "menura-voice") -> None:
        if threads < 1:
            raise ConfigError(f"a pool has at least one thread, not {threads}")
        self._threads, self._name = threads, name
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        lock = threading.Lock()
        self._change, self._ended = threading.Condition(lock), threading.Condition(lock)
        self._all = set[threading.Thread]()
        self._idle = self._paused = self._made = 0
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a call.

        Raises:
            RuntimeError: The pool has shut down.
        """
        future: Future[Any] = Future()
        with self._change:
            if self._closed:
                raise RuntimeError("the pool has shut down")
            self._jobs.append((future, lambda: fn(*args, **kwargs)))
            self._provide()
        return future

    def _provide(self) -> None:
        """See that someone takes the next job, if one more may run."""
        if self._idle:
            self._idle -= 1  # it is spoken for, before it has woken
            self._change.notify()
        elif len(self._all) - self._paused < self._threads and len(self._all) < self._threads + MOST_WAITING:
            self._made += 1
            thread = threading.Thread(target=self._run, name=f"{self._name}_{self._made}", daemon=True)
            self._all.add(thread)
            thread.start()

    def _pause(self) -> None:
        with self._change:
            self._paused += 1
            if self._jobs:
                self._provide()

    def _resume(self) -> None:
        with self._change:
            self._paused -= 1

    def _run(self) -> None:
        _here.pool = self
        while True:
            with self._change:
                job = self._next()
            if job is None:
                return
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del job, future, call

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next job; None for a thread that is one too many, or has nothing more to come."""
        while True:
            if len(self._all) - self._paused > self._threads or (self._closed and not self._jobs):
                self._all.discard(threading.current_thread())
                self._ended.notify_all()
                return None
            if self._jobs:
                return self._jobs.popleft()
            self._idle += 1
            self._change.wait()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; what waits is done, unless it is cancelled."""
        with self._change:
            self._closed = True
            dropped = list(self._jobs) if cancel_futures else []
            if cancel_futures:
                self._jobs.clear()
            self._change.notify_all()
        for future, _ in dropped:
            future.cancel()
        if wait:
            with self._ended:
                self._ended.wait_for(lambda: not self._all - {threading.current_thread()})
