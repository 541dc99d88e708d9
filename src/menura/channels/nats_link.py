"""A connection with the broker that comes back."""

import asyncio
import random
from contextlib import suppress
from typing import Final, Protocol

from menura.channels.nats_address import NatsAddress, NatsOptions
from menura.channels.nats_client import Wire, connect
from menura.clock import Clock, monotonic_s
from menura.errors import AuthenticationError, ConnectionLostError, MenuraError
from menura.log import get_logger

__all__ = ["Link"]

_log = get_logger(__name__)
FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 2.0
STEADY_S: Final = 5.0
"""A connection that ends sooner is one more try that failed: who is cut off each time asks less and less often."""


class Owner(Protocol):
    """Told of a link's state, in its loop."""

    def up(self, wire: Wire) -> None:
        """There is a connection."""

    def down(self) -> None:
        """There is none any more."""

    def complain(self, text: str) -> None:
        """The broker refused something, and goes on."""


class Link:
    """Connects, watches, and connects again until closed.

    A broker that is silent for ``stale_s`` counts as gone: every third of that time something is asked of it.

    Args:
        address: Where it is.
        options: How long to wait for it.
        owner: Told of what happens.
        clock: Seconds.

    Attributes:
        heard_s: When the broker was there for certain.
        reconnects: Times it came back.
        last_error: Why it went, or does not come.
    """

    def __init__(self, address: NatsAddress, options: NatsOptions, owner: Owner, clock: Clock = monotonic_s) -> None:
        self._address, self._options, self._owner, self._clock = address, options, owner, clock
        self._task: asyncio.Task[None] | None = None
        self._wire: Wire | None = None
        self._begun_s = 0.0
        self._wait_s = FIRST_RETRY_S
        self.heard_s = 0.0
        self.reconnects = 0
        self.last_error = ""

    @property
    def running(self) -> bool:
        """Whether it was opened and not closed."""
        return self._task is not None

    async def open(self) -> None:
        """Connect for the first time.

        Raises:
            ConnectionLostError: The broker cannot be reached, or does not accept the credentials.
        """
        wire = await self._connect()
        self._begin(wire)
        self._task = asyncio.create_task(self._run(wire), name="menura-nats")

    def _begin(self, wire: Wire) -> None:
        self._wire = wire
        self._owner.up(wire)
        self.heard_s = self._begun_s = self._clock()

    async def _connect(self) -> Wire:
        return await connect(self._address, "menura", self._options.connect_timeout_s, self._owner.complain)

    async def _run(self, wire: Wire) -> None:
        while True:
            try:
                error = await self._watch(wire)
                self.last_error = str(error) or type(error).__name__
                _log.warning("the broker %s is away: %s", self._address, self.last_error)
            finally:
                self._wire = None
                self._owner.down()
                await wire.close()
            if self._clock() - self._begun_s >= STEADY_S:
                self._wait_s = FIRST_RETRY_S
            wire = await self._again()
            self.reconnects += 1
            self._begin(wire)
            _log.info("the broker %s is back", self._address)

    async def _watch(self, wire: Wire) -> Exception:
        """Wait for the loss; ask now and then whether it is there."""
        pong = wire.ping()
        asked = heard = self._clock()
        messages = 0
        while True:
            await asyncio.wait([wire.lost], timeout=self._options.stale_s / 3.0)
            if wire.lost.done():
                return wire.lost.result()
            if wire.messages != messages:  # the answer may be behind many of them
                messages, heard = wire.messages, self._clock()
            if pong.done():
                self.heard_s = asked
                pong, asked = wire.ping(), self._clock()
                heard = asked
            elif self._clock() - heard >= self._options.stale_s:
                wire.abort(ConnectionLostError(f"no answer for {self._options.stale_s} s"))

    async def _again(self) -> Wire:
        told = ""
        while True:
            await asyncio.sleep(self._wait_s * random.uniform(0.5, 1.0))
            self._wait_s = min(2.0 * self._wait_s, LAST_RETRY_S)
            try:
                return await self._connect()
            except MenuraError as error:
                self.last_error = str(error)
                if isinstance(error, AuthenticationError) and told != self.last_error:
                    _log.error("%s", error)
                    told = self.last_error

    async def close(self) -> None:
        """End it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
