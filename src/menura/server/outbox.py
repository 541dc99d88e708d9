"""What waits to be sent to one client: in order, bounded."""

import asyncio
from collections import deque

__all__ = ["Outbox"]


class Outbox:
    """Messages for a client that may read slowly. Event loop only.

    Replies are never dropped: whoever reads the client's requests waits for ``room`` before it takes another. Audio has
    a bound in bytes, beyond which the oldest goes and is counted.

    Args:
        max_audio_bytes: Audio held at most.
        max_texts: Replies held before ``room`` waits.
    """

    def __init__(self, max_audio_bytes: int, max_texts: int = 64) -> None:
        self.dropped_bytes = 0
        self._max_audio, self._max_texts = max_audio_bytes, max_texts
        self._items: deque[str | bytes] = deque()
        self._audio_bytes = self._texts = 0
        self._filled, self._room, self._taken = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._room.set()
        self._closed = self._ending = False

    def end(self) -> None:
        """Nothing more comes: :meth:`get` gives what is held, and then None."""
        self._ending = True
        self._filled.set()

    def close(self) -> None:
        """Nobody takes messages any more: drop them from now on."""
        self._closed = True
        self._items.clear()
        self._audio_bytes = 0
        self._room.set()
        self._taken.set()

    def put_text(self, text: str) -> None:
        """Queue a reply."""
        if self._closed:
            return
        self._items.append(text)
        self._texts += 1
        self._filled.set()
        if self._texts >= self._max_texts:
            self._room.clear()

    def put_audio(self, data: bytes) -> None:
        """Queue audio; the oldest audio makes way if there is too much."""
        if self._closed:
            return
        self._items.append(data)
        self._audio_bytes += len(data)
        self._filled.set()
        while self._audio_bytes > self._max_audio:
            oldest = next(index for index, item in enumerate(self._items) if isinstance(item, bytes))
            lost = len(self._items[oldest])
            del self._items[oldest]
            self._audio_bytes -= lost
            self.dropped_bytes += lost

    async def get(self) -> str | bytes | None:
        """The next message, when there is one; None after :meth:`end` and all that came before it."""
        while not self._items:
            if self._ending:
                return None
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        if isinstance(item, bytes):
            self._audio_bytes -= len(item)
            self._taken.set()
        else:
            self._texts -= 1
            if self._texts < self._max_texts:
                self._room.set()
        return item

    @property
    def full(self) -> bool:
        """Whether :meth:`room` has to wait."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until another reply may be queued."""
        await self._room.wait()

    async def audio_room(self, max_bytes: int) -> None:
        """Wait until less audio than that is held: for one who can wait rather than lose."""
        while self._audio_bytes >= max_bytes and not self._closed:
            self._taken.clear()
            await self._taken.wait()
