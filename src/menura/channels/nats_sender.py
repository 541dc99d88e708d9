"""Writes what is published to the broker: at most a window of it unconfirmed, and whoever publishes more waits."""

import asyncio
import threading
from contextlib import suppress
from typing import Any, Final

from menura.channels.nats_client import Wire
from menura.channels.nats_outgoing import LIMIT_HOLDS_S, WINDOW_BYTES, Lane, Outgoing
from menura.channels.options import Policy
from menura.clock import Clock
from menura.errors import ChannelClosedError, ConnectionLostError, LimitError

__all__ = ["Sender"]

BATCH: Final = 64
"""Frames of a channel that wait at most for the loop's next turn, to be written together."""
CONFIRM_S: Final = 0.05
"""The broker is asked no more often whether it has all, unless the window fills."""
PATIENCE_S: Final = 0.5
"""How long a publisher waits for a slow broker before the policy decides."""


class Sender:
    """Between :class:`Outgoing` and the connection.

    ``publish_nowait`` is for any thread, all else for the loop's.

    Args:
        outgoing: The queues.
        clock: Seconds.
    """

    def __init__(self, outgoing: Outgoing, clock: Clock) -> None:
        self._out, self._clock = outgoing, clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0
        self._wire: Wire | None = None
        self._scheduled = False
        self._asking = False
        self._asked_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._slow = False
        self._closed = False
        self._room: dict[asyncio.Future[None], None] = {}

    def start(self) -> None:
        """This is the loop."""
        self._loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()

    def up(self, wire: Wire) -> None:
        """There is a connection: send what waits."""
        self._wire = wire
        self._out.max_payload = wire.max_payload
        self._asking = self._slow = False
        self.flush()

    def down(self) -> None:
        """There is none: what the broker may not have waits again."""
        self._wire = None
        self._out.restore()
        self._stop_timer()

    def queued(self, lane: Lane) -> None:
        """A message was queued in the loop's thread."""
        if len(lane.waiting) >= BATCH:
            self.flush()
        elif not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def publish_nowait(self, lane: Lane, message: Any) -> None:
        """Queue a message now.

        Raises:
            LimitError: A subscriber elsewhere that must miss nothing has no room; or the queue is full and the policy
                drops nothing.
        """
        if lane.full:
            if threading.get_ident() == self.thread:
                self.flush()
            if lane.limit is not None and lane.full:
                raise LimitError("a subscriber elsewhere that must miss nothing (block) has no room now")
        self._out.put(lane, message)
        self.kick()

    def kick(self) -> None:
        """Send soon. Any thread."""
        if self._scheduled or self._loop is None:
            return
        self._scheduled = True
        if threading.get_ident() == self.thread:
            self._loop.call_soon(self.flush)
        else:
            try:
                self._loop.call_soon_threadsafe(self.flush)
            except RuntimeError:  # the loop has ended: nobody sends any more
                self._scheduled = False

    def flush(self) -> None:
        """Write what the window lets through."""
        self._scheduled = False
        wire = self._wire
        if wire is None:
            return
        parts = self._out.take()
        if parts:
            wire.write(parts)
            self._wake()
        if self._out.unconfirmed_bytes:
            self._ask()

    def look_again(self) -> None:
        """Let those who wait see that there is nothing to wait for any more. Any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        room, self._room = self._room, {}
        for future in room:
            if not future.done():
                future.set_result(None)

    def _ask(self) -> None:
        """Ask the broker whether it has all, now or soon."""
        if self._asking or self._wire is None:
            return
        wait_s = self._asked_s + CONFIRM_S - self._clock()
        if wait_s > 0.0 and self._out.unconfirmed_bytes < WINDOW_BYTES // 4:
            if self._timer is None and self._loop is not None:
                self._timer = self._loop.call_later(wait_s, self._ask_now)
            return
        self._ask_now()

    def _ask_now(self) -> None:
        self._stop_timer()
        wire = self._wire
        if wire is None or self._asking:
            return
        self._asking = True
        self._asked_s = self._clock()
        mark = self._out.mark()
        wire.ping().add_done_callback(lambda pong: self._confirmed(wire, mark, pong))

    def _confirmed(self, wire: Wire, mark: int, pong: asyncio.Future[Any]) -> None:
        if pong.cancelled() or wire is not self._wire:
            return
        self._asking = self._slow = False
        self._out.confirm(mark)
        self.flush()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def wait(self, lane: Lane) -> None:
        """Wait for room, as long as the cause of its lack makes it worth while."""
        self.flush()
        deadline = self._clock() + PATIENCE_S
        while lane.full and not self._closed and not lane.ended:
            must = lane.limit is not None or self._out.policy is Policy.BLOCK
            if not must and (self._wire is None or self._slow):
                return
            left_s = deadline - self._clock()
            if not must and left_s <= 0.0:
                self._slow = True
                return
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._room[future] = None
            try:
                await asyncio.wait([future], timeout=LIMIT_HOLDS_S if must else left_s)
            finally:
                self._room.pop(future, None)
            if must and lane.limit is not None:
                lane.forget_limits(self._clock() - LIMIT_HOLDS_S)
                self.flush()
        if self._closed:
            raise ConnectionLostError("the channels were closed while this waited to be sent")
        if lane.ended:
            raise ChannelClosedError("the channel was closed while this waited to be sent")

    async def drain(self, timeout_s: float) -> bool:
        """Wait until the broker has all; whether it does."""
        deadline = self._clock() + timeout_s
        while True:
            self.flush()
            wire = self._wire
            left_s = deadline - self._clock()
            if left_s <= 0.0:
                return False
            if wire is not None and not self._out.held:
                pong = wire.ping()
                await asyncio.wait([pong, wire.lost], timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                return pong.done() and not pong.cancelled()
            await asyncio.sleep(min(0.01, left_s))

    def close(self) -> None:
        """Nothing is sent any more; whoever waits is told."""
        self._closed = True
        self._stop_timer()
        self._wake()
