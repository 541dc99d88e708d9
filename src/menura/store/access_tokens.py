"""Named tokens: who may use a server, and for what."""

import hashlib
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from menura.errors import ConfigError, FileError, NotFoundError, StateError
from menura.places import data_folder, database_url
from menura.store.database import Database
from menura.store.role import Role
from menura.store.tables import TokenRow

__all__ = ["AccessTokens", "NamedToken", "token_digest"]

MAX_TOKENS = 1000
MAX_EXPIRY_S = 100 * 366 * 86_400.0
PREFIX = "menura_"
"""Of a token's text: programs that look for secrets in files know it by that."""
_NAME = re.compile(r"[^\s](?:[^\n\r\t]{0,78}[^\s])?")


@dataclass(frozen=True, slots=True)
class NamedToken:
    """A token, without its text, which nobody keeps.

    Attributes:
        used_at: When it was last brought, to about a minute.
        digest: SHA-256 of its text, in hexadecimal.
    """

    id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    digest: str = field(repr=False)

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


def token_digest(text: str) -> str:
    """What is kept of a token.

    SHA-256, not a slow hash: those make guessing costly where people choose the secret. These are 256 random bits,
    which nobody guesses however fast; and a slow hash would let anybody keep a server busy with wrong tokens.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class AccessTokens:
    """The named tokens of the library's database. May be used from any thread, and by several processes at a time.

    Opened when first used.

    Args:
        folder: Of the library; by default the user's.
        url: Of the database; by default in that folder.
    """

    def __init__(self, folder: Path | None = None, url: str | None = None) -> None:
        self._folder, self._url = folder, url
        self._lock = threading.Lock()
        self._opened: Database | None = None
        self.changes = 0  # how often this object has changed them: who has a copy looks again

    def _place(self) -> tuple[Path, str]:
        """Folder and address of the database."""
        folder = self._folder or data_folder()
        return folder, database_url(folder) if self._url is None else database_url(
            folder, {"MENURA_DATABASE": self._url}
        )

    def _database(self) -> Database:
        with self._lock:
            if self._opened is None:
                folder, url = self._place()
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise FileError(
                        f"cannot use {folder}: {error.strerror}; MENURA_HOME names another place"
                    ) from error
                self._opened = Database(url)
            return self._opened

    @property
    def _none(self) -> bool:
        """Whether there is no database, and so no token: it is made when something is put into it."""
        kind, _, path = self._place()[1].partition(":///")
        return self._opened is None and kind == "sqlite" and not Path(path).exists()

    def close(self) -> None:
        """Leave the database. Twice is fine."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def add(self, name: str, role: Role | str, expires_in_s: float | None = None) -> tuple[NamedToken, str]:
        """Make a token.

        Args:
            name: Of whom or what it is for: 1 to 80 characters, and no other token's.
            role: What it allows.
            expires_in_s: After which it is no longer valid.

        Returns:
            The token and its text, which is not kept: whoever loses it makes another.

        Raises:
            ConfigError: Such a token cannot be.
            StateError: There is one of this name, or as many as there may be.
            LibraryError: The database fails.
        """
        if not _NAME.fullmatch(name) or not name.isprintable():
            raise ConfigError("a token's name has 1 to 80 characters, all visible, and no blank at its ends")
        if role not in list(Role):
            raise ConfigError(f"a role is one of {', '.join(Role)}, not {str(role)[:40]!r}")
        if expires_in_s is not None and not 0.0 < expires_in_s <= MAX_EXPIRY_S:
            raise ConfigError("a token expires in more than 0 seconds, and at most 100 years")
        text, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        expires_at = None if expires_in_s is None else now + timedelta(seconds=expires_in_s)
        row = TokenRow(
            id=secrets.token_hex(8),
            name=name,
            role=str(Role(role)),
            digest=token_digest(text),
            created_at=now,
            expires_at=expires_at,
        )
        with self._database().writing() as session:
            if session.scalar(select(TokenRow.id).where(TokenRow.name == name)):
                raise StateError(f"there is a token {name!r} already: choose another name, or remove that one")
            if (session.scalar(select(func.count()).select_from(TokenRow)) or 0) >= MAX_TOKENS:
                raise StateError(f"there are {MAX_TOKENS} tokens, and no more are possible: remove some")
            session.add(row)
        self.changes += 1
        return _named(row), text

    def all(self) -> list[NamedToken]:
        """All tokens, expired ones too, by name.

        Raises:
            LibraryError: The database fails.
        """
        if self._none:
            return []
        with self._database().reading() as session:
            return [_named(row) for row in session.scalars(select(TokenRow).order_by(TokenRow.name))]

    def find(self, text: str) -> NamedToken | None:
        """The valid token of this text.

        Raises:
            LibraryError: The database fails.
        """
        if self._none:
            return None
        with self._database().reading() as session:
            row = session.scalar(select(TokenRow).where(TokenRow.digest == token_digest(text)))
            found = None if row is None else _named(row)
        return None if found is None or found.expired(datetime.now(UTC)) else found

    def remove(self, wanted: str) -> NamedToken:
        """Remove a token: whoever has it may do nothing with it any more, within seconds in a running server.

        Args:
            wanted: Its id, or its name.

        Raises:
            NotFoundError: There is none.
            LibraryError: The database fails.
        """
        with self._database().writing() as session:
            row = session.get(TokenRow, wanted) or session.scalar(select(TokenRow).where(TokenRow.name == wanted))
            if row is None:
                raise NotFoundError(f"there is no token {wanted[:80]!r}")
            session.delete(row)
            removed = _named(row)
        self.changes += 1
        return removed

    def touch(self, used: Mapping[str, datetime]) -> None:
        """Note when tokens were used last.

        Args:
            used: By id; what is not there any more is passed over.

        Raises:
            LibraryError: The database fails.
        """
        if not used:
            return
        with self._database().writing() as session:
            for token_id, moment in used.items():
                session.execute(update(TokenRow).where(TokenRow.id == token_id).values(used_at=moment))


def _named(row: TokenRow) -> NamedToken:
    return NamedToken(row.id, row.name, Role(row.role), row.created_at, row.expires_at, row.used_at, row.digest)
