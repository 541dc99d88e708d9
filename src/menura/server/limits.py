"""How much a client may ask of a server, and how often."""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from ipaddress import IPv6Address, ip_network

from menura.clock import Clock, monotonic_s
from menura.errors import ConfigError, RateLimitError
from menura.server.hosts import plain_address

__all__ = ["Limiter", "Rate", "ServerLimits", "Session", "client_name"]

KINDS = {
    "selectVoice": "voice",
    "changeVoice": "voice",
    "start": "transport",
    "stop": "transport",
    "getStatus": "status",
    "getVoices": "status",
}
"""Under which limit an action falls; the others are bounded by what a connection carries."""
_WORDS = {
    "voice": "changes of the voice",
    "transport": "starts and stops",
    "status": "requests",
    "requests": "requests",
    "connections": "connections",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen.

    Attributes:
        per_s: In the long run.
        burst: At once, after a pause.

    Raises:
        ConfigError: One of them is not above 0.
    """

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not (0.0 < self.per_s < math.inf and self.burst >= 1):
            raise ConfigError(f"a rate has per_s and burst above 0, not {self.per_s} and {self.burst}")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a server lets its clients do. A client is an IPv4 address, or a /64 network of IPv6.

    Attributes:
        voice: Changes of the voice, of one connection.
        transport: Starts and stops, of one connection.
        status: Requests of the status and of the voices, of one connection.
        shared: All connections of a client together may do so many times as much.
        requests: HTTP requests of a client.
        connections: New sockets of a client.
        sessions: Open sockets, at one time.
        sessions_per_client: Open sockets of a client, at one time.
        session_s: How long a socket may stay open.
        idle_s: How long a socket may stay open with nothing from its client, unless the server's own microphone is
            being processed for it.
        clients: Whose rates are remembered: beyond, whoever was away longest begins anew.

    Raises:
        ConfigError: A limit is not above 0.
    """

    voice: Rate = Rate(10.0, 30)
    transport: Rate = Rate(5.0, 20)
    status: Rate = Rate(20.0, 60)
    shared: float = 5.0
    requests: Rate = Rate(50.0, 200)
    connections: Rate = Rate(10.0, 100)
    sessions: int = 256
    sessions_per_client: int = 64
    session_s: float = 86_400.0
    idle_s: float = 1800.0
    clients: int = 4096

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Rate) and not 0 < value < math.inf:
                raise ConfigError(f"{field.name} must be above 0, not {value}")


class _Meter:
    """When what may happen at a rate may happen again (generic cell rate algorithm, ITU-T I.371, annex A)."""

    __slots__ = ("_due_s",)

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}

    def wait_s(self, kind: str, rate: Rate, now_s: float, share: float = 1.0) -> float:
        """How long until it may; 0 for now."""
        spare_s = (rate.burst * share - 1.0) / (rate.per_s * share)
        return max(0.0, self._due_s.get(kind, now_s) - now_s - spare_s)

    def count(self, kind: str, rate: Rate, now_s: float, share: float = 1.0) -> None:
        """Note that it has happened."""
        self._due_s[kind] = max(self._due_s.get(kind, now_s), now_s) + 1.0 / (rate.per_s * share)


class Limiter:
    """Counts what the clients of a server do.

    Holds at most :attr:`ServerLimits.clients` meters and :attr:`ServerLimits.sessions` counts, whoever comes.
    """

    def __init__(self, limits: ServerLimits, clock: Clock = monotonic_s) -> None:
        self.limits, self.clock = limits, clock
        self._meters: OrderedDict[str, _Meter] = OrderedDict()
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        """Clients remembered."""
        return len(self._meters)

    @property
    def sessions(self) -> int:
        """Open now."""
        return self._open.total()

    def meter(self, client: str) -> _Meter:
        """What a client has done of late."""
        meter = self._meters.get(client)
        if meter is None:
            meter = self._meters[client] = _Meter()
            if len(self._meters) > self.limits.clients:
                self._meters.popitem(last=False)
        else:
            self._meters.move_to_end(client)
        return meter

    def request(self, client: str) -> None:
        """A client asks by HTTP.

        Raises:
            RateLimitError: Too often.
        """
        self._come(client, "requests", self.limits.requests)

    def connect(self, client: str) -> None:
        """A client wants a socket.

        Raises:
            RateLimitError: Too often.
        """
        self._come(client, "connections", self.limits.connections)

    def _come(self, client: str, kind: str, rate: Rate) -> None:
        meter, now_s = self.meter(client), self.clock()
        wait_s = meter.wait_s(kind, rate, now_s)
        if wait_s > 0.0:
            raise _too_often(kind, wait_s)
        meter.count(kind, rate, now_s)

    def open(self, client: str) -> "Session":
        """A client's socket is opened; close the session when it ends.

        Raises:
            RateLimitError: There are as many as there may be.
        """
        if self.sessions >= self.limits.sessions:
            raise RateLimitError("The server has as many connections as it may: try again later", retry_after_ms=5000)
        if self._open[client] >= self.limits.sessions_per_client:
            raise RateLimitError("You have as many connections as you may: close one", retry_after_ms=5000)
        self._open[client] += 1
        return Session(self, client, self._closed)

    def _closed(self, client: str) -> None:
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]


class Session:
    """One open socket, as its limits see it.

    Attributes:
        busy: Whether it is in use though nothing comes from its client.
    """

    def __init__(self, limiter: Limiter, client: str, closed: Callable[[str], None]) -> None:
        self._limiter, self._client, self._closed = limiter, client, closed
        self._own = _Meter()
        self.busy: Callable[[], bool] = bool

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
        all_of_client = self._limiter.meter(self._client)
        wait_s = max(self._own.wait_s(kind, rate, now_s), all_of_client.wait_s(kind, rate, now_s, limits.shared))
        if wait_s > 0.0:
            raise _too_often(kind, wait_s)
        self._own.count(kind, rate, now_s)
        all_of_client.count(kind, rate, now_s, limits.shared)

    def close(self) -> None:
        """The socket is closed; call once."""
        self._closed(self._client)


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
