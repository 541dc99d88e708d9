"""Opus: single packets, and as a stream in Ogg (RFC 7845)."""

import random
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples, silence
from menura.audio.format import check_channels, check_rate
from menura.audio.ogg import BOS, EOS, Page, PageReader, make_pages
from menura.audio.opus_link import Head, Link
from menura.audio.opus_packet import (
    OPUS_RATE,
    PACKET_MS,
    OpusDecoder,
    OpusEncoder,
    RateConverter,
    make_head,
    packet_frames,
)
from menura.errors import ConfigError, FormatError

__all__ = [
    "OggOpusDecoder",
    "OggOpusEncoder",
    "OggOpusStats",
    "OpusDecoder",
    "OpusEncoder",
    "is_ogg_opus",
    "packet_frames",
]

MAX_SEARCH_BYTES = 256 * 1024
"""So much without a beginning is something else."""
MAX_SEARCH_PAGES = 1024
MAX_CALL_MS = 600_000.0
VENDOR = b"menura"


def is_ogg_opus(data: bytes | bytearray | memoryview) -> bool:
    """Whether bytes begin an Ogg Opus stream; 36 of them tell.

    >>> is_ogg_opus(b"RIFF")
    False
    """
    head = bytes(data[:300])
    return len(head) > 27 and head[:4] == b"OggS" and head[27 + head[26] :][:8] == b"OpusHead"


@dataclass(frozen=True, slots=True)
class OggOpusStats:
    """What a decoder has met.

    Attributes:
        links: Streams, one after the other.
        pages: Pages whose checksum was right.
        corrupt_pages: Those where it was wrong.
        lost_pages: Times pages were missing.
        skipped_bytes: That belonged to no page.
        packets: Decoded.
        corrupt_packets: That did not decode or were too long.
        concealed_ms: Made up for what was lost.
    """

    links: int = 0
    pages: int = 0
    corrupt_pages: int = 0
    lost_pages: int = 0
    skipped_bytes: int = 0
    packets: int = 0
    corrupt_packets: int = 0
    concealed_ms: float = 0.0


class OggOpusDecoder:
    """Decodes an Ogg Opus stream that comes in pieces, cut anywhere.

    The encoder's delay and what was added at the end are left out, so that the length is exact:
    ``floor(n · rate / 48000)`` of ``n`` frames at 48 kHz once it is flushed. Chained streams follow each other. Pages
    that fail their checksum are skipped and counted; what was lost with them is made up, at most 2 s in a row. Other
    streams in the same Ogg are passed over.

    Args:
        rate: Hz.
        channels: Of the output; a stream is mixed to mono or widened from it.

    Raises:
        ConfigError: An argument is out of range.

    >>> encoder = OggOpusEncoder(24000)
    >>> data = encoder.encode(silence(24000)) + encoder.flush()
    >>> decoder = OggOpusDecoder(24000)
    >>> len(decoder.decode(data)) + len(decoder.flush())
    24000
    """

    def __init__(self, rate: int = OPUS_RATE, channels: int = 1) -> None:
        self.rate, self.channels = check_rate(rate), check_channels(channels)
        self._converter = RateConverter(OPUS_RATE, rate, channels)
        self._past = OggOpusStats()
        self.reset()

    def reset(self) -> None:
        """Forget all audio and begin with another stream."""
        self._reader = PageReader()
        self._converter.reset()
        self._lead = self._converter.latency
        self._ready: deque[Samples] = deque()
        self._link: Link | None = None
        self._counts: tuple[int, ...] = (
            0,
        ) * 5  # links, lost pages, packets, corrupt packets, concealed frames, of links that ended

    def decode(self, data: bytes | bytearray | memoryview) -> Samples:
        """Audio that is now complete.

        Returns:
            ``[n, channels]``; ``n`` may be 0.

        Raises:
            FormatError: It is no Ogg Opus (what was decoded before comes with the next call), or more than ten minutes
                come of these bytes, which :meth:`blocks` gives without limit.
        """
        parts: list[Samples] = []
        frames = 0
        try:
            for block in self.blocks(data):
                parts.append(block)
                frames += len(block)
                if frames > MAX_CALL_MS * self.rate / 1000.0:
                    parts.clear()
                    raise FormatError(f"{len(data)} bytes hold more than {MAX_CALL_MS / 60000:g} min: use blocks()")
        except FormatError:
            self._ready.extendleft(reversed(parts))
            raise
        return np.concatenate([silence(0, self.channels), *parts])

    def blocks(self, data: bytes | bytearray | memoryview) -> Iterator[Samples]:
        """As :meth:`decode`, block by block, for few bytes may hold much silence.

        What is not iterated comes with the next call.
        """
        self._reader.give(data)
        return self._blocks()

    def _blocks(self) -> Iterator[Samples]:
        while True:
            while self._ready:
                yield self._ready.popleft()
            page = self._reader.next()
            if page is None:
                break
            for x in self._read(page):
                y = self._converter.process(x)
                lead = min(self._lead, len(y))
                self._lead -= lead
                self._ready.append(y[lead:])
        searched = self._reader.skipped_bytes + self._reader.held_bytes
        if self._link is None and (searched > MAX_SEARCH_BYTES or self._reader.pages > MAX_SEARCH_PAGES):
            self.reset()
            raise FormatError(f"no Ogg Opus stream begins within {searched} bytes")

    def _read(self, page: Page) -> Iterator[Samples]:
        link = self._link
        if page.flags & BOS:
            opus = bool(page.parts) and page.parts[0].startswith(b"OpusHead")
            if opus and (link is None or link.ended or link.has_audio):
                self._close_link()
                self._link = Link(page, Head.parse(page.parts[0]), self.channels)
        elif link is not None and page.serial == link.serial and not link.ended:
            yield from link.read(page)

    def _close_link(self) -> None:
        self._counts = self._all_counts()
        self._link = None

    def _all_counts(self) -> tuple[int, ...]:
        link = self._link
        if link is None:
            return self._counts
        own = (1, link.lost_pages, link.packets, link.corrupt_packets, link.concealed)
        return tuple(a + b for a, b in zip(self._counts, own, strict=True))

    @property
    def _given(self) -> bool:
        reader = self._reader
        return bool(reader.pages or reader.held_bytes or reader.skipped_bytes)

    def flush(self) -> Samples:
        """Return what is still held at the end of the stream, and be as new.

        Raises:
            FormatError: There were bytes, and no Ogg Opus stream among them.
        """
        nothing = self._given and not self._all_counts()[0]
        y = np.concatenate([silence(0, self.channels), *self._ready, self._converter.flush()[self._lead :]])
        self._past = self.stats()
        self.reset()
        if nothing:
            raise FormatError("no Ogg Opus stream: it has no beginning")
        return y

    def stats(self) -> OggOpusStats:
        """Counts of the stream being decoded, or before its first byte of the one before."""
        if not self._given:
            return self._past
        reader = self._reader
        links, lost, packets, bad, concealed = self._all_counts()
        ms = 1000.0 * concealed / OPUS_RATE
        return OggOpusStats(links, reader.pages, reader.corrupt, lost, reader.skipped_bytes, packets, bad, ms)


