"""One Opus stream within an Ogg: its packets in order, and where they lie in time (RFC 7845)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples, remix
from menura.audio.ogg import CONTINUED, EOS, Page
from menura.audio.opus_packet import OPUS_RATE, PacketDecoder, packet_frames
from menura.errors import FormatError
from menura.units import db_to_gain

__all__ = ["Head", "Link"]

MAX_PACKET_BYTES = 61_440
"""48 frames of 1275 bytes, with their lengths: RFC 6716, section 3.2.5."""
MAX_HOLE = 2 * OPUS_RATE
"""Longest stretch of lost pages that is filled."""
MIN_HOLE = OPUS_RATE // 100
"""Less is a muxer's rounding."""


@dataclass(frozen=True, slots=True)
class Head:
    """An OpusHead: channels, frames at 48 kHz to leave out, output gain, and its bytes."""

    channels: int
    pre_skip: int
    gain_db: float
    data: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Read an OpusHead (section 5.1).

        Raises:
            FormatError: It is none, or of a kind that cannot be decoded.
        """
        if len(data) < 19:
            raise FormatError("the OpusHead is cut off")
        _, version, channels, pre_skip, _, gain, family = struct.unpack_from("<8sBBHIhB", data)
        if version >> 4:
            raise FormatError(f"Ogg Opus of version {version} is unknown; there is version 1")
        plain = family == 0 and 1 <= channels <= 2
        if not plain and not (family and 1 <= channels <= 8 and len(data) >= 21 + channels):
            raise FormatError(f"Ogg Opus of {channels} channels with mapping {family} cannot be decoded")
        return cls(channels, pre_skip, gain / 256.0, data[:19] if plain else data)

    def decoder(self, channels: int) -> PacketDecoder:
        """A decoder whose output can be mapped to so many channels.

        Raises:
            FormatError: There is no such mapping.
        """
        if self.data[18] == 0 and channels <= 2:
            return PacketDecoder(self.data, channels)  # the decoder itself mixes and widens
        if self.channels != channels and 1 not in (self.channels, channels):
            raise FormatError(f"cannot map {self.channels} channels to {channels}: decode to 1")
        return PacketDecoder(self.data, self.channels)


class Link:
    """One logical stream, from its first page on.

    Args:
        page: That page.
        head: What it holds.
        channels: Of the output.
    """

    def __init__(self, page: Page, head: Head, channels: int) -> None:
        self.serial = page.serial
        self.ended = self.has_audio = False
        self.lost_pages = self.packets = self.corrupt_packets = self.concealed = 0
        self._channels = channels
        self._decoder = head.decoder(channels)
        self._gain = np.float32(db_to_gain(head.gain_db))
        self._skip = head.pre_skip
        self._sequence = page.sequence
        self._position: int | None = None  # granule reached
        self._partial: bytes | None = None  # of a packet that goes on; empty if its beginning is lost
        self._tags_due = True

    def read(self, page: Page) -> Iterator[Samples]:
        """What a page adds, at 48 kHz."""
        lost = page.sequence != (self._sequence + 1) & 0xFFFFFFFF
        self._sequence = page.sequence
        if lost:
            self.lost_pages += 1
            self._partial = None
        packets = self._packets(page)
        frames = [self._frames(packet) for packet in packets]
        self.has_audio = self.has_audio or bool(packets)
        allowed = sum(frames)
        if page.granule >= 0 and packets:
            hole, allowed = self._place(page, allowed)
            if hole:
                yield from self._give(self._conceal(min(hole, MAX_HOLE)))
        elif self._position is not None:
            self._position += allowed
        for packet, n in zip(packets, frames, strict=True):
            x = self._decode(packet, n)[:allowed]
            allowed -= len(x)
            yield from self._give(x)
        self.ended = bool(page.flags & EOS)

    def _place(self, page: Page, frames: int) -> tuple[int, int]:
        """Frames missing before a page, and how many of its own are wanted."""
        if self._position is None:
            self._position = max(0, page.granule - frames)
        hole = page.granule - self._position - frames
        wanted = frames
        if page.flags & EOS and hole < 0:  # section 4.4
            wanted = max(0, frames + hole)
        self._position = page.granule
        return (hole if hole >= MIN_HOLE else 0), wanted

    def _packets(self, page: Page) -> list[bytes]:
        """Audio packets that end on a page."""
        parts = list(page.parts)
        if parts and page.flags & CONTINUED:
            parts[0] = self._partial + parts[0] if self._partial else b""
        self._partial = parts.pop() if page.open else None
        if self._partial is not None and len(self._partial) > MAX_PACKET_BYTES:
            self.corrupt_packets += not self._tags_due  # tags may hold a picture
            self._partial = b""
        packets = [part for part in parts if part]
        if packets and self._tags_due:
            self._tags_due = False
            if packets[0].startswith(b"OpusTags"):
                packets.pop(0)
        return packets

    def _frames(self, packet: bytes) -> int:
        try:
            return packet_frames(packet)
        except FormatError:
            return 0

    def _decode(self, packet: bytes, frames: int) -> Samples:
        try:
            x = self._decoder.decode(packet)
            self.packets += 1
            return x
        except FormatError:
            self.corrupt_packets += 1
            return self._conceal(frames)

    def _conceal(self, frames: int) -> Samples:
        self.concealed += frames
        return self._decoder.conceal(frames)

    def _give(self, x: Samples) -> Iterator[Samples]:
        skipped = min(self._skip, len(x))
        self._skip -= skipped
        if skipped < len(x):
            yield remix(x[skipped:] * self._gain, self._channels)
