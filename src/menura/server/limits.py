"""How much a client may ask of a server, and how often."""

import math
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv6Address, ip_network
from typing import Any

from menura.clock import Clock, monotonic_s
from menura.errors import ForbiddenError, RateLimitError
from menura.server.hosts import plain_address
from menura.server.rates import Meter, Rate, ServerLimits
from menura.server.roles import EVERYTHING, Grant, Role

__all__ = ["KINDS_OF_SESSIONS", "Ending", "Limiter", "Rate", "ServerLimits", "Session", "client_name"]

KINDS_OF_SESSIONS = ("control", "relay", "realtime")
KINDS = {
    "selectVoice": "voice",
    "changeVoice": "voice",
    "mixVoices": "voice",
    "start": "transport",
    "stop": "transport",
    "startRecording": "transport",
    "stopRecording": "transport",
    "previewVoice": "transport",
    "setParameters": "settings",
    "setEffects": "settings",
    "setInput": "settings",
    "configureAudio": "settings",
    "setStatusInterval": "settings",
    "stopPreview": "settings",
    "getStatus": "status",
    "getVoices": "status",
}
"""Under which limit an action falls; the others are bounded by what a connection carries."""
_WORDS = {
    "voice": "changes of the voice",
    "transport": "starts and stops",
    "settings": "changes of settings",
    "status": "requests",
    "requests": "requests",
    "connections": "connections",
}


class Ending(StrEnum):
    """Why a socket was ended though its client has not left; what the client is told as ``code``."""

    SILENT = "timeout"
    EXPIRED = "session_expired"
    OPERATOR = "ended_by_operator"
    TOKEN = "token_revoked"
    SHUTDOWN = "server_shutdown"


class Limiter:
    """Counts what the clients of a server do. Event loop only.

    Holds at most :attr:`ServerLimits.clients` meters of addresses, as many of tokens, and
    :attr:`ServerLimits.sessions` sessions, whoever comes.

    Attributes:
        opened: Sessions ever, by kind.
        refused: Requests and sockets ever that were not let in, by the code they were told.
    """

    def __init__(self, limits: ServerLimits, clock: Clock = monotonic_s) -> None:
        self.limits, self.clock = limits, clock
        self._meters: dict[bool, OrderedDict[str, Meter]] = {False: OrderedDict(), True: OrderedDict()}
        self._open: dict[str, Session] = {}
        self._of: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def __len__(self) -> int:
        """Addresses remembered."""
        return len(self._meters[False])

    @property
    def sessions(self) -> int:
        """Open now."""
        return len(self._open)

    def open_sessions(self) -> "list[Session]":
        """All that are open now, the oldest first."""
        return list(self._open.values())

    def find(self, session_id: str) -> "Session | None":
        """An open session."""
        return self._open.get(session_id)

    def meter(self, who: str, *, token: bool = False) -> Meter:
        """What a client, or whoever has a token, has done of late."""
        meters = self._meters[token]  # apart: no crowd of addresses makes a token forgotten
        meter = meters.get(who)
        if meter is None:
            meter = meters[who] = Meter()
            if len(meters) > self.limits.clients:
                meters.popitem(last=False)
        else:
            meters.move_to_end(who)
        return meter

    def request(self, client: str, grant: Grant | None = None) -> None:
        """A client asks by HTTP: count it to the client, or, once it is known who it is, to its token.

        Raises:
            RateLimitError: Too often.
        """
        self._come(client, grant, "requests", self.limits.requests)

    def connect(self, client: str, grant: Grant | None = None) -> None:
        """A client wants a socket; else as :meth:`request`.

        Raises:
            RateLimitError: Too often.
        """
        self._come(client, grant, "connections", self.limits.connections)

    def _come(self, client: str, grant: Grant | None, kind: str, rate: Rate) -> None:
        if grant is None:
            meter = self.meter(client)
        elif grant.token_id:
            meter = self.meter(grant.token_id, token=True)
        else:
            return  # the operator's token is everybody's who has it: they are counted by address
        now_s = self.clock()
        wait_s = meter.wait_s(kind, rate, now_s)
        if wait_s > 0.0:
            raise _too_often(kind, wait_s)
        meter.count(kind, rate, now_s)

    def open(self, client: str, grant: Grant = EVERYTHING, kind: str = "control") -> "Session":
        """A client's socket is opened; close the session when it ends.

        Raises:
            RateLimitError: There are as many as there may be.
        """
        limits = self.limits
        if self.sessions >= limits.sessions:
            raise RateLimitError("The server has as many connections as it may: try again later", retry_after_ms=5000)
        if self._of[client] >= limits.sessions_per_client:
            raise RateLimitError("You have as many connections as you may: close one", retry_after_ms=5000)
        if grant.token_id and self._of[_TOKEN + grant.token_id] >= limits.sessions_per_client:
            raise RateLimitError("This token has as many connections as it may: close one", retry_after_ms=5000)
        session = Session(self, client, grant, kind)
        self._open[session.id] = session
        self._of.update(session.counted)
        self.opened[kind] += 1
        return session

    def closed(self, session: "Session") -> None:
        """A session has ended. Twice is fine."""
        if self._open.pop(session.id, None) is None:
            return
        self._of.subtract(session.counted)
        for key in session.counted:
            if not self._of[key]:
                del self._of[key]


