"""Audio files of any kind, block by block: soundfile where it can, PyAV for the rest."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from menura.audio.block import Samples, as_block
from menura.audio.parts import PartFile
from menura.audio.pcm import float_to_int16
from menura.errors import FileError

__all__ = ["AudioReader", "AudioWriter", "FileFormat", "read_audio", "writable_suffixes", "write_audio"]

BLOCK = 16_384
"""Frames read at a time: a third of a second, so that memory stays flat however long the file."""

BIT_RATE = 128_000
"""Of compressed formats, bits a second and channel."""


class FileFormat(NamedTuple):
    """How a kind of file is written: by soundfile (its format and subtype) or by PyAV (container and codec)."""

    library: str
    container: str
    codec: str
    rates: tuple[int, ...] = ()


_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,gsm,iff,latm,loas,m4a,matroska,mlp,mov,mp3,"
    "mp4,mpc,mpc8,mpeg,mpegts,nut,ogg,oma,qcp,qoa,rm,sox,tak,truehd,tta,voc,w64,wav,webm,wtv,wv,xwma"
)
"""What PyAV may read: each is whole in itself. Playlists and scripts (HLS, DASH, concat, SDP …) name other files and
addresses, which would be read for whoever sends one."""

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (*_MP3_RATES, 64000, 88200, 96000)

_WRITE = {
    ".wav": FileFormat("soundfile", "WAV", "PCM_16"),
    ".flac": FileFormat("soundfile", "FLAC", "PCM_16"),
    ".aiff": FileFormat("soundfile", "AIFF", "PCM_16"),
    ".aif": FileFormat("soundfile", "AIFF", "PCM_16"),
    ".caf": FileFormat("soundfile", "CAF", "PCM_16"),
    ".ogg": FileFormat("soundfile", "OGG", "VORBIS"),
    ".mp3": FileFormat("av", "mp3", "libmp3lame", _MP3_RATES),
    ".m4a": FileFormat("av", "ipod", "aac", _AAC_RATES),
    ".mp4": FileFormat("av", "mp4", "aac", _AAC_RATES),
    ".opus": FileFormat("av", "ogg", "libopus", _OPUS_RATES),
    ".webm": FileFormat("av", "webm", "libopus", _OPUS_RATES),
}


def writable_suffixes() -> list[str]:
    """File name endings that can be written."""
    return sorted(_WRITE)


class _Source(Protocol):
    rate: int
    channels: int
    frames: int | None

    def blocks(self, start: int) -> Iterator[Samples]: ...
    def close(self) -> None: ...


class _SoundFileSource:
    def __init__(self, path: Path) -> None:
        import soundfile

        self._file = soundfile.SoundFile(path)
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int | None = len(self._file)

    def blocks(self, start: int) -> Iterator[Samples]:
        if start:
            self._file.seek(min(start, len(self._file)))
        while len(block := self._file.read(BLOCK, dtype="float32", always_2d=True)):
            yield block

    def close(self) -> None:
        self._file.close()


class _AvSource:
    def __init__(self, path: Path) -> None:
        import av

        only = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
        try:
            self._container = av.open(f"file:{path}", options=only)
        except av.error.ArgumentError:
            raise ValueError("files of this kind are not read") from None
        if not self._container.streams.audio:
            self._container.close()
            raise ValueError("it has no audio track")
        self._stream = self._container.streams.audio[0]
        if getattr(self._stream, "codec_context", None) is None:
            self._container.close()
            raise ValueError("its encoding is unknown")
        self.rate = int(self._stream.rate)
        self.channels = int(self._stream.channels)
        if self.rate <= 0 or self.channels <= 0:  # PyAV takes a file's ending for what is in it
            self._container.close()
            raise ValueError("there is no audio in it")
        duration = self._stream.duration
        base = self._stream.time_base
        self.frames: int | None = round(float(duration * base) * self.rate) if duration and base else None

    def blocks(self, start: int) -> Iterator[Samples]:
        for block in self._decoded():  # compressed frames lean on those before them: what is skipped is decoded too
            if start < len(block):
                yield block[start:]
            start = max(0, start - len(block))

    def _decoded(self) -> Iterator[Samples]:
        import av

        to_float = av.AudioResampler(format="flt", layout=self._stream.layout.name, rate=self.rate)
        for frame in self._container.decode(self._stream):
            for part in to_float.resample(frame):
                yield self._block(part)
        for part in to_float.resample(None):
            yield self._block(part)

    def _block(self, frame: Any) -> Samples:
        return np.array(frame.to_ndarray().reshape(-1, self.channels), np.float32)

    def close(self) -> None:
        self._container.close()


def _open(path: Path) -> _Source:
    if not path.exists():
        raise FileError(f"{path}: no such file")
    if path.is_dir():
        raise FileError(f"{path}: is a folder, not a file")
    if path.is_file() and not path.stat().st_size:
        raise FileError(f"{path}: is empty")
    reason = "unknown format"
    # MP3's encoder delay is known to PyAV's demuxer only, which keeps the alignment
    for source in (_AvSource, _SoundFileSource) if path.suffix.lower() == ".mp3" else (_SoundFileSource, _AvSource):
        try:
            return source(path)
        except PermissionError:
            reason = "permission denied"
        except Exception as error:  # each library has its own tree of errors; all mean: not readable as audio
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise FileError(f"{path}: cannot be read as audio ({_short(reason, path)})")


def _short(reason: str, path: Path) -> str:
    address = f"file:{path}"
    for noise in (
        f"Error opening {str(path)!r}: ",
        f": {address!r}",
        f": {str(path)!r}",
        "[Errno 1094995529] ",
        "[Errno 1] ",
    ):
        reason = reason.replace(noise, "")
    return reason.rstrip(".")


class AudioReader:
    """An audio file as blocks.

    Args:
        path: Of the file.
        start: Frames to pass over.

    Attributes:
        rate: Hz.
        channels: Of every block.
        frames: Length, where the file tells; an estimate for compressed formats.

    Raises:
        FileError: It does not exist or cannot be read as audio; the text names the file.
    """

    def __init__(self, path: str | os.PathLike[str], *, start: int = 0) -> None:
        self.path = Path(path)
        self.start = start
        self._source = _open(self.path)
        self.rate, self.channels, self.frames = self._source.rate, self._source.channels, self._source.frames

    def __iter__(self) -> Iterator[Samples]:
        """Blocks of float32 ``[n, channels]``.

        Raises:
            FileError: The file is damaged from here on.
        """
        try:
            yield from self._source.blocks(self.start)
        except Exception as error:
            raise FileError(f"{self.path}: damaged audio ({error})") from error

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _SoundFileSink:
    def __init__(self, path: str, form: FileFormat, rate: int, channels: int) -> None:
        import soundfile

        self._file = soundfile.SoundFile(path, "w", rate, channels, form.codec, format=form.container)
        self._pcm16 = form.codec == "PCM_16"

    def write(self, x: Samples) -> None:
        self._file.write(float_to_int16(x) if self._pcm16 else x)  # left to itself, the library truncates

    def close(self) -> None:
        self._file.close()


class _AvSink:
    def __init__(self, path: str, form: FileFormat, rate: int, channels: int) -> None:
        import av

        layout = {1: "mono", 2: "stereo"}[channels]
        self._container = av.open(path, "w", format=form.container)
        stream: Any = self._container.add_stream(form.codec, rate=rate, layout=layout)
        stream.bit_rate = BIT_RATE * channels
        self._stream = stream
        self._layout, self._rate, self._at = layout, rate, 0

    def write(self, x: Samples) -> None:
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(x).reshape(1, -1), "flt", self._layout)
        frame.rate, frame.pts = self._rate, self._at
        self._at += len(x)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        if self._at:
            self._container.mux(self._stream.encode(None))
        self._container.close()


class AudioWriter:
    """Writes an audio file that appears under its name only when complete.

    Used with ``with``: an exception inside removes what was written, and a file of that name stays as it was.

    Args:
        path: Its ending chooses the format.
        rate: Hz.
        channels: 1 or 2 for compressed formats.

    Raises:
        FileError: The format cannot be written, not at this rate, or the place is not writable.
    """

    def __init__(self, path: str | os.PathLike[str], rate: int, channels: int = 1) -> None:
        self.path = Path(path)
        self.channels = channels
        form = _WRITE.get(self.path.suffix.lower())
        if form is None:
            raise FileError(f"{self.path}: cannot write this format; choose one of {', '.join(writable_suffixes())}")
        if form.rates and rate not in form.rates:
            raise FileError(f"{self.path}: {self.path.suffix} cannot hold {rate} Hz; choose .wav or .flac")
        if form.library == "av" and channels > 2:
            raise FileError(f"{self.path}: {self.path.suffix} is written with 1 or 2 channels, not {channels}")
        self._part = PartFile(self.path)
        try:
            make = _SoundFileSink if form.library == "soundfile" else _AvSink
            self._sink: _SoundFileSink | _AvSink = make(str(self._part.path), form, rate, channels)
        except BaseException as error:
            self._part.remove()
            if not isinstance(error, Exception):  # it is interrupted
                raise
            raise FileError(f"{self.path}: cannot be written ({_short(str(error), self._part.path)})") from error

    def write(self, x: Samples) -> None:
        """Append a block, ``[n, channels]``.

        Raises:
            FileError: The disk is full or gone.
        """
        if not len(x):
            return
        try:
            self._sink.write(as_block(x, self.channels))
        except (OSError, RuntimeError) as error:
            raise FileError(f"{self.path}: cannot be written ({error})") from error

    def commit(self) -> None:
        """Finish the file and put it under its name."""
        try:
            self._sink.close()
            self._part.replace(self.path)
        except (OSError, RuntimeError) as error:
            self._part.remove()
            raise FileError(f"{self.path}: cannot be written ({error})") from error

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(Exception):
            self._sink.close()
        self._part.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()


def read_audio(path: str | os.PathLike[str]) -> tuple[Samples, int]:
    """Read a whole file.

    Returns:
        float32 ``[frames, channels]`` and the rate in Hz.

    Raises:
        FileError: It cannot be read.
    """
    with AudioReader(path) as reader:
        blocks = list(reader)
        empty = np.zeros((0, reader.channels), np.float32)
        return np.concatenate(blocks or [empty]), reader.rate


def write_audio(path: str | os.PathLike[str], x: Samples, rate: int) -> None:
    """Write a whole file; its ending chooses the format.

    Shape:
        x: ``[frames]`` or ``[frames, channels]``.

    Raises:
        FileError: It cannot be written; nothing is left behind.
    """
    block = as_block(x)
    with AudioWriter(path, rate, block.shape[1]) as writer:
        for start in range(0, len(block), BLOCK):
            writer.write(block[start : start + BLOCK])
