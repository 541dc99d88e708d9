"""Plays audio that comes in pieces on this machine's loudspeaker, and knows what was heard."""

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from menura.audio.config import AudioConfig
from menura.audio.pcm import decode
from menura.devices.port import OutputPort, PortStats
from menura.devices.portaudio_oneway import open_output
from menura.engine.playback import Playback, PlaybackEventKind, PlaybackPosition
from menura.errors import ConfigError, LimitError, StateError
from menura.live.ending import let_end, stop_at_exit
from menura.live.watch import PortWatch
from menura.log import get_logger
from menura.units import frames_to_ms, ms_to_frames

__all__ = ["BufferedAudioPlayer", "OpenOutput"]

logger = get_logger(__name__)

AHEAD_BLOCKS = 3
"""Written ahead of the device: one block for its next callback, one for a callback that comes early, one to spare."""
MAX_AHEAD_MS = 200.0
MAX_CHUNKS = 100_000
JOIN_S = 5.0


class OpenOutput(Protocol):
    """Opens a loudspeaker, as :func:`menura.devices.open_output` does."""

    def __call__(self, device: str | int | None, /, *, rate: int, channels: int) -> OutputPort:
        """Open it, not yet started."""


class BufferedAudioPlayer:
    """A loudspeaker for the audio of a session.

    The device is opened with the first audio, or by :meth:`start`, and runs until :meth:`close`; a thread of the
    player's own keeps it fed. All methods may be called from any thread, and none waits for audio. Opening a device
    takes some ten milliseconds: an event loop calls ``start`` in a thread.

    A device that is lost is reported by the next call as :class:`~menura.errors.DeviceError`; what it had not yet
    played is discarded, what was queued stays, and the call after that opens the device again.

    Args:
        config: Rate, channels and encoding of what is played.
        device: Name, part of a name or index; None for the default.
        open_port: Opens it.
        prebuffer_ms: What must be there before an item begins, unless it is complete.
        max_ms: Most audio that waits.
        lost_after_s: Time without a sign of the device after which it is lost.

    >>> from menura.devices.synthetic_oneway import SyntheticOutput
    >>> with BufferedAudioPlayer(open_port=lambda device, **form: SyntheticOutput(**form)) as player:
    ...     player.play(bytes(960))
    480
    """

    def __init__(
        self,
        config: AudioConfig | None = None,
        device: str | int | None = None,
        *,
        open_port: OpenOutput = open_output,
        prebuffer_ms: float = 40.0,
        max_ms: float = 600_000.0,
        lost_after_s: float = 1.0,
    ) -> None:
        if not 0.0 < lost_after_s <= 60.0:
            raise ConfigError(f"lost_after_s is above 0, at most 60, not {lost_after_s}")
        self.config = config or AudioConfig()
        self.device = device
        self._open_port = open_port
        self._lost_after_s = lost_after_s
        self._playback = Playback(self.config, max_ms=max_ms, prebuffer_ms=prebuffer_ms, reported=True)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._port: OutputPort | None = None
        self._thread: threading.Thread | None = None  # while it runs
        self._last_thread: threading.Thread | None = None  # which may still be closing its device
        self._error: Exception | None = None
        self._closed = False
        self._offset = 0  # handed out before this port was opened
        self._ahead = self._port_padded = self._padded = 0
        self._marks: deque[int] = deque()  # frames heard in all when each chunk will have been
        self._chunks_played = 0
        self._last_port = PortStats()
        self._completion_callback: Callable[[], object] | None = None
        self._chunk_played_callback: Callable[[int], object] | None = None

    def __enter__(self) -> "BufferedAudioPlayer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what the caller does

    def start(self) -> None:
        """Open the device and let it run; nothing if it does.

        Raises:
            DeviceError: It does not open, or was lost since the last call.
            StateError: The player was closed.
        """
        with self._lock:
            self._check()
            if self._port is not None:
                return
            port = self._open_port(self.device, rate=self.config.sample_rate, channels=self.config.channels)
            watch = PortWatch(port, self._lost_after_s)
            self._offset = self._playback.handed_out
            self._ahead, self._port_padded = AHEAD_BLOCKS * port.block, 0
            try:
                port.write(self._playback.read(port.prefill + self._ahead))
                port.start(watch.signal)
            except BaseException:
                self._playback.retract()
                port.close()
                raise
            self._port = port
            self._thread = self._last_thread = threading.Thread(
                target=self._run, args=(port, watch), name="menura-player", daemon=True
            )
            stop_at_exit(self, self.close)
            self._thread.start()

    def play(self, chunk: bytes | bytearray | memoryview, item_id: str | None = None) -> int:
        """Play a chunk after what is queued.

        Args:
            chunk: In the config's format.
            item_id: Of the reply it belongs to, whose position is told on its own.

        Returns:
            Frames that will be heard: 0 if that item was interrupted.

        Raises:
            FormatError: The chunk ends within a frame.
            LimitError: Too much is queued.
            DeviceError: The device does not open, or was lost since the last call.
            StateError: The player was closed.
        """
        x = decode(chunk, self.config.stream_format)
        with self._lock:
            self.start()
            if len(self._marks) >= MAX_CHUNKS:
                raise LimitError(f"{MAX_CHUNKS} chunks are queued: send longer ones, or no faster than they are heard")
            frames = self._playback.queue(x, item_id)
            if frames:
                self._marks.append(self._frames_due())
            return frames

    def _frames_due(self) -> int:
        stats = self._playback.stats()
        return ms_to_frames(stats.played_ms + stats.pending_ms + stats.queued_ms, self.config.sample_rate)

    def mark_complete(self) -> None:
        """Tell that no more comes for what is played now; when it was heard, the completion callback is called.

        Raises:
            DeviceError: The device was lost since the last call.
            StateError: The player was closed.
        """
        with self._lock:
            self._check()
            self._playback.complete()

    def stop(self, force: bool = True) -> PlaybackPosition:
        """Interrupt what is played; the player goes on with what comes next.

        Args:
            force: At once: what the device holds, some 50 ms, is heard to its end, all else is dropped with a fade of
                5 ms. Otherwise it goes on to the end of its chunk, as ``Playback.interrupt`` says.

        Returns:
            The position of what is heard. With ``force`` its ``pending_ms`` still has what the device drops with its
            next callback, 10 ms later: :meth:`position` then tells exactly.

        Raises:
            DeviceError: The device was lost since the last call.
            StateError: The player was closed.
        """
        with self._lock:
            self._check()
            self._follow()
            port = self._port
            cut = force and port is not None and port.queued > 0
            if cut and port is not None:
                port.cut()
            self._marks.clear()
            return self._playback.interrupt(force, fade=not cut)

    def close(self) -> None:
        """Stop at once and give the device back; twice is fine."""
        with self._lock:
            self._closed = True
            thread = self._last_thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)
            if thread.is_alive():
                logger.error("the player's thread has not ended within %.0f s: a device or a callback hangs", JOIN_S)

    def set_completion_callback(self, callback: Callable[[], object] | None) -> None:
        """Call this, from the player's thread, when an item was heard to its end; not when it was interrupted."""
        self._completion_callback = callback

    def set_chunk_played_callback(self, callback: Callable[[int], object] | None) -> None:
        """Call this, from the player's thread, with the number of chunks heard to their end since the last call."""
        self._chunk_played_callback = callback

    # --- what the caller learns

    @property
    def is_playing(self) -> bool:
        """Whether something is queued or sounds."""
        with self._lock:
            self._follow()
            stats = self._playback.stats()
            return stats.queued_ms > 0.0 or stats.pending_ms > 0.0

    def position(self, item_id: str | None = None) -> PlaybackPosition:
        """Where the listener is now: of an item, or of what is heard now or was last."""
        with self._lock:
            self._follow()
            return self._playback.position(item_id)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is queued or sounds, the device was lost, or the player was closed.

        Returns:
            Whether all that was queued has been heard.
        """
        with self._lock:
            self._changed.wait_for(lambda: self._closed or self._error or not self.is_playing, timeout_s)
            return not self.is_playing

    def get_metrics(self) -> dict[str, Any]:
        """Figures so far."""
        with self._lock:
            self._follow()
            stats, port = self._playback.stats(), self._port
            counts = self._last_port if port is None else port.stats()
            return {
                "is_playing": stats.queued_ms > 0.0 or stats.pending_ms > 0.0,
                "running": port is not None,
                "items": stats.items,
                "chunks_played": self._chunks_played,
                "chunks_queued": len(self._marks),
                "played_ms": stats.played_ms,
                "buffered_ms": stats.queued_ms + stats.pending_ms,
                "discarded_ms": stats.discarded_ms,
                "gaps": stats.gaps,
                "gap_ms": stats.gap_ms,
                "latency_ms": 0.0 if port is None else port.latency_ms,
                "callbacks": counts.callbacks,
                "xruns": counts.xruns_out,
                "padded_ms": frames_to_ms(self._padded, self.config.sample_rate),
            }

    def _check(self) -> None:
        error, self._error = self._error, None
        if self._closed:
            raise StateError("this player was closed: make another")
        if error is not None:
            raise error

    def _follow(self) -> bool:
        """Take over what the device has played and what it has dropped; whether it may be written to."""
        port = self._port
        if port is None:
            return False
        dropped = port.settle()
        if dropped:
            self._retract(dropped)
            self._port_padded = port.stats().padded  # a cut leaves silence, which nobody misses
        self._playback.played(self._offset + port.played)
        return dropped is not None

    def _retract(self, frames: int | None = None) -> None:
        dropped = self._playback.retract(frames)
        self._marks = deque(mark - dropped for mark in self._marks)

    # --- the player's thread

    def _run(self, port: OutputPort, watch: PortWatch) -> None:
        error: Exception | None = None
        try:
            while not self._closed:
                watch.wait()
                self._work(port)
        except Exception as raised:
            error = raised
        with self._lock:
            self._follow()
            self._retract()
            self._last_port = port.stats()
            self._port = self._thread = None
            let_end(self)
            self._error = error
            self._changed.notify_all()
        if error is not None:
            logger.warning("the player has lost its device: %s", error)
        port.close()  # with no lock held: a sound server that hangs lets none be closed

    def _work(self, port: OutputPort) -> None:
        """Keep the device fed, and tell what was heard."""
        with self._lock:
            wanted = self._ahead - port.queued if self._follow() else 0
            if wanted > 0:
                port.write(self._playback.read(wanted))
            self._adapt(port)
            completed = sum(
                event.kind is PlaybackEventKind.ITEM_COMPLETED and not event.interrupted
                for event in self._playback.events()
            )
            chunks = self._pass_marks()
            if not self.is_playing:
                self._changed.notify_all()
        if chunks and self._chunk_played_callback is not None:
            self._call(self._chunk_played_callback, chunks)
        for _ in range(completed):
            if self._completion_callback is not None:
                self._call(self._completion_callback)

    def _adapt(self, port: OutputPort) -> None:
        """Write further ahead where this thread came too late and audio was waiting for it."""
        padded = port.stats().padded
        if padded > self._port_padded and self._playback.stats().pending_ms > 0.0:
            self._padded += padded - self._port_padded
            limit = max(self._ahead, ms_to_frames(MAX_AHEAD_MS, port.rate))
            self._ahead = min(limit, self._ahead + port.block)
        self._port_padded = padded

    def _pass_marks(self) -> int:
        played = ms_to_frames(self._playback.stats().played_ms, self.config.sample_rate)
        chunks = 0
        while self._marks and self._marks[0] <= played:
            self._marks.popleft()
            chunks += 1
        self._chunks_played += chunks
        return chunks

    @staticmethod
    def _call(callback: Callable[..., object], *arguments: int) -> None:
        try:
            callback(*arguments)
        except Exception:
            logger.exception("a callback of the player failed")
