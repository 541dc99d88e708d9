"""Many sessions, one device: what their models are to compute, in the order in which it is due."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from menura.clock import Clock, monotonic_s
from menura.errors import ConfigError, StateError
from menura.live.pool import waiting
from menura.neural.options import Provider
from menura.neural.stream.blocks import Steps
from menura.neural.stream.model import Floats, Request, RvcModel, fulfil

__all__ = ["ModelScheduler", "SchedulerStats", "Seat", "batch_of"]

GATHER_S = 0.002
"""Longest wait for sessions that are between two networks, where they may be run together."""
AHEAD_S = 2.0
"""Most by which a session that sends faster than real time falls behind the others."""
JOIN_S = 5.0


def batch_of(provider: Provider) -> int:
    """Sessions to run as one batch: where a call costs more than its work. On a CPU it brings nothing
    (``benchmarks/rvc_sessions.py``), and makes the first wait for the last.
    """
    return 1 if provider in (Provider.CPU, Provider.OPENVINO) else 8


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """Figures of a scheduler.

    Attributes:
        waiting: Requests that wait now.
        computed: Requests done.
        batches: Computations these were.
        late: Requests begun after they were due.
        failed: Requests whose network failed.
    """

    waiting: int
    computed: int
    batches: int
    late: int
    failed: int


@dataclass(eq=False)
class _Job:
    seat: "Seat"
    model: RvcModel
    request: Request
    due_s: float
    done: threading.Event = field(default_factory=threading.Event)
    answer: Any = None
    error: BaseException | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What may run together."""
        if self.request.beside is not None:
            return (id(self),)
        shapes = tuple(None if part is None else (part.shape[1:], part.dtype) for part in self.request.arrays)
        return id(self.model), self.request.name, shapes

    def settle(self, answer: Any = None, error: BaseException | None = None) -> None:
        self.answer, self.error = answer, error
        self.done.set()


