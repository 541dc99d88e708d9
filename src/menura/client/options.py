"""Settings of a connection to a Realtime provider."""

from dataclasses import dataclass, field, fields
from enum import StrEnum

from menura.errors import ConfigError
from menura.protocol.realtime_turn import TurnLimits

__all__ = ["Backlog", "ConnectionOptions", "ConnectionState"]


class ConnectionState(StrEnum):
    """What a connection is doing."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"
    FAILED = "failed"


class Backlog(StrEnum):
    """What happens to events that callbacks are too slow for.

    ``drop_oldest`` drops audio first, the oldest of it; other events only when there is no audio. ``block`` stops
    reading from the provider: nothing is lost, until the provider gives up.
    """

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How a connection behaves.

    Attributes:
        turn: What is kept of the audio that is sent.
        start_timeout_s: ``start`` and ``connect`` try for so long.
        open_timeout_s: One try to connect takes at most this.
        restore_timeout_s: So long a provider may take to confirm a session's settings.
        close_timeout_s: So long it may take to say goodbye; then the connection is cut.
        answer_timeout_s: A provider that lets an answer wait so long, from ``response.create`` or from what it said of
            it last, is reported to ``on_error`` as :class:`~menura.errors.ResponseTimeoutError`; the connection stays.
            None for never.
        ping_interval_s: Between pings.
        ping_timeout_s: A provider that does not answer one for so long is gone.
        backoff_base_s: First wait before a new try, at most; doubled each time.
        backoff_cap_s: Longest wait.
        max_attempts: Tries in a row before it gives up; None for no end.
        give_up_s: It begins no try later than this after a connection broke; None for no end.
        stable_s: A connection that lasted so long was good: the next wait is short again.
        recycle_after_s: A session as old as this is replaced by a new one as soon as nothing goes on in it. OpenAI
            ends sessions after 60 minutes, Azure after 30.
        remember_items: So many items of the conversation a new session is told, as text: what was answered, what was
            asked where the session has ``transcription``, calls of functions. 0 tells it nothing.
        quiet_s: Nothing goes on when nothing has happened for so long.
        max_events: Events that wait for callbacks, at most.
        max_event_bytes: Their size, at most.
        backlog: What happens to events beyond.
        max_message_bytes: Longest message taken from a provider.
        tick_s: How often time-outs are looked at.
    """

    turn: TurnLimits = field(default_factory=TurnLimits)
    start_timeout_s: float = 30.0
    open_timeout_s: float = 10.0
    restore_timeout_s: float = 10.0
    close_timeout_s: float = 0.4
    answer_timeout_s: float | None = 30.0
    ping_interval_s: float = 15.0
    ping_timeout_s: float = 15.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    max_attempts: int | None = None
    give_up_s: float | None = None
    stable_s: float = 10.0
    recycle_after_s: float = 55 * 60.0
    remember_items: int = 0
    quiet_s: float = 2.0
    max_events: int = 8192
    max_event_bytes: int = 64 * 1024 * 1024
    backlog: Backlog = Backlog.DROP_OLDEST
    max_message_bytes: int = 16 * 1024 * 1024
    tick_s: float = 0.5

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            least = 0 if entry.name == "remember_items" else 1e-9
            if isinstance(value, int | float) and not value >= least:
                raise ConfigError(f"{entry.name} must be above 0, not {value}")
        try:
            object.__setattr__(self, "backlog", Backlog(self.backlog))
        except ValueError as error:
            raise ConfigError(f"backlog: {error}: one of {', '.join(Backlog)}") from None
