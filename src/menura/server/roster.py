"""The named tokens as a running server knows them: in memory, looked at again every second or two."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from menura.clock import Clock, monotonic_s
from menura.errors import MenuraError
from menura.log import get_logger
from menura.server.roles import Grant
from menura.server.tokens import PAGE_COOKIE
from menura.store.access_tokens import NamedToken, token_digest

__all__ = ["Roster", "TokenSource"]

_log = get_logger(__name__)
LOOK_S = 1.5
"""How often the database is asked."""
TRUSTED_S = 60.0
"""How long what was read counts while the database fails: then nobody is let in, for tokens may have been removed."""
NOTE_S = 60.0
"""How often it is written when a token was used."""
SOON_S = 0.2
"""How soon somebody who brings an unknown token may have the database asked again."""


class TokenSource(Protocol):
    """Where named tokens are kept; :class:`~menura.store.access_tokens.AccessTokens` is one."""

    changes: int

    def all(self) -> list[NamedToken]:
        """All tokens."""

    def touch(self, used: Mapping[str, datetime]) -> None:
        """Note when tokens were used."""


@dataclass(frozen=True, slots=True)
class _Known:
    token: NamedToken
    grant: Grant
    page: str


class Roster:
    """Knows named tokens without asking the database while somebody waits. Event loop only.

    Args:
        source: Where they are kept; asked in a thread.
        clock: For how old the knowledge is.
    """

    def __init__(self, source: TokenSource, clock: Clock = monotonic_s) -> None:
        self._source, self._clock = source, clock
        self._secret = secrets.token_bytes(32)
        self._by_mark: dict[bytes, _Known] = {}
        self._by_page: dict[str, _Known] = {}
        self._by_id: dict[str, _Known] = {}
        self._read_s, self._tried_s, self._noted_s = -1e9, -1e9, clock()
        self._changes = -1
        self._used: dict[str, datetime] = {}
        self._reading = asyncio.Lock()
        self._fault = ""

    def _mark(self, digest: str) -> bytes:
        """Keyed anew in each process, so that how long a look-up takes tells nothing that could be aimed at."""
        return hmac.digest(self._secret, digest.encode(), hashlib.sha256)

    @property
    def trusted(self) -> bool:
        """Whether what is known is recent enough."""
        return self._clock() - self._read_s <= TRUSTED_S

    def find(self, text: str) -> Grant | None:
        """What a token allows; None for one that is not valid."""
        return self._grant(self._by_mark.get(self._mark(token_digest(text))))

    def find_page(self, cookie: str, value: str) -> Grant | None:
        """What the token allows that a page's cookie was made of."""
        known = self._by_page.get(cookie)
        return self._grant(known) if known and hmac.compare_digest(known.page[8:].encode(), value.encode()) else None

    def page_cookie(self, token_id: str) -> tuple[str, str]:
        """Name and value of the cookie that opens the page for whoever has a token."""
        page = self._by_id[token_id].page
        return f"{PAGE_COOKIE}{page[:8]}", page[8:]

    def _grant(self, known: _Known | None) -> Grant | None:
        now = datetime.now(UTC)
        if known is None or known.token.expired(now) or not self.trusted:
            return None
        self._used[known.token.id] = now
        return known.grant

    def valid(self, token_id: str) -> bool:
        """Whether a token is still there, and its time not over."""
        known = self._by_id.get(token_id)
        return known is not None and self.trusted and not known.token.expired(datetime.now(UTC))

    @property
    def stale(self) -> bool:
        """Whether the database should be asked before anybody is answered."""
        return self._changes != self._source.changes or self._clock() - self._read_s > 2.0 * LOOK_S

    async def refresh(self) -> None:
        """Ask the database, unless somebody else has since this was called; not more often than every :data:`SOON_S`,
        whoever comes. A failure is logged: what is known stays, for a while.
        """
        called_s = self._clock()
        async with self._reading:
            if self._tried_s > called_s:
                return
            if self._changes == self._source.changes:
                await asyncio.sleep(max(0.0, self._tried_s + SOON_S - called_s))
            changes = self._source.changes
            try:
                self._learn(await asyncio.to_thread(self._source.all))
                self._read_s, self._fault = self._clock(), ""
            except (MenuraError, OSError) as error:
                if str(error) != self._fault:  # told once, not every second
                    _log.warning("named tokens cannot be read: %s", error)
                self._fault = str(error)
            self._changes, self._tried_s = changes, self._clock()

    def _learn(self, tokens: Collection[NamedToken]) -> None:
        known = []
        for token in tokens:
            page = hmac.new(token.digest.encode(), b"menura page", hashlib.sha256).hexdigest()
            known.append(_Known(token, Grant(token.role, token.name, token.id), page))
        self._by_mark = {self._mark(one.token.digest): one for one in known}
        self._by_page = {f"{PAGE_COOKIE}{one.page[:8]}": one for one in known}
        self._by_id = {one.token.id: one for one in known}

    async def note(self, *, now: bool = False) -> None:
        """Write when tokens were used, if that was long ago."""
        if not self._used or not (now or self._clock() - self._noted_s >= NOTE_S):
            return
        used, self._used, self._noted_s = self._used, {}, self._clock()
        try:
            await asyncio.to_thread(self._source.touch, used)
        except (MenuraError, OSError) as error:
            _log.warning("cannot note that tokens were used: %s", error)

    async def watch(self, look: Callable[[], None]) -> None:
        """Ask and note again and again, until cancelled.

        Args:
            look: Called each time after: sockets of tokens that are gone are to be ended.
        """
        while True:
            await self.refresh()
            look()
            await self.note()
            await asyncio.sleep(LOOK_S)
