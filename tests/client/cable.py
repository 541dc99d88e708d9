"""A cable between a client and a server that can be cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.client.loop import Looped


class Cable(Looped):
    """Forwards bytes from a port of its own to a server.

    Args:
        url: Of the server; :attr:`url` is the way through the cable.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._to = (parts.hostname, parts.port)
        self._parts = parts
        self._ends: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return self._parts._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """Break all connections at once."""
        self.call(self._abort)

    def _abort(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        self._abort()
        server.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._to)
        self._ends += [writer, back]
        with suppress(asyncio.CancelledError):  # the cable is taken away
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer), return_exceptions=True)
        writer.transport.abort()
        back.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()
