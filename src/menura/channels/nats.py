"""Channels across machines, over a NATS broker: core NATS, no persistence."""

import asyncio
import secrets
import threading
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final

from menura.channels.nats_address import NatsAddress, NatsOptions, Subjects, unescape
from menura.channels.nats_client import Wire
from menura.channels.nats_inlet import Inlet
from menura.channels.nats_link import Link
from menura.channels.nats_outgoing import LIMIT_HOLDS_S, NO_LIMIT, Lane, Outgoing
from menura.channels.nats_question import Question
from menura.channels.nats_sender import Sender
from menura.channels.nats_stats import NatsChannelStats, NatsStats
from menura.channels.options import ChannelOptions, Policy
from menura.channels.transport import Deliver, Ended
from menura.channels.wire import Kind, Reader, decode, encode, message_reader
from menura.clock import Clock, monotonic_s
from menura.errors import ChannelClosedError, ProtocolError, StateError
from menura.extras import need
from menura.log import get_logger

__all__ = ["NatsTransport"]

_log = get_logger(__name__)
TICK_S: Final = 0.5
DRAIN_S: Final = 1.0
TRANSIT_S: Final = 0.25
"""A question takes a while to arrive, and until then the time that is asked for goes on."""
MAX_UNSENT_BYTES: Final = 16 << 20
"""While the broker has not taken so much of what was asked for, who asks for more gets nothing that was kept."""
NOTHING: Final = Question(0, 0.0, {})


