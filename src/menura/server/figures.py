"""What a server has done, for Prometheus: sessions, uploads, conversions, recordings, previews."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Info

from menura import __version__
from menura.errors import MenuraError
from menura.server.limits import KINDS_OF_SESSIONS, Limiter

__all__ = ["ServerFigures"]

Upload = Literal["model", "voice", "audio"]
OUTCOMES = ("kept", "refused", "broken")
"""Of an upload: broken is one whose sender left, or the server failed."""
ENDS = ("done", "failed", "cancelled")
STATES = ("queued", "running", "done", "failed")
"""Of conversions: how they ended, and how those are that are held."""
REFUSALS = ("unauthorized", "forbidden", "rate_limited", "host_not_allowed", "origin_not_allowed")


class ServerFigures:
    """Counts. Every label has a value of a short list, whoever asks for what. Any thread, but for :meth:`look`.

    Args:
        registry: Where Prometheus finds them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"menura_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"menura_{name}", text, labels, registry=registry)

        self._open = gauge("sessions", "Sockets open now.", "kind")
        self._busy = gauge("sessions_processing", "Sockets for which audio is processed now.", "kind")
        self._latency = gauge(
            "sessions_latency_seconds",
            "From a sound's coming in to its going out, of sockets that process audio.",
            "kind",
            "over_sessions",
        )
        self._limit = gauge("sessions_limit", "Sockets that may be open.")
        self._opened = counter("sessions_opened", "Sockets opened.", "kind")
        self._refused = counter("refusals", "Requests and sockets not let in, by what they were told.", "code")
        self._seen: Counts[str] = Counts()
        Info("menura_build", "What runs.", registry=registry).info({"version": __version__})
        self._uploads = counter(
            "uploads", "Files sent, by what they were sent as and what became of them.", "kind", "outcome"
        )
        self._bytes = counter("upload_bytes", "Bytes of files sent as a whole.", "kind")
        self._conversions = counter("conversions", "Files converted.", "outcome")
        self._held = gauge("conversions_held", "Conversions held now.", "state")
        self._recordings = counter("recordings", "Recordings ended, by whether all of them was kept.", "outcome")
        self._recorded = counter("recorded_seconds", "Duration of recordings.")
        self._previews = counter("previews_rendered", "Previews rendered.", "outcome")
        self._begin()

    def _begin(self) -> None:
        """Zeros are told too: a series that appears with its first event hides that event from rates."""
        for kind in ("model", "voice", "audio"):
            self._bytes.labels(kind)
            for outcome in OUTCOMES:
                self._uploads.labels(kind, outcome)
        for kind in KINDS_OF_SESSIONS:
            self._opened.labels(kind)
        for code in REFUSALS:
            self._refused.labels(code)
        for outcome in ENDS:
            self._conversions.labels(outcome)
        for outcome in ENDS[:2]:
            self._recordings.labels(outcome)
            self._previews.labels(outcome)

    def look(self, limiter: Limiter) -> None:
        """Take note of the sockets that are open. Event loop only, before the figures are told."""
        sessions = limiter.open_sessions()
        for kind in KINDS_OF_SESSIONS:
            mine = [session.describe() for session in sessions if session.kind == kind]
            late_s = [one.get("latency_ms", 0.0) / 1000.0 for one in mine if one.get("processing")]
            self._open.labels(kind).set(len(mine))
            self._busy.labels(kind).set(len(late_s))
            self._latency.labels(kind, "mean").set(sum(late_s) / max(1, len(late_s)))
            self._latency.labels(kind, "max").set(max(late_s, default=0.0))
        self._limit.set(limiter.limits.sessions)
        for counter, counts in ((self._opened, limiter.opened), (self._refused, limiter.refused)):
            for name, count in counts.items():
                counter.labels(name).inc(count - self._seen[name])
                self._seen[name] = count

    @contextmanager
    def upload(self, kind: Upload) -> Iterator[None]:
        """While a file is taken in."""
        outcome = "broken"
        try:
            yield
            outcome = "kept"
        except MenuraError:
            outcome = "refused"
            raise
        finally:
            self._uploads.labels(kind, outcome).inc()

    def received(self, kind: Upload, size: int) -> None:
        """A file has come, whole."""
        self._bytes.labels(kind).inc(size)

    def converted(self, outcome: str) -> None:
        """A conversion has ended: one of :data:`ENDS`."""
        self._conversions.labels(outcome).inc()

    def watch_conversions(self, states: Callable[[], Iterable[str]]) -> None:
        """Ask this for the states of all that are held, whenever the figures are told."""
        for state in STATES:
            self._held.labels(state).set_function(lambda state=state: float(sum(one == state for one in states())))  # type: ignore[misc]

    def recorded(self, duration_s: float, *, whole: bool) -> None:
        """A recording has ended."""
        self._recordings.labels("done" if whole else "failed").inc()
        self._recorded.inc(duration_s)

    @contextmanager
    def preview(self) -> Iterator[None]:
        """While a preview is rendered."""
        try:
            yield
        except BaseException:
            self._previews.labels("failed").inc()
            raise
        self._previews.labels("done").inc()
