"""Captures audio on this machine's microphone, in chunks."""

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from menura.audio.config import AudioConfig
from menura.audio.pcm import encode
from menura.clock import Clock, monotonic_s
from menura.devices.port import InputPort, PortStats
from menura.devices.portaudio_oneway import open_input
from menura.dsp.framer import Framer
from menura.errors import ConfigError, StateError
from menura.live.capture_stream import CaptureStream, Chunk
from menura.live.ending import let_end, stop_at_exit
from menura.live.watch import PortWatch
from menura.log import get_logger
from menura.units import frames_to_ms

__all__ = ["CaptureStats", "CaptureStream", "DirectAudioCapture", "OpenInput"]

logger = get_logger(__name__)

JOIN_S = 5.0
MIN_CHUNKS = 2


class OpenInput(Protocol):
    """Opens a microphone, as :func:`menura.devices.open_input` does."""

    def __call__(self, device: str | int | None, /, *, rate: int, channels: int) -> InputPort:
        """Open it, not yet started."""


@dataclass(frozen=True, slots=True)
class CaptureStats:
    """What a capture has done since it was made.

    Attributes:
        running: Whether it runs.
        chunks: Chunks captured.
        captured_ms: Audio captured.
        dropped_chunks: Chunks that streams lost because nobody took them in time.
        gaps: Times audio was lost before it was cut into chunks.
        lost_ms: Of it, as far as known: a device tells that it lost audio, not how much.
        xruns: Times the device lost audio.
        latency_ms: From the microphone until a frame can be read; a chunk waits for its last frame besides.
    """

    running: bool = False
    chunks: int = 0
    captured_ms: float = 0.0
    dropped_chunks: int = 0
    gaps: int = 0
    lost_ms: float = 0.0
    xruns: int = 0
    latency_ms: float = 0.0