class ModelScheduler:
    """One thread that runs networks for any number of sessions, what is due first before the rest.

    One session's computation at a time, with all cores: two sessions' at once, of all cores or of one each, give about
    as much in all, but each answer later. What a session asks for together is one computation, by a second thread. A
    session waits for the computation that runs, never for another's whole block: each network is a turn of its own. Who
    sends faster than in real time is due as if it did not, within ``AHEAD_S``: so nobody is starved, and no one waits
    for ever.

    Args:
        batch: Sessions of one model that may be run together.
        clock: Tells what is due.
    """

    def __init__(self, batch: int = 1, clock: Clock = monotonic_s) -> None:
        if batch < 1:
            raise ConfigError(f"a batch has at least one, not {batch}")
        self._batch, self.clock = batch, clock
        self._change = threading.Condition()
        self._jobs: list[_Job] = []
        self._active = 0
        self._thread: threading.Thread | None = None
        self._second: ThreadPoolExecutor | None = None
        self._closed = False
        self._computed = self._batches = self._late = self._failed = 0

    def seat(self, block_s: float) -> "Seat":
        """A place for one session, whose blocks last so long."""
        return Seat(self, block_s)

    def compute(self, seat: "Seat", model: RvcModel, request: Request, due_s: float) -> Any:
        """Wait for an answer.

        Raises:
            StateError: The scheduler was closed, or the session has left.
            Exception: What the network has raised.
        """
        job = _Job(seat, model, request, due_s)
        with self._change:
            if self._closed or seat.left:
                raise StateError("Voice processing stopped: the session has ended")
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="menura-model", daemon=True)
                self._thread.start()
            self._change.notify_all()
        job.done.wait()
        if job.error is not None:
            raise job.error
        return job.answer

    def enter(self, change: int) -> None:
        """A session begins a block, or ends it."""
        with self._change:
            self._active += change
            self._change.notify_all()

    def leave(self, seat: "Seat") -> None:
        """Take out what a session waits for."""
        with self._change:
            gone = [job for job in self._jobs if job.seat is seat]
            self._jobs = [job for job in self._jobs if job.seat is not seat]
        self._refuse(gone)

    @staticmethod
    def _refuse(jobs: Sequence[_Job]) -> None:
        for job in jobs:
            job.settle(error=StateError("Voice processing stopped: the session has ended"))

    def close(self) -> None:
        """End: what waits fails, what runs is finished."""
        with self._change:
            self._closed = True
            jobs, self._jobs = self._jobs, []
            thread = self._thread
            self._change.notify_all()
        self._refuse(jobs)
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)

    def stats(self) -> SchedulerStats:
        """Figures now."""
        with self._change:
            return SchedulerStats(len(self._jobs), self._computed, self._batches, self._late, self._failed)

    # --- the thread

    def _work(self) -> None:
        while self._turn():
            pass
        if self._second is not None:
            self._second.shutdown()

    def _aside(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """Run a call in the second thread."""
        if self._second is None:
            self._second = ThreadPoolExecutor(1, "menura-model-beside")
        return self._second.submit(call).result

    def _turn(self) -> bool:
        """One computation; between two of them no model is held here that its last voice has let go."""
        jobs = self._take()
        self._run(jobs)
        return bool(jobs)

    def _take(self) -> list[_Job]:
        with self._change:
            self._change.wait_for(lambda: self._jobs or self._closed)
            if self._batch > 1 and not self._closed:
                enough = min(self._batch, self._active)
                self._change.wait_for(lambda: len(self._jobs) >= enough or self._closed, GATHER_S)
            if not self._jobs:
                return self._take() if not self._closed else []
            self._jobs.sort(key=lambda job: job.due_s)
            first = self._jobs[0].key
            taken = [job for job in self._jobs if job.key == first][: self._batch]
            self._jobs = [job for job in self._jobs if job not in taken]
            self._late += sum(self.clock() > job.due_s for job in taken)
            return taken

    def _run(self, jobs: list[_Job]) -> None:
        if len(jobs) > 1:
            try:
                answers = _split(jobs[0].model.compute(_together(jobs)), [_rows(job) for job in jobs])
            except Exception:
                answers = []  # one of them is to blame: each by itself
            if answers:
                self._count(len(jobs), 1, 0)
                for job, answer in zip(jobs, answers, strict=True):
                    job.settle(answer)
                return
        for job in jobs:
            try:
                found = fulfil(job.model, job.request, self._aside)
            except BaseException as error:
                self._count(1, 1, 1)
                job.settle(error=error)
            else:
                self._count(1, 1, 0)
                job.settle(found)

    def _count(self, computed: int, batches: int, failed: int) -> None:
        with self._change:
            self._computed += computed
            self._batches += batches
            self._failed += failed


def _rows(job: _Job) -> int:
    return len(next(part for part in job.request.arrays if part is not None))


def _together(jobs: Sequence[_Job]) -> Request:
    parts = zip(*(job.request.arrays for job in jobs), strict=True)
    return Request(jobs[0].request.name, tuple(None if part[0] is None else np.concatenate(part) for part in parts))


def _split(answer: Any, rows: list[int]) -> list[Any]:
    """What each of a batch gets of an array, or of several."""
    cuts = np.cumsum(rows)[:-1]
    if isinstance(answer, np.ndarray):
        return [part.copy() for part in np.split(answer, cuts)]
    return list(zip(*(_split(part, rows) for part in answer), strict=True))


class Seat:
    """One session's place at a scheduler: runs its blocks, one after another.

    Attributes:
        left: The session has ended; what is asked for fails.
    """

    def __init__(self, scheduler: ModelScheduler, block_s: float) -> None:
        self._scheduler, self._block_s = scheduler, block_s
        self._due_s = -float("inf")
        self.left = False

    def __call__(self, model: RvcModel, steps: Steps) -> Floats:
        """Run a block, and wait for it; a thread of a :class:`~menura.live.pool.VoicePool` leaves its core meanwhile.

        Raises:
            StateError: The session has left, or the scheduler was closed.
            Exception: What a network has raised.
        """
        now_s = self._scheduler.clock()
        self._due_s = min(max(now_s, self._due_s) + self._block_s, now_s + AHEAD_S + self._block_s)
        answer: Any = None
        self._scheduler.enter(1)
        try:
            while True:
                try:
                    request = steps.send(answer)
                except StopIteration as done:
                    result: Floats = done.value
                    return result
                with waiting():
                    answer = self._scheduler.compute(self, model, request, self._due_s)
        finally:
            self._scheduler.enter(-1)
            steps.close()

    def leave(self) -> None:
        """The session ends: nothing is computed for it any more. Any thread."""
        self.left = True
        self._scheduler.leave(self)
