"""The broker's protocol by ``nats-py``, with messages handed over as they are read, and writes that nobody buffers.

``nats-py`` connects, logs in, encrypts and reads. Its queues, tasks and buffers for each subscription and its own
reconnection are not used: what waits, waits in our queues, by policy, and is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from menura.channels.nats_address import NatsAddress
from menura.errors import AuthenticationError, ConnectionLostError, ConnectTimeoutError, MenuraError, reason_of
from menura.extras import need
from menura.log import get_logger, log_internal_error

if TYPE_CHECKING:
    from nats.aio.client import Client

__all__ = ["Wire", "connect"]

_log = get_logger(__name__)
OnMessage = Callable[[bytes, bytes], None]
"""Called with subject and data."""
NEVER_S = 10**9
TURN = 64
"""Messages read before the loop's other tasks, such as those who take them, get a turn."""


class Wire:
    """One connection with a broker, from :func:`connect` to its loss.

    Attributes:
        lost: Done when the connection is.
        max_payload: Bytes that the broker takes in one message.
    """

    def __init__(self, client: Client, lost: asyncio.Future[Exception]) -> None:
        self._client: Any = client
        self.lost = lost
        self.max_payload = int(client.max_payload)
        self._last_sid = 0

    @property
    def messages(self) -> int:
        """Messages that came so far."""
        return int(self._client.messages)

    @property
    def unsent_bytes(self) -> int:
        """Bytes that were written and that the broker has not read from the line."""
        return int(self._client._transport._io_writer.transport.get_write_buffer_size())

    def subscribe(self, subject: str, on_message: OnMessage) -> int:
        """Hand what comes on a subject to a function, within the read loop."""
        self._last_sid += 1
        self._client.handlers[self._last_sid] = on_message
        self.write([f"SUB {subject} {self._last_sid}\r\n".encode()])
        return self._last_sid

    def unsubscribe(self, sid: int) -> None:
        """Want no more of it."""
        self._client.handlers.pop(sid, None)
        self.write([f"UNSUB {sid}\r\n".encode()])

    def write(self, parts: list[bytes]) -> None:
        """Send commands. They are on their way, or the connection is lost."""
        if not self.lost.done():
            try:
                self._client._transport.writelines(parts)
            except (OSError, RuntimeError) as error:
                self._client.gone(error)

    def ping(self) -> asyncio.Future[Any]:
        """A future that is done when the broker has taken all that was written before; never cancel it."""
        pong: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._client._pongs.append(pong)
        self.write([b"PING\r\n"])
        return pong

    def abort(self, error: Exception) -> None:
        """Give the connection up."""
        self._client.gone(error)

    async def close(self) -> None:
        """End it at once; what was written and not taken is lost."""
        self._client.gone(ConnectionLostError("closed"))
        await self._client.shut()


async def connect(address: NatsAddress, name: str, timeout_s: float, on_error: Callable[[str], None]) -> Wire:
    """Connect once.

    Args:
        address: One of its servers.
        name: Under which the broker lists the connection.
        timeout_s: For each of them.
        on_error: Told what the broker complains about later.

    Raises:
        ConnectionLostError: None can be reached; :class:`ConnectTimeoutError` where none answers.
        AuthenticationError: The broker does not accept the credentials.
        MissingExtraError: ``nats-py`` is not installed.
    """
    client = _client_class()(address.secure, on_error)
    try:
        async with asyncio.timeout(2.0 * timeout_s * len(address.servers) + 1.0):
            await client.open(address, name, timeout_s)
    except BaseException as error:
        await client.shut()
        if not isinstance(error, Exception):
            raise
        raise _typed(client.first_error or error, address) from None
    return Wire(client, client.lost)


def _typed(error: BaseException, address: NatsAddress) -> MenuraError:
    if isinstance(error, MenuraError):
        return error
    text = str(error).lower()
    if "authorization" in text or "authentication" in text:
        return AuthenticationError(f"{address} does not accept these credentials")
    if isinstance(error, TimeoutError):
        return ConnectTimeoutError(f"{address} does not answer")
    return ConnectionLostError(f"{address} cannot be reached ({reason_of(error)})")


class _Direct:
    """``nats-py`` without its queues: put before its ``Client`` among the bases."""

    _server_info: dict[str, Any]
    _reading_task: asyncio.Task[None] | None
    _ping_interval_task: asyncio.Task[None] | None
    _flusher_task: asyncio.Task[None] | None
    _transport: Any
    _pongs: list[asyncio.Future[Any]]
    connect: Any
    CLOSED: int

    def __init__(self, secure: bool, on_error: Callable[[str], None]) -> None:
        super().__init__()
        self.handlers: dict[int, OnMessage] = {}
        self.lost: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.first_error: Exception | None = None
        self.messages = 0
        self._turn = TURN
        self._secure, self._on_error = secure, on_error

    async def open(self, address: NatsAddress, name: str, timeout_s: float) -> None:
        async def complain(error: Exception) -> None:
            self.first_error = self.first_error or error

        tls = {"tls": address.tls} if address.tls is not None else {}
        await self.connect(
            address.servers, user=address.user, password=address.password, token=address.token, name=name,
            allow_reconnect=False, connect_timeout=timeout_s, max_reconnect_attempts=1, reconnect_time_wait=0.05,
            ping_interval=NEVER_S, no_echo=True, error_cb=complain, **tls,
        )  # fmt: skip

    def _connect_command(self) -> bytes:
        if self._secure and not self._server_info.get("tls_required"):
            raise ConnectionLostError("the broker offers no TLS, and the address asks for it")
        return bytes(super()._connect_command())  # type: ignore[misc]

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any) -> None:
        self.messages += 1
        handler = self.handlers.get(sid)
        if handler is not None:
            try:
                handler(subject, data)
            except Exception as error:
                log_internal_error(_log, "a message from the broker", error)
        self._turn -= 1
        if self._turn <= 0:
            self._turn = TURN
            await asyncio.sleep(0)

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg:
            self._on_error(err_msg.strip("'"))
        else:
            self.gone(ConnectionLostError(f"the broker said {err_msg}"))

    async def _process_op_err(self, e: Exception) -> None:
        self.gone(e)

    def gone(self, error: Exception) -> None:
        """The connection is lost."""
        if not self.lost.done():
            self.lost.set_result(error)

    async def shut(self) -> None:
        """End all without a word to the broker: it may not be listening."""
        self._status = self.CLOSED
        tasks = [self._reading_task, self._ping_interval_task, self._flusher_task]
        running = [task for task in tasks if task is not None and task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for at in ("_io_writer", "_bare_io_writer"):  # of an encrypted connection, what is within and what is around
            writer = getattr(self._transport, at, None)
            if writer is not None:
                writer.transport.abort()
        await asyncio.sleep(0)  # transports tell of their end in the next turn
        for pong in self._pongs:
            pong.cancel()


@cache
def _client_class() -> Any:
    need("nats", extra="nats")
    base = need("nats.aio.client", extra="nats").Client
    return type("Direct", (_Direct, base), {})
