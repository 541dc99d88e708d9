"""A cable between a client and a server that can be cut."""

import asyncio
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from tests.client.faults import TIMEOUT_S


class Cable:
    """Forwards bytes from a port of its own to a server.

    Args:
        url: Of the server; :attr:`url` is the way through the cable.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._to = (parts.hostname, parts.port)
        self._parts = parts
        self._ends: list[asyncio.StreamWriter] = []
        self._up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._main(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(TIMEOUT_S)

    @property
    def url(self) -> str:
        return self._parts._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """Break all connections at once."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._over.wait()
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
