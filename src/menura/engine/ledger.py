"""Every frame of a playback accounted for: queued, handed out, heard or discarded."""

import math
from collections import deque
from itertools import chain

from menura.engine.position import PlaybackEvent, PlaybackEventKind, PlaybackPosition
from menura.errors import FormatError
from menura.units import frames_to_ms

__all__ = ["Item", "Ledger"]

PAST_ITEMS = 64
"""Ended items whose position is still known."""
MAX_EVENTS = 1024
"""Of events that nobody asks for the oldest are forgotten."""


class Item:
    """Counts of one item, in frames."""

    __slots__ = ("complete", "discarded", "gap", "id", "interrupted", "pending", "played", "queued")

    def __init__(self, item_id: str | None = None) -> None:
        self.id = item_id
        self.queued = self.pending = self.played = self.discarded = 0
        self.gap = 0  # silence since it ran dry
        self.complete = self.interrupted = False

    @property
    def taken(self) -> int:
        """Frames from its beginning that need no more reading."""
        return self.pending + self.played + self.discarded

    @property
    def finished(self) -> bool:
        """Whether nothing more of it will be heard."""
        return self.complete and not self.queued and not self.pending


class _Run:
    """Frames handed out in a row: of an item, or silence."""

    __slots__ = ("frames", "item")

    def __init__(self, item: Item | None, frames: int) -> None:
        self.item = item
        self.frames = frames


class Ledger:
    """Items in order, what of them was handed out, and what of that was heard."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.items: deque[Item] = deque()
        """What has not been heard to its end."""
        self.past: deque[Item] = deque(maxlen=PAST_ITEMS)
        self.totals = Item()
        self.begun = 0
        self.handed = self.heard = 0
        self._runs: deque[_Run] = deque()  # handed out and not yet heard
        self._events: deque[PlaybackEvent] = deque(maxlen=MAX_EVENTS)

    def find(self, item_id: str) -> Item | None:
        """The latest item of this id."""
        if self.items and self.items[-1].id == item_id:
            return self.items[-1]
        return next((item for item in chain(reversed(self.items), reversed(self.past)) if item.id == item_id), None)

    def first_queued(self) -> Item | None:
        """The item that is read next."""
        if self.items and self.items[0].queued:
            return self.items[0]
        return next((item for item in self.items if item.queued), None)

    def begin(self, item_id: str | None) -> Item:
        """Open an item, which completes the one before."""
        if self.items:
            self.items[-1].complete = True
        item = Item(item_id)
        self.items.append(item)
        self.begun += 1
        self.settle()
        return item

    def discard(self, item: Item, frames: int) -> None:
        """Count frames that will not be heard."""
        item.discarded += frames
        self.totals.discarded += frames

    def hand_out(self, item: Item | None, frames: int) -> None:
        """Count frames that were read: of an item, or silence."""
        self.handed += frames
        if item is not None:
            item.queued -= frames
            item.pending += frames
            self.totals.pending += frames
        if self._runs and self._runs[-1].item is item:
            self._runs[-1].frames += frames
        elif frames:
            self._runs.append(_Run(item, frames))

    def advance(self, heard: int) -> None:
        """So many of all frames handed out have been heard, at least."""
        left = min(heard, self.handed) - self.heard
        while left > 0:
            run = self._runs[0]
            n = min(left, run.frames)
            if run.item is not None:
                self._hear(run.item, n)
            run.frames -= n
            left -= n
            self.heard += n
            if not run.frames:
                self._runs.popleft()
        self.settle()

    def _hear(self, item: Item, frames: int) -> None:
        if not item.played:
            self._events.append(PlaybackEvent(PlaybackEventKind.ITEM_STARTED, item.id))
        for each in (item, self.totals):
            each.pending -= frames
            each.played += frames

    def reach(self, played_ms: float, item_id: str | None) -> bool:
        """So much of an item, or of all items, has been heard; whether there is such an item.

        Raises:
            FormatError: ``played_ms`` is negative or no number.
        """
        if not (math.isfinite(played_ms) and played_ms >= 0.0):
            raise FormatError(f"played_ms must be a number from 0, not {played_ms!r}")
        item = None if item_id is None else self.find(item_id)
        if item is None and item_id is not None:
            return False
        need = int(played_ms * self.rate / 1000.0 + 1e-6) - (item or self.totals).played
        ahead = goal = 0
        for run in self._runs:
            if need <= 0:
                break
            counts = run.item is not None and item in (None, run.item)
            step = min(run.frames, need) if counts else run.frames
            ahead += step
            if counts:
                need -= step
                goal = ahead
        self.advance(self.heard + goal)
        return True

    def retract(self, frames: int | None) -> int:
        """Take back the last frames handed out, as far as they were not heard; all by default."""
        unheard = self.handed - self.heard
        left = taken_back = unheard if frames is None else max(0, min(frames, unheard))
        while left > 0:
            run = self._runs[-1]
            n = min(left, run.frames)
            run.frames -= n
            left -= n
            if run.item is not None:
                run.item.pending -= n
                self.totals.pending -= n
                self.discard(run.item, n)
            if not run.frames:
                self._runs.pop()
        self.handed -= taken_back
        self.settle()
        return taken_back

    def settle(self) -> None:
        """Move what is heard to its end to the past."""
        ended = False
        while self.items and self.items[0].finished:
            item = self.items.popleft()
            self.past.append(item)
            played_ms = frames_to_ms(item.played, self.rate)
            self._events.append(PlaybackEvent(PlaybackEventKind.ITEM_COMPLETED, item.id, played_ms, item.interrupted))
            ended = True
        if ended and not self.items:
            self._events.append(PlaybackEvent(PlaybackEventKind.DRAINED))

    def events(self) -> list[PlaybackEvent]:
        """What has happened since last asked."""
        events = list(self._events)
        self._events.clear()
        return events

    def position(self, item: Item | None) -> PlaybackPosition:
        """An item's counts as they are now."""
        if item is None:
            return PlaybackPosition()
        return PlaybackPosition(
            item.id,
            frames_to_ms(item.played, self.rate),
            frames_to_ms(item.pending, self.rate),
            frames_to_ms(item.queued, self.rate),
            frames_to_ms(item.discarded, self.rate),
            item.complete,
            item.interrupted,
            item.finished,
        )
