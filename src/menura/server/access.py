"""Who may use the server: one gate before all routes and sockets."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from menura.errors import RateLimitError
from menura.server.hosts import HostRules, same_origin
from menura.server.limits import Ending, Limiter, ServerLimits, Session, client_name
from menura.server.proxies import FORWARDED_SCHEME, Proxies
from menura.server.realtime_words import INVALID, SERVER, error_event
from menura.server.refusals import NO_TOKEN, OTHER_HOST, OTHER_ORIGIN, POLICY, REALTIME, Refusal, later, refuse
from menura.server.requests import serve_request
from menura.server.roles import EVERYTHING, SOCKET, Grant, needed_role
from menura.server.roster import Roster, TokenSource
from menura.server.tokens import Token, page_cookie, page_cookies, presented
from menura.store.access_tokens import PREFIX

__all__ = ["ON_SHUTDOWN", "Access", "Gate", "grant_of", "session_of"]

HEALTH = "/health"
OPEN = {"/api/health", "/api/ready"}
SESSION, GRANT = "menura.session", "menura.grant"
ON_SHUTDOWN = "menura.on_shutdown"
"""Where a web server has a list of what it calls before it closes a socket because it ends itself."""
RESTART = 1012
CLOSE_WITHIN_S = 1.0
"""Time for a client's last message; who does not read is left without."""
LOOKS = 8
"""How often within the time that a socket may be silent it is looked whether it is in use."""
READING = {"GET", "HEAD"}
WHY = {
    Ending.SILENT: "Nothing came for too long",
    Ending.EXPIRED: "The session is over",
    Ending.OPERATOR: "The operator has ended this session",
    Ending.TOKEN: "This token is no longer valid",
    Ending.SHUTDOWN: "The server ends, or begins anew: come again in a moment",
}
KINDS = {"/ws/relay": "relay", REALTIME: "realtime"}
"""Of sockets; the others are ``control``."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a server asks of its clients.

    Attributes:
        token: The operator's, which allows everything.
        named: Where named tokens are kept.
        required: Whether a token is needed though the operator has none. Without a token of the operator's, and where
            none is required, whoever brings none may do everything; whoever brings a named one, what that allows.
        hosts: Names under which it may be addressed; any by default.
        limits: How much they may ask.
        proxies: Who is believed when it says for whom it asks.
    """

    token: Token | None = None
    hosts: HostRules = field(default_factory=HostRules)
    limits: ServerLimits = field(default_factory=ServerLimits)
    named: TokenSource | None = None
    required: bool = False
    proxies: Proxies = field(default_factory=Proxies)

    @property
    def open(self) -> bool:
        """Whether anybody may come without a token."""
        return self.token is None and not self.required


