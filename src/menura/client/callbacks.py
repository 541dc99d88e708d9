"""Who wants to be called when what happens on a connection, and the calling."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from menura.client.options import ConnectionState
from menura.client.stream import EventStream
from menura.errors import ConfigError
from menura.log import get_logger, log_internal_error
from menura.protocol.realtime_beta import BETA_NAMES, GA_NAMES, as_beta
from menura.protocol.realtime_server import SERVER_EVENT_TYPES, ServerEvent

__all__ = ["Callbacks", "Failure", "Notice", "Rest", "StateChange"]

_log = get_logger(__name__)
Callback = Callable[[Any], Any]
_EVERY = "*"


@dataclass(frozen=True, slots=True)
class StateChange:
    """The connection's state is another."""

    state: ConnectionState


@dataclass(frozen=True, slots=True)
class Failure:
    """Something went wrong."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left to do for an event whose callbacks were begun at once.

    Attributes:
        waits: What a callback returned that must be awaited.
        argument: It was called with this.
        calls: Those that come after.
    """

    waits: Awaitable[Any] | None
    argument: Any
    calls: "tuple[tuple[Callback, Any], ...]"

    def wait(self, _: Any) -> Awaitable[Any] | None:
        """As a callback: what is to be awaited."""
        return self.waits


Notice = ServerEvent | StateChange | Failure | Rest


class Callbacks:
    """Callbacks by what they are for. They run one after another; one that raises is reported to those for errors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, tuple[Callback, ...]] = {}
        self._states: tuple[Callback, ...] = ()
        self._errors: tuple[Callback, ...] = ()
        self._busy = False  # an event's callbacks are being called in an event loop
        self.raised = 0

    def add(self, name: str, callback: Callback) -> None:
        """For events of a type, in today's name or beta's; ``*`` for all.

        Raises:
            ConfigError: ``callback`` cannot be called, or ``name`` is empty.
        """
        if not callable(callback) or not name:
            raise ConfigError("on() needs the name of an event and a function")
        if name not in SERVER_EVENT_TYPES and name not in GA_NAMES and name != _EVERY:
            _log.info("a callback for %s, which is no event known here", name)
        with self._lock:
            self._events[name] = (*self._events.get(name, ()), callback)

    def add_state(self, callback: Callback) -> None:
        """For changes of state."""
        with self._lock:
            self._states = (*self._states, callback)

    def add_error(self, callback: Callback) -> None:
        """For errors."""
        with self._lock:
            self._errors = (*self._errors, callback)

    def remove(self, callback: Callback) -> None:
        """Call it no more, whatever it was for."""
        with self._lock:
            self._events = {
                name: tuple(other for other in callbacks if other != callback)
                for name, callbacks in self._events.items()
            }
            self._states = tuple(other for other in self._states if other != callback)
            self._errors = tuple(other for other in self._errors if other != callback)

    def at_once(self, event: ServerEvent, stream: EventStream[Notice]) -> bool:
        """Call whoever wants an event, unless others wait or are at work: then it must be queued, to keep the order.

        In the event loop of :meth:`serve`. What a callback must wait for is left to that.

        Returns:
            Whether it was done.
        """
        if self._busy or len(stream):
            return False
        self._busy = True
        try:
            due = self._due(event)
            for index, (callback, argument) in enumerate(due):
                rest = self._begin(callback, argument, tuple(due[index + 1 :]))
                if rest is not None:
                    stream.put(rest, 0)
                    break
        finally:
            self._busy = False
        return True

    def _begin(self, callback: Callback, argument: Any, others: tuple[tuple[Callback, Any], ...]) -> Rest | None:
        try:
            result = callback(argument)
        except (Exception, SystemExit) as error:  # an exit in a callback ends no connection
            reporters = self._raised(error, argument)
            return Rest(None, argument, (*((reporter, error) for reporter in reporters), *others))
        return Rest(result, argument, others) if result is not None and inspect.isawaitable(result) else None

    async def serve(self, stream: EventStream[Notice]) -> None:
        """Call whoever wants what comes from a stream, until it ends; in an event loop."""
        async for notice in stream:
            self._busy = True
            try:
                if isinstance(notice, Rest) and notice.waits is not None:
                    await self._call(notice.wait, notice.argument)
                for callback, argument in self._due(notice):
                    await self._call(callback, argument)
            finally:
                self._busy = False

    async def _call(self, callback: Callback, argument: Any) -> None:
        try:
            result = callback(argument)
            if inspect.isawaitable(result):
                await result
        except (Exception, SystemExit) as error:  # an exit in a callback ends no connection
            for reporter in self._raised(error, argument):
                await self._call(reporter, error)

    def serve_thread(self, stream: EventStream[Notice]) -> None:
        """The same in a thread; coroutines run in an event loop of its own. A thread wakes for a fraction of what an
        event loop does."""
        with asyncio.Runner() as runner:
            for notice in stream:
                for callback, argument in self._due(notice):
                    self._call_in(runner, callback, argument)

    def _call_in(self, runner: asyncio.Runner, callback: Callback, argument: Any) -> None:
        try:
            result = callback(argument)
            if inspect.isawaitable(result):
                runner.run(_awaited(result))
        except (Exception, SystemExit) as error:  # an exit in a callback ends no connection
            for reporter in self._raised(error, argument):
                self._call_in(runner, reporter, error)

    def _raised(self, error: BaseException, argument: Any) -> tuple[Callback, ...]:
        """A callback raised: who is told. Not of an error while one is told."""
        self.raised += 1
        log_internal_error(_log, "a callback raised", error)
        return () if isinstance(argument, BaseException) else self._errors

    def _due(self, notice: Notice) -> Sequence[tuple[Callback, Any]]:
        if isinstance(notice, Rest):
            return notice.calls
        if isinstance(notice, StateChange):
            return [(callback, notice.state) for callback in self._states]
        if isinstance(notice, Failure):
            return [(callback, notice.error) for callback in self._errors]
        events = self._events
        due = [(callback, notice) for callback in (*events.get(notice.type, ()), *events.get(_EVERY, ()))]
        old = events.get(BETA_NAMES.get(notice.type, ""))
        if old and (beta := as_beta(notice)):  # a copy only where one listens
            due += [(callback, beta) for callback in old]
        return due


async def _awaited(result: Awaitable[Any]) -> None:
    await result
