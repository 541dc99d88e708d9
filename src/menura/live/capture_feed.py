"""A capture's audio on its way to a connection, in the form that the connection takes."""

import base64
import inspect
from typing import Any, Protocol

from menura.audio.block import Samples, remix, silence
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode, encode
from menura.dsp.resample import Resampler
from menura.errors import ConfigError
from menura.log import get_logger
from menura.units import ms_to_frames

__all__ = ["Connection", "Feed"]

logger = get_logger(__name__)

APPEND, COMMIT = "input_audio_buffer.append", "input_audio_buffer.commit"
PROVIDER_RATE = 24_000
"""Of PCM16 at OpenAI's Realtime API."""


class Connection(Protocol):
    """Where audio is sent: what ``RealtimeConnectionManager`` has, and any object may have.

    If it has ``input_format``, a :class:`~menura.audio.format.StreamFormat` that may change, audio is converted to
    that; else it gets PCM16 at the capture's rate, in one channel.
    """

    def send_event(self, event: dict[str, Any], /) -> Any:
        """Send one event; called from the capture's thread, so it may not wait long."""


class _Conversion:
    """From one form to another, with the delay of it taken off.

    Args:
        source: Of what is given.
        target: Of what comes back.
    """

    def __init__(self, source: StreamFormat, target: StreamFormat) -> None:
        self.source, self.target = source, target
        self._resampler = Resampler(source.rate, target.rate, target.channels)
        self._skip = self._resampler.latency

    def process(self, data: bytes) -> bytes:
        """The next bytes; what depends on what follows comes with that, or with :meth:`end`."""
        return self._due(self._resampler.process(remix(decode(data, self.source), self.target.channels)))

    def end(self) -> bytes:
        """What is still held; then as new."""
        data = self._due(self._resampler.flush())
        self._skip = self._resampler.latency
        return data

    def _due(self, y: Samples) -> bytes:
        due = y[self._skip :]
        self._skip -= len(y) - len(due)
        return encode(due, self.target)


class Feed:
    """Makes events of a capture's audio.

    Args:
        connection: For which.
        form: Of the capture's bytes.

    Raises:
        ConfigError: It cannot be sent to, or wants audio in a form there is not.
    """

    def __init__(self, connection: Connection, form: StreamFormat) -> None:
        self.connection = connection
        self._form = form
        self._check()
        self._conversion = self._make(self._wanted())
        if form.rate != PROVIDER_RATE and not hasattr(connection, "input_format"):
            logger.warning(
                "audio is sent at %d Hz: OpenAI's Realtime API takes %d Hz alone; a connection with an input_format "
                "gets what that says",
                form.rate,
                PROVIDER_RATE,
            )

    def _check(self) -> None:
        send = getattr(self.connection, "send_event", None)
        if not callable(send):
            raise ConfigError(
                f"a connection has a method send_event(event), which {type(self.connection).__name__} has not"
            )
        if inspect.iscoroutinefunction(send):
            raise ConfigError(
                "the connection's send_event is a coroutine function, which a thread cannot call: "
                "give an object whose send_event sends, or queues, at once"
            )

    def _wanted(self) -> StreamFormat:
        form = getattr(self.connection, "input_format", None)
        if form is None:
            return StreamFormat(AudioFormat.PCM16, self._form.rate)
        if not isinstance(form, StreamFormat):
            raise ConfigError(f"a connection's input_format is a StreamFormat, not {type(form).__name__}")
        return form

    def _make(self, target: StreamFormat) -> _Conversion | None:
        return None if target == self._form else _Conversion(self._form, target)

    def audio(self, data: bytes) -> list[dict[str, Any]]:
        """The events that carry a chunk; none while all of it is held.

        Raises:
            ConfigError: The connection now wants a form there is not.
        """
        target, events = self._wanted(), []
        if target != (self._conversion.target if self._conversion else self._form):
            events = self.end()
            self._conversion = self._make(target)
        return events + self._append(data if self._conversion is None else self._conversion.process(data))

    def end(self) -> list[dict[str, Any]]:
        """The events that carry what is still held of what came before."""
        return self._append(self._conversion.end() if self._conversion else b"")

    def silence(self, duration_ms: float) -> list[dict[str, Any]]:
        """The events that carry so much silence."""
        form = self._conversion.target if self._conversion else self._form
        return self._append(encode(silence(ms_to_frames(duration_ms, form.rate), form.channels), form))

    @staticmethod
    def commit() -> list[dict[str, Any]]:
        """The event that ends a turn."""
        return [{"type": COMMIT}]

    @staticmethod
    def _append(data: bytes) -> list[dict[str, Any]]:
        return [{"type": APPEND, "audio": base64.b64encode(data).decode("ascii")}] if data else []
