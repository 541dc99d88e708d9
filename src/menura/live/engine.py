"""AudioEngine: the engine of a session with a lock, and with this machine's microphone and loudspeaker for tests."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import asdict
from threading import RLock
from typing import Any

from menura.audio.block import Samples
from menura.audio.config import AudioConfig
from menura.audio.format import StreamFormat
from menura.audio.pcm import encode
from menura.clock import Clock, monotonic_s
from menura.engine.config import BufferConfig, ProcessingMode
from menura.engine.engine import Data, Engine
from menura.engine.playback import PlaybackPosition
from menura.errors import StateError
from menura.live.capture import DirectAudioCapture
from menura.live.player import BufferedAudioPlayer
from menura.vad.config import VADConfig

__all__ = [
    "AudioEngine",
    "MicrophoneStream",
    "create_adaptive_engine",
    "create_big_lane_engine",
    "create_fast_lane_engine",
]

ENABLE = "ENABLE_LOCAL_TESTING"
Device = int | str | None


class MicrophoneStream(AsyncIterator[bytes]):
    """Chunks from the microphone. It may be awaited, which gives the stream itself, or iterated at once."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def _itself(self) -> "MicrophoneStream":
        return self

    def __await__(self) -> Generator[Any, None, "MicrophoneStream"]:
        return self._itself().__await__()

    def __aiter__(self) -> "MicrophoneStream":
        return self

    async def __anext__(self) -> bytes:
        """The next chunk.

        Raises:
            DeviceError: The microphone was lost.
        """
        return await anext(self._chunks)


class _Done:
    """What a method returns that has done its work already, and may be awaited all the same."""

    async def _nothing(self) -> None:
        """There is nothing to wait for."""

    def __await__(self) -> Generator[Any, None, None]:
        return self._nothing().__await__()


