"""The life of a thread between devices, from their start to their end, whatever it does with them."""

import threading
from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from menura.errors import StateError
from menura.live.watch import PortWatch
from menura.log import get_logger

__all__ = ["OnError", "Runner", "RunnerStats"]

logger = get_logger(__name__)

JOIN_S = 5.0
OnError = Callable[[Exception], None]


class RunnerStats(Protocol):
    """What every runner tells."""

    @property
    def running(self) -> bool:
        """Whether it runs."""


Stats = TypeVar("Stats", bound=RunnerStats)


class Runner(Generic[Stats]):
    """A thread that works whenever a device calls. It owns the devices: when it ends, for whatever reason, they are
    closed. It runs once.

    Args:
        watch: Of the device that sets the pace.
        name: Of the thread.
        on_error: Called from that thread with what ended it, before the devices are closed: a sound server that hangs
            lets none be closed.
    """

    def __init__(self, watch: PortWatch, name: str, on_error: OnError | None) -> None:
        self._watch = watch
        self._name = name
        self._on_error = on_error
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._error: Exception | None = None
        self._final: Stats | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the devices and the thread; nothing if it runs already.

        Raises:
            DeviceError: A device does not start; all are closed then.
            StateError: It has ended.
        """
        with self._guard:
            if self._final is not None or self._stopping:
                raise StateError("this runner has ended: make another, with other ports")
            if self._thread is not None:
                return
            try:
                self._start_devices()
            except BaseException:
                self._stopping = True
                self._close()
                raise
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Play what was captured until now, then end; nothing if it has ended."""
        with self._guard:
            self._stopping = True
            thread = self._thread
        self._watch.wake()
        if thread is None:
            self._close()
        elif thread is not threading.current_thread():
            thread.join(JOIN_S)
            if thread.is_alive():
                logger.error("the thread %s has not ended within %.0f s: a device or a voice hangs", self._name, JOIN_S)

    @property
    def running(self) -> bool:
        """Whether audio flows."""
        return self._thread is not None and self._final is None and self._error is None

    @property
    def error(self) -> Exception | None:
        """What ended it, if not :meth:`stop`."""
        return self._error

    def stats(self) -> Stats:
        """Figures so far; once it has ended, those of the end."""
        return self._final or self._measure(running=self.running)

    def _run(self) -> None:
        final = None
        try:
            while not self._stopping:
                self._watch.wait()
                self._work()
            self._work()
            final = self._measure(running=False)  # before the gap that ending makes
            self._drain()
        except Exception as error:
            self._error = error
            self._tell(error)
        final = final or self._measure(running=False)
        self._close()
        self._final = final

    def _tell(self, error: Exception) -> None:
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception:
                logger.exception("on_error of the thread %s failed", self._name)

    @abstractmethod
    def _start_devices(self) -> None:
        """Start all; whoever calls closes them where one fails."""

    @abstractmethod
    def _work(self) -> None:
        """Process what was captured."""

    @abstractmethod
    def _drain(self) -> None:
        """Let the device play what was written, within the time that takes, and stop it."""

    @abstractmethod
    def _close(self) -> None:
        """Give the devices back; twice is fine."""

    @abstractmethod
    def _measure(self, *, running: bool) -> Stats:
        """Figures so far."""
