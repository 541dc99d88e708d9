"""A Realtime provider that fails on purpose, on a real socket, and one that does not."""

import base64
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.client.loop import TIMEOUT_S, Looped


class Peer:
    """One connection, seen from the provider."""

    def __init__(self, server: "FaultServer", connection: ServerConnection, number: int) -> None:
        self.server, self.connection, self.number = server, connection, number
        assert connection.request is not None
        self.headers, self.path = connection.request.headers, connection.request.path
        self.events: list[dict[str, Any]] = []
        self.close_code: int | None = None

    @property
    def audio(self) -> bytes:
        """All audio heard."""
        return b"".join(base64.b64decode(event["audio"]) for event in list(self.events) if "audio" in event)

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in list(self.events)]

    async def say(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, "event_id": "e"} | fields))

    async def error(self, code: str, kind: str = "invalid_request_error", **fields: Any) -> None:
        await self.say("error", error={"type": kind, "code": code, "message": f"about {code}"} | fields)

    async def hear(self) -> dict[str, Any]:
        event = json.loads(await self.connection.recv())
        with self.server.changed:
            self.events.append(event)
            self.server.changed.notify_all()
        return event

    async def hear_audio(self, size: int) -> None:
        """Until so many bytes of audio have come in all."""
        while len(self.audio) < size:
            await self.hear()

    async def greet(self, **session: Any) -> None:
        """Begin a session; where there are settings, take them."""
        await self.say("session.created", session={"id": f"sess_{self.number}"} | session)

    async def serve(self, **session: Any) -> None:
        """Be a provider that works: settings, commits, answers of three parts."""
        while True:
            event = await self.hear()
            match event["type"]:
                case "session.update":
                    await self.say("session.updated", session={"id": f"sess_{self.number}"} | session)
                case "input_audio_buffer.commit":
                    await self.say("input_audio_buffer.committed", item_id="item_u")
                case "input_audio_buffer.clear":
                    await self.say("input_audio_buffer.cleared")
                case "response.create":
                    await self.answer()

    async def answer(self, parts: int = 3, part_ms: int = 20) -> None:
        await self.say("response.created", response={"id": "resp_1", "status": "in_progress"})
        where = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
        for i in range(parts):
            delta = base64.b64encode(bytes([(i + 1) % 256]) * (part_ms * 48)).decode()
            await self.say("response.output_audio.delta", delta=delta, **where)
        await self.say("response.done", response={"id": "resp_1", "status": "completed"})

    def reset(self) -> None:
        """Break the connection at once, as a network does."""
        transport = self.connection.transport
        handle: socket.socket = transport.get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


Script = Callable[[Peer], Awaitable[None]]


async def good(peer: Peer) -> None:
    await peer.greet()
    await peer.serve()


class FaultServer(Looped):
    """Plays one script a connection, the last one again and again; or refuses the handshake.

    Args:
        scripts: What happens on the first connection, the second…
        refusals: Status, headers and body of the first handshakes; None lets one through.
    """

    def __init__(
        self, *scripts: Script, refusals: list[tuple[int, dict[str, str], bytes] | None] | None = None
    ) -> None:
        super().__init__()
        self.scripts, self.refusals = scripts or (good,), list(refusals or [])
        self.changed = threading.Condition()
        self.peers: list[Peer] = []
        self.handshakes = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1"

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds; looked at whenever an event or a connection has come."""
        with self.changed:
            assert self.changed.wait_for(condition, TIMEOUT_S), [peer.types for peer in self.peers]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[int]:
        options: dict[str, Any] = {"max_size": None, "close_timeout": 0.1, "ping_interval": None, "compression": None}
        async with serve(self._handle, "127.0.0.1", 0, process_request=self._receive, **options) as server:
            yield next(iter(server.sockets)).getsockname()[1]
            for peer in self.peers:
                peer.connection.transport.abort()

    async def _receive(self, _connection: ServerConnection, _request: Request) -> Response | None:
        with self.changed:
            self.handshakes += 1
            self.changed.notify_all()
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is None:
            return None
        status, headers, body = refusal
        fields = Headers(headers | {"Content-Length": str(len(body)), "Connection": "close"})
        return Response(status, HTTPStatus(status).phrase, fields, body)

    async def _handle(self, connection: ServerConnection) -> None:
        peer = Peer(self, connection, len(self.peers))
        with self.changed:
            self.peers.append(peer)
            self.changed.notify_all()
        try:
            await self.scripts[min(peer.number, len(self.scripts) - 1)](peer)
        except ConnectionClosed as closed:
            peer.close_code = closed.rcvd.code if closed.rcvd else 1006
        with self.changed:
            self.changed.notify_all()
