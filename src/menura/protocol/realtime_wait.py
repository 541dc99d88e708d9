"""How long an answer that was asked for is waited for. No clock of its own, no sockets."""

from collections import deque
from enum import StrEnum

__all__ = ["AnswerWait", "Waiting"]

_MAX_REQUESTS = 1024
_SIGNS = ("response.", "conversation.", "mcp_")
"""Events that show that a provider works on an answer."""


class Waiting(StrEnum):
    """What is waited for."""

    BEGIN = "begin"
    REST = "rest"


class AnswerWait:
    """What was asked for by ``response.create`` and has not come.

    A provider may answer pings and no questions. What it does unasked, because it finds the turns by itself, is awaited
    from ``response.created`` on.

    >>> wait = AnswerWait()
    >>> wait.asked("evt_1", now_s=0.0)
    >>> wait.overdue(30.0, now_s=29.0), wait.overdue(30.0, now_s=30.0), wait.overdue(30.0, now_s=60.0)
    (None, <Waiting.BEGIN: 'begin'>, None)
    """

    def __init__(self) -> None:
        self._requests: deque[str] = deque(maxlen=_MAX_REQUESTS)
        self._answering = self._told = False
        self._sign_s = 0.0

    def asked(self, event_id: str, now_s: float) -> None:
        """A request has left."""
        if not (self._requests or self._answering):
            self.alive(now_s)
        self._requests.append(event_id)

    def refused(self, event_id: str) -> None:
        """The provider refuses something; if it does not say what ("") and a request waits, it was that."""
        if event_id in self._requests:
            self._requests.remove(event_id)
        elif not event_id and self._requests:
            self._requests.popleft()

    def begun(self) -> None:
        """An answer begins: that to the oldest request."""
        self._answering = True
        if self._requests:
            self._requests.popleft()

    def ended(self) -> None:
        """An answer has ended."""
        self._answering = False

    def saw(self, kind: str, now_s: float) -> None:
        """An event of this type came."""
        if kind.startswith(_SIGNS):
            self.alive(now_s)

    def alive(self, now_s: float) -> None:
        """From now on the wait counts anew."""
        self._sign_s, self._told = now_s, False

    def forget(self) -> None:
        """The session is gone."""
        self._requests.clear()
        self._answering = self._told = False

    def overdue(self, limit_s: float, now_s: float) -> Waiting | None:
        """What should have come by now; each wait is told once."""
        waits = self._requests or self._answering
        if not waits or self._told or now_s - self._sign_s < limit_s:
            return None
        self._told = True
        return Waiting.REST if self._answering else Waiting.BEGIN
