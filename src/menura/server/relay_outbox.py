"""What waits to be sent to a relay's client."""

from menura.server.outbox import Outbox

__all__ = ["RelayOutbox"]

_END = ""


class RelayOutbox(Outbox):
    """An outbox that can forget audio and has an end. Event loop only."""

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
