"""What was said to a provider and may have to be said again."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from menura.dsp.ring import Overflow
from menura.errors import ConfigError, LimitError

__all__ = ["Entry", "Kind", "Turn", "TurnCounts", "TurnLimits"]

_MAX_SIGNALS = 1024
"""Events without audio that wait or are unanswered."""
_MAX_PIECES = 8192
"""Pieces of audio held: each costs more than its bytes, and a caller may send single frames."""


class Kind(StrEnum):
    """What an event is to the turn."""

    AUDIO = "audio"
    COMMIT = "commit"
    RESPONSE = "response"
    ITEM = "item"
    UPDATE = "update"
    PASSING = "passing"


_REPEATED = frozenset({Kind.AUDIO, Kind.COMMIT, Kind.RESPONSE, Kind.ITEM})
"""What a new session must hear again if the old one did not answer it. The others name things of the old session, or,
as its settings, are restored in another way."""
_AGEING = frozenset({Kind.AUDIO, Kind.COMMIT, Kind.RESPONSE})


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Bounds of what is kept.

    Attributes:
        max_bytes: Audio at most; in pieces of a few bytes some 9000 of them.
        max_age_s: Older audio is stale and is not sent any more, nor what it led to.
        preroll_ms: Kept while nobody speaks and the provider finds the turns: as much as it may find belongs to a
            word it has only just noticed.
        overflow: What goes when ``max_bytes`` is reached by audio that was not sent.
    """

    max_bytes: int = 2 * 1024 * 1024
    max_age_s: float = 30.0
    preroll_ms: float = 1000.0
    overflow: Overflow = Overflow.DROP_OLDEST

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_age_s <= 0.0 or self.preroll_ms < 0.0:
            raise ConfigError("a turn needs max_bytes >= 1, max_age_s > 0 and preroll_ms >= 0")


@dataclass(slots=True)
class Entry:
    """One event.

    Attributes:
        seq: Its place in all that was said.
        text: As it goes out.
        size: Bytes of audio.
        at_s: When it was said.
        item_id: Of the item it makes.
        end: Bytes of audio in this session up to its end, once it was sent.
    """

    seq: int
    kind: Kind
    text: str
    size: int
    at_s: float
    event_id: str = ""
    item_id: str = ""
    end: int = 0


@dataclass(slots=True)
class TurnCounts:
    """Bytes of audio, and events, that had a fate other than being sent once.

    Attributes:
        stale_bytes: Too old when they could have been sent.
        overflow_bytes: Did not fit.
        replayed_bytes: Sent again to a new session.
        forgotten_bytes: Sent, and not kept for another session, since they did not fit.
        stale_events: Commits and requests too old or left without the audio they were about, and events about things
            of a session that is gone.
    """

    stale_bytes: int = 0
    overflow_bytes: int = 0
    replayed_bytes: int = 0
    forgotten_bytes: int = 0
    stale_events: int = 0


