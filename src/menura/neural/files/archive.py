"""Zip archives as PyTorch writes them, read in place.

Source:
    PKWARE, .ZIP File Format Specification 6.3.10. PyTorch stores its records uncompressed and aligned; archives packed
    anew by hand are deflated.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.source import budget_for, shown

__all__ = ["Archive"]

_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE, _CENTRAL_SIZE, _LOCAL_SIZE = 22, 20, 56, 46, 30
_MOST_ENTRIES = 100_000
_STORED, _DEFLATED = 0, 8
_CRC_PIECE = 1 << 22


@dataclass(frozen=True, slots=True)
class _Entry:
    start: int
    packed: int
    size: int
    method: int
    crc: int


class Archive:
    """The records of a zip archive.

    Args:
        view: The archive.
        verify: Compare every record that is read with its checksum, if the archive has any.

    Raises:
        DamagedModelError: It is cut short or contradicts itself.
        UnsafeModelError: Records overlap, have the same name, or names that lead elsewhere.
        UnsupportedModelError: It is encrypted, or compressed by something else than deflate.
    """

    def __init__(self, view: memoryview, verify: bool = True) -> None:
        self._view = view
        self._budget = budget_for(len(view))
        start, size, count = self._directory()
        self._entries = self._read_directory(start, size, count)
        # PyTorch can be told to compute none (torch.serialization.set_crc32_options)
        self._verify = verify and any(entry.crc for entry in self._entries.values())

    @property
    def names(self) -> list[str]:
        """Of all records."""
        return list(self._entries)

    def __len__(self) -> int:
        """Bytes of the archive."""
        return len(self._view)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def size(self, name: str) -> int:
        """Of a record, unpacked, in bytes.

        Raises:
            DamagedModelError: There is no such record.
        """
        return self._entry(name).size

    def read(self, name: str) -> memoryview:
        """A record's content: in place where it is stored plainly.

        Raises:
            DamagedModelError: There is no such record, or it is not what its checksum says.
            UnsafeModelError: It unpacks to more than a model could need.
        """
        entry = self._entry(name)
        packed = self._view[entry.start : entry.start + entry.packed]
        content = packed if entry.method == _STORED else self._inflate(name, entry, packed)
        if self._verify and _crc(content) != entry.crc:
            raise DamagedModelError(f"record {shown(name)} is damaged (its checksum differs): fetch the file again")
        return content

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise DamagedModelError(f"record {shown(name)} is missing: fetch the file again")
        return self._entries[name]

    def _inflate(self, name: str, entry: _Entry, packed: memoryview) -> memoryview:
        self._budget -= entry.size
        if self._budget < 0:
            raise UnsafeModelError("it unpacks to many times its own size: a zip bomb, not a model")
        unpacker = zlib.decompressobj(-15)
        try:
            content = unpacker.decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise DamagedModelError(f"record {shown(name)} cannot be unpacked: fetch the file again") from error
        if len(content) != entry.size:
            raise DamagedModelError(f"record {shown(name)} does not unpack to the size it states: fetch the file again")
        return memoryview(content)

    def _directory(self) -> tuple[int, int, int]:
        """Place, bytes and number of entries of the central directory."""
        view, size = self._view, len(self._view)
        first = max(0, size - _END_SIZE - 0xFFFF)
        tail = bytes(view[first:])
        at = tail.rfind(_END)
        while at >= 0:
            if at + _END_SIZE <= len(tail):
                end = struct.unpack_from("<4s4H2LH", tail, at)
                if first + at + _END_SIZE + end[7] == size:
                    return self._directory64(first + at) or self._within(end[6], end[5], end[4], first + at)
            at = tail.rfind(_END, 0, at)
        raise DamagedModelError("the archive has no end: the file is cut short; fetch it again")

    def _directory64(self, end: int) -> tuple[int, int, int] | None:
        at = end - _LOCATOR_SIZE
        if at < 0 or bytes(self._view[at : at + 4]) != _LOCATOR:
            return None
        place = struct.unpack_from("<Q", self._view, at + 8)[0]
        if place + _END64_SIZE > at or bytes(self._view[place : place + 4]) != _END64:
            raise DamagedModelError("the archive's directory is not where it says: fetch the file again")
        count, size, start = struct.unpack_from("<3Q", self._view, place + 32)
        return self._within(start, size, count, place)

    def _within(self, start: int, size: int, count: int, end: int) -> tuple[int, int, int]:
        if start + size > end:
            raise DamagedModelError("the archive's directory is not where it says: the file is cut short")
        if count > min(_MOST_ENTRIES, size // _CENTRAL_SIZE):
            raise UnsafeModelError(f"the archive claims {count} records: no model has so many")
        return start, size, count

    def _read_directory(self, start: int, size: int, count: int) -> dict[str, _Entry]:
        directory = self._view[start : start + size]
        entries: dict[str, _Entry] = {}
        spans = []
        at = 0
        for _ in range(count):
            name, entry, place, at = self._read_entry(directory, at, start)
            if name in entries:
                raise UnsafeModelError(f"the archive has two records named {shown(name)}")
            entries[name] = entry
            spans.append((place, entry.start + entry.packed))
        spans.sort()
        for (_, end), (following, _) in pairwise(spans):
            if following < end:
                raise UnsafeModelError("records of the archive overlap: a trick to make it unpack to more than it is")
        return entries

    def _read_entry(self, directory: memoryview, at: int, limit: int) -> tuple[str, _Entry, int, int]:
        if at + _CENTRAL_SIZE > len(directory) or bytes(directory[at : at + 4]) != _CENTRAL:
            raise DamagedModelError("the archive's directory is damaged: fetch the file again")
        flags, method = struct.unpack_from("<2H", directory, at + 8)
        crc, packed, size, name_bytes, extra_bytes, comment_bytes = struct.unpack_from("<3L3H", directory, at + 16)
        place = struct.unpack_from("<L", directory, at + 42)[0]
        raw = bytes(directory[at + _CENTRAL_SIZE : at + _CENTRAL_SIZE + name_bytes])
        extra_at = at + _CENTRAL_SIZE + name_bytes
        following = extra_at + extra_bytes + comment_bytes
        if following > len(directory):
            raise DamagedModelError("the archive's directory is damaged: fetch the file again")
        extra = bytes(directory[extra_at : extra_at + extra_bytes])
        size, packed, place = _large(extra, size, packed, place)
        name = _checked_name(raw)
        if flags & 1 or method not in (_STORED, _DEFLATED):
            raise UnsupportedModelError("the archive is encrypted or packed in an unusual way: unpack it, then zip it")
        if method == _STORED and packed != size:
            raise DamagedModelError(f"record {shown(name)} states two sizes")
        start = self._content(place, raw)
        if start + packed > limit:
            raise DamagedModelError(f"record {shown(name)} reaches beyond the archive: the file is cut short")
        return name, _Entry(start, packed, size, method, crc), place, following

    def _content(self, place: int, name: bytes) -> int:
        """Where a record's content begins, after its local header."""
        header = self._view[place : place + _LOCAL_SIZE]
        if len(header) < _LOCAL_SIZE or bytes(header[:4]) != _LOCAL:
            raise DamagedModelError("a record of the archive is not where its directory says: fetch the file again")
        name_bytes, extra_bytes = struct.unpack_from("<2H", header, 26)
        if bytes(self._view[place + _LOCAL_SIZE : place + _LOCAL_SIZE + name_bytes]) != name:
            raise UnsafeModelError("a record of the archive has two names: one for its readers, one for its checkers")
        return place + _LOCAL_SIZE + int(name_bytes) + int(extra_bytes)


def _large(extra: bytes, size: int, packed: int, place: int) -> tuple[int, int, int]:
    """Sizes and place beyond 4 GiB, from the zip64 field (4.5.3): only those that the header leaves out."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field, used, values = extra[at + 4 : at + 4 + length], 0, []
            for value in (size, packed, place):
                if value == 0xFFFFFFFF:
                    if used + 8 > len(field):
                        raise DamagedModelError("a record's size is missing: fetch the file again")
                    values.append(int(struct.unpack_from("<Q", field, used)[0]))
                    used += 8
                else:
                    values.append(value)
            return values[0], values[1], values[2]
        at += 4 + length
    return size, packed, place


def _checked_name(raw: bytes) -> str:
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise DamagedModelError("a record's name is not readable: fetch the file again") from error
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or ":" in parts[0]:
        raise UnsafeModelError(f"the archive holds a path that leads elsewhere ({shown(name)})")
    return name


def _crc(content: memoryview) -> int:
    value = 0
    for at in range(0, len(content), _CRC_PIECE):
        value = zlib.crc32(content[at : at + _CRC_PIECE], value)
    return value
