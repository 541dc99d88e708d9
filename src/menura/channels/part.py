"""One part of a patch."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from menura.audio.stream import AudioStream
from menura.channels.subscription import Subscription
from menura.errors import ChannelClosedError, FormatError

__all__ = ["Part", "PartStats", "Reader"]


@dataclass(frozen=True, slots=True)
class PartStats:
    """Figures of one part.

    Attributes:
        reads: Channels it reads.
        writes: Channel it writes to, if any.
        streams_in: Streams read.
        audio_in_s: Audio in them.
        streams_out: Streams written.
        audio_out_s: Audio in them.
        ended: Whether it has.
        error: Why, where that was not the end of what it reads.
    """

    reads: tuple[str, ...]
    writes: str | None
    streams_in: int
    audio_in_s: float
    streams_out: int
    audio_out_s: float
    ended: bool
    error: Exception | None


class Reader(AsyncIterable[AudioStream]):
    """A subscription to a channel of audio; told to finish, it ends after what is queued."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.streams = 0
        self.audio_s = 0.0
        self._rest: list[Any] = []

    async def __aiter__(self) -> AsyncGenerator[AudioStream]:
        async for item in self.subscription:
            yield self._checked(item)
        while self._rest:
            yield self._checked(self._rest.pop(0))

    def _checked(self, item: Any) -> AudioStream:
        if not isinstance(item, AudioStream):
            raise FormatError(f"channel {self.subscription.name!r} gave {type(item).__name__}, not AudioStream")
        self.streams += 1
        self.audio_s += item.duration_seconds()
        return item

    def finish(self) -> None:
        """Read what is queued, and end."""
        with suppress(ChannelClosedError):
            while (item := self.subscription.get_nowait()) is not None:
                self._rest.append(item)
        self.subscription.close()


@dataclass
class Part:
    """One part of a patch, and what became of it."""

    name: str
    reads: tuple[str, ...]
    writes: str | None
    make: Callable[..., Any]  # of its readers: streams to write, or the work of a sink
    readers: tuple[Reader, ...] = ()
    streams: int = 0
    audio_s: float = 0.0
    task: "asyncio.Task[None] | None" = None
    stopping: bool = False
    error: Exception | None = None

    def stats(self) -> PartStats:
        """Figures so far."""
        return PartStats(
            self.reads,
            self.writes,
            sum(reader.streams for reader in self.readers),
            sum(reader.audio_s for reader in self.readers),
            self.streams,
            self.audio_s,
            self.task is not None and self.task.done(),
            self.error,
        )
