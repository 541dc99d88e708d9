"""Where a listener is: values that a playback returns."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PlaybackEvent", "PlaybackEventKind", "PlaybackPosition", "PlaybackStats"]


class PlaybackEventKind(StrEnum):
    """What has happened to what the listener hears."""

    ITEM_STARTED = "item_started"
    ITEM_COMPLETED = "item_completed"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class PlaybackEvent:
    """Something the listener has heard.

    Attributes:
        kind: ``item_started`` with its first frame heard, ``item_completed`` when nothing more of it will be heard,
            ``drained`` when nothing more of anything will.
        item_id: Of the item.
        played_ms: Heard of the item.
        interrupted: Whether an interruption ended it.
    """

    kind: PlaybackEventKind
    item_id: str | None = None
    played_ms: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class PlaybackPosition:
    """Where the listener is in an item. All that was given for it is played, pending, queued or discarded.

    Attributes:
        item_id: As it was queued; None where none was given.
        played_ms: Really heard.
        pending_ms: Taken by the device or client, and not yet heard.
        queued_ms: Not yet taken.
        discarded_ms: Will never be heard.
        complete: No more audio comes for it.
        interrupted: An interruption ended it.
        finished: Nothing more of it will be heard.
    """

    item_id: str | None = None
    played_ms: float = 0.0
    pending_ms: float = 0.0
    queued_ms: float = 0.0
    discarded_ms: float = 0.0
    complete: bool = False
    interrupted: bool = False
    finished: bool = False

    @property
    def end_ms(self) -> float:
        """What will have been heard once it is silent, if nothing else happens.

        Right after an interruption this is where to truncate the reply (``audio_end_ms``).
        """
        return self.played_ms + self.pending_ms + self.queued_ms


@dataclass(frozen=True, slots=True)
class PlaybackStats:
    """Totals of all items.

    Attributes:
        items: Items begun.
        played_ms: Heard.
        pending_ms: Taken and not yet heard.
        queued_ms: Not yet taken.
        discarded_ms: Never to be heard.
        gaps: Times an item ran dry and went on later.
        gap_ms: Silence in those gaps.
    """

    items: int = 0
    played_ms: float = 0.0
    pending_ms: float = 0.0
    queued_ms: float = 0.0
    discarded_ms: float = 0.0
    gaps: int = 0
    gap_ms: float = 0.0
