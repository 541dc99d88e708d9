"""Keeps a session with a Realtime provider on a socket: connects, sends, receives, comes back."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from menura.client.opening import open_socket
from menura.client.options import ConnectionOptions, ConnectionState
from menura.client.target import Target
from menura.client.wire import Wire
from menura.clock import Clock, monotonic_s
from menura.errors import (
    ConnectionLostError,
    ConnectTimeoutError,
    MenuraError,
    ProtocolError,
    ResponseTimeoutError,
)
from menura.log import get_logger, log_internal_error
from menura.protocol.realtime_faults import Backoff, Fault, judge_close
from menura.protocol.realtime_server import ErrorEvent, ServerEvent
from menura.protocol.realtime_session import Phase, RealtimeSession
from menura.protocol.realtime_wait import Waiting

__all__ = ["Link", "LinkCounts", "Listener", "Timing"]

_log = get_logger(__name__)


class Listener(Protocol):
    """Who is told what happens; in the link's event loop, and quickly."""

    def on_event(self, event: ServerEvent, size: int) -> None:
        """An event came in a message of ``size`` bytes."""

    @property
    def full(self) -> bool:
        """Whether no more should come before :meth:`room` says so."""

    async def room(self) -> None:
        """Wait until more may come."""

    def on_state(self, state: ConnectionState) -> None:
        """The connection's state is another."""

    def on_error(self, error: MenuraError) -> None:
        """Something went wrong; nothing in it is secret."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What time and chance are: real ones, or a test's.

    Attributes:
        clock: Seconds.
        pause: Waits so many seconds before a new try.
        rng: Chance, for these waits.
    """

    clock: Clock = monotonic_s
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)


@dataclass(slots=True)
class LinkCounts:
    """Totals of connections."""

    attempts: int = 0
    reconnects: int = 0
    recycles: int = 0
    last_error: str = ""


_RECYCLE = "recycle"
Ending = Fault | str | None
"""How a connection ended: by a fault, to be replaced, or because it was told to stop."""


