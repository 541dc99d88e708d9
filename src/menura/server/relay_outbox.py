"""What waits to be sent to a relay's client."""

from collections.abc import Callable

from menura.server.outbox import Outbox

__all__ = ["RelayOutbox"]

_END = ""


class RelayOutbox(Outbox):
    """An outbox that can forget audio and has an end. Event loop only."""

    deliver: Callable[[str | bytes], bool] | None = None
    """Offered what comes while nothing waits; returns whether it took it."""

    def put_text(self, text: str) -> None:
        """Queue a message, unless it is taken at once."""
        if self._items or self._closed or self.deliver is None or not self.deliver(text):
            super().put_text(text)

    def put_audio(self, data: bytes) -> None:
        """Queue audio, unless it is taken at once; the oldest makes way if there is too much."""
        if self._items or self._closed or self.deliver is None or not self.deliver(data):
            super().put_audio(data)

    def discard_audio(self) -> None:
        """Throw away audio: nobody shall hear it any more."""
        self._items = type(self._items)(item for item in self._items if isinstance(item, str))
        self._audio_bytes = 0

    def close(self) -> None:
        """Nobody takes messages any more: drop them, and end."""
        super().close()
        self._finish()

    def end(self) -> None:
        """No more comes: after what waits, :meth:`next` gives None."""
        self._finish()

    def _finish(self) -> None:
        self._items.append(_END)
        self._texts += 1
        self._filled.set()

    async def next(self) -> str | bytes | None:
        """The next message, when there is one; None at the end, again and again."""
        item = await self.get()
        if item == _END:
            self._finish()
            return None
        return item
