"""The token that a server asks for."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from menura.errors import ConfigError

__all__ = ["SUBPROTOCOL", "Token", "answered_subprotocol", "page_cookie", "page_cookies", "presented"]

SUBPROTOCOL = "menura"
"""What a socket's client may offer beside its token, and is answered."""
IN_SUBPROTOCOL = "menura.token."
AS_API_KEY = "openai-insecure-api-key."
"""How a browser's client of the Realtime API brings its key."""
PAGE_COOKIE = "menura-page-"
MIN_CHARACTERS, MAX_CHARACTERS = 16, 256
MAX_FIELDS = 64
"""Of a query that are looked at."""
_FORM = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
"""Characters that stand for themselves in an address (RFC 3986, 2.3) and in a subprotocol (RFC 9110, 5.6.2)."""
_REALTIME = "/v1/realtime"


class Token:
    """A secret that clients bring; only hashes of it are kept.

    Args:
        text: 16 to 256 letters, digits, ``.``, ``_``, ``~`` or ``-``.

    Raises:
        ConfigError: It is shorter or longer, or holds other characters; the text does not repeat it.

    >>> token = Token("correct-horse-battery")
    >>> token.matches("correct-horse-battery"), token.matches("correct-horse-batterz")
    (True, False)
    >>> token
    Token(…)
    """

    __slots__ = ("_digest", "_page")

    def __init__(self, text: str) -> None:
        if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS or not _FORM.fullmatch(text):
            raise ConfigError(
                f"a token has {MIN_CHARACTERS} to {MAX_CHARACTERS} letters, digits, '.', '_', '~' or '-' "
                f"and nothing else; this one has {len(text)} characters"
            )
        self._digest = _digest(text)
        self._page = hmac.new(text.encode(), b"menura page", hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "Token(…)"

    @staticmethod
    def make() -> str:
        """The text of a new one: 256 bits of the system's randomness."""
        return secrets.token_urlsafe(32)

    def matches(self, text: str) -> bool:
        """Whether this is it; takes as long whatever the answer."""
        return hmac.compare_digest(_digest(text), self._digest)

    @property
    def page_cookie(self) -> tuple[str, str]:
        """Name and value of the cookie that opens the page and its parts, and nothing else.

        A cookie goes to every port of a host, so it must not be the token, nor worth as much.
        """
        return f"{PAGE_COOKIE}{self._page[:8]}", self._page[8:]

    def opens_page(self, cookies: str) -> bool:
        """Whether a ``Cookie`` header has :attr:`page_cookie`."""
        name, value = self.page_cookie
        found = False
        for key, text in page_cookies([cookies]):
            found |= key == name and hmac.compare_digest(_digest(text), _digest(value))
        return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def presented(scope: Any) -> Iterator[str]:
    """What a client brings as token: ``?token=``, ``Authorization: Bearer``, or a subprotocol.

    Args:
        scope: Of the request or socket (ASGI).
    """
    query = scope.get("query_string", b"").decode("latin-1")
    with suppress(ValueError):  # more fields than anybody needs: none of them counts
        yield from (value for name, value in parse_qsl(query, max_num_fields=MAX_FIELDS) if name == "token")
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, text = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                yield text.strip()
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(IN_SUBPROTOCOL):
            yield offered.removeprefix(IN_SUBPROTOCOL)
        elif offered.startswith(AS_API_KEY) and scope["path"] == _REALTIME:
            yield offered.removeprefix(AS_API_KEY)


def answered_subprotocol(offered: list[str]) -> str | None:
    """What a socket's client is answered: browsers leave a server that takes none of what they offered.

    >>> answered_subprotocol(["menura.token.secret", "menura"]), answered_subprotocol(["chat"])
    ('menura', None)
    """
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    return next((one for one in offered if one.startswith(IN_SUBPROTOCOL)), None)


def page_cookie(name: str, value: str, *, secure: bool = False) -> str:
    """A ``Set-Cookie`` header with a cookie that opens the page, for as long as the browser is open."""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"


def page_cookies(headers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and value of the cookies in ``Cookie`` headers that may open the page."""
    for cookies in headers:
        for cookie in cookies.split(";"):
            name, _, value = cookie.strip().partition("=")
            if name.startswith(PAGE_COOKIE):
                yield name, value