class NatsTransport:
    """Carries channels over a broker; see ``docs/channels.md``.

    What is published reaches this process' own subscribers at once, and all others through the broker. While the
    broker is away or slow it waits, up to ``max_queue`` frames a channel and ``max_age_s``, by ``policy``. A message
    comes at most once, and never after a later one of its publisher.

    Args:
        url: ``nats://host:port`` or ``tls://``; see :class:`NatsAddress`.
        options: The fields of :class:`NatsOptions`.
        clock: Seconds.

    Raises:
        ConfigError: There is no such address or option.
        MissingExtraError: ``nats-py`` is not installed.
    """

    def __init__(self, url: str, *, clock: Clock = monotonic_s, **options: Any) -> None:
        need("nats", extra="nats")
        self._options = NatsOptions(**options)
        self._address = NatsAddress(url, self._options)
        self._subjects = Subjects(self._options.prefix)
        self._clock = clock
        self._identity = secrets.randbits(64)
        self._out = Outgoing(Policy(self._options.policy), self._options.max_queue, self._options.max_age_s, clock)
        self._sender = Sender(self._out, clock)
        self._link = Link(self._address, self._options, self, clock)
        self._wire: Wire | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._tick: asyncio.TimerHandle | None = None
        self._wanted: dict[str, None] = {}
        self._inlets: dict[str, Inlet] = {}
        self._declared: dict[str, tuple[ChannelOptions, Reader]] = {}
        self._closed = False
        self._refusals = 0
        self._deliver: Deliver = lambda name, item: None
        self._tell_end: Ended = lambda name: None

    def __repr__(self) -> str:
        return f"NatsTransport({str(self._address)!r})"

    def bind(self, deliver: Deliver, ended: Ended) -> None:
        """Say where to hand messages, and whom to tell that a channel was closed elsewhere."""
        self._deliver, self._tell_end = deliver, ended

    # --- the connection

    async def open(self) -> None:
        """Connect; nothing happens where that was done.

        Raises:
            ConnectionLostError: The broker cannot be reached, or does not accept the credentials.
            StateError: It was opened in another event loop.
            ChannelClosedError: It was closed.
        """
        if self._link.running and self._loop is asyncio.get_running_loop():
            return
        if self._closed:
            raise ChannelClosedError("the channels are closed")
        if self._loop not in (None, asyncio.get_running_loop()):
            raise StateError("these channels were opened in another event loop: make a ChannelManager for each")
        async with self._opening:
            if not self._link.running:
                self._loop = asyncio.get_running_loop()
                self._sender.start()
                await self._link.open()
                self._tick = self._loop.call_later(TICK_S, self._ticked)

    def up(self, wire: Wire) -> None:
        """There is a connection: listen, then send what waits."""
        self._wire = wire
        wire.subscribe(self._subjects.answers(self._identity), self._answered)
        wire.subscribe(f"{self._subjects.prefix}.ctl.*", self._asked)
        for name in list(self._wanted):
            self._listen(wire, name)
        self._sender.up(wire)

    def down(self) -> None:
        """There is none any more."""
        self._wire = None
        for inlet in self._inlets.values():
            inlet.confirmed.clear()
        self._sender.down()

    def complain(self, text: str) -> None:
        """The broker does not permit something."""
        self._refusals += 1
        _log.error("the broker %s: %s", self._address, text)

    def _ticked(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._ticked)
        now = self._clock()
        idle_s = self._options.idle_timeout_s
        for name, inlet in list(self._inlets.items()):
            inlet.repeat()
            if idle_s is not None and inlet.heard_s is not None and now - inlet.heard_s > idle_s:
                inlet.heard_s = None
                self._ended(name)
        self._out.loosen(now - LIMIT_HOLDS_S)
        if self._out.waiting:
            self._sender.flush()

    # --- in

    def join(self, name: str) -> None:
        """Want a channel's messages from now on."""
        self._wanted[name] = None
        self._soon(name)

    def leave(self, name: str) -> None:
        """Want them no more. Any thread."""
        self._wanted.pop(name, None)
        self._soon(name)

    def declare(self, name: str, options: ChannelOptions) -> None:
        """Say what a channel carries: what JSON is read into, and how many of our messages are kept for others."""
        read = message_reader(options.message_type)
        self._declared[name] = options, read
        self._out.keep(self._lane(name), options.replay)
        if inlet := self._inlets.get(name):
            inlet.read = read
            if options.replay and self._in_loop():
                self._ask(inlet, back=False)

    def end(self, name: str) -> None:
        """Tell all others that a channel is closed, behind what was published."""
        self._out.put_control(self._lane(name), Kind.END)
        self._out.forget(name)
        self._declared.pop(name, None)
        self._sender.kick()
        self._sender.look_again()

    def _ended(self, name: str) -> None:
        self._declared.pop(name, None)
        self._out.forget(name)
        self._sender.look_again()
        self._tell_end(name)

    def _soon(self, name: str) -> None:
        """Make the subscription what it should be, in the loop."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if self._in_loop():
            self._settle(name)
        else:
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(self._settle, name)

    def _in_loop(self) -> bool:
        return self._sender.thread == threading.get_ident()

    def _settle(self, name: str) -> None:
        wire = self._wire
        if name in self._wanted:
            if wire is not None and (name not in self._inlets or self._inlets[name].sid is None):
                self._listen(wire, name)
            return
        inlet = self._inlets.pop(name, None)
        if inlet is not None:
            inlet.close()
            if wire is not None and inlet.sid is not None:
                wire.unsubscribe(inlet.sid)

    def _listen(self, wire: Wire, name: str) -> None:
        inlet = self._inlets.get(name)
        if inlet is None:
            inlet = self._inlets[name] = Inlet(name, self._deliver, self._ended, self._stop, self._clock)
        if name in self._declared:
            inlet.read = self._declared[name][1]
        inlet.sid = wire.subscribe(self._subjects.frames(name), inlet.arrived)
        wire.ping().add_done_callback(lambda pong: None if pong.cancelled() else inlet.confirmed.set())
        self._ask(inlet, back=inlet.known)
        inlet.known = True

    def _ask(self, inlet: Inlet, *, back: bool) -> None:
        """Ask publishers for what they keep, and for what we missed, if there can be such."""
        declared = self._declared.get(inlet.name)
        replay = declared[0].replay if declared else 0
        away_s = self._clock() - max(inlet.joined_s, self._link.heard_s) + TRANSIT_S if back else 0.0
        if replay or away_s:
            inlet.expect()
            self._say(inlet.name, Question(replay, away_s, inlet.incoming.last).encode(self._identity))

    async def ready(self, name: str) -> None:
        """Wait until the broker has the subscription."""
        await self.open()
        while name in self._wanted and not self._closed:
            inlet = self._inlets.get(name)
            if inlet is None:
                await asyncio.sleep(0.01)  # the connection is on its way
            else:
                await inlet.confirmed.wait()
                return

    # --- what subscribers and publishers say to each other

    def _say(self, name: str, frame: bytes) -> None:
        if self._wire is not None:
            self._wire.write([f"PUB {self._subjects.control(name)} {len(frame)}\r\n".encode(), frame, b"\r\n"])

    def _stop(self, name: str, publisher: int, room: int | None) -> None:
        limit = NO_LIMIT if room is None else room
        self._say(name, encode(Kind.CREDIT, self._identity, limit, publisher.to_bytes(8, "little")))

    def _asked(self, subject: bytes, data: bytes) -> None:
        """A subscriber elsewhere asks for what we keep, or has no room."""
        name = self._channel_of(subject)
        wire = self._wire
        if name is None or wire is None:
            return
        try:
            frame = decode(data)
        except ProtocolError:
            return
        if frame.kind is Kind.HELLO:
            question = Question.decode(frame)
            lane = self._out.asked_of(name, question)
            if lane is not None:
                self._sender.flush()
                if wire.unsent_bytes > MAX_UNSENT_BYTES:
                    question = NOTHING
                wire.write(self._out.answer(lane, question, self._subjects.answers(frame.publisher, name)))
            return
        if frame.kind is not Kind.CREDIT:
            return
        lane = self._out.of_publisher(name, int.from_bytes(frame.body[:8], "little"))
        if lane is not None:
            lane.limit_by(frame.publisher, frame.sequence, self._clock())
            self._sender.flush()

    def _answered(self, subject: bytes, data: bytes) -> None:
        name = self._channel_of(subject)
        inlet = self._inlets.get(name) if name is not None else None
        if inlet is not None:
            inlet.arrived(subject, data)

    @staticmethod
    def _channel_of(subject: bytes) -> str | None:
        try:
            return unescape(subject.rsplit(b".", 1)[-1].decode("ascii"))
        except UnicodeDecodeError:
            return None

    # --- out

    def _lane(self, name: str) -> Lane:
        return self._out.lanes.get(name) or self._out.lane(name, self._subjects.frames(name))

    async def publish(self, name: str, item: Any) -> None:
        """Send a message, and hand it to this process' own subscribers; waits while the way is full.

        Raises:
            FormatError: It has no form on the wire.
            LimitError: It is larger than the broker takes; or the queue is full and the policy is ``error``.
            ConnectionLostError: The channels were closed meanwhile.
        """
        lane = self._out.lanes.get(name) or self._lane(name)
        if lane.full:
            await self._sender.wait(lane)
        self._out.put(lane, item)
        self._sender.queued(lane)
        if name not in self._wanted:
            return
        inlet = self._inlets.get(name)
        if inlet is not None and inlet.busy is not None:
            await asyncio.wait([inlet.busy])
        waits = self._deliver(name, item)
        if waits is not None:
            await waits

    def publish_nowait(self, name: str, item: Any) -> None:
        """The same without waiting, from any thread.

        Raises:
            FormatError: It has no form on the wire.
            LimitError: It is larger than the broker takes, or there is no room.
        """
        self._sender.publish_nowait(self._lane(name), item)
        waits = self._deliver(name, item) if name in self._wanted else None
        if waits is not None and self._loop is not None:
            asyncio.run_coroutine_threadsafe(_settle(waits), self._loop)

    # --- the end

    async def close(self) -> None:
        """Send what waits, for a second at most, say goodbye, and disconnect."""
        if self._closed:
            return
        self._closed = True
        if self._tick is not None:
            self._tick.cancel()
        try:
            if self._link.running:
                for lane in list(self._out.lanes.values()):
                    self._out.put_control(lane, Kind.LEAVE)
                await self._sender.drain(DRAIN_S)
        finally:  # also where this is cancelled: nothing goes on behind a closed door
            self._sender.close()
            for inlet in self._inlets.values():
                inlet.close()
            await self._link.close()

    def stats(self) -> NatsStats:
        """Figures now."""
        channels = tuple(
            NatsChannelStats(
                name, inlet.incoming.received, inlet.incoming.lost, inlet.incoming.repeated, inlet.incoming.foreign,
                inlet.overrun, inlet.incoming.publishers,
            )
            for name, inlet in sorted(self._inlets.copy().items())
        )  # fmt: skip
        return NatsStats(
            self._wire is not None, self._link.reconnects, self._refusals, self._link.last_error,
            self._out.stats(), channels,
        )  # fmt: skip


async def _settle(waits: Awaitable[None]) -> None:
    await waits
