"""Who may use the server: one gate before all routes and sockets."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from menura.errors import RateLimitError
from menura.server.hosts import HostRules, same_origin
from menura.server.limits import Ending, Limiter, ServerLimits, Session, client_name
from menura.server.realtime_words import INVALID, SERVER, error_event
from menura.server.tokens import Token, page_cookie, presented

__all__ = ["Access", "Gate", "session_of"]

HEALTH, REALTIME = "/health", "/v1/realtime"
POLICY, TRY_AGAIN_LATER = 1008, 1013
SESSION = "menura.session"
CLOSE_WITHIN_S = 1.0
"""Time for a client's last message; who does not read is left without."""
READING = {"GET", "HEAD"}
WHY = {
    Ending.SILENT: "Nothing came for too long",
    Ending.EXPIRED: "The session is over",
    Ending.OPERATOR: "The operator has ended this session",
    Ending.TOKEN: "This token is no longer valid",
}
KINDS = {"/ws/relay": "relay", REALTIME: "realtime"}
"""Of sockets; the others are ``control``."""
CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Access:
    """What a server asks of its clients.

    Attributes:
        token: None where none is needed.
        hosts: Names under which it may be addressed; any by default.
        limits: How much they may ask.
    """

    token: Token | None = None
    hosts: HostRules = field(default_factory=HostRules)
    limits: ServerLimits = field(default_factory=ServerLimits)


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    code: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_ms: int | None = None


def _later(error: RateLimitError) -> _Refusal:
    headers = {"Retry-After": str(ceil(error.retry_after_ms / 1000))}
    return _Refusal(429, error.code, str(error), headers, error.retry_after_ms)


NO_TOKEN = _Refusal(
    401, "unauthorized", "This server asks for its token: open the address that menura serve printed", CHALLENGE
)
OTHER_HOST = _Refusal(421, "host_not_allowed", "This server has another name: the operator may allow this one")
OTHER_ORIGIN = _Refusal(403, "origin_not_allowed", "Pages of other sites may not use this server")


