"""Work in order, on threads that many share."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

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

    def post(self, job: Job) -> None:
        """Queue a job. Any thread."""
        with self._lock:
            self._jobs.append(job)
            if self._scheduled:
                return
            self._scheduled = True
        self._pool.submit(self._turn)

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