class DirectAudioCapture:
    """A microphone as chunks of bytes, each exactly ``chunk_duration_ms`` long, in the config's format.

    A thread of its own takes audio from the device and cuts it; any number of streams get the chunks, each from the
    moment it was asked for. May be started again after a stop. All methods may be called from any thread. Opening a
    device takes some ten milliseconds: an event loop calls ``start`` in a thread.

    Args:
        config: Rate, channels, encoding and length of the chunks.
        device: Name, part of a name or index; None for the default.
        open_port: Opens it.
        queue_ms: What a stream holds at most.
        lost_after_s: Time without a sign of the device after which it is lost.
        clock: Of ``captured_s``.

    >>> from menura.devices.synthetic_oneway import SyntheticInput
    >>> port = SyntheticInput(24_000)
    >>> with DirectAudioCapture(open_port=lambda device, **form: port) as capture:
    ...     stream = capture.stream()
    ...     port.pump(2400)
    ...     len(stream.read(10.0))
    4800
    """

    def __init__(
        self,
        config: AudioConfig | None = None,
        device: str | int | None = None,
        *,
        open_port: OpenInput = open_input,
        queue_ms: float = 2000.0,
        lost_after_s: float = 1.0,
        clock: Clock = monotonic_s,
    ) -> None:
        if not (0.0 < lost_after_s <= 60.0 and 0.0 < queue_ms <= 600_000.0):
            raise ConfigError(f"out of range: {lost_after_s=} (to 60), {queue_ms=} (to 600000)")
        self.config = config or AudioConfig()
        self.device = device
        self._open_port = open_port
        self._lost_after_s = lost_after_s
        self._clock = clock
        self._capacity = max(MIN_CHUNKS, round(queue_ms / self.config.chunk_duration_ms))
        self._chunk_frames = self.config.bytes_for_ms(self.config.chunk_duration_ms) // self.config.frame_bytes
        self._guard = threading.RLock()
        self._port: InputPort | None = None
        self._thread: threading.Thread | None = None  # while it runs
        self._last_thread: threading.Thread | None = None  # which may still be closing its device
        self._stopping = threading.Event()
        self._streams: list[CaptureStream] = []
        self._own: CaptureStream | None = None  # that of read
        self._past = PortStats()
        self._chunks = self._frames = self._gaps = self._dropped_chunks = 0

    def __enter__(self) -> "DirectAudioCapture":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether audio is captured."""
        return self._thread is not None

    def start(self) -> None:
        """Open the device and capture; nothing if it does.

        Raises:
            DeviceError: It does not open.
        """
        with self._guard:
            if self._thread is not None:
                return
            port = self._open_port(self.device, rate=self.config.sample_rate, channels=self.config.channels)
            watch = PortWatch(port, self._lost_after_s)
            try:
                port.start(watch.signal)
            except BaseException:
                port.close()
                raise
            self._port, self._own = port, None
            self._stopping = threading.Event()
            run = (port, watch, self._stopping)
            self._thread = self._last_thread = threading.Thread(
                target=self._run, args=run, name="menura-capture", daemon=True
            )
            stop_at_exit(self, self.stop)
            self._thread.start()

    def stop(self) -> None:
        """Give the device back; streams end after what is queued. Twice is fine."""
        with self._guard:
            thread = self._last_thread
            self._stopping.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)
            if thread.is_alive():
                logger.error("the capture's thread has not ended within %.0f s: the device hangs", JOIN_S)

    def stream(self) -> CaptureStream:
        """Chunks from now on; starts the capture if it does not run.

        Raises:
            DeviceError: The device does not open.
        """
        with self._guard:
            self.start()
            stream = CaptureStream(self._capacity)
            self._streams.append(stream)
            return stream

    def read(self, timeout_s: float | None = None) -> bytes | None:
        """Wait for the next chunk; the first call begins with what is captured from then on.

        Returns:
            The chunk; None once the capture was stopped.

        Raises:
            TimeoutError: None came within ``timeout_s``.
            DeviceError: The device is lost.
            StateError: The capture was never started.
        """
        with self._guard:
            own = self._own
            if own is None:
                if self._thread is None:
                    raise StateError("the capture does not run: call start() first")
                own = self._own = self.stream()
        return own.read(timeout_s)

    def stats(self) -> CaptureStats:
        """Figures so far."""
        with self._guard:
            port = self._port
            counts = self._port_counts()
            return CaptureStats(
                running=self._thread is not None,
                chunks=self._chunks,
                captured_ms=frames_to_ms(self._frames, self.config.sample_rate),
                dropped_chunks=self._dropped_chunks + sum(stream.dropped for stream in self._streams),
                gaps=self._gaps,
                lost_ms=frames_to_ms(counts.dropped_in, self.config.sample_rate),
                xruns=counts.xruns_in,
                latency_ms=0.0 if port is None else port.latency_ms,
            )

    def _port_counts(self) -> PortStats:
        """Counts of all ports so far."""
        past, now = self._past, PortStats() if self._port is None else self._port.stats()
        return PortStats(
            past.callbacks + now.callbacks,
            xruns_in=past.xruns_in + now.xruns_in,
            dropped_in=past.dropped_in + now.dropped_in,
        )

    # --- the capture's thread

    def _run(self, port: InputPort, watch: PortWatch, stopping: threading.Event) -> None:
        error: Exception | None = None
        framer = Framer(self._chunk_frames, channels=self.config.channels)
        lost = 0
        try:
            while not stopping.is_set():
                watch.wait()
                lost = self._take(port, framer, lost)
            self._take(port, framer, lost)
        except Exception as raised:
            error = raised
            logger.warning("the capture has lost its device: %s", raised)
        with self._guard:
            self._past = self._port_counts()
            self._port = self._thread = None
            let_end(self)
            streams, self._streams = self._streams, []
            self._dropped_chunks += sum(stream.dropped for stream in streams)
        for stream in streams:
            stream.end(error)
        port.close()  # with no lock held: a sound server that hangs lets none be closed

    def _take(self, port: InputPort, framer: Framer, lost: int) -> int:
        """Cut what was captured, and hand it on; returns the port's count of losses."""
        counts = port.stats()
        now_lost = counts.xruns_in + counts.dropped_in
        age_s = port.now_s - port.next_s
        x = port.read()
        first_s = self._clock() - age_s - framer.held / self.config.sample_rate
        blocks = framer.push(x)
        chunks = [
            Chunk(encode(block, self.config.stream_format), first_s + k * self._chunk_frames / self.config.sample_rate)
            for k, block in enumerate(blocks)
        ]
        with self._guard:
            self._gaps += now_lost > lost
            self._frames += len(x)
            self._chunks += len(chunks)
            closed = [stream for stream in self._streams if stream.ended]
            self._dropped_chunks += sum(stream.dropped for stream in closed)
            self._streams = [stream for stream in self._streams if not stream.ended]
            streams = tuple(self._streams)
        for chunk in chunks:
            for stream in streams:
                stream.push(chunk)
        return now_lost
