"""Bytes between a producer and a consumer of different pace, bounded in size and in time."""

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.audio.pcm import encode
from menura.clock import Clock, monotonic_s
from menura.dsp.ring import Overflow
from menura.engine.config import BufferConfig, ProcessingMode, Underflow
from menura.engine.jitter import JitterBuffer, JitterConfig
from menura.engine.verdict import is_bytes
from menura.errors import ConfigError, LimitError

__all__ = ["AudioStreamBuffer", "BufferStats"]

Data = bytes | bytearray | memoryview
SMALL = 256
"""Bytes below which pieces are joined: a piece has an overhead of its own."""
_SILENCE = {AudioFormat.G711_ULAW: b"\xff", AudioFormat.G711_ALAW: b"\xd5"}


@dataclass(frozen=True, slots=True)
class BufferStats:
    """Counters of a buffer. ``total_added`` is ``total_consumed + dropped_bytes + available_bytes``, always.

    Attributes:
        available_bytes: Held now.
        duration_ms: Held now.
        total_added: Bytes of whole frames given, those lost included.
        total_consumed: Bytes taken out, without padding.
        dropped_bytes: ``dropped_oldest + dropped_newest + cleared_bytes``.
        dropped_oldest: Bytes lost because newer ones came.
        dropped_newest: Bytes lost because there was no room.
        cleared_bytes: Bytes thrown away by ``clear``.
        padded_bytes: Bytes of silence or repetition given out.
        overflow_count: Times that audio did not fit.
        underflow_count: Times that too little was held.
        malformed: Chunks refused because they are no bytes, or no whole frames.
        utilization: Share of the capacity in use, 0…1.
        capacity_bytes: Most that it holds.
    """

    available_bytes: int
    duration_ms: float
    total_added: int
    total_consumed: int
    dropped_bytes: int
    dropped_oldest: int
    dropped_newest: int
    cleared_bytes: int
    padded_bytes: int
    overflow_count: int
    underflow_count: int
    malformed: int
    utilization: float
    capacity_bytes: int


