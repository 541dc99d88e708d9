"""Ogg pages of a byte stream that is cut anywhere, and pages made (RFC 3533)."""

import struct
import zlib
from typing import NamedTuple

from menura.errors import FormatError

__all__ = ["BOS", "CONTINUED", "EOS", "Page", "PageReader", "make_pages"]

CONTINUED, BOS, EOS = 1, 2, 4
CAPTURE = b"OggS"
HEADER = struct.Struct("<4sBBqIII B")
HOPELESS = 64
"""Pages in a row that fail their check: what comes is no Ogg, and looking further costs more and more."""

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _crc(page: bytes | bytearray) -> int:
    """Checksum of a page whose checksum field is zero.

    Ogg's CRC-32 has the polynomial of zlib's, bits in the other order, and no inversion at either end.
    """
    raw = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(raw.to_bytes(4, "little").translate(_REVERSED), "big")


class Page(NamedTuple):
    """A page whose checksum is right.

    Attributes:
        flags: ``CONTINUED``, ``BOS``, ``EOS``.
        granule: Position at its end, −1 if no packet ends on it.
        serial: Of its logical stream.
        sequence: Counts its stream's pages.
        parts: What it holds of packets.
        open: Whether the last part goes on on the next page.
    """

    flags: int
    granule: int
    serial: int
    sequence: int
    parts: list[bytes]
    open: bool


def _parts(lacing: bytes, body: bytes) -> tuple[list[bytes], bool]:
    parts, start, at = [], 0, 0
    for size in lacing:
        at += size
        if size < 255:
            parts.append(body[start:at])
            start = at
    unfinished = bool(lacing) and lacing[-1] == 255
    if unfinished:
        parts.append(body[start:at])
    return parts, unfinished


class PageReader:
    """Finds pages in a stream of bytes; what is damaged is skipped and counted.

    It holds at most one page, 65,307 bytes, beside what was given and not yet read.
    """

    def __init__(self) -> None:
        self.pages = self.corrupt = self.skipped_bytes = 0
        self._held = bytearray()
        self._at = 0  # bytes before are done with
        self._bad = 0

    @property
    def held_bytes(self) -> int:
        """Bytes given and not yet part of a page."""
        return len(self._held) - self._at

    def give(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes."""
        del self._held[: self._at]
        self._at = 0
        self._held += data

    def next(self) -> Page | None:
        """The next page, or None until more bytes come.

        Raises:
            FormatError: So many pages are damaged that this is no Ogg stream.
        """
        while True:
            found = self._held.find(CAPTURE, self._at)
            self._skip_to(found if found >= 0 else max(self._at, len(self._held) - len(CAPTURE) + 1))
            size = self._size(self._at) if found >= 0 else None
            if size is None:
                return None
            page = self._page(self._at, size) if size else None
            if page is not None:
                self._at += size
                return page
            self._skip_to(self._at + 1)

    def _skip_to(self, at: int) -> None:
        self.skipped_bytes += at - self._at
        self._at = at

    def _size(self, at: int) -> int | None:
        """Bytes of the page here: 0 if it is none, None if more must come to tell."""
        held = self._held
        if len(held) < at + 6:
            return None
        if held[at + 4] or held[at + 5] & ~(CONTINUED | BOS | EOS):
            return 0
        if len(held) < at + HEADER.size or len(held) < at + HEADER.size + held[at + 26]:
            return None
        begin = at + HEADER.size
        size = HEADER.size + held[at + 26] + sum(held[begin : begin + held[at + 26]])
        return size if len(held) >= at + size else None

    def _page(self, at: int, size: int) -> Page | None:
        data = self._held[at : at + size]
        _, _, flags, granule, serial, sequence, crc, count = HEADER.unpack_from(data)
        data[22:26] = bytes(4)
        if _crc(data) != crc:
            self.corrupt += 1
            self._bad += 1
            if self._bad >= HOPELESS:
                self._bad = 0
                self._skip_to(len(self._held))
                raise FormatError(f"no Ogg stream: {HOPELESS} pages in a row are damaged")
            return None
        self.pages += 1
        self._bad = 0
        body = HEADER.size + count
        return Page(flags, granule, serial, sequence, *_parts(bytes(data[HEADER.size : body]), bytes(data[body:])))


def make_pages(packets: list[bytes], *, granule: int, serial: int, sequence: int, flags: int = 0) -> list[bytes]:
    """Pages that hold these packets, as many as it takes; ``flags`` hold for the first (``BOS``) or last (``EOS``)."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    body = b"".join(packets)
    pages: list[bytes] = []
    at = taken = 0
    while at < len(lacing) or not pages:
        part = lacing[at : at + 255]
        size = sum(part)
        last = at + len(part) >= len(lacing)
        kind = flags & BOS if at == 0 else CONTINUED if lacing[at - 1] == 255 else 0
        kind |= flags & EOS if last else 0
        ends = any(value < 255 for value in part) or not part
        head = HEADER.pack(CAPTURE, 0, kind, granule if ends else -1, serial, sequence + len(pages), 0, len(part))
        page = bytearray(head + part + body[taken : taken + size])
        page[22:26] = struct.pack("<I", _crc(page))
        pages.append(bytes(page))
        at += len(part)
        taken += size
    return pages
