"""Streams as files, in bounded memory however long."""

import os
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack

from menura.audio.block import Samples, silence
from menura.audio.files import AudioWriter, writable_suffixes
from menura.audio.stream import AudioStream
from menura.audio.wav import WavWriter
from menura.channels.making import Through
from menura.channels.offload import Offload
from menura.channels.options import Mismatch
from menura.channels.origin import Piece
from menura.channels.stages import Gaps, StreamStage
from menura.channels.streaming import Streams, streams_of
from menura.channels.timeline import RESTART_S, TOLERANCE_S
from menura.errors import FileError, StateError

__all__ = ["RecordSettings", "RecorderStats", "StreamRecorder", "record"]

SLICE = 65_536
"""Frames of silence written at a time."""


class RecordSettings(TypedDict, total=False):
    """The settings of :class:`StreamRecorder` as keywords."""

    rate: int | None
    channels: int | None
    format: str | None
    fill: bool
    max_fill_s: float
    start_s: float | None


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """What was recorded; frames at the file's rate.

    Attributes:
        frames: Of the file.
        filled: Of these, silence for what was missing.
        dropped: Left out because they were there twice.
        jumps: Times that neither was possible, for the jump was too long.
        conversions: Times a stream came in another rate or with other channels than the one before.
        start_s: When the file's first frame was.
        rate: Hz; 0 before the first stream.
    """

    frames: int = 0
    filled: int = 0
    dropped: int = 0
    jumps: int = 0
    conversions: int = 0
    start_s: float = 0.0
    rate: int = 0

    @property
    def seconds(self) -> float:
        """Length of the file."""
        return self.frames / self.rate if self.rate else 0.0

    @property
    def filled_s(self) -> float:
        """Silence in it for what was missing."""
        return self.filled / self.rate if self.rate else 0.0


class StreamRecorder:
    """Writes streams to a file whose ending chooses the format; what has another rate or channels is converted.

    The first stream says what the file is made of, unless the settings do. By its timestamps it lies in the file where
    it lay in time: what is missing is silence, what is there twice is written once. A WAV file can be played while it
    is written and after a crash, see :class:`~menura.audio.wav.WavWriter`, and keeps the format of the samples; other
    kinds appear when they are complete. Used with ``with`` what was recorded is kept, whatever happens.

    Args:
        path: Of the file.
        rate: Hz.
        channels: 1 to 8.
        format: Of a WAV file's samples.
        fill: Whether timestamps decide; else one stream follows the other.
        max_fill_s: Longest gap that is filled; behind a longer one the recording goes on at once, and so it does where
            a source begins anew, more than a second back.
        start_s: When the file begins, and nothing before it is recorded: several with one beginning stay in step. By
            default with the first stream.

    Raises:
        FileError: The ending is none that can be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "take.wav"
    >>> with StreamRecorder(path) as recorder:
    ...     recorder.write(AudioStream.from_block(silence(80), 8000, timestamp=(5.0, 5.01)))
    ...     recorder.write(AudioStream.from_block(silence(80), 8000, timestamp=(5.1, 5.11)))
    >>> recorder.stats().frames, recorder.stats().filled
    (880, 720)
    """

    def __init__(self, path: str | os.PathLike[str], **settings: Unpack[RecordSettings]) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in writable_suffixes():
            raise FileError(f"{self.path}: cannot write this format; choose one of {', '.join(writable_suffixes())}")
        self._settings = settings
        self._fill = settings.get("fill", True)
        self._max_fill_s = settings.get("max_fill_s", 60.0)
        self._zero_s = settings.get("start_s")
        self._stage: StreamStage | None = None
        self._writer: AudioWriter | WavWriter | None = None
        self._frames = self._filled = self._dropped = self._jumps = self._rate = 0
        self._done = False

    def write(self, stream: AudioStream) -> None:
        """Append a stream.

        Raises:
            FileError: The file cannot be written, or hold this rate.
            FormatError: Its channels cannot be mapped.
            StateError: The file is complete.
        """
        if self._done:
            raise StateError(f"{self.path}: the recording has ended")
        if self._stage is None:
            self._open(stream)
        assert self._stage is not None
        for piece in self._stage.pieces(stream):
            self._place(piece)

    def _open(self, stream: AudioStream) -> None:
        rate = self._settings.get("rate") or stream.sample_rate
        channels = self._settings.get("channels") or stream.channels
        if self.path.suffix.lower() == ".wav":
            self._writer = WavWriter(self.path, rate, channels, self._settings.get("format") or stream.format)
        else:
            self._writer = AudioWriter(self.path, rate, channels)
        self._rate = rate
        self._stage = StreamStage(Through(rate, channels), gaps=Gaps.RESET, mismatch=Mismatch.CONVERT)

    def _place(self, piece: Piece) -> None:
        x = piece.block
        if not len(x):
            return
        if self._zero_s is None:
            self._zero_s = piece.start_s
        ahead = round((piece.start_s - self._zero_s) * self._rate) - self._frames
        if not self._fill or abs(ahead) <= TOLERANCE_S * self._rate:
            ahead = 0
        back = RESTART_S * self._rate if self._frames else float("inf")
        if not -back <= ahead <= self._max_fill_s * self._rate:
            self._zero_s = piece.start_s - self._frames / self._rate
            self._jumps += 1
            ahead = 0
        for at in range(0, ahead, SLICE):
            self._append(silence(min(SLICE, ahead - at), x.shape[1]))
        self._filled += max(0, ahead)
        twice = min(len(x), max(0, -ahead))
        self._dropped += twice
        self._append(x[twice:])

    def _append(self, x: Samples) -> None:
        assert self._writer is not None
        self._writer.write(x)
        self._frames += len(x)

    def commit(self) -> None:
        """Finish the file and put it under its name; without a stream there is none.

        Raises:
            FileError: The disk is full or gone.
        """
        if self._done:
            return
        self._done = True
        if self._stage is not None and self._writer is not None:
            for piece in self._stage.rest():
                self._place(piece)
            self._writer.commit()

    def discard(self) -> None:
        """Remove what was written."""
        self._done = True
        if self._writer is not None:
            self._writer.discard()

    def stats(self) -> RecorderStats:
        """Figures so far."""
        conversions = 0 if self._stage is None else self._stage.stats().conversions
        return RecorderStats(
            self._frames, self._filled, self._dropped, self._jumps, conversions, self._zero_s or 0.0, self._rate
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.commit()


async def record(source: Streams, path: str | os.PathLike[str], **settings: Unpack[RecordSettings]) -> RecorderStats:
    """Write streams to a file until they end, beside the event loop.

    What was recorded is kept, also when this is cancelled or ``source`` fails.

    Args:
        source: What gives streams, such as a subscription.
        path: Its ending chooses the format.
        settings: As :class:`StreamRecorder` takes them.

    Raises:
        FileError: The file cannot be written.
        FormatError: A stream has channels that cannot be mapped.
    """
    recorder = StreamRecorder(path, **settings)
    offload = Offload()
    try:
        async with aclosing(streams_of(source)) as streams:
            async for stream in streams:
                await offload.run(stream.frames, recorder.write, stream)
    finally:
        await offload.run(1 << 40, recorder.commit)
    return recorder.stats()