_TOKEN = "token "


class Session:
    """One open socket, as limits and the operator see it. Event loop only.

    Attributes:
        id: Of no meaning, and secret to nobody who may list sessions.
        kind: ``control``, ``relay`` or ``realtime``.
        client: Its address, or its IPv6 network.
        token: Name of its token, "" for the operator's and where none is needed.
        role: What it may do.
        started_at: When it was opened.
        busy: Whether it is in use though nothing comes from its client.
        describe: What it does now: ``voice``, ``processing``, ``latency_ms``.
        on_end: Called once by :meth:`end`.
        ended: Why, once it was.
    """

    def __init__(self, limiter: Limiter, client: str, grant: Grant, kind: str) -> None:
        self.id = secrets.token_hex(8)
        self.kind, self.client, self.grant = kind, client, grant
        self.started_at = datetime.now(UTC)
        self.counted = (client, _TOKEN + grant.token_id) if grant.token_id else (client,)
        self.busy: Callable[[], bool] = bool
        self.describe: Callable[[], Mapping[str, Any]] = dict
        self.on_end: Callable[[], None] = lambda: None
        self.ended: Ending | None = None
        self._limiter, self._own = limiter, Meter()

    @property
    def token(self) -> str:
        """Name of its token."""
        return self.grant.token

    @property
    def role(self) -> Role:
        """What it may do."""
        return self.grant.role

    def require(self, role: Role | str) -> None:
        """Let through who may do what a role may.

        Raises:
            ForbiddenError: This client may not.
        """
        if not self.role.covers(Role(role)):
            raise ForbiddenError(f"This token may not do that: it has the role {self.role}, and {role} is needed")

    def end(self, reason: Ending | str = Ending.OPERATOR) -> None:
        """Close the socket; its client is told why. The first reason counts."""
        if self.ended is None:
            self.ended = Ending(reason)
            self.on_end()

    def check(self, action: str) -> None:
        """Count an action of the client.

        Raises:
            RateLimitError: It comes too often; nothing else changes.
        """
        kind = KINDS.get(action)
        if kind is None:
            return
        limits, now_s = self._limiter.limits, self._limiter.clock()
        rate: Rate = getattr(limits, kind)
        meters = [(self._own, 1.0), (self._limiter.meter(self.client), limits.shared)]
        if self.grant.token_id:
            meters.append((self._limiter.meter(self.grant.token_id, token=True), limits.shared))
        wait_s = max(meter.wait_s(kind, rate, now_s, share) for meter, share in meters)
        if wait_s > 0.0:
            raise _too_often(kind, wait_s)
        for meter, share in meters:
            meter.count(kind, rate, now_s, share)

    def close(self) -> None:
        """The socket is closed."""
        self._limiter.closed(self)


def _too_often(kind: str, wait_s: float) -> RateLimitError:
    return RateLimitError(f"Too many {_WORDS[kind]} in a short time", retry_after_ms=math.ceil(1000.0 * wait_s))


def client_name(address: tuple[str, int] | None) -> str:
    """Whose rates an address counts to: its own, or those of its IPv6 /64, which one person has whole.

    >>> client_name(("2001:db8::1", 9)) == client_name(("2001:db8::2", 9)), client_name(("::ffff:192.0.2.1", 9))
    (True, '192.0.2.1')
    """
    if address is None:
        return "local"
    plain = plain_address(address[0].partition("%")[0])
    if isinstance(plain, IPv6Address) and not plain.is_loopback:
        return str(ip_network((plain, 64), strict=False))
    return str(plain) if plain is not None else address[0][:64]