class AudioEngine(Engine):
    """Audio of one session: checked, processed, watched for speech, buffered and counted.

    One thread drives it; any thread may read its figures meanwhile. It opens no device and no socket, unless local
    testing is on: then ``start_capture_stream`` is this machine's microphone, and what ``queue_playback`` is given is
    heard.

    Args:
        mode: What is done to audio; may be changed at any moment.
        config: Of the audio that comes out, and of the voice detection.
        buffer_config: Of the stream buffer.
        logger: Where refusals and changes are told, at debug and info level.
        source: What ``process_audio`` is given and the client is sent, where it is not what ``config`` says: a
            browser's 48 kHz, a telephone's G.711 at 8 kHz.
        latency_target_ms: For ``BALANCED``: noise suppression is added where it fits into this latency.
        input_device: For local testing: index or name; the system's default otherwise.
        output_device: The same for what is played.
        enable_local_testing: Whether devices may be used; ``None`` asks the environment variable
            ``ENABLE_LOCAL_TESTING``.
        clock: For durations.

    >>> engine = AudioEngine(ProcessingMode.REALTIME)
    >>> engine.validate_audio(bytes(960)), engine.process_vad_chunk(bytes(960)) == "silence"
    (True, True)
    """

    _make_lock = staticmethod(RLock)  # a log handler may read figures

    def __init__(  # noqa: PLR0913 - the first four are documented, the others named
        self,
        mode: ProcessingMode = ProcessingMode.BALANCED,
        config: AudioConfig | None = None,
        buffer_config: BufferConfig | None = None,
        logger: logging.Logger | None = None,
        *,
        source: StreamFormat | None = None,
        latency_target_ms: float | None = None,
        input_device: Device = None,
        output_device: Device = None,
        enable_local_testing: bool | None = None,
        clock: Clock = monotonic_s,
    ) -> None:
        super().__init__(
            mode, config, buffer_config, logger, source=source, latency_target_ms=latency_target_ms, clock=clock
        )
        if enable_local_testing is None:
            enable_local_testing = os.environ.get(ENABLE, "").lower() in ("1", "true", "yes", "on")
        self.local_testing = enable_local_testing
        self._input, self._output = input_device, output_device
        self._capture: DirectAudioCapture | None = None
        self._player: BufferedAudioPlayer | None = None
        self.make_capture: Callable[[AudioConfig, Device], DirectAudioCapture] = DirectAudioCapture
        self.make_player: Callable[[AudioConfig, Device], BufferedAudioPlayer] = BufferedAudioPlayer

    # ---- this machine's devices

    def start_capture_stream(self) -> MicrophoneStream:
        """Open the microphone: chunks of ``chunk_duration_ms`` from this moment on, as if a client had sent them.

        Returns:
            An asynchronous iterator, which may also be awaited first. Where nobody takes chunks, the oldest are lost.

        Raises:
            StateError: Local testing is off, or a stream runs already.
            DeviceError: There is no such microphone, or it does not start.
        """
        if not self.local_testing:
            raise StateError(f"capture is for local testing: set {ENABLE}=1 or pass enable_local_testing=True")
        if self._capture is not None and self._capture.is_running:
            raise StateError("capture runs already: stop_capture_stream() first")
        capture = self.make_capture(self._inspector.config, self._input)
        capture.start()
        self._capture = capture
        return MicrophoneStream(capture.stream())

    def stop_capture_stream(self) -> Any:
        """Close the microphone; the stream ends after what was queued. May be awaited; twice is fine."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.stop()
        return _Done()

    def queue_playback(self, audio: Data, item_id: str | None = None, encoding: str | None = None) -> None:
        """Queue a provider's audio for the listener; with local testing it is heard on this machine.

        Args:
            audio: In the format of ``config``, or Opus in Ogg or WebM, cut anywhere. What is invalid is left out and
                counted.
            item_id: Of the provider's reply that it belongs to.
            encoding: ``"opus"`` for bare Opus packets, one a call.

        Raises:
            LimitError: More than ten minutes wait already; nothing was queued.
            DeviceError: With local testing: there is no such loudspeaker, or it was lost.
        """
        if not self.local_testing:
            super().queue_playback(audio, item_id, encoding)
            return
        with self._lock:
            x = self._downlink.decode(audio, encoding)
        if x is not None:
            self._play(x, item_id)

    def _play(self, x: Samples, item_id: str | None = None) -> None:
        if self._player is None:
            self._player = self.make_player(self.config, self._output)
        self._player.play(encode(x, self.target), item_id)

    def mark_playback_complete(self) -> None:
        """Tell that the reply has ended: no more audio comes for it."""
        if not self.local_testing:
            super().mark_playback_complete()
            return
        with self._lock:
            rest = self._downlink.rest()
        if len(rest):
            self._play(rest)
        if self._player is not None:
            self._player.mark_complete()

    def interrupt_playback(self, force: bool = True) -> None:
        """Stop what is heard, with a fade; what was queued is discarded. ``playback_position`` tells what was heard.

        Args:
            force: At once, rather than at the end of the current chunk.
        """
        super().interrupt_playback(force)
        if self._player is not None:
            self._player.stop(force)

    def stop_playback(self) -> PlaybackPosition | None:
        """End all replies at once: what was not heard by now will not be. With local testing what the loudspeaker
        holds, some 50 ms, is still heard.

        Returns:
            What was heard of the reply that was being heard, and where to truncate it; ``None`` if none was.
        """
        if self._player is None:
            return super().stop_playback()
        before = self._player.position()
        heard = self._player.stop()
        return None if before.finished or not (before.played_ms + before.end_ms) else heard

    def playback_position(self, item_id: str | None = None) -> PlaybackPosition:
        """What was heard of an item, the current one by default: where to truncate a reply that was interrupted."""
        return super().playback_position(item_id) if self._player is None else self._player.position(item_id)

    @property
    def is_playing(self) -> bool:
        """Whether the listener hears something, or is about to."""
        if self._player is not None:
            return self._player.is_playing
        position = super().playback_position()
        return position.pending_ms > 0.0 or position.queued_ms > 0.0

    def get_metrics(self) -> dict[str, Any]:
        """All figures at one moment, those of the devices included where they are open."""
        figures = super().get_metrics()
        if self._capture is not None:
            figures["capture"] = asdict(self._capture.stats())
        if self._player is not None:
            figures["player"] = self._player.get_metrics()
        return figures

    def close(self) -> None:
        """Close the devices, if any were opened. Twice is fine."""
        self.stop_capture_stream()
        player, self._player = self._player, None
        if player is not None:
            player.close()

    def __enter__(self) -> "AudioEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create_fast_lane_engine(
    sample_rate: int = 24_000,
    chunk_duration_ms: int = 20,
    vad_config: VADConfig | None = None,
    *,
    input_device: Device = None,
    output_device: Device = None,
    enable_local_testing: bool | None = None,
) -> AudioEngine:
    """An engine for conversations: ``REALTIME``, short chunks, voice detection ready.

    Args:
        sample_rate: Hz.
        chunk_duration_ms: Of the stream buffer's, the generator's and the microphone's chunks.
        vad_config: Of the voice detection.
        input_device: See :class:`AudioEngine`, as the two after it.
    """
    engine = AudioEngine(
        ProcessingMode.REALTIME,
        AudioConfig(sample_rate=sample_rate, chunk_duration_ms=chunk_duration_ms),
        input_device=input_device,
        output_device=output_device,
        enable_local_testing=enable_local_testing,
    )
    engine.configure_vad(vad_config)
    return engine


def create_big_lane_engine(
    sample_rate: int = 24_000, enable_enhancement: bool = True, *, enable_local_testing: bool | None = None
) -> AudioEngine:
    """An engine for the best sound: ``QUALITY``, chunks of 100 ms.

    Args:
        sample_rate: Hz.
        enable_enhancement: Suppress noise; without it the loudness is brought to one level and nothing else is done.
        enable_local_testing: See :class:`AudioEngine`.
    """
    engine = AudioEngine(
        ProcessingMode.QUALITY,
        AudioConfig(sample_rate=sample_rate, chunk_duration_ms=100),
        enable_local_testing=enable_local_testing,
    )
    engine.enhance = enable_enhancement
    return engine


def create_adaptive_engine(
    sample_rate: int = 24_000, latency_target_ms: float = 50.0, *, enable_local_testing: bool | None = None
) -> AudioEngine:
    """An engine that does as much as fits: ``BALANCED``, with noise suppression where the target allows it.

    Under load the costly stages are shed before a chunk is late, and taken up again when there is room.

    Args:
        sample_rate: Hz.
        latency_target_ms: Delay of the signal that is acceptable.
        enable_local_testing: See :class:`AudioEngine`.
    """
    return AudioEngine(
        ProcessingMode.BALANCED,
        AudioConfig(sample_rate=sample_rate, chunk_duration_ms=20),
        latency_target_ms=latency_target_ms,
        enable_local_testing=enable_local_testing,
    )
