"""What carries items between machines: a seam below :class:`~menura.channels.manager.ChannelManager`."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from menura.channels.options import ChannelOptions

__all__ = ["Deliver", "Ended", "Transport"]

Deliver = Callable[[str, object], Awaitable[None] | None]
"""Hand an item that arrived on a channel to this process' subscribers; never raises.

Nothing is returned where all took it, by their policy. Otherwise a subscriber whose policy is ``block`` is full:
await what is returned, and deliver nothing more on this channel before that; other channels go on.
"""

Ended = Callable[[str], None]
"""Say that a channel was closed elsewhere: its readers here end after what is queued."""


class Transport(Protocol):
    """Carries the items of channels by their names.

    The manager checks names, types and formats, keeps the subscribers with their queues, policies and counters, and
    replays. A transport gets items that passed the checks, and hands over what arrives. What is published comes back
    to this process' own subscribers through the transport too.

    All methods but ``publish_nowait`` are called in the loop in which ``open`` ran, or, ``bind``, ``declare``,
    ``join`` and ``leave``, before there is one.
    """

    def bind(self, deliver: Deliver, ended: Ended) -> None:
        """Say where to hand items, and whom to tell of an end; called once, before anything else."""

    async def open(self) -> None:
        """Connect; nothing happens where that was done. Called before every first publish and by ``async with``.

        Raises:
            ConnectionLostError: It cannot be reached.
        """

    def declare(self, name: str, options: ChannelOptions) -> None:
        """Say what a channel carries, and how many items are kept for who joins later elsewhere."""

    def join(self, name: str) -> None:
        """Somebody here wants this channel's items, from now on; with no loop or connection yet, as soon as there is.

        Items that this process publishes after this call must come.
        """

    async def ready(self, name: str) -> None:
        """Wait until items that others publish on a joined channel come too.

        What this process published on it before has come back by then, and was delivered.
        """

    def leave(self, name: str) -> None:
        """Nobody here wants this channel's items any more."""

    def end(self, name: str) -> None:
        """Tell all others, behind what was published, that a channel is closed."""

    async def publish(self, name: str, item: Any) -> None:
        """Send an item; items of one publisher arrive in order. Waits while the way is full.

        Raises:
            FormatError: The item cannot be encoded.
            ConnectionLostError: There is no connection, and no more room for what waits for one.
        """

    def publish_nowait(self, name: str, item: Any) -> None:
        """The same from synchronous code, in any thread, without waiting.

        Raises:
            LimitError: There is no room for it now.
        """

    async def close(self) -> None:
        """Send what waits, if that can be done soon, and disconnect; nothing happens where that was done."""

    def stats(self) -> Any:
        """A frozen dataclass of figures."""