class Gate:
    """Lets through who may use the server, and refuses the others before any of it has seen them (ASGI).

    ``/health`` is open to all, ``/api/health`` and ``/api/ready`` as often as requests may come.

    Args:
        app: Behind it.
        access: What is asked.
        headers: Of refusals.
        limiter: That counts what clients do; its own by default.
    """

    def __init__(
        self, app: ASGIApp, access: Access, headers: Mapping[str, str], limiter: Limiter | None = None
    ) -> None:
        self._app, self._access, self._headers = app, access, headers
        self.limiter = limiter or Limiter(access.limits)
        self._roster = None if access.named is None else Roster(access.named)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket, or refuse it."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] in ("http", "websocket"):
            self._access.proxies.look_behind(scope)
            try:
                await self._let_in(scope, receive, send)
            except RateLimitError as error:
                await self._refuse(later(error), scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As long as the server does: look after named tokens."""
        if self._roster is None:
            await self._app(scope, receive, send)
            return
        roster = self._roster
        watching = asyncio.create_task(roster.watch(self._end_revoked))

        async def end() -> None:
            if not watching.done():
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

        async def hear() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await end()  # before the server believes that all is done, and its loop ends
                await roster.note(now=True)
            return message

        try:
            await self._app(scope, hear, send)
        finally:
            await end()

    def _end_revoked(self) -> None:
        assert self._roster is not None
        for session in self.limiter.open_sessions():
            if session.grant.token_id and not self._roster.valid(session.grant.token_id):
                session.end(Ending.TOKEN)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        http, client = scope["type"] == "http", client_name(scope.get("client"))
        limits, limiter = self._access.limits, self.limiter
        if http and scope["path"] == HEALTH and scope["method"] in READING:
            await serve_request(self._app, scope, receive, send, limits, self._headers)
            return
        (limiter.request if http else limiter.connect)(client)
        if http and scope["path"] in OPEN and scope["method"] in READING:
            await serve_request(self._app, scope, receive, send, limits, self._headers)
            return
        admitted = self._foreign(scope) or await self._grant(scope) or NO_TOKEN
        if isinstance(admitted, Grant):
            (limiter.request if http else limiter.connect)(client, admitted)
            admitted = _allowed(admitted, scope)
        if isinstance(admitted, Refusal):
            await self._refuse(admitted, scope, receive, send)
        elif http:
            scope = {**scope, GRANT: admitted}
            await serve_request(
                self._app, scope, receive, self._with_cookie(admitted, scope, send), limits, self._headers
            )
        else:
            session = limiter.open(client, admitted, KINDS.get(scope["path"], "control"))
            try:
                await self._serve(session, scope, receive, send)
            finally:
                session.close()

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        self.limiter.refused[refusal.code] += 1
        await refuse(refusal, scope, receive, send, self._headers)

    async def _serve(self, session: Session, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the socket ends, or its time does, or its client is silent for too long."""
        loop, limits = asyncio.get_running_loop(), self._access.limits
        heard_s = begun_s = used_s = loop.time()

        async def hear() -> Message:
            nonlocal heard_s
            message = await receive()
            heard_s = loop.time()
            return message

        looking: asyncio.TimerHandle

        def look() -> None:
            nonlocal looking, used_s
            now_s = loop.time()
            if session.busy():
                used_s = now_s
            due_s = max(heard_s, used_s) + limits.idle_s
            if due_s <= now_s:
                session.end(Ending.SILENT)
            else:  # more often than that, to see when it was in use last
                looking = loop.call_at(min(due_s, now_s + limits.idle_s / LOOKS), look)

        looking = loop.call_later(limits.idle_s / LOOKS, look)
        over = loop.call_at(begun_s + limits.session_s, session.end, Ending.EXPIRED)
        try:
            async with asyncio.timeout(None) as deadline:
                session.on_end = lambda: _expire(deadline)
                scope.get(ON_SHUTDOWN, []).append(partial(session.end, Ending.SHUTDOWN))
                await self._app({**scope, SESSION: session}, hear, send)
        except TimeoutError:
            if session.ended is None or not deadline.expired():
                raise
            await _end(scope, send, session.ended)
        finally:
            session.on_end = lambda: None
            looking.cancel()
            over.cancel()

    def _foreign(self, scope: Scope) -> Refusal | None:
        """Whether it is for another server, or from another's page."""
        hosts, origins = _headers(scope, b"host"), _headers(scope, b"origin")
        if len(hosts) > 1 or not self._access.hosts.allow(hosts[0] if hosts else ""):
            return OTHER_HOST
        changing = scope["type"] == "websocket" or scope["method"] not in READING
        scheme = scope.get(FORWARDED_SCHEME)
        if changing and origins and not (len(origins) == 1 and hosts and same_origin(origins[0], hosts[0], scheme)):
            return OTHER_ORIGIN  # only browsers say from where they come; other clients need not
        return None

    async def _grant(self, scope: Scope) -> Grant | None:
        """What who asks may do; None where a token is needed and none is valid."""
        texts, token = list(presented(scope)), self._access.token
        if token is not None and any(token.matches(text) for text in texts):
            return EVERYTHING
        found = await self._named(texts, scope)
        if found is not None or self._access.open:
            return found or EVERYTHING
        if _is_page(scope) and token is not None and any(token.opens_page(text) for text in _headers(scope, b"cookie")):
            return EVERYTHING
        return None

    async def _named(self, texts: list[str], scope: Scope) -> Grant | None:
        roster = self._roster
        cookies = list(page_cookies(_headers(scope, b"cookie"))) if _is_page(scope) else []
        if roster is None or not (texts or cookies):
            return None
        if roster.stale:
            await roster.refresh()
        found = _first(roster.find(text) for text in texts)
        if found is None and any(text.startswith(PREFIX) for text in texts):
            await roster.refresh()  # it may have been made a moment ago, by another process
            found = _first(roster.find(text) for text in texts)
        return found or _first(roster.find_page(name, value) for name, value in cookies)

    def _with_cookie(self, grant: Grant, scope: Scope, send: Send) -> Send:
        """The page's parts are loaded without the token: they come with a cookie that opens only them."""
        token = self._access.token
        if not _is_page(scope) or (token is None and not grant.token_id):
            return send
        if grant.token_id and self._roster is not None:
            named = self._roster.page_cookie(grant.token_id)
        else:
            assert token is not None
            named = token.page_cookie
        cookie = page_cookie(*named, secure=scope.get(FORWARDED_SCHEME) == "https").encode()

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie)]
            await send(message)

        return send_with_cookie


def _expire(deadline: asyncio.Timeout) -> None:
    with suppress(RuntimeError):  # the application has ended by itself, just now
        deadline.reschedule(asyncio.get_running_loop().time())


async def _end(scope: Scope, send: Send, code: Ending) -> None:
    """Tell a client why its socket ends."""
    text = WHY[code]
    told: Mapping[str, Any] = {"type": "error", "error": text, "code": code}
    if scope["path"] == REALTIME:
        told = error_event(text, code, SERVER if code is Ending.SHUTDOWN else INVALID)
    with suppress(OSError, RuntimeError):  # it has left, or does not read
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await send({"type": "websocket.send", "text": json.dumps(told)})
            close_code = RESTART if code is Ending.SHUTDOWN else POLICY
            await send({"type": "websocket.close", "code": close_code, "reason": code})


def session_of(scope: Scope) -> Session:
    """The session of a socket that has come through the gate."""
    session: Session = scope[SESSION]
    return session


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _first(found: Iterable[Grant | None]) -> Grant | None:
    return next((grant for grant in list(found) if grant is not None), None)


def _allowed(grant: Grant, scope: Scope) -> Grant | Refusal:
    """Whether who has come may do that."""
    needed = needed_role(scope["method"] if scope["type"] == "http" else SOCKET[0], scope["path"])
    if grant.role.covers(needed):
        return grant
    return Refusal(
        403, "forbidden", f"This token may not do that: it has the role {grant.role}, and {needed} is needed"
    )


def grant_of(scope: Scope) -> Grant:
    """Who has come through the gate with a request or socket, and what they may do."""
    if SESSION in scope:
        return session_of(scope).grant
    grant: Grant = scope.get(GRANT, EVERYTHING)
    return grant


def _is_page(scope: Scope) -> bool:
    """Whether this asks for the page or one of its parts: nothing that tells of anybody, or changes anything."""
    path = scope["path"]
    return scope["type"] == "http" and scope["method"] in READING and (path == "/" or path.startswith("/page/"))
