"""Where a broker is, how it is reached, and which subjects channels have there."""

import re
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from menura.channels.options import Policy, is_count
from menura.errors import ConfigError

__all__ = ["NatsAddress", "NatsOptions", "Subjects", "escape", "unescape"]

DEFAULT_PORT: Final = 4222
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_ESCAPED: Final = re.compile(rb"%([0-9A-F]{2})")
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def escape(name: str) -> str:
    """A channel's name as one token of a subject: no dot, wildcard, space or line end is left in it.

    >>> escape("room.7/left *"), unescape(escape("room.7/left *"))
    ('room%2E7%2Fleft%20%2A', 'room.7/left *')
    """
    return "".join(chr(b) if b in _PLAIN else f"%{b:02X}" for b in name.encode())


def unescape(token: str) -> str:
    """The name that :func:`escape` made a token of.

    Raises:
        UnicodeDecodeError: No name gives this token.
    """
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), token.encode()).decode()


class Subjects:
    """Subjects of channels under a prefix.

    >>> Subjects("menura").frames("room 1")
    'menura.ch.room%201'
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def frames(self, name: str) -> str:
        """What publishers send."""
        return f"{self.prefix}.ch.{escape(name)}"

    def control(self, name: str) -> str:
        """What subscribers say to publishers."""
        return f"{self.prefix}.ctl.{escape(name)}"

    def answers(self, identity: int, name: str | None = None) -> str:
        """What publishers send to one process alone, on one channel or on all."""
        return f"{self.prefix}.in.{identity:016x}.{'*' if name is None else escape(name)}"


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """How channels use a broker.

    Attributes:
        user: With ``password``; where the address has none.
        password: Never shown.
        token: Instead of both; never shown.
        tls: Certificates to trust and to show; an address ``tls://`` alone takes the system's.
        prefix: First part of all subjects: managers with different ones do not meet.
        policy: What becomes of what is published when a channel's outgoing queue is full.
        max_queue: Frames that wait on one channel while the broker is away or slow.
        max_age_s: What has waited longer is not sent any more; ``None`` keeps it.
        connect_timeout_s: How long the broker has to answer.
        stale_s: How long a silent broker counts as there.
        idle_timeout_s: A channel that had a publisher and then hears nothing for so long ends here; ``None``: never.

    Raises:
        ConfigError: A setting has a value it cannot have; the text names it.
    """

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    prefix: str = "menura"
    policy: str = Policy.DROP_OLDEST
    max_queue: int = 256
    max_age_s: float | None = 5.0
    connect_timeout_s: float = 3.0
    stale_s: float = 3.0
    idle_timeout_s: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str) or not _PREFIX.fullmatch(self.prefix):
            raise ConfigError("prefix has letters, digits, - and _, in parts joined by dots")
        if self.policy not in tuple(Policy):
            raise ConfigError(f"policy must be one of {', '.join(Policy)}, not {self.policy!r}")
        if not is_count(self.max_queue, 1):
            raise ConfigError(f"max_queue must be a whole number of at least 1, not {self.max_queue!r}")
        for name in ("max_age_s", "connect_timeout_s", "stale_s", "idle_timeout_s"):
            value = getattr(self, name)
            if value is None and name in ("max_age_s", "idle_timeout_s"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < 1e6:
                raise ConfigError(f"{name} must be a number of seconds above 0, not {value!r}")
        if (self.user is None) != (self.password is None):
            raise ConfigError("user and password go together")


class NatsAddress:
    """One broker, or several of one cluster, and the credentials they want.

    Args:
        url: ``nats://host:port`` or ``tls://``; ``user:password@`` or ``token@`` before the host; several separated
            by commas.
        options: Credentials there go before those of the address.

    Raises:
        ConfigError: There is no such address. The text shows no credentials.

    >>> address = NatsAddress("nats://me:secret@host,nats://other:4333", NatsOptions())
    >>> address, address.servers, address.user
    (nats://host:4222,nats://other:4333, ['nats://host:4222', 'nats://other:4333'], 'me')
    """

    def __init__(self, url: str, options: NatsOptions) -> None:
        parts = [_split(one.strip()) for one in url.split(",")]
        if len({part.scheme for part in parts}) > 1:
            raise ConfigError("url: all of its addresses begin with nats://, or all with tls://")
        self.secure = parts[0].scheme == "tls" or options.tls is not None
        self.tls = options.tls
        self.servers = [f"{part.scheme}://{_host(part)}:{part.port or DEFAULT_PORT}" for part in parts]
        self.user, self.password, self.token = options.user, options.password, options.token
        named = next((part for part in parts if part.username), None)
        if named is not None and self.user is None and self.token is None:
            username = unquote(named.username or "")
            if named.password is None:
                self.token = username
            else:
                self.user, self.password = username, unquote(named.password)

    def __repr__(self) -> str:
        return ",".join(self.servers)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError("url must begin with nats:// or tls:// and name a host, and a port if any") from None
    if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError("url must begin with nats:// or tls:// and name a host, and nothing behind it")
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host
