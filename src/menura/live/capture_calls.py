"""What a capture tells its callbacks and its connection."""

import base64
import inspect
from collections.abc import Callable
from typing import Any, Protocol

from menura.audio.block import remix
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode, encode
from menura.dsp.scan import Scanner
from menura.errors import StateError
from menura.live.capture_config import AudioCaptureCallbacks, AudioCaptureConfig
from menura.log import get_logger
from menura.units import ms_to_frames

__all__ = ["CaptureCalls", "Connection"]

logger = get_logger(__name__)

APPEND, COMMIT = "input_audio_buffer.append", "input_audio_buffer.commit"

PROVIDER_RATE = 24_000
"""Of PCM16 at OpenAI's Realtime API."""


class Connection(Protocol):
    """Where audio is sent: what ``RealtimeConnectionManager`` has, and any object may have."""

    def send_event(self, event: dict[str, Any], /) -> Any:
        """Send one event; called from the capture's thread, so it may not wait long."""


class CaptureCalls:
    """Calls out, one at a time. None raises: what a callback or the connection raises goes to ``on_error``.

    Args:
        config: What the bytes are, and whether ends of speech are committed.
        callbacks: Whom to tell; may be replaced at any time.
        connection: Where to send; None for nowhere.

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
        self.connection = connection
        self.chunks = self.sent_bytes = 0
        self.callback_errors = self.connection_errors = 0
        self._commits = config.commit_on_speech_end
        silent_frames = ms_to_frames(config.end_silence_ms, config.sample_rate)
        self._silence = base64.b64encode(bytes(2 * silent_frames)).decode("ascii")
        self._form = config.audio.stream_format
        self._mono = StreamFormat(AudioFormat.PCM16, config.sample_rate)
        self._scanner = Scanner()
        self._connection_failed = False
        if connection is not None and config.sample_rate != PROVIDER_RATE:
            logger.warning(
                "audio is sent at %d Hz: OpenAI's Realtime API takes %d Hz alone", config.sample_rate, PROVIDER_RATE
            )

    def send(self, data: bytes) -> None:
        """A chunk is ready."""
        audio = base64.b64encode(data).decode("ascii")
        self.chunks += 1
        self.sent_bytes += len(data)
        self.tell("on_audio_data", audio, self._scanner.scan(data))
        if self.connection is None:
            return
        if self._form.channels > 1:
            data = encode(remix(decode(data, self._form), 1), self._mono)
            audio = base64.b64encode(data).decode("ascii")
        self._send_event({"type": APPEND, "audio": audio})

    def end_speech(self) -> None:
        """An utterance has ended, and was sent."""
        if self._commits:
            self._send_event({"type": COMMIT})
        elif self._silence:
            self._send_event({"type": APPEND, "audio": self._silence})
        self.tell("on_vad_speech_end")

    def _send_event(self, event: dict[str, Any]) -> None:
        connection = self.connection
        if connection is None:
            return
        try:
            answer = connection.send_event(event)
            if inspect.iscoroutine(answer):
                answer.close()
                raise StateError(
                    "the connection's send_event is a coroutine function, which a thread cannot call: "
                    "give an object whose send_event sends, or queues, at once"
                )
        except Exception as error:
            self.connection_errors += 1
            if not self._connection_failed:
                self._connection_failed = True
                self.report(error)
        else:
            self._connection_failed = False

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