class Link:
    """One session on one socket after another. It lives in one event loop; :meth:`wake` and :meth:`stop` are for any
    thread.

    Args:
        session: What is said; shared with its callers under ``lock``.
        lock: Held for moments only.
        target: The provider.
        options: How.
        listener: Who is told.
        timing: What time is.
    """

    def __init__(
        self,
        session: RealtimeSession,
        lock: threading.Lock,
        target: Target,
        options: ConnectionOptions,
        listener: Listener,
        timing: Timing,
    ) -> None:
        self._session, self._lock = session, lock
        self._target, self._options = target, options
        self._listener = listener
        self._clock, self._pause = timing.clock, timing.pause
        self._backoff = Backoff(options.backoff_base_s, options.backoff_cap_s, timing.rng)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work, self._stopping = asyncio.Event(), asyncio.Event()
        self._thread = 0
        self._awake = self._stop_asked = False
        self._wire: Wire | None = None
        self._attention = asyncio.Event()  # of the task that watches over a connection
        self._ending: Fault | Exception | None = None
        self._ready_s: float | None = None
        self._broke_s = self._clock()
        self._replacing = False  # the next connection is no reconnect, but a recycled session
        self.counts = LinkCounts()
        self.state = ConnectionState.IDLE
        self.first: Future[None] = Future()  # done when connected for the first time, or when it gave up

    # --- any thread

    def wake(self) -> None:
        """There is something to send; in the loop's own thread it leaves at once."""
        if threading.get_ident() == self._thread:
            self._flush()
        elif not self._awake and self._loop is not None:
            self._awake = True
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._flush)

    def stop(self) -> None:
        """End, within :attr:`ConnectionOptions.close_timeout_s`."""
        self._stop_asked = True
        if self._loop is not None:  # else run() will see it
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._stopping.set)

    # --- the loop

    async def run(self) -> None:
        """Keep the connection until :meth:`stop`, or until nothing can help it."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        if self._stop_asked:
            self._stopping.set()
        error: MenuraError | None = None
        try:
            self._enter(ConnectionState.CONNECTING)
            error = await self._keep()
        except Exception as unexpected:
            log_id = log_internal_error(_log, "the connection's loop failed", unexpected)
            error = ConnectionLostError(f"internal error [{log_id}]")
        finally:
            with self._lock:
                self._session.forget()
            self._finish(error)

    def _finish(self, error: MenuraError | None) -> None:
        self._enter(ConnectionState.FAILED if error else ConnectionState.CLOSED)
        with suppress(InvalidStateError):
            self.first.set_exception(error or ConnectionLostError("stopped before it was connected"))

    def _enter(self, state: ConnectionState) -> None:
        if state is not self.state:
            self.state = state
            self._listener.on_state(state)

    async def _keep(self) -> MenuraError | None:
        while not self._stopping.is_set():
            ending = await self._connect_once()
            if isinstance(ending, Fault):
                if ending.retry is False or self._exhausted():
                    self._tell(ending.error)
                    return ending.error
                wait_s = self._backoff.next(ending.after_s)
                if self._too_late(wait_s):
                    self._tell(ending.error)
                    return ending.error
                self._tell(ending.error)
                self._again()
                _log.info("%s; next try in %.1f s", self.counts.last_error, wait_s)
                await self._wait(wait_s)
            elif ending == _RECYCLE:
                self.counts.recycles += 1
                self._replacing = True
                self._again()
        return None

    def _exhausted(self) -> bool:
        most = self._options.max_attempts
        return most is not None and self._backoff.tries + 1 >= most

    def _too_late(self, wait_s: float) -> bool:
        most_s = self._options.give_up_s
        return most_s is not None and self._clock() + wait_s - self._broke_s > most_s

    def _again(self) -> None:
        if self.first.done():
            self._enter(ConnectionState.RECONNECTING)

    def _tell(self, error: MenuraError) -> None:
        self._target.redact.clean(error)
        self.counts.last_error = str(error)
        self._listener.on_error(error)

    async def _wait(self, wait_s: float) -> None:
        await _first_of(self._pause(wait_s), self._stopping.wait())

    async def _connect_once(self) -> Ending:
        self.counts.attempts += 1
        socket = await _first_of(open_socket(self._target, self._options), self._stopping.wait())
        if not isinstance(socket, Wire):
            return socket if isinstance(socket, Fault) else None
        try:
            with self._lock:
                self._session.opened()
            self._wire, self._ending = socket, None
            ending: Ending = await _first_of(
                self._read(socket), self._write(socket), self._watch(socket), self._stopping.wait()
            )
            return None if self._stopping.is_set() else ending
        finally:
            self._wire = None
            if self._ready_s is not None:
                self._broke_s = self._clock()
                if self._broke_s - self._ready_s >= self._options.stable_s:
                    self._backoff.reset()
            self._ready_s = None
            with self._lock:
                self._session.lost()
            await self._close(socket)

    async def _close(self, socket: Wire) -> None:
        """Say goodbye if there is time for it, then cut."""
        with suppress(Exception):
            async with asyncio.timeout(self._options.close_timeout_s):
                await socket.close()
        socket.transport.abort()

    # --- one connection

    def _flush(self) -> None:
        """Send whatever may be sent, while the socket takes it; its own buffer is small, so what waits waits where it
        can grow stale."""
        self._awake = False
        wire = self._wire
        while wire is not None and wire.writable and (text := self._next()) is not None:
            wire.say(text)
        if wire is not None and wire.paused:
            self._work.set()

    def _next(self) -> str | None:
        with self._lock:
            return self._session.take()

    async def _write(self, wire: Wire) -> None:
        """Go on sending when a socket that was full takes more."""
        self._flush()
        while True:
            await self._work.wait()
            self._work.clear()
            with suppress(OSError):
                await wire.drain()
            self._flush()

    async def _read(self, wire: Wire) -> Ending:
        """Watch over what :meth:`_hear` does as messages come."""
        over = asyncio.ensure_future(wire.over.wait())
        over.add_done_callback(lambda _: self._attention.set())
        try:
            self._attention.clear()
            wire.hear(self._hear)
            while True:
                if isinstance(self._ending, Fault):
                    return self._ending
                if self._ending is not None:
                    raise self._ending
                if wire.paused_reading:
                    await self._listener.room()
                    wire.go_on()
                elif wire.over.is_set():
                    return self._judge_closed(wire)
                else:
                    await self._attention.wait()
                    self._attention.clear()
        finally:
            over.cancel()

    def _hear(self, message: str | bytes) -> None:
        """A message came: it is told at once, without a task between."""
        wire = self._wire
        if wire is None or self._ending is not None:
            return
        try:
            self._ending = self._take_in(message)
        except Exception as error:  # none of it may end in the event loop's hands
            self._ending = error
        if self._ending is not None:
            self._attention.set()
        elif self._listener.full:
            wire.pause()
            self._attention.set()

    def _judge_closed(self, socket: Wire) -> Fault:
        """By the provider's own words if it said any; a connection that broke has none."""
        received, sent = socket.protocol.close_rcvd, socket.protocol.close_sent
        if sent is not None and not socket.protocol.close_rcvd_then_sent:
            why = sent.reason or "the provider sent what is no message"
            return Fault(ConnectionLostError(f"connection given up ({sent.code}): {why}"), retry=True)
        code, reason = (received.code, received.reason) if received else (1006, "")
        return judge_close(code, reason, self._session.fault)

    def _take_in(self, message: str | bytes) -> Fault | None:
        try:
            with self._lock:
                event = self._session.receive(message)
                phase, fault = self._session.phase, self._session.news
        except ProtocolError as error:
            self._tell(error)
            return None
        if phase is Phase.READY and self._ready_s is None:
            self._on_ready()
        if event is not None:
            self._listener.on_event(self._redacted(event), len(message))
        if fault is not None and not fault.ends:
            self._tell(fault.error)
            return None
        return fault

    def _redacted(self, event: ServerEvent) -> ServerEvent:
        """Providers repeat a key that they do not accept."""
        if not isinstance(event, ErrorEvent):
            return event
        clean = self._target.redact(event.error.message)
        return event.model_copy(update={"error": event.error.model_copy(update={"message": clean})})

    def _on_ready(self) -> None:
        if self.first.done() and not self._replacing:
            self.counts.reconnects += 1
        self._replacing = False
        self._ready_s = self._clock()
        self._enter(ConnectionState.CONNECTED)
        self._flush()
        with suppress(InvalidStateError):
            self.first.set_result(None)

    async def _watch(self, wire: Wire) -> Ending:
        """Look at the time now and then."""
        options, begun_s = self._options, self._clock()
        pinged_s = begun_s
        while True:
            await asyncio.sleep(min(options.tick_s, options.ping_interval_s, options.ping_timeout_s))
            with self._lock:
                phase = self._session.phase
                due = self._session.recycle_due(options.recycle_after_s, options.quiet_s)
            if due:
                return _RECYCLE
            self._look_at_answers(reading=not wire.paused_reading)
            now_s = self._clock()
            if phase is not Phase.READY and now_s - begun_s >= options.restore_timeout_s:
                text = f"the provider did not confirm the session in {options.restore_timeout_s:g} s"
                return Fault(ConnectTimeoutError(text), retry=True)
            if wire.paused_reading:  # a pong would not be seen
                pinged_s = now_s
            elif wire.pong_due and now_s - pinged_s >= options.ping_timeout_s:
                text = f"the provider did not answer a ping in {options.ping_timeout_s:g} s"
                return Fault(ConnectionLostError(text), retry=True)
            elif not wire.pong_due and now_s - pinged_s >= options.ping_interval_s:
                pinged_s = now_s
                wire.ask_pong()

    def _look_at_answers(self, *, reading: bool) -> None:
        """Tell of an answer that does not come; not while nobody reads what may have come."""
        limit_s, now_s = self._options.answer_timeout_s, self._clock()
        if limit_s is None:
            return
        with self._lock:
            if not reading:
                self._session.wait.alive(now_s)
            missing = self._session.wait.overdue(limit_s, now_s)
            self._session.counts.overdue += missing is not None
        if missing is not None:
            what = "begun its answer" if missing is Waiting.BEGIN else "gone on with its answer"
            text = f"the provider has not {what} in {limit_s:g} s: ask again, or connect anew"
            self._tell(ResponseTimeoutError(text))


async def _first_of(*jobs: Awaitable[Any]) -> Any:
    """Run jobs until one is done, end the others, and give the result of the first that is done."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
