"""What a capture tells its callbacks and its connection."""

import base64
import inspect
from collections.abc import Callable
from typing import Any

from menura.dsp.scan import Scanner
from menura.errors import StateError
from menura.live.capture_config import AudioCaptureCallbacks, AudioCaptureConfig
from menura.live.capture_feed import Connection, Feed
from menura.log import get_logger

__all__ = ["CaptureCalls", "Connection"]

logger = get_logger(__name__)


class CaptureCalls:
    """Calls out, one at a time. None raises: what a callback or the connection raises goes to ``on_error``.

    Args:
        config: What the bytes are, and whether ends of speech are committed.
        callbacks: Whom to tell; may be replaced at any time.
        connection: Where to send; None for nowhere.

    Raises:
        ConfigError: The connection cannot be sent to.

    Attributes:
        chunks: Chunks sent.
        sent_bytes: Audio in them.
        callback_errors: Times a callback raised.
        connection_errors: Events that the connection did not take.
    """

    def __init__(
        self, config: AudioCaptureConfig, callbacks: AudioCaptureCallbacks, connection: Connection | None
    ) -> None:
        self.callbacks = callbacks
        self.chunks = self.sent_bytes = 0
        self.callback_errors = self.connection_errors = 0
        self._commits, self._end_silence_ms = config.commit_on_speech_end, config.end_silence_ms
        self._form = config.audio.stream_format
        self._scanner = Scanner()
        self._connection_failed = False
        self._feed: Feed | None = None
        self.connection = connection

    @property
    def connection(self) -> Connection | None:
        """Where to send; may be replaced at any time.

        Raises:
            ConfigError: The new one cannot be sent to.
        """
        return None if self._feed is None else self._feed.connection

    @connection.setter
    def connection(self, connection: Connection | None) -> None:
        self._feed = None if connection is None else Feed(connection, self._form)

    def send(self, data: bytes) -> None:
        """A chunk is ready."""
        self.chunks += 1
        self.sent_bytes += len(data)
        self.tell("on_audio_data", base64.b64encode(data).decode("ascii"), self._scanner.scan(data))
        feed = self._feed
        if feed is not None:
            self._send_events(feed, lambda: feed.audio(data))

    def end_speech(self) -> None:
        """An utterance has ended, and was sent."""
        feed = self._feed
        if feed is not None:
            self._send_events(feed, feed.end)
            if self._commits:
                self._send_events(feed, feed.commit)
            elif self._end_silence_ms:
                self._send_events(feed, lambda: feed.silence(self._end_silence_ms))
        self.tell("on_vad_speech_end")

    def end_audio(self) -> None:
        """What comes next does not follow what was sent."""
        feed = self._feed
        if feed is not None:
            self._send_events(feed, feed.end)

    def _send_events(self, feed: Feed, make: Callable[[], list[dict[str, Any]]]) -> None:
        try:
            for event in make():
                answer = feed.connection.send_event(event)
                if inspect.iscoroutine(answer):
                    answer.close()
                    raise StateError(
                        "the connection's send_event returns a coroutine, which a thread cannot await: "
                        "give an object whose send_event sends, or queues, at once"
                    )
                self._connection_failed = False
        except Exception as error:
            self.connection_errors += 1
            if not self._connection_failed:
                self._connection_failed = True
                self.report(error)

    def tell(self, name: str, *arguments: Any) -> None:
        """Call the callback of this name, if there is one."""
        callback: Callable[..., Any] | None = getattr(self.callbacks, name)
        if callback is None:
            return
        try:
            callback(*arguments)
        except Exception as error:
            self.callback_errors += 1
            self.report(error)

    def report(self, error: Exception) -> None:
        """Tell ``on_error``; without one, or where that fails, the log."""
        callback = self.callbacks.on_error
        if callback is None:
            logger.warning("audio capture: %s", error, exc_info=error)
            return
        try:
            callback(error)
        except Exception:
            logger.exception("on_error of the audio capture failed; it was told: %r", error)
