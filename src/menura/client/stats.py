"""How a connection to a Realtime provider has fared."""

from dataclasses import dataclass

from menura.client.hub import Hub
from menura.client.link import LinkCounts
from menura.protocol.realtime_session import RealtimeSession

__all__ = ["RealtimeStats", "gather"]


@dataclass(frozen=True, slots=True)
class RealtimeStats:
    """Totals over all connections, and what is now. ``_ms`` are of audio, at the session's format.

    Attributes:
        state: A :class:`~menura.client.options.ConnectionState`.
        session_id: The provider's, or "".
        queued_events: Not yet sent.
        queued_audio_ms: Of them, audio.
        kept_audio_ms: Held, sent or not: what a new session would hear.
        stale_audio_ms: Never sent, since it had become too old.
        overflow_audio_ms: Never sent, since it did not fit.
        stale_events: Commits and requests never sent, for the same reasons, and events about a session that was gone.
        replayed_audio_ms: Sent again to a new session.
        forgotten_audio_ms: Sent once, and not kept for a new session, since it did not fit.
        reconnects: Connections made after one was lost.
        recycles: Sessions replaced before the provider's time limit.
        attempts: Tries to connect.
        malformed_events: Messages that were no events.
        unknown_events: Of a type not known here.
        refused_events: Errors of the provider.
        overdue_answers: That did not come in ``answer_timeout_s``, or not to their end.
        suppressed_events: Audio of replies that had been cut short.
        waiting_events: For callbacks.
        dropped_events: Callbacks or readers were too slow for them.
        callback_errors: Callbacks that raised.
        answers: Replies whose first audio was timed: from the provider's word that speech ended, or from the commit.
        first_audio_ms: The last one.
        first_audio_mean_ms: Of all.
        first_audio_max_ms: The slowest.
        last_error: In words, or "".
    """

    state: str
    session_id: str
    events_sent: int
    events_received: int
    bytes_sent: int
    bytes_received: int
    audio_sent_ms: float
    audio_received_ms: float
    queued_events: int
    queued_audio_ms: float
    kept_audio_ms: float
    stale_audio_ms: float
    overflow_audio_ms: float
    stale_events: int
    replayed_audio_ms: float
    forgotten_audio_ms: float
    reconnects: int
    recycles: int
    attempts: int
    malformed_events: int
    unknown_events: int
    refused_events: int
    overdue_answers: int
    suppressed_events: int
    waiting_events: int
    dropped_events: int
    callback_errors: int
    answers: int
    first_audio_ms: float
    first_audio_mean_ms: float
    first_audio_max_ms: float
    last_error: str


def gather(session: RealtimeSession, links: LinkCounts, hub: Hub, callback_errors: int) -> RealtimeStats:
    """All figures, from where they are counted."""
    counts, turn = session.counts, session.turn
    ms_in, ms_out = session.input_format.ms_of, session.output_format.ms_of
    return RealtimeStats(
        state=hub.state,
        session_id=session.session_id,
        events_sent=counts.events_sent,
        events_received=counts.events_received,
        bytes_sent=counts.bytes_sent,
        bytes_received=counts.bytes_received,
        audio_sent_ms=ms_in(counts.audio_sent_bytes),
        audio_received_ms=ms_out(counts.audio_received_bytes),
        queued_events=turn.events_waiting,
        queued_audio_ms=ms_in(turn.waiting_bytes),
        kept_audio_ms=ms_in(turn.kept_bytes),
        stale_audio_ms=ms_in(turn.counts.stale_bytes),
        overflow_audio_ms=ms_in(turn.counts.overflow_bytes),
        stale_events=turn.counts.stale_events,
        replayed_audio_ms=ms_in(turn.counts.replayed_bytes),
        forgotten_audio_ms=ms_in(turn.counts.forgotten_bytes),
        reconnects=links.reconnects,
        recycles=links.recycles,
        attempts=links.attempts,
        malformed_events=counts.malformed,
        unknown_events=counts.unknown,
        refused_events=counts.refused,
        overdue_answers=counts.overdue,
        suppressed_events=counts.suppressed,
        waiting_events=len(hub.notices),
        dropped_events=hub.dropped,
        callback_errors=callback_errors,
        answers=counts.answers,
        first_audio_ms=1000.0 * counts.first_audio_s,
        first_audio_mean_ms=1000.0 * counts.first_audio_sum_s / max(1, counts.answers),
        first_audio_max_ms=1000.0 * counts.first_audio_max_s,
        last_error=links.last_error,
    )
