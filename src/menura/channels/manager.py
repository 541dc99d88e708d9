"""Channels by their names, in a process or over a transport."""

import asyncio
import threading
from collections.abc import Awaitable
from importlib import import_module
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import urlsplit

from menura.channels.channel import MAX_QUEUE, Channel
from menura.channels.options import ChannelOptions, ChannelSettings, Policy, check_name
from menura.channels.remote import Link, RemoteChannel
from menura.channels.stats import ChannelStats, ManagerStats
from menura.channels.subscription import Subscription
from menura.channels.transport import Transport
from menura.errors import ChannelClosedError, ConfigError, StateError

__all__ = ["ChannelManager"]

MAX_PASSING = 64
_TRANSPORTS = {
    "nats": ("menura.channels.nats", "NatsTransport"),
    "tls": ("menura.channels.nats", "NatsTransport"),
}


def _transport(url: str, options: dict[str, Any]) -> Transport:
    scheme = urlsplit(url).scheme
    if scheme not in _TRANSPORTS:
        raise ConfigError(f"url: channels go over {' or '.join(_TRANSPORTS)}://host:port, not {url!r}")
    module, name = _TRANSPORTS[scheme]
    transport: Transport = getattr(import_module(module), name)(url, **options)
    return transport


class ChannelManager:
    """Named channels for audio and other values.

    Everything may be called in any thread and loop; over a transport, in the loop where it was opened, but for
    ``publish_nowait``, ``publish_threadsafe``, ``stats`` and reading by ``for``.

    Args:
        url: ``nats://host:port`` for channels across machines; ``None`` for this process.
        options: Of what carries them across machines.

    Raises:
        ConfigError: Nothing carries channels to such a URL.
        MissingExtraError: What carries them is not installed.
    """

    def __init__(self, url: str | None = None, **options: Any) -> None:
        if url is None and options:
            raise ConfigError(f"{', '.join(options)}: there are no options without a url")
        # one lock for all: collecting a subscription may need it at any moment
        self._lock = threading.RLock()
        self._channels: dict[str, Channel] = {}
        self._closed = False
        self._unheard = 0
        self._link = Link(_transport(url, options)) if url is not None else None
        self._passing: dict[str, Channel] = {}  # of names that nobody here created or subscribed to
        if self._link is not None:
            self._link.transport.bind(self._deliver, self._ended)

    def _make(self, name: str, options: ChannelOptions | None) -> Channel:
        check_name(name)
        if self._closed:
            raise self._closed_error()
        if self._link is None:
            return Channel(name, options, lock=self._lock, on_idle=self._forget)
        return RemoteChannel(name, options, lock=self._lock, on_idle=self._forget, link=self._link)

    def _closed_error(self) -> ChannelClosedError:
        return ChannelClosedError("the channel manager is closed")

    def _forget(self, channel: Channel) -> None:
        with self._lock:
            if self._channels.get(channel.name) is channel:
                del self._channels[channel.name]

    def _deliver(self, name: str, item: object) -> Awaitable[None] | None:
        channel = self._channels.get(name)
        return channel.arrive(item) if isinstance(channel, RemoteChannel) else None

    def _ended(self, name: str) -> None:
        with self._lock:
            channel = self._channels.pop(name, None)
        if channel is not None:
            channel.close()

    # --- channels

    async def create_channel(
        self,
        name: str,
        message_type: type | tuple[type, ...] | None = None,
        **settings: Unpack[ChannelSettings],
    ) -> Channel:
        """Make a channel, or get the one there is; who has subscribed to the name before stays subscribed.

        Args:
            name: Up to 200 characters without spaces, ``*`` and ``>``.
            message_type: Type of all items; any by default.
            settings: ``sample_rate``, ``channels``, ``format``, ``mismatch``, ``replay``, ``strict_timestamps``:
                see :class:`ChannelOptions`.

        Raises:
            ConfigError: A setting or the name has a value it cannot have.
            StateError: There is a channel of this name that carries something else.
            ChannelClosedError: The manager is closed.
        """
        options = ChannelOptions(message_type, **settings)
        with self._lock:
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = self._make(name, options)
            elif channel.options is None:
                channel.declare(options)
            elif channel.options != options:
                raise StateError(f"channel {name!r} exists with other options: close it first, or use another name")
        await self.open()
        return channel

    def list_channels(self) -> list[str]:
        """Names of the channels there are: created, or subscribed to."""
        with self._lock:
            return sorted(self._channels)

    async def close_channel(self, name: str) -> None:
        """End a channel: what is queued is still read, then its readers end, on all machines.

        Nothing happens where there is none.
        """
        with self._lock:
            channel = self._channels.get(name) or self._passing.pop(name, None)
            if channel is not None and self._link is None:
                self._forget(channel)  # from here on the name may be used anew
        if channel is None:
            return
        try:
            await channel.aclose()  # what is still on its way is delivered to it by its name
        finally:
            channel.close()  # if cancelled, too
            self._forget(channel)
            if self._link is not None:
                self._link.transport.end(name)

    # --- items

    async def publish(self, name: str, item: Any) -> None:
        """Give an item to all subscribers; waits where one with the policy ``block`` is full.

        A name that nobody created or subscribed to takes everything and keeps nothing.

        Raises:
            FormatError: It is not what the channel carries.
            ChannelClosedError: The manager is closed, or the channel was while this waited.
        """
        channel = self._channels.get(name) or self._absent(name)
        if channel is not None:
            await channel.publish(item)

    def publish_nowait(self, name: str, item: Any) -> None:
        """The same without waiting, from any thread and synchronous code.

        Raises:
            LimitError: A subscriber with the policy ``block`` is full; nobody got the item.
            FormatError: It is not what the channel carries.
            ChannelClosedError: The manager is closed.
        """
        channel = self._channels.get(name) or self._absent(name)
        if channel is not None:
            channel.publish_nowait(item)

    def publish_threadsafe(self, name: str, item: Any, timeout_s: float | None = None) -> None:
        """The same from a thread without an event loop, which waits where a subscriber with ``block`` is full.

        Raises:
            StateError: It would stop this thread's event loop.
            WaitTimeoutError: There was no room in time; those who had room got the item.
            FormatError: It is not what the channel carries.
            ChannelClosedError: The manager is closed, or the channel was while this waited.
        """
        channel = self._channels.get(name) or self._absent(name)
        if channel is not None:
            channel.publish_threadsafe(item, timeout_s)

    def _absent(self, name: str) -> Channel | None:
        if self._closed:
            raise self._closed_error()
        if self._link is not None:  # somebody elsewhere may want it
            return self._passage(name)
        check_name(name)
        self._unheard += 1
        return None

    def _passage(self, name: str) -> Channel:
        with self._lock:
            if name not in self._passing:
                if len(self._passing) >= MAX_PASSING:
                    self._passing.clear()
                self._passing[name] = self._make(name, None)
            return self._passing[name]

    def subscribe(
        self,
        name: str,
        subscriber_id: str = "",
        *,
        policy: str = Policy.DROP_OLDEST,
        max_queue: int = MAX_QUEUE,
        replay: int | None = None,
    ) -> Subscription:
        """Get what is published from this call on; the channel need not exist yet.

        Args:
            name: Of the channel.
            subscriber_id: For statistics; each subscription has a queue of its own, whatever its id.
            policy: What happens when its queue is full; see :class:`Policy`.
            max_queue: Items its queue holds.
            replay: Begin with so many of the items kept, at most, and no more than the queue holds; ``None``: all.

        Raises:
            ConfigError: A setting or the name has a value it cannot have.
            ChannelClosedError: The manager is closed.
        """
        with self._lock:
            channel = self._channels.get(name) or self._make(name, None)
            subscription = channel.subscribe(subscriber_id, policy=policy, max_queue=max_queue, replay=replay)
            self._channels[name] = channel  # last: collecting another subscription may just have removed it
        return subscription

    # --- all of it

    def stats(self, name: str) -> ChannelStats:
        """Figures of a channel; of a name that nobody created or subscribed to, zeros."""
        with self._lock:
            return (self._channels.get(name) or Channel(name)).stats()

    def all_stats(self) -> ManagerStats:
        """Figures of all channels."""
        with self._lock:
            channels = tuple(self._channels[name].stats() for name in sorted(self._channels))
            return ManagerStats(channels, self._unheard, self._link.transport.stats() if self._link else None)

    async def close(self) -> None:
        """End all channels: what is queued is still read, then readers end; whoever waits to publish is refused."""
        with self._lock:
            self._closed = True
            channels = list(self._channels.values())
        try:
            await asyncio.gather(*(channel.aclose() for channel in channels))
        finally:
            for channel in channels:
                channel.close()  # if cancelled, too
            with self._lock:
                self._channels.clear()
                self._passing.clear()
            if self._link is not None:
                await self._link.transport.close()

    async def open(self) -> None:
        """Connect, where channels go over a transport and that was not done.

        Raises:
            ConnectionLostError: It cannot be reached.
            ChannelClosedError: The manager is closed.
        """
        if self._closed:
            raise self._closed_error()
        if self._link is not None:
            await self._link.open()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
