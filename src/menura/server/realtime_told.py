"""What a client of the Realtime API was told of, and how far ahead of its own voice it is."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from menura.clock import Clock
from menura.server.realtime_words import SERVER, new_id, whole
from menura.server.relay_engine import Playhead

__all__ = ["Recording", "Told"]

AHEAD_MS = 2000.0
"""Audio that waits for the provider, and by which a client sends faster than one speaks, before it is made to wait."""
STEP_MS = 100.0
LOOK_S = 0.02
MAX_ITEMS, MAX_RESPONSES = 1024, 64
_ITEM_EVENTS = frozenset({"conversation.item.added", "conversation.item.done"})
_OF_RESPONSE = frozenset(
    {"id", "object", "status", "status_details", "conversation_id", "metadata", "output_modalities"}
)


class Recording:
    """Makes a client wait that sends a recording as fast as the network is, so that none of it is lost.

    Who speaks as one speaks never waits. When the provider takes nothing for so long that what waits is stale, nobody
    waits any more until it does.

    Args:
        clock: Of one who speaks.
        waiting_ms: Audio that waits for the provider.
        patience_s: After which audio is stale.
    """

    def __init__(self, clock: Clock, waiting_ms: Callable[[], float], patience_s: float) -> None:
        self._speaker, self._waiting_ms, self._patience_s = Playhead(clock), waiting_ms, patience_s
        self._unnoted_ms = 0.0
        self._patient = True

    async def sent(self, duration_ms: float) -> None:
        """The client has sent more."""
        self._unnoted_ms += duration_ms
        if self._unnoted_ms < STEP_MS:
            return
        self._speaker.sent(self._unnoted_ms)
        self._unnoted_ms = 0.0
        if self._speaker.ahead_ms > AHEAD_MS:
            await asyncio.sleep(0)  # others shall not wait for a whole recording
            await self._wait()

    async def _wait(self) -> None:
        for _ in range(int(self._patience_s / LOOK_S)):
            if self._waiting_ms() <= AHEAD_MS:
                self._patient = True
                return
            if not self._patient:
                return
            await asyncio.sleep(LOOK_S)
        self._patient = False


class Told:
    """Responses that are open, and items of the conversation, as the client knows them.

    >>> told = Told()
    >>> told.begin({"id": "resp_1", "object": "realtime.response", "status": "in_progress"})
    >>> [event["response"]["status"] for event in told.give_up()], list(told.give_up())
    (['failed'], [])
    """

    def __init__(self) -> None:
        self._open: dict[str, dict[str, Any]] = {}
        self._items: dict[str, None] = {}
        self._before: frozenset[str] = frozenset()

    @property
    def open(self) -> list[str]:
        """Ids of responses that have not ended."""
        return list(self._open)

    @property
    def conversed(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self._items)

    def begin(self, response: Mapping[str, Any]) -> None:
        """A response begins."""
        self._open[response.get("id") or ""] = dict(response)
        while len(self._open) > MAX_RESPONSES:
            del self._open[next(iter(self._open))]

    def end(self, response_id: str) -> None:
        """It has ended."""
        self._open.pop(response_id, None)

    def give_up(self) -> Iterator[dict[str, Any]]:
        """Events that end all open responses: the provider that made them is gone."""
        gone, self._open = self._open, {}
        details = {"type": "failed", "error": {"type": SERVER, "code": "connection_lost"}}
        for response in gone.values():
            ended = response | {"status": "failed", "status_details": details}
            clean = {name: value for name, value in ended.items() if name in _OF_RESPONSE}
            yield whole({"type": "response.done", "event_id": new_id("event"), "response": clean})

    def renew(self) -> None:
        """A new session of the provider is told the conversation again, of which it tells us."""
        self._before = frozenset(self._items)

    def knows(self, shown: Mapping[str, Any]) -> bool:
        """Whether an event is about an item that the client was told of before that; other items are noted."""
        if shown["type"] not in _ITEM_EVENTS:
            return False
        item_id = shown["item"].get("id") or ""
        self._items[item_id] = None
        while len(self._items) > MAX_ITEMS:
            del self._items[next(iter(self._items))]
        return item_id in self._before
