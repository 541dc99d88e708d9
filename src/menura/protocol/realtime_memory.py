"""A session's settings, as they must be told to the next one; and what the provider has said."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SessionCounts", "Settings", "SpokenItem", "SpokenItems", "merge"]

_MAX_ITEMS = 64


@dataclass(slots=True)
class SessionCounts:
    """Totals over all connections.

    Attributes:
        malformed: Messages that were no events.
        unknown: Events of a type not known here; they were given on.
        suppressed: Audio of replies that had been cut short, not given on.
        answers: Replies whose first audio was timed: from the provider's word that speech ended, or from the commit.
        first_audio_s: The last one.
        refused: Events the provider refused.
        overdue: Answers that did not come in time.
    """

    events_sent: int = 0
    events_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    audio_sent_bytes: int = 0
    audio_received_bytes: int = 0
    malformed: int = 0
    unknown: int = 0
    refused: int = 0
    overdue: int = 0
    suppressed: int = 0
    answers: int = 0
    first_audio_s: float = 0.0
    first_audio_max_s: float = 0.0
    first_audio_sum_s: float = 0.0
    remarks: list[str] = field(default_factory=list)


def merge(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Settings after an update: objects are merged, the rest is replaced.

    An object of another ``type`` replaces the one before: no setting of a ``server_vad`` stays in a ``semantic_vad``.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": None})
    {'a': {'x': 1, 'y': 3}, 'b': None}
    >>> merge({"vad": {"type": "server_vad", "threshold": 0.5}}, {"vad": {"type": "semantic_vad"}})
    {'vad': {'type': 'semantic_vad'}}
    """
    out = dict(base)
    for name, value in update.items():
        old = out.get(name)
        if not isinstance(value, Mapping):
            out[name] = value
        elif isinstance(old, Mapping) and value.get("type", old.get("type")) == old.get("type"):
            out[name] = merge(old, value)
        else:
            out[name] = merge({}, value)
    return out


class Settings:
    """What ``session.update`` has said so far: accepted, and on its way.

    >>> settings = Settings()
    >>> settings.update("e1", {"type": "realtime", "instructions": "Be brief."})
    >>> settings.update("e2", {"type": "realtime", "tools": "nonsense"})
    >>> settings.refused("e2")
    True
    >>> settings.wanted
    {'type': 'realtime', 'instructions': 'Be brief.'}
    """

    def __init__(self) -> None:
        self._accepted: dict[str, Any] = {}
        self._pending: dict[str, Mapping[str, Any]] = {}
        self.wanted: dict[str, Any] = {}
        self.effective: Mapping[str, Any] = {}

    def update(self, event_id: str, session: Mapping[str, Any], sent: bool = True) -> None:
        """Note settings that the caller wants; ``sent`` where they go out by themselves, rather than with all others
        to a new session."""
        if sent:
            self._pending[event_id] = session
        self.wanted = merge(self.wanted, session)

    def restoring(self, event_id: str) -> None:
        """All of it goes to a new session as one update."""
        self._pending = {event_id: self.wanted}
        self.effective = {}

    def accepted(self, effective: Mapping[str, Any]) -> None:
        """The provider took the oldest update that is on its way."""
        self.effective = effective
        if self._pending:
            oldest = next(iter(self._pending))
            self._accepted = merge(self._accepted, self._pending.pop(oldest))

    def refused(self, event_id: str) -> bool:
        """The provider refused an update: it shall not be repeated; of those that restore a session, what was never
        accepted before. Returns whether there is such an update."""
        if self._pending.pop(event_id, None) is None:
            return False
        self.wanted = self._accepted
        for update in self._pending.values():
            self.wanted = merge(self.wanted, update)
        return True


@dataclass(slots=True)
class SpokenItem:
    """Audio of an item that the provider has sent.

    Attributes:
        size: Bytes.
        ended: It was truncated: the rest of it is not for the listener.
    """

    item_id: str
    content_index: int
    size: int = 0
    ended: bool = False


class SpokenItems:
    """Items with audio of this session; the last 64."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, SpokenItem] = OrderedDict()

    def since(self, item_id: str | None) -> list[SpokenItem]:
        """The item of this id and those after it; without an id the last; none if it is not known."""
        items = list(self._items.values())
        if item_id is None:
            return items[-1:]
        return items[list(self._items).index(item_id) :] if item_id in self._items else []

    def grow(self, item_id: str, content_index: int, size: int) -> SpokenItem:
        """Note more audio of an item."""
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = SpokenItem(item_id, content_index)
            if len(self._items) > _MAX_ITEMS:
                self._items.popitem(last=False)
        item.size += size
        return item

    def clear(self) -> None:
        """Forget all: they were of another session."""
        self._items.clear()
