"""Where a provider is, and what must not be seen of how it is reached."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from menura.errors import ConfigError, MenuraError, ProviderError

__all__ = ["Redactor", "Target"]

OPENAI_URL = "wss://api.openai.com/v1/realtime"
_SCHEMES = {"wss": "wss", "ws": "ws", "https": "wss", "http": "ws"}
_HIDDEN = "***"
_KEY_LIKE = re.compile(r"\b(?:sk|ek|pk)-[\w*.-]{4,}|(?<=Bearer )\S+")
_OPEN_NAMES = frozenset({"model", "api-version", "deployment", "intent", "agent_id"})
"""Parts of a query that are no secrets; all others may be."""
_SHORTEST = 6
"""A shorter text is no secret, and would be found in any sentence."""
Key = str | Callable[[], str]


class Redactor:
    """Takes secrets out of texts.

    Args:
        secrets: To be hidden.
        inner: Another, whose secrets are hidden too, those it learns later included.

    >>> Redactor(["hunter2-hunter2"])("key hunter2-hunter2 refused, so is sk-abc***xyz")
    'key *** refused, so is ***'
    """

    def __init__(self, secrets: Iterable[str] = (), inner: "Redactor | None" = None) -> None:
        self._secrets: list[str] = []  # the longest first: one may hold another
        self._inner = inner
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these as well, and what becomes of them in an address."""
        known = {*self._secrets}
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                known |= {secret, quote(secret, safe="")}
        self._secrets = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._inner is not None:
            text = self._inner(text)
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return _KEY_LIKE.sub(_HIDDEN, text)

    def clean(self, error: MenuraError) -> MenuraError:
        """The same error, with nothing secret in it, nor in what it came from."""
        error.args = tuple(self(arg) if isinstance(arg, str) else arg for arg in error.args)
        error.__cause__ = error.__context__ = None
        if isinstance(error, ProviderError):
            error.provider_code = self(error.provider_code)
        return error


class Target:
    """A provider's address, and the headers it wants.

    Args:
        url: Full address, or a base like ``wss://host/v1`` to which ``/realtime`` is added; ``http(s)`` will do.
        model: Added to the address unless that names one; None adds nothing.
        key: Sent as ``Authorization: Bearer``; a function is asked before each connection.
        headers: Sent as they are.

    Raises:
        ConfigError: There is no such address, or a header that providers refuse.

    >>> target = Target("https://host/openai/v1?api-key=secret", "m", None, {})
    >>> target.url, target.public
    ('wss://host/openai/v1/realtime?api-key=secret&model=m', 'wss://host/openai/v1/realtime?api-key=***&model=m')
    """

    def __init__(self, url: str | None, model: str | None, key: Key | None, headers: Mapping[str, str]) -> None:
        parts = _split(url or OPENAI_URL)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if model and not any(name in ("model", "deployment") for name, _ in query):
            query.append(("model", model))
        self.url = urlunsplit(parts._replace(query=urlencode(query)))
        if any(name.lower() == "openai-beta" for name in headers):
            raise ConfigError("the header OpenAI-Beta is refused by providers: leave it out")
        self._key, self._headers = key, dict(headers)
        hidden = [value for name, value in query if name not in _OPEN_NAMES]
        self.redact = Redactor([*hidden, *headers.values()])
        shown = [(name, value if name in _OPEN_NAMES else _HIDDEN) for name, value in query]
        self.public = urlunsplit(parts._replace(query=urlencode(shown, safe="*")))
        self.secure = parts.scheme == "wss" or _is_local(parts.hostname or "")
        if isinstance(key, str):
            self.headers()  # is it a key?

    def headers(self) -> dict[str, str]:
        """What a connection is opened with now."""
        key = (self._key() if callable(self._key) else self._key or "").strip()
        if not key:
            return dict(self._headers)
        self.redact.add(key)
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigError("the API key has characters that no key has")
        return {"Authorization": f"Bearer {key}"} | self._headers

    def __repr__(self) -> str:
        return f"Target({self.public!r})"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        scheme, host = _SCHEMES[parts.scheme], parts.hostname
        _ = parts.port
    except (KeyError, ValueError):
        raise ConfigError("url must begin with wss://, ws://, https:// or http:// and name a host") from None
    if not host or "@" in parts.netloc:
        raise ConfigError("url must name a host, and no user: pass a key, or headers")
    path = parts.path.rstrip("/")
    return parts._replace(scheme=scheme, path=path if path.endswith("/realtime") else path + "/realtime", fragment="")


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
