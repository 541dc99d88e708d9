"""``menura tokens``: who may use a server, and for what."""

import re
from datetime import UTC, datetime
from operator import itemgetter

from rich.console import Console

from menura.cli.tables import Columns, show_records
from menura.errors import ConfigError
from menura.store.access_tokens import AccessTokens, NamedToken
from menura.store.lookup import library_there

__all__ = ["add_token", "list_tokens", "remove_token"]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


def duration_s(text: str) -> float:
    """A duration as people write it, in seconds.

    Raises:
        ConfigError: It is none.

    >>> duration_s("30d"), duration_s("90m")
    (2592000.0, 5400.0)
    """
    found = re.fullmatch(r"([0-9]{1,7})([smhdw])", text.strip().lower(), re.ASCII)
    if found is None or int(found[1]) == 0:
        raise ConfigError(f"--expires is a number and s, m, h, d or w, as 30d, not {text[:40]!r}")
    return int(found[1]) * _SECONDS[found[2]]


def add_token(name: str, role: str, expires: str | None) -> None:
    """Make a token and print its text, this once and alone on stdout."""
    tokens = AccessTokens()
    try:
        token, text = tokens.add(name, role, None if expires is None else duration_s(expires))
    finally:
        tokens.close()
    until = f" until {_moment(token.expires_at)}" if token.expires_at else ""
    Console(stderr=True, markup=False, emoji=False, highlight=False).print(
        f"{token.name} may {token.role}{until}; this is its token, which is not shown again:"
    )
    print(text)


def list_tokens(*, as_json: bool = False) -> None:
    """List the tokens, without their texts."""
    found: list[NamedToken] = []
    if library_there():
        tokens = AccessTokens()
        try:
            found = tokens.all()
        finally:
            tokens.close()
    columns: Columns = {
        "id": itemgetter("id"),
        "name": itemgetter("name"),
        "role": itemgetter("role"),
        "created": lambda token: _moment(token["created_at"]),
        "expires": lambda token: "expired" if token["expired"] else _moment(token["expires_at"]),
        "last used": lambda token: _moment(token["used_at"]),
    }
    now = datetime.now(UTC)
    records = [
        {
            "id": token.id,
            "name": token.name,
            "role": str(token.role),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "expired": token.expired(now),
            "used_at": token.used_at,
        }
        for token in found
    ]
    show_records(records, columns, as_json=as_json, none="There are no named tokens.")


def remove_token(wanted: str) -> None:
    """Remove a token; running servers end what it has open."""
    tokens = AccessTokens()
    try:
        removed = tokens.remove(wanted)
    finally:
        tokens.close()
    print(f"removed {removed.id}  {removed.name}")


def _moment(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"