class AudioStreamBuffer:
    """Bounded FIFO of audio bytes that copies nothing it need not.

    It keeps the very objects it is given, and gives a chunk out as the object that came in where the sizes agree.

    With ``BufferConfig(jitter=True)`` it is a jitter buffer for a reader that takes chunks at an even pace: it waits
    for as long as the network makes it, fills gaps with what the voice would have gone on with, and follows the
    sender's clock. ``jitter`` is that buffer then, and the underflow policy has no say.

    Args:
        config: Bounds and policies; the tighter of the bounds in bytes and in time counts.
        audio_config: Of the audio; decides what a whole frame is.
        mode: Told in ``get_stats``.
        lock: Held during each call; with a ``threading.Lock`` one thread may add while another takes.
        clock: When packets come; for the jitter mode.

    >>> buffer = AudioStreamBuffer()
    >>> buffer.add_audio(bytes(960)), buffer.get_duration_ms()
    (True, 20.0)
    """

    def __init__(
        self,
        config: BufferConfig | None = None,
        audio_config: AudioConfig | None = None,
        mode: ProcessingMode = ProcessingMode.BALANCED,
        *,
        lock: AbstractContextManager[Any] | None = None,
        clock: Clock = monotonic_s,
    ) -> None:
        self.config = config or BufferConfig()
        self.audio_config = audio = audio_config or AudioConfig()
        self.mode = ProcessingMode.of(mode)
        self._frame = audio.frame_bytes
        bound = min(self.config.max_size_bytes, audio.bytes_for_ms(self.config.max_duration_ms))
        self.capacity = bound // self._frame * self._frame
        if not self.capacity:
            raise ConfigError(f"a buffer of {bound} bytes does not hold one frame of {self._frame}")
        self._lock = lock or nullcontext()
        self._overflow, self._underflow = (
            Overflow(self.config.overflow_strategy),
            Underflow(self.config.underflow_strategy),
        )
        self._pad = _SILENCE.get(audio.format, b"\0")
        self._pieces: deque[bytes] = deque()
        self._skip = 0  # bytes of the first piece that are gone
        self._held = 0
        self._last = b""
        self._primed = False
        self._added = self._consumed = self._oldest = self._newest = self._cleared = 0
        self._padded = self._overflows = self._underflows = self._malformed = 0
        self.jitter: JitterBuffer | None = None
        if self.config.jitter:
            limits = JitterConfig(
                max_duration_ms=self.config.max_duration_ms,
                max_size_bytes=self.config.max_size_bytes,
                overflow=self._overflow,
            )
            self.jitter = JitterBuffer(audio, jitter=limits, clock=clock, lock=self._lock)

    def add_audio(self, audio: Data, *, sequence: int | None = None, timestamp_frames: int | None = None) -> bool:
        """Append audio.

        Args:
            sequence: Number of the packet, in the jitter mode; see :meth:`JitterBuffer.put`.
            timestamp_frames: Sender's time of its first frame, in the jitter mode.
            audio: Whole frames. Other bytes, and what is none, are refused and counted, and nothing of them is kept:
                half a sample would turn all that follows into noise.

        Returns:
            Whether all of ``audio`` is held now. ``drop_oldest`` makes room, unless ``audio`` is longer than the whole
            buffer; ``drop_newest`` keeps what fits.

        Raises:
            LimitError: It does not fit and the policy is ``error``; nothing was added.
        """
        size = len(audio) if is_bytes(audio) else -1
        if size < 0 or size % self._frame:
            self._malformed += 1
            return False
        if self.jitter is not None:
            dropped = self.jitter.put(audio, sequence=sequence, timestamp_frames=timestamp_frames)
            return not dropped or (self._overflow is Overflow.DROP_OLDEST and size <= self.capacity)
        with self._lock:
            lost = 0
            if size > self.capacity - self._held:
                audio = self._make_room(audio, size)
                lost = size - len(audio)
            self._added += size
            if audio:
                self._append(audio if type(audio) is bytes else bytes(audio))
            return not lost

    def _make_room(self, audio: Data, size: int) -> Data:
        """Drop by the policy; returns what of ``audio`` is to be kept."""
        self._overflows += 1
        free = self.capacity - self._held
        if self._overflow is Overflow.ERROR:
            raise LimitError(f"buffer is full: {size} bytes do not fit into {free}; take some out first")
        if self._overflow is Overflow.DROP_NEWEST:
            self._newest += size - free
            return audio[:free]
        beyond = max(0, size - self.capacity)
        self._oldest += size - free
        self._discard(size - beyond - free)
        return audio[beyond:]

    def _append(self, audio: bytes) -> None:
        if len(audio) < SMALL and len(self._pieces) > 1 and len(self._pieces[-1]) < 16 * SMALL:
            self._pieces[-1] += audio
        else:
            self._pieces.append(audio)
        self._held += len(audio)
        self._primed = True

    def _discard(self, size: int) -> None:
        """Drop the oldest bytes."""
        self._held -= size
        size += self._skip
        while size and size >= len(self._pieces[0]):
            size -= len(self._pieces.popleft())
        self._skip = size

    def get_chunk(self, chunk_size: int | None = None) -> bytes | None:
        """Take the oldest bytes.

        Args:
            chunk_size: Whole frames in bytes; one chunk of the configuration by default.

        Returns:
            ``chunk_size`` bytes. Where fewer are held, the rest is silence, or the last chunk once more, by the policy.
            ``None`` before the first audio, and after ``clear`` until there is some again.

        Raises:
            LimitError: Too little is held and the policy is ``error``; nothing was taken.
            ConfigError: ``chunk_size`` is no whole frames, or none.
        """
        size = self._chunk_size(chunk_size)
        if self.jitter is not None:
            return self._even(self.jitter, size)
        with self._lock:
            if self._held < size:
                return self._underrun(size)
            return self._take(size)

    def _even(self, jitter: JitterBuffer, size: int) -> bytes | None:
        if not jitter.received_packets:
            return None
        return encode(jitter.get(size // self._frame), self.audio_config.stream_format)

    def view_chunk(self, chunk_size: int | None = None) -> memoryview | None:
        """As ``get_chunk``, as a view: nothing is copied where the chunk lies within one piece as it was added."""
        size = self._chunk_size(chunk_size)
        if self.jitter is not None:
            even = self._even(self.jitter, size)
            return None if even is None else memoryview(even)
        with self._lock:
            if self._held < size or not self.config.zero_copy:
                chunk = self._underrun(size) if self._held < size else self._take(size)
                return None if chunk is None else memoryview(chunk)
            first = self._pieces[0]
            if len(first) - self._skip < size:
                return memoryview(self._take(size))
            view = memoryview(first)[self._skip : self._skip + size]
            self._discard(size)
            self._consumed += size
            return view

    def _chunk_size(self, chunk_size: int | None) -> int:
        size = self.audio_config.bytes_for_ms(self.audio_config.chunk_duration_ms) if chunk_size is None else chunk_size
        if size < 1 or size % self._frame:
            raise ConfigError(f"a chunk is one or more whole frames of {self._frame} bytes, not {size} bytes")
        return size

    def _take(self, size: int) -> bytes:
        first = self._pieces[0]
        if len(first) - self._skip >= size:
            chunk = first if len(first) == size else first[self._skip : self._skip + size]
            self._discard(size)
        else:
            parts, missing = [], size
            while missing:
                part = memoryview(self._pieces[0])[self._skip : self._skip + missing]
                missing -= len(part)
                parts.append(part)
                self._discard(len(part))
            chunk = b"".join(parts)
        self._consumed += size
        if self._underflow is Underflow.REPEAT:
            self._last = chunk
        return chunk

    def _underrun(self, size: int) -> bytes | None:
        if not self._primed:
            return None
        self._underflows += 1
        if self._underflow is Underflow.ERROR:
            raise LimitError(f"buffer has {self._held} of {size} bytes; add audio or take less")
        missing = size - self._held
        again = self._last or self._pad
        head = self._take(self._held) if self._held else b""
        self._last = again if len(again) > 1 else b""
        self._padded += missing
        return head + (again * (missing // len(again) + 1))[:missing]

    def get_available_bytes(self) -> int:
        """Bytes held."""
        return self._held if self.jitter is None else self.jitter.held_frames * self._frame

    def get_duration_ms(self) -> float:
        """Duration of the audio held, ms."""
        return self.audio_config.duration_ms(self.get_available_bytes())

    def clear(self) -> None:
        """Throw away what is held; counters stay."""
        if self.jitter is not None:
            self.jitter.clear()
        with self._lock:
            self._pieces.clear()
            self._cleared += self._held
            self._held = self._skip = 0
            self._last, self._primed = b"", False

    def stats(self) -> BufferStats:
        """Counters at one moment."""
        if self.jitter is not None:
            return self._jitter_stats(self.jitter)
        with self._lock:
            return BufferStats(
                available_bytes=self._held,
                duration_ms=self.audio_config.duration_ms(self._held),
                total_added=self._added,
                total_consumed=self._consumed,
                dropped_bytes=self._oldest + self._newest + self._cleared,
                dropped_oldest=self._oldest,
                dropped_newest=self._newest,
                cleared_bytes=self._cleared,
                padded_bytes=self._padded,
                overflow_count=self._overflows,
                underflow_count=self._underflows,
                malformed=self._malformed,
                utilization=self._held / self.capacity,
                capacity_bytes=self.capacity,
            )

    def _jitter_stats(self, jitter: JitterBuffer) -> BufferStats:
        stats, frame = jitter.stats(), self._frame
        lost = stats.dropped_frames + stats.late_frames + stats.duplicate_frames
        held = min(stats.held_frames, stats.received_frames - lost)
        return BufferStats(
            available_bytes=held * frame,
            duration_ms=stats.held_ms,
            total_added=stats.received_frames * frame,
            total_consumed=(stats.received_frames - lost - held) * frame,
            dropped_bytes=lost * frame,
            dropped_oldest=stats.dropped_frames * frame,
            dropped_newest=(stats.late_frames + stats.duplicate_frames) * frame,
            cleared_bytes=0,
            padded_bytes=(stats.concealed_frames + stats.silent_frames) * frame,
            overflow_count=stats.overflows,
            underflow_count=stats.underflows,
            malformed=self._malformed,
            utilization=held * frame / self.capacity,
            capacity_bytes=self.capacity,
        )

    def get_stats(self) -> dict[str, Any]:
        """The counters as a dictionary, with ``mode``, ``is_circular`` and, in the jitter mode, ``jitter``."""
        figures = asdict(self.stats()) | {"mode": self.mode.value, "is_circular": True}
        return figures if self.jitter is None else figures | {"jitter": asdict(self.jitter.stats())}