class Gate:
    """Lets through who may use the server, and refuses the others before any of it has seen them (ASGI).

    ``/health`` is open to all.

    Args:
        app: Behind it.
        access: What is asked.
        headers: Of refusals.
    """

    def __init__(self, app: ASGIApp, access: Access, headers: Mapping[str, str]) -> None:
        self._app, self._access, self._headers = app, access, headers
        self.limiter = Limiter(access.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket, or refuse it."""
        if scope["type"] not in ("http", "websocket") or _is_open(scope):
            await self._app(scope, receive, send)
            return
        client = client_name(scope.get("client"))
        try:
            (self.limiter.request if scope["type"] == "http" else self.limiter.connect)(client)
            refusal = self._refusal(scope)
            if refusal is not None:
                await self._refuse(refusal, scope, receive, send)
                return
            if scope["type"] == "http":
                await self._app(scope, receive, self._with_cookie(scope, send))
                return
            session = self.limiter.open(client, kind=KINDS.get(scope["path"], "control"))
        except RateLimitError as error:
            await self._refuse(_later(error), scope, receive, send)
            return
        try:
            await self._serve(session, scope, receive, send)
        finally:
            session.close()

    async def _serve(self, session: Session, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the socket ends, or its time does, or its client is silent for too long."""
        loop, limits = asyncio.get_running_loop(), self._access.limits
        heard_s = begun_s = loop.time()

        async def hear() -> Message:
            nonlocal heard_s
            message = await receive()
            heard_s = loop.time()
            return message

        looking: asyncio.TimerHandle

        def look() -> None:
            nonlocal looking
            due_s = (loop.time() if session.busy() else heard_s) + limits.idle_s
            if due_s <= loop.time():
                session.end(Ending.SILENT)
            else:
                looking = loop.call_at(due_s, look)

        looking = loop.call_later(limits.idle_s, look)
        over = loop.call_at(begun_s + limits.session_s, session.end, Ending.EXPIRED)
        try:
            async with asyncio.timeout(None) as deadline:
                session.on_end = lambda: _expire(deadline)
                await self._app({**scope, SESSION: session}, hear, send)
        except TimeoutError:
            if session.ended is None or not deadline.expired():
                raise
            await _end(scope, send, session.ended)
        finally:
            session.on_end = lambda: None
            looking.cancel()
            over.cancel()

    def _refusal(self, scope: Scope) -> _Refusal | None:
        hosts, origins = _headers(scope, b"host"), _headers(scope, b"origin")
        if len(hosts) > 1 or not self._access.hosts.allow(hosts[0] if hosts else ""):
            return OTHER_HOST
        changing = scope["type"] == "websocket" or scope["method"] not in READING
        if changing and origins and not (len(origins) == 1 and hosts and same_origin(origins[0], hosts[0])):
            return OTHER_ORIGIN  # only browsers say from where they come; other clients need not
        return None if self._knows(scope) else NO_TOKEN

    def _knows(self, scope: Scope) -> bool:
        token = self._access.token
        if token is None:
            return True
        if any(token.matches(text) for text in presented(scope)):
            return True
        return _is_page(scope) and any(token.opens_page(text) for text in _headers(scope, b"cookie"))

    def _with_cookie(self, scope: Scope, send: Send) -> Send:
        """The page's parts are loaded without the token: they come with a cookie that opens only them."""
        token = self._access.token
        if token is None or not _is_page(scope):
            return send
        cookie = page_cookie(token).encode()

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie)]
            await send(message)

        return send_with_cookie

    async def _refuse(self, refusal: _Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        body: dict[str, Any] = {"error": refusal.text, "code": refusal.code}
        if refusal.retry_after_ms is not None:
            body["retry_after_ms"] = refusal.retry_after_ms
        headers = {**self._headers, **refusal.headers}
        if scope["type"] == "http":
            await JSONResponse(body, refusal.status, headers)(scope, receive, send)
        elif scope["path"] == REALTIME and refusal is NO_TOKEN:
            await _tell(scope, send, error_event(refusal.text, "invalid_api_key", INVALID), POLICY)
        elif scope["path"] == REALTIME and refusal.retry_after_ms is not None:
            event = error_event(refusal.text, "rate_limit_exceeded", SERVER)
            event["error"]["retry_after_ms"] = refusal.retry_after_ms
            await _tell(scope, send, event, TRY_AGAIN_LATER)
        elif refusal.retry_after_ms is not None and "websocket.http.response" in scope.get("extensions", {}):
            await JSONResponse(body, refusal.status, headers)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": POLICY})


async def _tell(scope: Scope, send: Send, event: Mapping[str, Any], close_code: int) -> None:
    """Refuse a client of the Realtime API, whose libraries show nothing of an HTTP answer."""
    protocol = "realtime" if "realtime" in scope.get("subprotocols", ()) else None
    await send({"type": "websocket.accept", "subprotocol": protocol, "headers": []})
    await send({"type": "websocket.send", "text": json.dumps(event)})
    await send({"type": "websocket.close", "code": close_code, "reason": event["error"]["code"]})


def _expire(deadline: asyncio.Timeout) -> None:
    with suppress(RuntimeError):  # the application has ended by itself, just now
        deadline.reschedule(asyncio.get_running_loop().time())


async def _end(scope: Scope, send: Send, code: Ending) -> None:
    """Tell a client why its socket ends."""
    text = WHY[code]
    told: Mapping[str, Any] = {"type": "error", "error": text, "code": code}
    if scope["path"] == REALTIME:
        told = error_event(text, code, INVALID)
    with suppress(OSError, RuntimeError):  # it has left, or does not read
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await send({"type": "websocket.send", "text": json.dumps(told)})
            await send({"type": "websocket.close", "code": POLICY, "reason": code})


def session_of(scope: Scope) -> Session:
    """The session of a socket that has come through the gate."""
    session: Session = scope[SESSION]
    return session


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _is_open(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["path"] == HEALTH and scope["method"] in READING


def _is_page(scope: Scope) -> bool:
    """Whether this asks for the page or one of its parts: nothing that tells of anybody, or changes anything."""
    path = scope["path"]
    return scope["type"] == "http" and scope["method"] in READING and (path == "/" or path.startswith("/page/"))
