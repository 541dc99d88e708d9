"""The web server beneath the application: connections, within bounds (uvicorn)."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from menura.server.access import ON_SHUTDOWN
from menura.server.limits import client_name
from menura.server.masking import MaskSecrets
from menura.server.proxies import Proxies
from menura.server.rates import ServerLimits

__all__ = ["MAX_MESSAGE", "server_config"]

MAX_MESSAGE = 16 * 1024 * 1024
"""Of a WebSocket: above menura's own limit, so that a message a little too long is answered rather than cut off."""
MAX_FRAGMENTS = 4096
"""Of a message: empty ones count nothing towards its size, and each takes memory."""
MAX_UNREAD = 4 * 1024 * 1024
"""Bytes that wait for a client though nobody has waited for room: answers to pings."""
PING_EVERY_S, PONG_WITHIN_S = 20.0, 20.0
GOODBYE_S, ANSWER_S = 3.5, 1.0
"""For a socket to end by itself when the server does, and for its client to answer that."""
GONE_WITHIN_S = 10.0
"""For a client to take what a closed connection still holds."""


class _Connections:
    """All connections of a server, the oldest first: where there are too many, the oldest that asks nothing makes way.

    So whoever opens many and says nothing, or little and slowly, pushes out only such connections.
    """

    def __init__(self, limits: ServerLimits, proxies: Proxies) -> None:
        self.limits, self._proxies = limits, proxies
        self._all: OrderedDict[Any, tuple[str, Callable[[], bool]]] = OrderedDict()

    def add(self, transport: asyncio.Transport, waiting: Callable[[], bool]) -> bool:
        """A connection was made; False if it has to go.

        Args:
            transport: Of it.
            waiting: Whether it asks nothing now.
        """
        peer = transport.get_extra_info("peername")
        client = client_name(peer)
        crowd = peer is not None and self._proxies.trust(peer[0])  # it asks for many, who are not known yet
        own = [other for other, (name, _) in self._all.items() if name == client]
        room = True
        if len(own) >= self.limits.open_per_client and not crowd:
            room = self._drop(own)
        elif len(self._all) >= self.limits.open_connections:
            room = self._drop(list(self._all))
        if room:
            self._all[transport] = (client, waiting)
        return room

    def _drop(self, of: list[Any]) -> bool:
        for transport in of:
            if self._all[transport][1]():
                del self._all[transport]
                transport.abort()
                return True
        return False

    def remove(self, transport: asyncio.Transport) -> None:
        """A connection has ended. Twice is fine."""
        self._all.pop(transport, None)

    def upgraded(self, transport: asyncio.Transport) -> None:
        """It is a WebSocket now: limits of sessions and pings hold."""
        if transport in self._all:
            self._all[transport] = (self._all[transport][0], lambda: False)


class _Reading:
    """Ends a connection whose other side reads nothing for too long."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._stalled: asyncio.TimerHandle | None = None

    def paused(self, transport: asyncio.Transport) -> None:
        """More waits to be sent than should."""
        self.resumed()
        self._stalled = asyncio.get_running_loop().call_later(self._stall_s, transport.abort)

    def resumed(self) -> None:
        """It is read again, or has ended."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class _Http(H11Protocol):
    """Requests, whose heads must come in time; uvicorn itself waits for them for ever."""

    bounds: ClassVar[_Connections]
    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading = _Reading(self.bounds.limits.stall_s)
        if not self.bounds.add(transport, self._waits):
            transport.abort()
            return
        self._expect_head()

    def _waits(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._forget_head()
        self._head = self.loop.call_later(self.bounds.limits.head_s, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def data_received(self, data: bytes) -> None:
        if self._waits() and self._head is None:
            self._expect_head()  # a further request begins
        super().data_received(data)
        if not self._waits():
            self._forget_head()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._forget_head()
        self._reading.resumed()
        self.bounds.upgraded(self.transport)
        super().handle_websocket_upgrade(event)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.paused(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading.resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        self._reading.resumed()
        self.bounds.remove(self.transport)
        super().connection_lost(exc)


class _Socket(WebSocketsSansIOProtocol):
    """A WebSocket that holds no more than it should, whatever its other side sends or does not read."""

    bounds: ClassVar[_Connections]
    _leaving: asyncio.TimerHandle | None = None
    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._reading = _Reading(self.bounds.limits.stall_s)
        self._goodbyes: list[Callable[[], None]] = []

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.paused(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading.resumed()

    def handle_ping(self) -> None:
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_UNREAD:
            self.transport.abort()

    def handle_cont(self, event: Any) -> None:
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS and not self.close_sent:
            self.frames = []
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:  # no line, let alone a trace, in the log for what anybody may send
                self.frames = []
                self.conn.fail(1007, "text that is not UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._leave()

    def shutdown(self) -> None:
        goodbyes = self._goodbyes if self.handshake_complete and not self.close_sent else []
        if not goodbyes:
            super().shutdown()
            return
        self.close_timeout = ANSWER_S
        for say in goodbyes:
            say()
        self._giving_up = self.loop.call_later(GOODBYE_S, super().shutdown)

    async def run_asgi(self) -> None:
        scope: Any = self.scope
        scope[ON_SHUTDOWN] = self._goodbyes
        try:
            await super().run_asgi()
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._leaving is None and not self.disconnected:
            self._leaving = self.loop.call_later(GONE_WITHIN_S + self.close_timeout, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._leaving, self._giving_up):
            if timer is not None:
                timer.cancel()
        self._reading.resumed()
        self.bounds.remove(self.transport)
        super().connection_lost(exc)


def server_config(
    app: ASGIApp, limits: ServerLimits | None = None, log_level: str = "warning", proxies: Proxies | None = None
) -> uvicorn.Config:
    """How uvicorn runs the application: ``uvicorn.Server(server_config(app)).run(sockets=[listener])``.

    Heads of requests, silence and unread answers are limited in time, connections in number; tokens are kept out of
    the log.

    Args:
        app: To serve.
        limits: Of its :class:`~menura.server.access.Access`.
        log_level: Of uvicorn.
        proxies: Of its access: each may have as many connections as all clients together.
    """
    connections = _Connections(limits or ServerLimits(), proxies or Proxies())
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(one, MaskSecrets) for one in logger.filters):
            logger.addFilter(MaskSecrets())
    return uvicorn.Config(
        app,
        log_level=log_level,
        http=type("Http", (_Http,), {"bounds": connections}),
        ws=type("Socket", (_Socket,), {"bounds": connections}),
        h11_max_incomplete_event_size=connections.limits.head_bytes,
        timeout_keep_alive=max(1, round(connections.limits.keep_alive_s)),
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # a small message may unfold to a large one
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        proxy_headers=False,  # the gate knows which proxies are believed
        server_header=False,
        timeout_graceful_shutdown=4,
    )