class Turn:
    """What waits to be sent, and what was sent and not answered, in order and bounded.

    >>> turn = Turn(TurnLimits())
    >>> turn.add_audio("a", 4, 0.0)
    >>> turn.take(0.0).text, turn.take(0.0)
    ('a', None)
    >>> turn.rewind()
    >>> turn.take(0.0).text
    'a'
    """

    def __init__(self, limits: TurnLimits) -> None:
        self.limits = limits
        self.counts = TurnCounts()
        self._seq = 0
        self._replayed_below = 0
        self._bytes = 0
        self._waiting: deque[Entry] = deque()
        self._waiting_bytes = 0
        self._spoken: deque[Entry] = deque()
        self._unanswered: dict[str, Entry] = {}
        self.position = 0  # bytes of audio sent in this session
        self._uncommitted = 0  # of them, since the last commit was sent
        self._lost = False  # audio of the turn that is being sent was dropped

    # --- what is said

    def add_audio(self, text: str, size: int, now_s: float) -> None:
        """Add audio.

        Raises:
            LimitError: It does not fit, and the policy is ``error``.
        """
        if not self._make_room(size):
            self.counts.overflow_bytes += size
            self._lost = True
            return
        self._push(Entry(self._seq, Kind.AUDIO, text, size, now_s))

    def add(self, kind: Kind, text: str, now_s: float, event_id: str, item_id: str = "") -> None:
        """Add another event.

        Raises:
            LimitError: More than 1024 wait or are unanswered.
        """
        self.check_signals(now_s)
        self._push(Entry(self._seq, kind, text, 0, now_s, event_id, item_id))

    def check_signals(self, now_s: float) -> None:
        """See whether another event may be added.

        Raises:
            LimitError: More than 1024 wait or are unanswered.
        """
        self.expire(now_s)
        if len(self._waiting) + len(self._unanswered) >= _MAX_SIGNALS and self.signals >= _MAX_SIGNALS:
            raise LimitError(f"{_MAX_SIGNALS} events wait for the provider: it does not answer")

    def _push(self, entry: Entry) -> None:
        self._seq += 1
        self._bytes += entry.size
        self._waiting_bytes += entry.size
        self._waiting.append(entry)

    def _make_room(self, size: int) -> bool:
        limits = self.limits
        while self._spoken and self._is_over(size):
            self.counts.forgotten_bytes += self._forget().size
        if not self._is_over(size):
            return True
        if limits.overflow is Overflow.ERROR:
            raise LimitError(f"{self._bytes} bytes of audio wait for the provider: it does not take them")
        if limits.overflow is Overflow.DROP_NEWEST or size > limits.max_bytes:
            return False
        while self._is_over(size):
            index = next(i for i, entry in enumerate(self._waiting) if entry.kind is Kind.AUDIO)
            entry = self._waiting[index]
            del self._waiting[index]
            self._drop(entry)
            self.counts.overflow_bytes += entry.size
        return True

    def _is_over(self, size: int) -> bool:
        """Whether so many bytes more would be too many, or another piece."""
        pieces = len(self._waiting) + len(self._spoken)
        return self._bytes + size > self.limits.max_bytes or pieces >= _MAX_PIECES + _MAX_SIGNALS

    def _drop(self, entry: Entry) -> None:
        """Note that a waiting entry is gone."""
        self._bytes -= entry.size
        self._waiting_bytes -= entry.size
        self._lost |= entry.kind is Kind.AUDIO

    def _forget(self) -> Entry:
        entry = self._spoken.popleft()
        self._bytes -= entry.size
        return entry

    # --- what goes out

    def take(self, now_s: float) -> Entry | None:
        """The next event to send, or None. What is too old by now is dropped on the way."""
        while self._waiting:
            entry = self._waiting.popleft()
            if self._is_stale(entry, now_s):
                self._drop(entry)
                if entry.kind is Kind.AUDIO:
                    self.counts.stale_bytes += entry.size
                else:
                    self.counts.stale_events += 1
                continue
            self._note_sent(entry)
            return entry
        return None

    def _is_stale(self, entry: Entry, now_s: float) -> bool:
        if entry.kind in _AGEING and now_s - entry.at_s > self.limits.max_age_s:
            return True
        if entry.kind is Kind.COMMIT and self._lost and not self._uncommitted:
            self._lost = False
            return True
        return False

    def _note_sent(self, entry: Entry) -> None:
        self._waiting_bytes -= entry.size
        if entry.kind is Kind.AUDIO:
            self.position += entry.size
            self._uncommitted += entry.size
            entry.end = self.position
            self._spoken.append(entry)
            if entry.seq < self._replayed_below:
                self.counts.replayed_bytes += entry.size
        elif entry.kind in _REPEATED:
            self._unanswered[entry.event_id] = entry
        if entry.kind is Kind.COMMIT:
            self._uncommitted, self._lost = 0, False

    # --- what came of it

    def committed(self, end: int | None = None) -> None:
        """The provider made an item of the input.

        Args:
            end: Bytes of the session's audio up to the item's end, where the provider found it by itself; without,
                it is what the oldest commit was about, or all.
        """
        if end is not None:
            self.trim(end)
            first = self._spoken[0].seq if self._spoken else self._seq
            for commit in [entry for entry in self._unanswered.values() if entry.kind is Kind.COMMIT]:
                if commit.seq < first:  # it was about the same audio
                    del self._unanswered[commit.event_id]
            return
        oldest = next((entry for entry in self._unanswered.values() if entry.kind is Kind.COMMIT), None)
        if oldest is not None:
            del self._unanswered[oldest.event_id]
        while self._spoken and (oldest is None or self._spoken[0].seq < oldest.seq):
            self._forget()

    def trim(self, end: int) -> None:
        """Forget audio sent that lies wholly before a position in bytes."""
        while self._spoken and self._spoken[0].end <= end:
            self._forget()

    def cleared(self) -> None:
        """The input since the last commit is to be thrown away: what of it waits is not sent."""
        last = max((e.seq for e in (*self._waiting, *self._unanswered.values()) if e.kind is Kind.COMMIT), default=-1)
        kept = deque(entry for entry in self._waiting if entry.kind is not Kind.AUDIO or entry.seq < last)
        gone = sum(entry.size for entry in self._waiting) - sum(entry.size for entry in kept)
        self._bytes -= gone
        self._waiting_bytes -= gone
        self._waiting = kept
        while self._spoken and self._spoken[-1].seq > last:
            self._bytes -= self._spoken.pop().size
        self._lost = False

    def answered(self) -> None:
        """A response began: the oldest request for one is done."""
        request = next((entry for entry in self._unanswered.values() if entry.kind is Kind.RESPONSE), None)
        if request is not None:
            del self._unanswered[request.event_id]

    def settle(self, event_id: str) -> Kind | None:
        """The provider has answered this event, or refused it; returns what it was."""
        entry = self._unanswered.pop(event_id, None)
        return entry.kind if entry else None

    def made(self, item_id: str) -> None:
        """The provider has this item."""
        for entry in [entry for entry in self._unanswered.values() if entry.item_id == item_id]:
            del self._unanswered[entry.event_id]

    def expire(self, now_s: float) -> None:
        """Wait no longer for answers to what would be stale by now: not every provider answers everything."""
        oldest_s = now_s - self.limits.max_age_s
        if any(entry.at_s < oldest_s for entry in self._unanswered.values()):
            self._unanswered = {key: entry for key, entry in self._unanswered.items() if entry.at_s >= oldest_s}

    def rewind(self) -> None:
        """The session is gone: what it did not answer waits again, in order; what was only for it is forgotten."""
        again = sorted((*self._spoken, *self._unanswered.values()), key=lambda entry: entry.seq)
        self._waiting_bytes += sum(entry.size for entry in self._spoken)
        self._replayed_below = max(self._replayed_below, again[-1].seq + 1) if again else self._replayed_below
        self.counts.stale_events += sum(entry.kind is Kind.PASSING for entry in self._waiting)
        self._waiting = deque(again + [entry for entry in self._waiting if entry.kind in _REPEATED])
        self._spoken.clear()
        self._unanswered.clear()
        self.position = self._uncommitted = 0
        self._lost = False

    def reset(self) -> None:
        """Forget everything but the counts."""
        self._waiting.clear()
        self.rewind()
        self._waiting.clear()
        self._bytes = self._waiting_bytes = 0

    # --- how it stands

    @property
    def waiting_bytes(self) -> int:
        """Audio not yet sent."""
        return self._waiting_bytes

    @property
    def kept_bytes(self) -> int:
        """All audio held."""
        return self._bytes

    @property
    def uncommitted(self) -> bool:
        """Whether there is audio that no commit is about."""
        return bool(self._uncommitted or self._waiting_bytes)

    @property
    def signals(self) -> int:
        """Events without audio that wait or are unanswered."""
        return len(self._unanswered) + sum(entry.kind is not Kind.AUDIO for entry in self._waiting)

    @property
    def events_waiting(self) -> int:
        """Events not yet sent."""
        return len(self._waiting)
