"""One HTTP request, within bounds: how large its body may be, how long it may take, and what it is told of errors."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from menura.log import get_logger, log_internal_error
from menura.server.rates import ServerLimits

__all__ = ["UPLOADS", "serve_request"]

_log = get_logger(__name__)
UPLOADS = {("POST", "/api/models"), ("POST", "/api/voices/import"), ("POST", "/api/conversions")}
"""Routes that take files: their own limits are in their own words, those here lie above."""
TOO_LARGE = (413, "too_large", "This request is larger than it may be")
MAX_UNSENT = 256 * 1024
"""Of a body that is made though only its head is wanted."""
ENDING = (503, "server_shutdown", "The server ends, or begins anew: come again in a moment")
TOO_SLOW = (408, "timeout", "This request did not come in time")


class _Bounded:
    """What the application hears of a request, and says to it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: ServerLimits) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        upload = (scope["method"], scope["path"]) in UPLOADS
        self._left = limits.upload_bytes if upload else limits.body_bytes
        self._over_s = asyncio.get_running_loop().time() + (limits.upload_s if upload else limits.body_s)
        self._whole = False
        self.started = False
        self.refused: tuple[int, str, str] | None = None
        if _declared(scope) > self._left:
            self.refused = TOO_LARGE

    async def hear(self) -> Message:
        """The next part; as if the client had left once it is too much."""
        if self.refused is not None:
            return {"type": "http.disconnect"}
        if self._whole:
            return await self._receive()
        stalled_s = asyncio.get_running_loop().time() + self._limits.stall_s
        try:
            async with asyncio.timeout_at(min(self._over_s, stalled_s)):
                message = await self._receive()
        except TimeoutError:
            self.refused = TOO_SLOW
            return {"type": "http.disconnect"}
        self._left -= len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._left < 0:
            self.refused = TOO_LARGE
            return {"type": "http.disconnect"}
        return message

    async def tell(self, message: Message) -> None:
        """Pass on what the application says, unless the request was refused before."""
        if self.refused is not None and not self.started:
            return
        self.started = True
        await self._send(message)


class _EnoughError(OSError):
    """The head is sent, and nothing else is wanted."""


class _HeadAlone:
    """Sends of an answer what comes before its body."""

    def __init__(self, send: Send) -> None:
        self._send, self._unsent = send, 0

    async def tell(self, message: Message) -> None:
        """Pass it on without its body; whoever goes on making a long one is stopped, as if the client had left."""
        if message["type"] == "http.response.body":
            self._unsent += len(message.get("body", b""))
            more = message.get("more_body", False)
            if more and self._unsent <= MAX_UNSENT:
                return
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            if more:
                raise _EnoughError
            return
        await self._send(message)


async def _head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer ``HEAD`` wherever ``GET`` is answered (RFC 9110, 9.1); files of the page do so themselves."""
    with suppress(_EnoughError, ClientDisconnect):
        await app({**scope, "method": "GET"}, receive, _HeadAlone(send).tell)


def _declared(scope: Scope) -> int:
    """Bytes that a request says it has; 0 where it does not, or not so."""
    texts = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(texts[0][:20]) if texts and texts[0].isdigit() else 0


async def serve_request(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, limits: ServerLimits, headers: Mapping[str, str]
) -> None:
    """Serve a request; what the application does not handle is an internal error with a log id.

    Args:
        app: Behind.
        scope: Of the request (ASGI).
        receive: From its client.
        send: To it.
        limits: On its body.
        headers: Of answers that do not come from the application.
    """
    bounded = _Bounded(scope, receive, send, limits)
    answer: tuple[int, str, str] | None = bounded.refused
    if answer is None:
        try:
            head = scope["method"] == "HEAD" and not scope["path"].startswith("/page/")
            await (partial(_head, app) if head else app)(scope, bounded.hear, bounded.tell)
        except ClientDisconnect:
            if bounded.refused is None:
                return
        except asyncio.CancelledError:  # only when the server ends, and has waited as long as it does
            if bounded.started:
                return
            bounded.refused = answer = ENDING
        except Exception as error:
            if bounded.started:
                raise
            if bounded.refused is None:
                log_id = log_internal_error(_log, "a request failed", error)
                answer = (500, "internal", f"Internal error {log_id}")
        answer = answer or bounded.refused
    if answer is None or bounded.started:
        return
    status, code, text = answer
    body: dict[str, Any] = {"error": text, "code": code}
    close = {} if status == 500 else {"Connection": "close"}  # what is left of the body is not waited for
    await JSONResponse(body, status, {**headers, **close})(scope, receive, send)
