"""WAV files that grow: readable at any moment while they are written, and of any length."""

import os
import struct
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from menura.audio.block import Samples, as_block
from menura.audio.format import check_channels
from menura.audio.samples import FORMATS, from_samples
from menura.errors import ConfigError, FileError

__all__ = ["WavWriter"]

REFRESH_S = 1.0
"""Audio after which the header tells the length anew: what a killed process loses at most."""
RIFF_MAX = 0xFFFF_FFFF
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_REST = bytes.fromhex("000000001000800000aa00389b71")


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body


class WavWriter:
    """Writes a WAV file under ``name.part.wav``, and puts it under its own name when it is complete.

    The header tells the length anew with each second of audio, so that after a crash the part file can be played; a
    part file that is there is never overwritten. Beyond 4 GiB the file becomes RF64, whose place is kept from the
    start. Used with ``with``: an exception inside leaves the part file, which is complete up to there.

    Args:
        path: Ends in ``.wav``.
        rate: Hz.
        channels: 1 to 8.
        format: Of the samples, a name of :data:`~menura.audio.samples.FORMATS`; integers are rounded and clipped.

    Raises:
        FileError: The place is not writable.

    Source:
        EBU Tech 3306 (RF64); Microsoft, Multiple Channel Audio Data and WAVE Files.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: int,
        channels: int = 1,
        format: str = "pcm_s16le",  # noqa: A002 - AudioStream's name
    ) -> None:
        if format not in FORMATS:
            raise ConfigError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
        self.path = Path(path)
        self.rate, self.channels, self.format = rate, check_channels(channels), format
        self.frames = 0
        self._size = FORMATS[format].width * channels
        self._fresh = 0
        self.part, self._file = self._create()
        header = self._header()
        self._start = len(header)
        self._write(header)

    def _create(self) -> tuple[Path, FileIO]:
        if self.path.is_dir():
            raise FileError(f"{self.path}: is a folder, not a file")
        number = 1
        while True:
            part = self.path.with_name(f"{self.path.stem}.part{number if number > 1 else ''}{self.path.suffix}")
            try:
                return part, part.open("xb", buffering=0)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise FileError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _header(self) -> bytes:
        data = self.frames * self._size
        form = self._form()
        fact = _chunk(b"fact", struct.pack("<I", min(self.frames, RIFF_MAX)))
        riff = 4 + 36 + len(form) + len(fact) + 8 + data + data % 2
        if riff <= RIFF_MAX:
            start = b"RIFF" + struct.pack("<I", riff) + b"WAVE" + _chunk(b"JUNK", bytes(28))
        else:
            sizes = struct.pack("<QQQI", riff, data, self.frames, 0)
            start = b"RF64" + struct.pack("<I", RIFF_MAX) + b"WAVE" + _chunk(b"ds64", sizes)
            data = RIFF_MAX
        return start + form + fact + b"data" + struct.pack("<I", data)

    def _form(self) -> bytes:
        width = FORMATS[self.format].width
        tag = _FLOAT if self.format == "pcm_f32le" else _PCM
        plain = struct.pack("<HIIHH", self.channels, self.rate, self.rate * self._size, self._size, 8 * width)
        if self.channels <= 2:
            return _chunk(b"fmt ", struct.pack("<H", tag) + plain)
        more = struct.pack("<HHIH", 22, 8 * width, 0, tag) + _GUID_REST
        return _chunk(b"fmt ", struct.pack("<H", _EXTENSIBLE) + plain + more)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise FileError(f"{self.path}: cannot be written ({error.strerror})") from error

    def write(self, x: Samples) -> None:
        """Append a block, ``[n, channels]``, whole or not at all.

        Raises:
            FileError: The disk is full or gone.
        """
        if not len(x):
            return
        try:
            self._write(from_samples(as_block(x, self.channels), self.format))
        except FileError:
            with suppress(OSError):  # a part of a frame would turn all that follows into noise
                self._file.truncate(self._start + self.frames * self._size)
                self._file.seek(0, os.SEEK_END)
            raise
        self.frames += len(x)
        self._fresh += len(x)
        if self._fresh >= REFRESH_S * self.rate:
            self.refresh()

    def refresh(self) -> None:
        """Tell the length of all that was written.

        Raises:
            FileError: The disk is full or gone.
        """
        self._fresh = 0
        try:
            self._file.seek(0)
            self._file.write(self._header())
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise FileError(f"{self.path}: cannot be written ({error.strerror})") from error

    def commit(self) -> None:
        """Finish the file and put it under its name.

        Raises:
            FileError: The disk is full or gone.
        """
        try:
            self._close()
            self.part.replace(self.path)
        except OSError as error:
            raise FileError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _close(self) -> None:
        if not self._file.closed:
            self._write(bytes(self.frames * self._size % 2))
            self.refresh()
            self._file.close()

    def leave(self) -> None:
        """Finish the part file and leave it where it is."""
        with suppress(FileError):
            self._close()
        self._file.close()

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):
            self._file.close()
        self.part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        else:
            self.leave()
