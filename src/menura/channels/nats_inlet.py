"""One channel's way in: from the broker's bytes to this process' subscribers."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from menura.channels.nats_incoming import Incoming
from menura.channels.transport import Deliver
from menura.channels.wire import Frame, Kind, Reader, decode, message_reader
from menura.clock import Clock
from menura.errors import ProtocolError
from menura.log import get_logger

__all__ = ["Inlet"]

_log = get_logger(__name__)
MAX_BACKLOG_BYTES: Final = 16 << 20
"""What may be under way to a subscriber that stops its publishers (``block``) before they hear of it."""
ANSWER_S: Final = 0.5
"""How long publishers have to answer with what they keep."""
MAX_STOPPED: Final = 1024
"""Publishers that are told to stop; a flood of invented ones takes no memory, and the broker no more words."""


class Inlet:
    """Hands frames on in order; while a ``block`` subscriber is full, holds what arrives and asks for no more.

    Args:
        name: Of the channel.
        deliver: Where messages go.
        ended: Called when a publisher closes the channel.
        stop: Called with a publisher's number and the last sequence for which there is room; ``None`` for all.
        clock: Seconds.
    """

    def __init__(
        self,
        name: str,
        deliver: Deliver,
        ended: Callable[[str], None],
        stop: Callable[[str, int, int | None], None],
        clock: Clock,
    ) -> None:
        self.name = name
        self.incoming = Incoming()
        self.read: Reader = message_reader()
        self.sid: int | None = None
        self.joined_s = clock()
        self.known = False
        self.confirmed = asyncio.Event()
        self.overrun = 0
        self.heard_s: float | None = None
        self._deliver, self._ended, self._stop, self._clock = deliver, ended, stop, clock
        self._backlog: deque[Frame] = deque()
        self._backlog_bytes = 0
        self._stopped: dict[int, int] = {}
        self.busy: asyncio.Task[None] | None = None
        self._answers: asyncio.TimerHandle | None = None

    def expect(self) -> None:
        """Publishers were asked for what they keep: that goes before their live frames."""
        self.incoming.expect()
        if self._answers is not None:
            self._answers.cancel()
        self._answers = asyncio.get_running_loop().call_later(ANSWER_S, self._no_answers)

    def _no_answers(self) -> None:
        self._answers = None
        self._hand(self.incoming.release())

    def arrived(self, _: bytes, data: bytes) -> None:
        """The next message from the broker."""
        self.heard_s = self._clock()
        try:
            frame = decode(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        kind = frame.kind
        if kind is Kind.WELCOME:
            self._hand(self.incoming.welcome(frame.publisher))
        elif kind <= Kind.LEAVE:
            self._hand(self.incoming.take(frame))
        else:
            self._refuse(ProtocolError(f"a frame of kind {kind.name} where messages are expected"))

    def _refuse(self, error: ProtocolError) -> None:
        if not self.incoming.foreign:
            _log.warning("channel %r: left out: %s (more of this is only counted)", self.name, error)
        self.incoming.foreign += 1

    def _hand(self, frames: list[Frame]) -> None:
        for frame in frames:
            if self.busy is None:
                waits = self._give(frame)
                if waits is not None:
                    self.busy = asyncio.ensure_future(self._drain(waits))
            else:
                self._hold(frame)

    def _give(self, frame: Frame) -> Any:
        if frame.kind is Kind.END:
            self._ended(self.name)
        elif frame.kind is Kind.LEAVE:
            self.incoming.leave(frame.publisher)
        else:
            try:
                return self._deliver(self.name, self.read(frame))
            except ProtocolError as error:
                self._refuse(error)
        return None

    def _hold(self, frame: Frame) -> None:
        size = _size(frame)
        if self._backlog_bytes + size > MAX_BACKLOG_BYTES:
            self.overrun += 1
            return
        self._backlog.append(frame)
        self._backlog_bytes += size
        if frame.publisher not in self._stopped and len(self._stopped) < MAX_STOPPED:
            self._tell(frame.publisher, frame.sequence)

    def _tell(self, publisher: int, room: int | None) -> None:
        if room is None:
            self._stopped.pop(publisher, None)
        else:
            self._stopped[publisher] = room
        self._stop(self.name, publisher, room)

    def repeat(self) -> None:
        """Say again who is to stop: who is not told again goes on."""
        for publisher, room in self._stopped.items():
            self._stop(self.name, publisher, room)

    async def _drain(self, waits: Any) -> None:
        """Wait for room, hand on what has come meanwhile, then let publishers go on."""
        try:
            while True:
                if waits is not None:
                    await waits
                if not self._backlog:
                    break
                frame = self._backlog.popleft()
                self._backlog_bytes -= _size(frame)
                waits = self._give(frame)
        finally:
            self.busy = None
            for publisher in list(self._stopped):
                self._tell(publisher, None)

    def close(self) -> None:
        """Nothing is handed on any more."""
        if self._answers is not None:
            self._answers.cancel()
        if self.busy is not None:
            self.busy.cancel()
        self._backlog.clear()
        self.confirmed.set()


def _size(frame: Frame) -> int:
    return 100 + len(frame.body.data if frame.kind is Kind.AUDIO else frame.body)
