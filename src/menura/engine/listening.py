"""The engine's way down: from a provider to the listener."""

from contextlib import AbstractContextManager
from typing import Any

from menura.clock import Clock
from menura.engine.downlink import Data, Downlink
from menura.engine.metrics import AudioMetrics
from menura.engine.position import PlaybackEvent, PlaybackPosition

__all__ = ["Listening"]


class Listening:
    """What an engine does to a provider's audio, and what it knows of the listener."""

    _lock: AbstractContextManager[Any]
    _clock: Clock
    _downlink: Downlink
    metrics: AudioMetrics

    def prepare_for_playback(self, audio: Data, encoding: str | None = None) -> bytes:
        """A provider's audio as the client wants it, at once.

        Args:
            audio: In the format of ``config``, or Opus in Ogg or WebM, cut anywhere.
            encoding: ``"opus"`` for bare Opus packets, one a call, which cannot be told from samples.

        Returns:
            Audio in the format of ``source``; the very object given where nothing is to be done. What is invalid gives
            ``b""`` and is counted.
        """
        begun = self._clock()
        with self._lock:
            out = self._downlink.prepare(audio, encoding)
            self.metrics.stage("prepare").observe(self._clock() - begun)
            return out

    def finish_playback(self) -> bytes:
        """What ``prepare_for_playback`` still holds at the end of a reply: a few milliseconds where it converts."""
        with self._lock:
            return self._downlink.finish()

    def queue_playback(self, audio: Data, item_id: str | None = None, encoding: str | None = None) -> None:
        """Queue a provider's audio for the listener, who is sent it with ``read_playback``.

        Args:
            audio: As for ``prepare_for_playback``; what is invalid is counted and left out.
            item_id: Of the provider's reply that it belongs to.
            encoding: As for ``prepare_for_playback``.

        Raises:
            LimitError: More than ten minutes wait already; nothing was queued.
        """
        with self._lock:
            self._downlink.queue(audio, item_id, encoding)

    def mark_playback_complete(self) -> None:
        """Tell that the reply has ended: no more audio comes for it."""
        with self._lock:
            self._downlink.complete()

    def interrupt_playback(self, force: bool = True) -> None:
        """Stop what is heard, with a fade; what was queued is discarded. ``playback_position`` tells what was heard.

        Args:
            force: At once, rather than at the end of the current chunk.
        """
        with self._lock:
            self._downlink.interrupt(force)

    def stop_playback(self) -> PlaybackPosition | None:
        """End all replies at once, for a client that throws away what it was sent: what it has not heard by now it
        never will, nor what is queued. What comes later for these replies is discarded.

        Returns:
            What was heard of the reply that was being heard, and where to truncate it; ``None`` if none was.
        """
        with self._lock:
            return self._downlink.stop()

    @property
    def heard_ms(self) -> float:
        """What the listener has heard of all replies."""
        with self._lock:
            return self._downlink.playback.heard_ms

    def read_playback(self, duration_ms: float | None = None) -> bytes:
        """The next audio for the listener, in the format of ``source``; ``b""`` if nothing waits.

        Call it at the pace at which it is heard; what was read counts as heard, unless ``report_played`` says what
        really was.

        Args:
            duration_ms: At most; a chunk by default.
        """
        with self._lock:
            return self._downlink.read(duration_ms)

    def set_playback_latency(self, latency_ms: float) -> None:
        """Say how long after ``read_playback`` the audio is heard: network and the client's buffer."""
        with self._lock:
            self._downlink.set_latency(latency_ms)

    def report_played(self, played_ms: float, item_id: str | None = None) -> bool:
        """Take the client's word for what it has played; see :meth:`Playback.report_played`."""
        with self._lock:
            return self._downlink.playback.report_played(played_ms, item_id)

    def playback_position(self, item_id: str | None = None) -> PlaybackPosition:
        """What was heard of an item, the current one by default: where to truncate a reply that was interrupted."""
        with self._lock:
            return self._downlink.playback.position(item_id)

    def playback_events(self) -> list[PlaybackEvent]:
        """What began and ended for the listener since last asked."""
        with self._lock:
            return self._downlink.events()
