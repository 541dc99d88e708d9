"""A server behind its gate: one request or socket at a time, without a network."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from menura.server.access import Access, Gate

TOKEN = "a-token-for-the-tests_0123"


@dataclass
class Answer:
    """What a client got."""

    status: int  # 101 where a socket was opened
    headers: dict[str, str]
    body: Any
    sent: list[dict[str, Any]]
    reached: bool  # whether the application saw it


async def _application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


class Asking:
    """Asks a gate."""

    def __init__(self, access: Access) -> None:
        self.reached = False
        self.gate = Gate(self._reach, access, {"X-Content-Type-Options": "nosniff"})

    async def _reach(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached = True
        await _application(scope, receive, send)

    def __call__(
        self,
        path: str = "/metrics",
        query: str = "",
        headers: Iterable[tuple[str, str]] = (("host", "localhost"),),
        *,
        method: str = "GET",
        subprotocols: Iterable[str] | None = None,
        client: tuple[str, int] | None = ("192.0.2.1", 1234),
    ) -> Answer:
        """Ask; with ``subprotocols`` for a socket."""
        scope = {
            "type": "http" if subprotocols is None else "websocket",
            "path": path,
            "method": method,
            "query_string": query.encode("latin-1"),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "subprotocols": list(subprotocols or ()),
            "client": client,
            "extensions": {"websocket.http.response": {}},
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        self.reached = False
        asyncio.run(self.gate(scope, receive, send))
        return _answer(sent, self.reached)


def _answer(sent: list[dict[str, Any]], reached: bool) -> Answer:
    first = sent[0]
    if first["type"] == "websocket.accept":
        texts = [json.loads(message["text"]) for message in sent if message["type"] == "websocket.send"]
        return Answer(101, {}, texts, sent, reached)
    if first["type"] == "websocket.close":
        return Answer(403, {}, None, sent, reached)
    headers = {name.decode().lower(): value.decode() for name, value in first["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(first["status"], headers, json.loads(body) if body else None, sent, reached)