class OggOpusEncoder:
    """Encodes to an Ogg Opus stream, in pieces that can be sent as they come.

    Args:
        rate: Hz, any.
        channels: 1 or 2.
        bitrate: Bits a second, 6,000 to 510,000.
        page_ms: Audio of a page: what the stream adds to the delay.
        application: ``"voip"`` or ``"audio"``.
        serial: Of the stream; by chance if not given, as chained streams must differ.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(
        self,
        rate: int = OPUS_RATE,
        channels: int = 1,
        bitrate: int = 32_000,
        *,
        page_ms: int = 100,
        application: str = "voip",
        serial: int | None = None,
    ) -> None:
        if not PACKET_MS <= page_ms <= 1000:
            raise ConfigError(f"page_ms is {PACKET_MS} to 1000, not {page_ms}")
        self._encoder = OpusEncoder(rate, channels, bitrate, application=application)
        self.rate, self.channels = rate, channels
        self._serial = serial
        self._per_page = page_ms // PACKET_MS
        self.reset()

    def reset(self) -> None:
        """Forget all audio and begin another stream."""
        self._encoder.reset()
        self._held: list[bytes] = []
        self._frames = self._sequence = self._granule = 0
        self._number = random.getrandbits(32) if self._serial is None else self._serial

    def encode(self, x: Samples) -> bytes:
        """Pages now complete, those of the head first.

        Shape:
            x: ``[n, channels]``, any ``n``.
        """
        self._held += self._encoder.encode(x)
        self._frames += len(x)
        data = [] if self._sequence else [self._head()]
        while len(self._held) > self._per_page:  # the last page is the end's
            packets, self._held = self._held[: self._per_page], self._held[self._per_page :]
            self._granule += sum(map(packet_frames, packets))
            data.append(self._page(packets, self._granule))
        return b"".join(data)

    def flush(self) -> bytes:
        """The end of the stream; then be as new."""
        data = [] if self._sequence else [self._head()]
        packets = self._held + self._encoder.flush()
        end = self._frames * OPUS_RATE // self.rate + self._encoder.pre_skip
        while len(packets) > self._per_page:
            self._granule += sum(map(packet_frames, packets[: self._per_page]))
            data.append(self._page(packets[: self._per_page], self._granule))
            packets = packets[self._per_page :]
        data.append(self._page(packets, end, EOS))
        self.reset()
        return b"".join(data)

    def _head(self) -> bytes:
        head = make_head(self.channels, self._encoder.pre_skip, self.rate)
        tags = b"OpusTags" + struct.pack("<I", len(VENDOR)) + VENDOR + bytes(4)
        return self._page([head], 0, BOS) + self._page([tags], 0)

    def _page(self, packets: list[bytes], granule: int, flags: int = 0) -> bytes:
        pages = make_pages(packets, granule=granule, serial=self._number, sequence=self._sequence, flags=flags)
        self._sequence += len(pages)
        return b"".join(pages)
