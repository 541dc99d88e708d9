"""Figures of channels over a broker."""

from dataclasses import dataclass

__all__ = ["NatsChannelStats", "NatsStats", "OutgoingStats"]


@dataclass(frozen=True, slots=True)
class OutgoingStats:
    """Figures of what leaves, in messages: ``published = sent + dropped + expired + waiting``.

    Attributes:
        published: Messages taken from publishers.
        sent: Messages written to the broker, each counted once.
        bytes_sent: Their size.
        resent: Times one had to wait again, because the broker that had it was lost.
        dropped: Messages lost because a channel's queue was full.
        expired: Messages left out because they waited too long.
        waiting: Messages waiting now.
    """

    published: int
    sent: int
    bytes_sent: int
    resent: int
    dropped: int
    expired: int
    waiting: int


@dataclass(frozen=True, slots=True)
class NatsChannelStats:
    """Figures of a channel's way in.

    Attributes:
        name: Of the channel.
        received: Messages handed to subscribers.
        lost: Messages that publishers sent, by their counts, and that never came.
        repeated: Messages left out because they, or later ones of their publisher, had come before.
        foreign: Messages left out because they are no frames, or do not fit the channel.
        overrun: Messages left out because more was under way than is kept for a full ``block`` subscriber.
        publishers: Publishers elsewhere that were heard and have not said goodbye.
    """

    name: str
    received: int
    lost: int
    repeated: int
    foreign: int
    overrun: int
    publishers: int


@dataclass(frozen=True, slots=True)
class NatsStats:
    """Figures of a connection with a broker.

    Attributes:
        connected: Whether the broker is there now.
        reconnects: Times it came back.
        refusals: What it did not permit.
        last_error: Why it went, or would not come; without credentials.
        outgoing: What leaves.
        channels: What comes, by channel.
    """

    connected: bool
    reconnects: int
    refusals: int
    last_error: str
    outgoing: OutgoingStats
    channels: tuple[NatsChannelStats, ...]
