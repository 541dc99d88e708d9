"""A channel whose items travel between machines."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from menura.audio.stream import AudioStream
from menura.channels.channel import Channel
from menura.channels.gate import Gate
from menura.channels.options import ChannelOptions
from menura.channels.settle import settle
from menura.channels.stats import ChannelStats
from menura.channels.transport import Transport
from menura.channels.wakers import in_loop
from menura.errors import ChannelClosedError, FormatError, MenuraError, StateError, WaitTimeoutError
from menura.log import get_logger

__all__ = ["Link", "RemoteChannel"]

logger = get_logger(__name__)

CLOSE_S = 2.0
"""Wait at close for what is on its way, at most."""


class Link:
    """A transport, opened when it is needed.

    Attributes:
        loop: In which it was opened.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was opened in this loop."""
        return self.loop is asyncio.get_running_loop()

    async def open(self) -> Transport:
        """The transport, connected."""
        await self.transport.open()
        self.loop = asyncio.get_running_loop()
        return self.transport


class RemoteChannel(Channel):
    """This process' end of a channel that others share.

    What is published here is checked and converted here and goes out; the transport gives it to the subscribers here,
    with what others publish. What comes is checked and converted once more, for others may not know what the channel
    carries.

    Args:
        link: What its items go over.
    """

    def __init__(self, name: str, options: ChannelOptions | None = None, *, link: Link, **rest: Any) -> None:
        self._link, self._transport = link, link.transport
        self._entry: Gate | None = None
        self._joined = False
        self._arrived = 0
        super().__init__(name, options, **rest)

    def declare(self, options: ChannelOptions | None) -> None:
        """Say what it carries; subscribers stay."""
        if options is not None:
            self._transport.declare(self.name, options)
        super().declare(options)
        self._entry = Gate(self.name, options) if options and self._gate else None
        self._listen()

    def _changed(self) -> None:
        self._listen()
        super()._changed()

    def _listen(self) -> None:
        wanted = bool(self._inboxes) or self._history is not None
        if wanted != self._joined and not self._closed:
            self._joined = wanted
            (self._transport.join if wanted else self._transport.leave)(self.name)

    def _ready(self) -> Callable[[], Awaitable[None]]:
        link, name = self._link, self.name

        async def ready() -> None:
            await (await link.open()).ready(name)

        return ready

    # --- out

    async def publish(self, item: Any) -> None:
        """Send an item; waits while the way is full, or a subscriber here with the policy ``block``.

        Raises:
            FormatError: It is not what the channel carries, or cannot be encoded.
            ChannelClosedError: The channel is closed.
            ConnectionLostError: There is no connection, and no more room for what waits for one.
        """
        if self._credit <= 0:
            await self._let_read()
        self._credit -= 1
        link = self._link
        transport = self._transport if link.is_open else await link.open()
        if self._gate is None:
            self._check(item)
            self._published += 1
            await transport.publish(self.name, item)
            return
        heavy = self._is_heavy(self._gate, item)
        for each in await asyncio.to_thread(self._checked, item) if heavy else self._checked(item):
            await transport.publish(self.name, each)

    def publish_nowait(self, item: Any) -> None:
        """The same without waiting, from any thread and synchronous code.

        Raises:
            LimitError: There is no room for it now.
            FormatError: It is not what the channel carries, or cannot be encoded.
            ChannelClosedError: The channel is closed.
        """
        with self._lock:
            self._check_room()
        for each in self._checked(item):
            self._transport.publish_nowait(self.name, each)

    def publish_threadsafe(self, item: Any, timeout_s: float | None = None) -> None:
        """The same from a thread without an event loop, which waits while the way is full.

        Raises:
            StateError: The manager was not opened in another thread's event loop.
            WaitTimeoutError: The way was full for so long.
            FormatError: It is not what the channel carries, or cannot be encoded.
            ChannelClosedError: The channel is closed.
            ConnectionLostError: There is no connection, and no more room for what waits for one.
        """
        if in_loop():
            self.publish_nowait(item)
            return
        loop = self._link.loop
        if loop is None or not loop.is_running():
            raise StateError("the channel manager is not open in another thread's loop: await its open() there first")
        sending = asyncio.run_coroutine_threadsafe(self.publish(item), loop)
        try:
            sending.result(timeout_s)
        except TimeoutError as error:
            if sending.done():
                raise
            sending.cancel()
            raise WaitTimeoutError(f"channel {self.name!r} did not take the item within {timeout_s} s") from error

    def _checked(self, item: Any) -> list[Any]:
        items = self._let_in(self._gate, item)
        self._published += len(items)
        return items

    def _let_in(self, gate: Gate | None, item: Any) -> list[Any]:
        self._check(item)
        if gate is None or not isinstance(item, AudioStream):
            return [item]
        with gate.lock:
            return list(self._admit(gate, item))

    # --- in

    def arrive(self, item: Any) -> Awaitable[None] | None:
        """Hand what came to the subscribers here; what does not fit the channel is dropped and counted.

        Returns:
            What to wait for before the next, where a subscriber with the policy ``block`` is full.
        """
        try:
            if self._entry is None:
                self._check(item)
                items = [item]
            else:
                items = self._let_in(self._entry, item)
            with self._lock:
                self._arrived += len(items)
                if len(items) == 1:
                    blocked = self._fan_out(items[0])
                else:
                    blocked = [each for one in items for each in self._fan_out(one)]
        except FormatError as error:
            logger.warning("dropped what came: %s", error)
            return None
        except ChannelClosedError:
            return None
        return self._settle_quietly(blocked) if blocked else None

    async def _settle_quietly(self, blocked: list[Any]) -> None:
        with suppress(ChannelClosedError):
            await settle(blocked, self._lock)

    # --- the end

    async def aclose(self) -> None:
        """Send what a converter holds, wait for what is still on its way to the readers here, then end."""
        if not self._closed and self._gate is not None:
            with self._gate.lock:
                last = self._gate.flush()
            for each in last:
                with suppress(MenuraError):
                    await self._transport.publish(self.name, each)
        if self._joined and self._link.loop is not None:
            with suppress(MenuraError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._transport.ready(self.name)
        self.close()

    def _end(self, last: list[AudioStream]) -> None:
        with self._lock:
            held = self._entry.flush() if self._entry else []
            super()._end([*last, *held])
            if self._joined:
                self._joined = False
                self._transport.leave(self.name)

    def stats(self) -> ChannelStats:
        """Figures as they are."""
        return replace(super().stats(), arrived=self._arrived)
