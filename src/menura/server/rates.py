"""How much clients may ask, and how often."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from menura.errors import ConfigError

__all__ = ["Meter", "Rate", "ServerLimits"]


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

    @classmethod
    def read(cls, text: str) -> Self:
        """From ``per_s/burst``.

        Raises:
            ValueError, ConfigError: It is none.

        >>> Rate.read("50/200")
        Rate(per_s=50.0, burst=200)
        """
        per_s, _, burst = text.partition("/")
        return cls(float(per_s), int(burst))


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a server lets its clients do. A client is an IPv4 address, or a /64 network of IPv6.

    Attributes:
        voice: Changes of the voice, of one connection.
        transport: Starts and stops, of one connection.
        settings: Changes of parameters, effects and the input, of one connection.
        status: Requests of the status and of the voices, of one connection.
        shared: All connections of a client together may do so many times as much.
        requests: HTTP requests of a client.
        connections: New sockets of a client.
        sessions: Open sockets, at one time.
        sessions_per_client: Open sockets of a client, at one time.
        session_s: How long a socket may stay open.
        idle_s: How long a socket may stay open with nothing from its client while it is not in use: no microphone of
            the server is processed for it, and no answer of an AI provider is made for it or waits to be heard.
        body_bytes: Of a request, uploads apart.
        body_s: Until a request has come, uploads apart.
        upload_bytes: Of an upload, whatever its route allows.
        upload_s: Until an upload has come.
        stall_s: How long nothing may come of a request, or nothing of an answer may be read.
        head_s: Until the head of a request has come, from the moment that its connection is opened.
        keep_alive_s: How long a connection may wait for its next request.
        head_bytes: Of a request's head.
        open_connections: At one time, used or not.
        open_per_client: Of a client.
        clients: Whose rates are remembered: beyond, whoever was away longest begins anew.

    Raises:
        ConfigError: A limit is not above 0.
    """

    voice: Rate = Rate(10.0, 30)
    transport: Rate = Rate(5.0, 20)
    settings: Rate = Rate(60.0, 240)
    status: Rate = Rate(20.0, 60)
    shared: float = 5.0
    requests: Rate = Rate(50.0, 200)
    connections: Rate = Rate(10.0, 100)
    sessions: int = 256
    sessions_per_client: int = 64
    session_s: float = 86_400.0
    idle_s: float = 1800.0
    body_bytes: int = 1024 * 1024
    body_s: float = 30.0
    upload_bytes: int = 4 * 1024**3
    upload_s: float = 3600.0
    stall_s: float = 30.0
    head_s: float = 10.0
    keep_alive_s: float = 5.0
    head_bytes: int = 32 * 1024
    open_connections: int = 800
    open_per_client: int = 200
    clients: int = 4096

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Rate) and not 0 < value < math.inf:
                raise ConfigError(f"{field.name} must be above 0, not {value}")

    def changed(self, texts: Iterable[str]) -> Self:
        """Others in their place, as an operator writes them: ``NAME=VALUE``, a rate as ``per_s/burst``.

        Raises:
            ConfigError: There is no such limit, or it cannot be so.

        >>> limits = ServerLimits().changed(["sessions=500", "requests=100/400"])
        >>> limits.sessions, limits.requests
        (500, Rate(per_s=100.0, burst=400))
        """
        names = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        changes: dict[str, Any] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in names:
                raise ConfigError(f"there is no limit {name[:40]!r}; there are {', '.join(sorted(names))}")
            kind = names[name]
            try:
                changes[name] = Rate.read(value) if kind is Rate else kind(value)
            except ConfigError:
                raise
            except ValueError:
                form = {Rate: "PER_SECOND/BURST", int: "a whole number", float: "a number"}[kind]
                raise ConfigError(f"limit {name}: {form}, not {value[:40]!r}") from None
        return replace(self, **changes)


class Meter:
    """When what may happen at a rate may happen again (generic cell rate algorithm, ITU-T I.371, annex A)."""

    __slots__ = ("_due_s",)

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}

    def wait_s(self, kind: str, rate: Rate, now_s: float, share: float = 1.0) -> float:
        """How long until it may; 0 for now.

        Args:
            kind: Of what is counted.
            rate: At which it may happen.
            now_s: On a clock that never goes back.
            share: Of the rate: several who are counted together have more.
        """
        spare_s = (rate.burst * share - 1.0) / (rate.per_s * share)
        return max(0.0, self._due_s.get(kind, now_s) - now_s - spare_s)

    def count(self, kind: str, rate: Rate, now_s: float, share: float = 1.0) -> None:
        """Note that it has happened."""
        self._due_s[kind] = max(self._due_s.get(kind, now_s), now_s) + 1.0 / (rate.per_s * share)
