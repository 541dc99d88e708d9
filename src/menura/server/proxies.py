"""Reverse proxies that are believed when they say for whom they ask."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, Self

from menura.errors import ConfigError
from menura.server.hosts import plain_address

__all__ = ["FORWARDED_SCHEME", "Proxies"]

FORWARDED_SCHEME = "menura.scheme"
"""Where :meth:`Proxies.look_behind` puts ``http`` or ``https``, if a proxy has told."""
MAX_HOPS = 32
_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which of those that connect are proxies of the operator's; nobody by default.

    Attributes:
        networks: Their addresses.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """From addresses and networks.

        Raises:
            ConfigError: One is neither.

        >>> Proxies.of(["127.0.0.1", "10.0.0.0/8"]).trust("10.1.2.3"), Proxies().trust("127.0.0.1")
        (True, False)
        """
        networks = []
        for text in texts:
            try:
                networks.append(ip_network(text))
            except ValueError:
                raise ConfigError(
                    f"a proxy is an address or a network, as 127.0.0.1 or 10.0.0.0/8, not {text[:64]!r}"
                ) from None
        return cls(tuple(networks))

    def __bool__(self) -> bool:
        return bool(self.networks)

    def trust(self, address: str) -> bool:
        """Whether this is one."""
        plain = plain_address(address.partition("%")[0])
        return plain is not None and self._among(plain)

    def _among(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)

    def look_behind(self, scope: Any) -> None:
        """Replace the ``client`` of a request or socket by whom a proxy asks for, and note in which scheme.

        Each proxy appends to ``X-Forwarded-For`` who asks it, and anybody may begin the list with whatever they like:
        so it is read from its end, and whoever is no proxy of ours has asked. Of ``X-Forwarded-Proto`` the last counts.

        Args:
            scope: Changed in place (ASGI), so that the log tells the client too.
        """
        client = scope.get("client")
        if not self.networks or client is None or not self.trust(client[0]):
            return
        asked: IPv4Address | IPv6Address | None = None
        for _, text in zip(range(MAX_HOPS), reversed(list(_listed(scope, b"x-forwarded-for"))), strict=False):
            address = plain_address(_without_port(text))
            if address is None:
                break
            asked = address
            if not self._among(address):
                break
        if asked is not None:
            scope["client"] = (str(asked), 0)
        schemes = list(_listed(scope, b"x-forwarded-proto"))
        if schemes and (scheme := _SCHEMES.get(schemes[-1].lower())):
            scope[FORWARDED_SCHEME] = scheme


def _listed(scope: Any, name: bytes) -> Iterator[str]:
    for key, value in scope["headers"]:
        if key == name:
            yield from (part.strip() for part in value.decode("latin-1").split(",") if part.strip())


def _without_port(text: str) -> str:
    """Some proxies tell the port too.

    >>> _without_port("192.0.2.1:443"), _without_port("[2001:db8::1]:443"), _without_port("2001:db8::1")
    ('192.0.2.1', '2001:db8::1', '2001:db8::1')
    """
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
