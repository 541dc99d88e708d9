"""Who may ask for what: the table of all routes."""

import re
from dataclasses import dataclass

from menura.store.role import Role

__all__ = ["EVERYTHING", "ROUTES", "Grant", "Role", "needed_role"]

READING = ("GET", "HEAD")
SOCKET = ("SOCKET",)
"""In the place of a method: a WebSocket."""

ROUTES: tuple[tuple[Role, tuple[str, ...], str], ...] = (
    (Role.LISTEN, READING, "/"),
    (Role.LISTEN, READING, "/page/{path}"),
    (Role.LISTEN, READING, "/metrics"),
    (Role.LISTEN, READING, "/api/openapi.json"),
    (Role.LISTEN, SOCKET, "/ws/realtime-control"),
    (Role.LISTEN, READING, "/api/access"),
    (Role.USE, SOCKET, "/ws/relay"),
    (Role.USE, SOCKET, "/v1/realtime"),
    (Role.LISTEN, READING, "/api/voices"),
    (Role.LISTEN, READING, "/api/voices/{}"),
    (Role.LISTEN, READING, "/api/voices/{}/preview"),
    (Role.LISTEN, READING, "/api/effects"),
    (Role.LISTEN, READING, "/api/rvc-options"),
    (Role.LISTEN, READING, "/api/effect-presets"),
    (Role.LISTEN, READING, "/api/base-models"),
    (Role.LISTEN, READING, "/api/settings"),
    (Role.USE, READING, "/api/devices"),
    (Role.USE, READING, "/api/recordings"),
    (Role.USE, READING, "/api/recordings/{}"),
    (Role.USE, READING, "/api/recordings/{}/audio"),
    (Role.USE, ("POST",), "/api/conversions"),
    (Role.USE, (*READING, "DELETE"), "/api/conversions/{}"),
    (Role.USE, READING, "/api/conversions/{}/audio"),
    (Role.MANAGE, ("POST",), "/api/voices"),
    (Role.MANAGE, ("PATCH", "DELETE"), "/api/voices/{}"),
    (Role.MANAGE, ("PUT",), "/api/voices/{}/favourite"),
    (Role.MANAGE, ("POST",), "/api/voices/{}/duplicate"),
    (Role.MANAGE, READING, "/api/voices/{}/export"),
    (Role.MANAGE, ("POST",), "/api/voices/import"),
    (Role.MANAGE, ("POST",), "/api/models"),
    (Role.MANAGE, ("DELETE",), "/api/models/{}"),
    (Role.MANAGE, ("POST",), "/api/models/{}/voice"),
    (Role.MANAGE, READING, "/api/sessions"),
    (Role.MANAGE, ("DELETE",), "/api/sessions/{}"),
    (Role.MANAGE, ("PATCH", "DELETE"), "/api/recordings/{}"),
    (Role.MANAGE, ("PUT", "PATCH"), "/api/settings"),
    (Role.MANAGE, ("POST",), "/api/effect-presets"),
    (Role.MANAGE, ("PATCH", "DELETE"), "/api/effect-presets/{}"),
    (Role.MANAGE, (*READING, "POST"), "/api/tokens"),
    (Role.MANAGE, ("DELETE",), "/api/tokens/{}"),
)
"""Role, methods, path: ``{}`` is one segment, ``{path}`` any. What is not here needs :attr:`Role.MANAGE`."""

_SEGMENT = {"{}": "[^/]+", "{path}": ".*"}


def _pattern(path: str) -> str:
    return "".join(_SEGMENT.get(part) or re.escape(part) for part in re.split(r"(\{\}|\{path\})", path))


def _compiled(role: Role) -> re.Pattern[str]:
    """Of ``METHOD path``."""
    texts = (f"(?:{'|'.join(methods)}) {_pattern(path)}" for needed, methods, path in ROUTES if needed is role)
    return re.compile("|".join(texts), re.DOTALL)


_MATCHING = tuple((role, _compiled(role)) for role in reversed(Role))  # where two fit, the higher one is needed


def needed_role(method: str, path: str) -> Role:
    """What a request needs.

    Args:
        method: Of HTTP; ``SOCKET`` for a WebSocket.
        path: Decoded, as routes see it.

    >>> needed_role("GET", "/api/voices/robot"), needed_role("SOCKET", "/ws/relay"), needed_role("GET", "/api/new")
    (<Role.LISTEN: 'listen'>, <Role.USE: 'use'>, <Role.MANAGE: 'manage'>)
    """
    asked = f"{method} {path}"
    return next((role for role, pattern in _MATCHING if pattern.fullmatch(asked)), Role.MANAGE)


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may do, and by what right.

    Attributes:
        role: What they may do.
        token: Name of their token; "" for the operator's, and where none is needed.
        token_id: Its id in the library.
    """

    role: Role = Role.MANAGE
    token: str = ""
    token_id: str = ""


EVERYTHING = Grant()
"""Of the operator."""
