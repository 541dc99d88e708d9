"""Work in order, on threads that many share."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress

from menura.log import get_logger, log_internal_error

__all__ = ["Strand"]

_log = get_logger(__name__)
Job = Callable[[], None]


class Strand:
    """Runs jobs one at a time, in the order they were posted, on a shared pool of threads.

    After each job the strand queues again behind the others: a busy one delays an idle one by a single job of its own,
    not by its backlog. Whoever posts bounds how much is waiting.
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._jobs: deque[Job] = deque()
        self._lock = threading.Lock()
        self._scheduled = False
        self._asked = set[asyncio.Future[None]]()
        self._abandoned = False

    def post(self, job: Job) -> bool:
        """Queue a job. Any thread. Returns False if the pool has shut down: it will not be done."""
        with self._lock:
            self._jobs.append(job)
            if self._scheduled:
                return True
            self._scheduled = True
        try:
            self._pool.submit(self._turn)
        except RuntimeError:
            self._jobs.clear()
            return False
        return True

    def ask(self, job: Job) -> "asyncio.Future[None]":
        """Queue a job, in an event loop: the future tells when it is done, and what it raised. After
        :meth:`abandon`, and where the pool has shut down, it is done."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._asked.add(done)
        done.add_done_callback(self._asked.discard)

        def work() -> None:
            error: Exception | None = None
            try:
                job()
            except Exception as raised:
                error = raised
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, done, error)

        if self._abandoned or not self.post(work):
            _settle(done, None)
        return done

    def abandon(self) -> None:
        """Nobody is to wait for what was or will be asked, done or not. In the event loop."""
        self._abandoned = True
        for done in tuple(self._asked):
            _settle(done, None)

    def _turn(self) -> None:
        job = self._jobs.popleft()
        try:
            job()
        except Exception as error:
            log_internal_error(_log, "a job failed", error)
        with self._lock:
            if not self._jobs:
                self._scheduled = False
                return
        try:
            self._pool.submit(self._turn)
        except RuntimeError:  # the pool shut down: what is left has no one to hear it
            self._jobs.clear()


def _settle(done: "asyncio.Future[None]", error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
