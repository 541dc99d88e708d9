"""Under which names a server is addressed, and from which pages."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self

from menura.errors import ConfigError

__all__ = ["HostRules", "plain_address", "same_origin", "split_host"]

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?", re.ASCII | re.I)
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\s]+)", re.ASCII | re.I)
_PORTS = {"http": 80, "https": 443}


def plain_address(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address, an IPv4 one within IPv6 as what it is; None for a name."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def split_host(text: str) -> tuple[str, int | None] | None:
    """Name and port of a ``Host`` header in one spelling; None where it is malformed.

    >>> split_host("LocalHost.:8000"), split_host("[0:0::1]"), split_host("a b"), split_host("[::ffff:127.0.0.1]:80")
    (('localhost', 8000), ('::1', None), None, ('127.0.0.1', 80))
    """
    found = _HOST.fullmatch(text)
    if found is None:
        return None
    six, name = found["six"], found["name"]
    address = plain_address(six or name.removesuffix("."))
    if six and (address is None or ":" not in six):
        return None
    plain = str(address) if address is not None else name.lower().removesuffix(".")
    port = int(found["port"]) if found["port"] else None
    if not plain or plain.startswith(".") or ".." in plain or plain.endswith(".") or (port or 0) > 65535:
        return None
    return plain, port


def same_origin(origin: str, host: str, scheme: str | None = None) -> bool:
    """Whether the page that an ``Origin`` header names was loaded from the server that ``Host`` names, port and all.

    Without a port in ``Host`` the one of the page's scheme is meant: behind TLS the server does not know it, unless its
    proxy tells.

    Args:
        origin: The header.
        host: The other.
        scheme: ``http`` or ``https``, where it is known how the server is addressed.

    >>> same_origin("https://Voice.example", "voice.example:443"), same_origin("http://host:8001", "host:8000")
    (True, False)
    >>> same_origin("http://[::1]:8000", "[0::1]:8000"), same_origin("null", "host")
    (True, False)
    """
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return False
    page, server = split_host(found["host"]), split_host(host)
    if page is None or server is None:
        return False
    if scheme is not None and found["scheme"].lower() != scheme:
        return False
    usual = _PORTS[found["scheme"].lower()]
    return page[0] == server[0] and (page[1] or usual) == (server[1] or usual)


def _is_loopback(name: str) -> bool:
    address = plain_address(name)
    return name == "localhost" if address is None else address.is_loopback


@dataclass(frozen=True, slots=True)
class HostRules:
    """Which ``Host`` headers a server takes, against names that an attacker lets resolve to it (DNS rebinding).

    Attributes:
        names: In the spelling of :func:`split_host`, beside the names of loopback; None takes any.
    """

    names: frozenset[str] | None = None

    @classmethod
    def of(cls, *own: str, named: Iterable[str] = (), token: bool = False) -> Self:
        """The rules of a server.

        Args:
            own: Address it listens on, and what it is called beside.
            named: By the operator, without port.
            token: Whether clients need one: then any name is taken on an address that is not loopback, unless some
                are named. A rebound page cannot bring the token.

        Raises:
            ConfigError: One that is named is no name or address.

        >>> HostRules.of("127.0.0.1").allow("localhost:8000"), HostRules.of("127.0.0.1").allow("evil.example:8000")
        (True, False)
        """
        names = {_checked(name) for name in named}
        if token and not names and not _is_loopback(own[0]):
            return cls(None)
        return cls(frozenset(names | {_checked(name) for name in own}))

    def allow(self, host: str) -> bool:
        """Whether a ``Host`` header is one of this server's."""
        if self.names is None:
            return True
        parts = split_host(host)
        return parts is not None and (parts[0] in self.names or _is_loopback(parts[0]))


def _checked(name: str) -> str:
    plain = name.partition("%")[0]  # the network interface of a link-local address is no part of a name
    address = plain_address(plain)
    parts = split_host(f"[{plain}]" if address is not None and ":" in plain else plain)
    if parts is None or parts[1] is not None:
        raise ConfigError(f"an allowed host is a name or an address without port, as voice.example, not {name!r}")
    return parts[0]
