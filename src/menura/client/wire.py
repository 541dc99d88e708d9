"""The socket to a provider, without a queue or a task between it and whoever hears and speaks."""

import asyncio
import os
import struct
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform for which its compiled part was not built
    from websockets.utils import apply_mask

__all__ = ["Wire"]

Hear = Callable[[str | bytes], None]
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
MAX_FRAGMENTS = 1024
"""Of one message: each has a cost of its own, even if it is empty."""
MASK_POOL = 4096
"""Bytes of masks asked for at once: unpredictable, as they must be, without a system call for each message."""


class Wire(ClientConnection):
    """A connection that gives each message to a function as it comes, and writes what is said at once.

    ``recv`` and ``send`` of its base wake a task for each message and ask a queue and locks, which takes longer than
    all that is done to 20 ms of audio. The handshake, pings and the goodbye are those of the base.

    Attributes:
        over: Set when nothing more comes or can be said.
        paused_reading: Nothing is given to whoever hears.
        pong_due: A ping was sent, and not answered yet.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        self.over = asyncio.Event()
        self._hear: Hear | None = None
        self.paused_reading = True
        self._held: list[Frame] = []  # what came in the same read: with the end of the handshake, or a pause's cause
        self._parts: list[bytes] = []  # of a message in fragments
        self._kind = Opcode.TEXT
        self._given_up = False
        self._masks, self._mask_at = b"", 0
        self.pong_due = False

    # --- what comes

    def hear(self, function: Hear) -> None:
        """Give each message to a function from now on, the first that came first: text as ``str``, others as
        ``bytes``."""
        self._hear = function
        self.go_on()

    def pause(self) -> None:
        """Give and read no more until :meth:`go_on`: the provider must wait."""
        self.paused_reading = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Give what waits, and read again."""
        self.paused_reading = False
        held, self._held = self._held, []
        for index, frame in enumerate(held):
            if self.paused_reading:
                self._held = held[index:]
                return
            self._take_frame(frame)
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def process_event(self, event: Event) -> None:
        """Called by the base with each frame."""
        if self.response is None or not isinstance(event, Frame) or event.opcode not in _DATA:
            super().process_event(event)
            self.pong_due = self.pong_due and not (isinstance(event, Frame) and event.opcode is Opcode.PONG)
        elif self.paused_reading:
            if not self._held:
                self.pause()
            self._held.append(event)
        else:
            self._take_frame(event)

    def _take_frame(self, frame: Frame) -> None:
        if self._hear is None or self._given_up:
            return
        if frame.opcode is not Opcode.CONT:
            self._kind = frame.opcode
        data = bytes(frame.data)
        if self._parts or not frame.fin:
            self._parts.append(data)
            if len(self._parts) > MAX_FRAGMENTS:
                self._give_up(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
                return
            if not frame.fin:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        if self._kind is not Opcode.TEXT:
            self._hear(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._give_up(CloseCode.INVALID_DATA, "invalid UTF-8")
            return
        self._hear(text)

    def _give_up(self, code: CloseCode, why: str) -> None:
        self.protocol.fail(code, why)
        self.send_data()
        self._given_up = True
        self.over.set()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        super().data_received(data)
        if self.protocol.state > State.OPEN:
            self.over.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        super().connection_lost(exc)
        self.over.set()

    # --- what is said

    @property
    def writable(self) -> bool:
        """Whether what is said now leaves soon: the connection is open, and takes what it was given."""
        return not self.paused and self.protocol.state is State.OPEN

    def say(self, text: str) -> None:
        """Send a message, where it is :attr:`writable`."""
        data = text.encode()
        if self._mask_at == len(self._masks):
            self._masks, self._mask_at = os.urandom(MASK_POOL), 0
        mask = self._masks[self._mask_at : self._mask_at + 4]
        self._mask_at += 4
        self.transport.write(b"".join((_head(len(data)), mask, apply_mask(data, mask))))

    def ask_pong(self) -> None:
        """Ask for a pong: until then :attr:`pong_due`."""
        if self.protocol.state is State.OPEN:
            self.pong_due = True
            self.protocol.send_ping(os.urandom(4))
            self.send_data()


def _head(size: int) -> bytes:
    """Of a text message in one masked frame without extensions (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x81, 0x80 | size))
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 0x80 | 126, size)
    return struct.pack("!BBQ", 0x81, 0x80 | 127, size)
