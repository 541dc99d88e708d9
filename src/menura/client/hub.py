"""Spreads what a connection tells to callbacks and readers."""

import threading
import weakref
from collections.abc import Callable
from typing import Any

from menura.client.callbacks import Failure, Notice, StateChange
from menura.client.options import ConnectionOptions, ConnectionState
from menura.client.stream import EventStream
from menura.errors import MenuraError
from menura.protocol.realtime_server import AudioDelta, ServerEvent

__all__ = ["Hub"]

_ENDED = frozenset({ConnectionState.CLOSED, ConnectionState.FAILED})


class Hub:
    """A listener of a link, with a stream of everything for the callbacks and one of events for each reader."""

    def __init__(self, options: ConnectionOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._readers: tuple[weakref.ref[EventStream[ServerEvent]], ...] = ()
        self.state = ConnectionState.IDLE
        self.error: MenuraError | None = None  # the last one
        self.dropped = 0
        self.notices: EventStream[Notice] = self._stream()
        self._at_once: Callable[[ServerEvent, EventStream[Notice]], bool] | None = None

    def begin(self, at_once: Callable[[ServerEvent, EventStream[Notice]], bool] | None = None) -> None:
        """A new life of the connection.

        Args:
            at_once: Offered each event before it is queued for callbacks, with their stream; returns whether it was
                taken. In the link's event loop.
        """
        self.notices = self._stream()
        self._at_once = at_once
        self.error = None
        self.state = ConnectionState.CONNECTING

    def _stream(self) -> EventStream[Any]:
        options = self._options
        return EventStream(options.max_events, options.max_event_bytes, options.backlog, self._note_drop)

    def _note_drop(self) -> None:
        self.dropped += 1

    def subscribe(self) -> EventStream[ServerEvent]:
        """A stream of events from now on, for as long as somebody holds it."""
        stream: EventStream[ServerEvent] = self._stream()
        with self._lock:
            if self.state in _ENDED:
                stream.close()
            else:
                self._readers = (*self._readers, weakref.ref(stream))
        return stream

    def _streams(self) -> list[EventStream[ServerEvent]]:
        found = [(reader, reader()) for reader in self._readers]
        streams = [stream for _, stream in found if stream is not None and not stream.closed]
        if len(streams) < len(found):
            with self._lock:
                self._readers = tuple(ref for ref in self._readers if (stream := ref()) and not stream.closed)
        return streams

    # --- the link

    def on_event(self, event: ServerEvent, size: int) -> None:
        """An event came."""
        audio = isinstance(event, AudioDelta)
        if self._at_once is None or not self._at_once(event, self.notices):
            self.notices.put(event, size, audio)
        if self._readers:
            for stream in self._streams():
                stream.put(event, size, audio)

    @property
    def full(self) -> bool:
        """Whether the slowest has no room, where that is the policy."""
        return self.notices.full or (bool(self._readers) and any(stream.full for stream in self._streams()))

    async def room(self) -> None:
        """Wait for the slowest, where that is the policy."""
        await self.notices.room()
        for stream in self._streams():
            await stream.room()

    def on_error(self, error: MenuraError) -> None:
        """Something went wrong."""
        self.error = error
        self.notices.put(Failure(error), 0)

    def on_state(self, state: ConnectionState) -> None:
        """The state is another; at the end all streams end, with the error if there was one."""
        if state is ConnectionState.CLOSED:
            self.notices.discard()
        with self._lock:
            self.state = state
        self.notices.put(StateChange(state), 0)
        if state in _ENDED:
            self.notices.close()
            for stream in self._streams():
                stream.close(self.error if state is ConnectionState.FAILED else None)
