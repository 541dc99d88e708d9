"""Who may use the server: one gate before all routes and sockets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from menura.server.hosts import HostRules, same_origin
from menura.server.realtime_words import INVALID, error_event
from menura.server.tokens import Token, page_cookie, presented

__all__ = ["Access", "Gate"]

HEALTH, REALTIME = "/health", "/v1/realtime"
POLICY = 1008
READING = {"GET", "HEAD"}
CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Access:
    """What a server asks of its clients.

    Attributes:
        token: None where none is needed.
        hosts: Names under which it may be addressed; any by default.
    """

    token: Token | None = None
    hosts: HostRules = field(default_factory=HostRules)


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    code: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket, or refuse it."""
        if scope["type"] not in ("http", "websocket") or _is_open(scope):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await self._refuse(refusal, scope, receive, send)
        else:
            await self._app(scope, receive, self._with_cookie(scope, send))

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
        if scope["type"] == "http":
            body = {"error": refusal.text, "code": refusal.code}
            await JSONResponse(body, refusal.status, {**self._headers, **refusal.headers})(scope, receive, send)
        elif scope["path"] == REALTIME and refusal is NO_TOKEN:
            await _tell(scope, send, error_event(refusal.text, "invalid_api_key", INVALID))
        else:
            await send({"type": "websocket.close", "code": POLICY})


async def _tell(scope: Scope, send: Send, event: Mapping[str, object]) -> None:
    """Refuse a client of the Realtime API, whose libraries show nothing of an HTTP answer."""
    protocol = "realtime" if "realtime" in scope.get("subprotocols", ()) else None
    await send({"type": "websocket.accept", "subprotocol": protocol, "headers": []})
    await send({"type": "websocket.send", "text": json.dumps(event)})
    await send({"type": "websocket.close", "code": POLICY, "reason": "invalid_api_key"})


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _is_open(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["path"] == HEALTH and scope["method"] in READING


def _is_page(scope: Scope) -> bool:
    """Whether this asks for the page or one of its parts: nothing that tells of anybody, or changes anything."""
    path = scope["path"]
    return scope["type"] == "http" and scope["method"] in READING and (path == "/" or path.startswith("/page/"))
