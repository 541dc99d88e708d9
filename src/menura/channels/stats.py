"""Figures of channels."""

from dataclasses import dataclass
from typing import Any

from menura.channels.options import ChannelOptions, Policy

__all__ = ["ChannelStats", "ManagerStats", "SubscriptionStats"]


@dataclass(frozen=True, slots=True)
class SubscriptionStats:
    """Figures of one subscriber; ``received = delivered + dropped + queued`` at any moment.

    Attributes:
        name: Of the channel.
        subscriber_id: As given.
        policy: What happens when its queue is full.
        max_queue: Items its queue holds at most.
        received: Items that came for it.
        delivered: Items it has read.
        dropped: Items lost because it was too slow.
        queued: Items waiting now.
        blocked: Publishers waiting now for room.
        errors: Times it was told by ``SlowSubscriberError`` that it was too slow.
        gaps: Times audio was missing between two items it read, by their timestamps.
        gap_s: Audio missing there, seconds.
        closed: Whether no more comes.
    """

    name: str
    subscriber_id: str
    policy: Policy
    max_queue: int
    received: int
    delivered: int
    dropped: int
    queued: int
    blocked: int
    errors: int
    gaps: int
    gap_s: float
    closed: bool


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """Figures of one channel.

    Attributes:
        name: Of the channel.
        options: What it carries; ``None`` for a name that nobody created.
        published: Items published here, after conversion.
        arrived: Items that came for its subscribers over a transport; 0 within a process.
        refused: Items that did not fit what it carries.
        converted: Items resampled, remixed or re-encoded.
        gaps: Times audio was missing between two items published, by their timestamps.
        gap_s: Audio missing there, seconds.
        subscribers: Each subscriber's figures.
        closed: Whether no more can be published.
    """

    name: str
    options: ChannelOptions | None
    published: int
    arrived: int
    refused: int
    converted: int
    gaps: int
    gap_s: float
    subscribers: tuple[SubscriptionStats, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class ManagerStats:
    """Figures of all channels.

    Attributes:
        channels: Each channel's figures.
        unheard: Items published to names that nobody created or subscribed to.
        transport: Figures of what carries items between machines; ``None`` within a process.
    """

    channels: tuple[ChannelStats, ...]
    unheard: int
    transport: Any
