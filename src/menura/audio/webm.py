"""Opus in WebM, as a browser's MediaRecorder sends it, cut anywhere (RFC 8794, RFC 9559)."""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from menura.audio.block import Samples, remix, silence
from menura.audio.format import check_channels, check_rate
from menura.audio.opus_link import Head
from menura.audio.opus_packet import OPUS_RATE, PacketDecoder, RateConverter
from menura.errors import FormatError
from menura.units import db_to_gain

__all__ = ["WebmOpusDecoder", "is_webm"]

EBML = 0x1A45DFA3
SEGMENT, CLUSTER, TRACKS, TRACK, BLOCK_GROUP = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xA0
TRACK_NUMBER, CODEC_ID, CODEC_PRIVATE = 0xD7, 0x86, 0x63A2
SIMPLE_BLOCK, BLOCK, DISCARD_PADDING = 0xA3, 0xA1, 0x75A2
ENTERED = frozenset((SEGMENT, CLUSTER, TRACKS, TRACK, BLOCK_GROUP))
"""Elements whose content is read as if it stood alone: their size, which a live stream cannot know, is not needed."""
READ = frozenset((TRACK_NUMBER, CODEC_ID, CODEC_PRIVATE, SIMPLE_BLOCK, BLOCK, DISCARD_PADDING))
MAX_ELEMENT = 65_536
"""Longest element that is read; an Opus packet has at most 61,440 bytes."""
MAX_PASS = 64 * 1024 * 1024
"""Longer elements are damage."""
MAX_SEARCH_BYTES = 256 * 1024
CLUSTER_ID = CLUSTER.to_bytes(4, "big")


def is_webm(data: bytes | bytearray | memoryview) -> bool:
    """Whether bytes begin a WebM or Matroska stream.

    >>> is_webm(b"OggS")
    False
    """
    return bytes(data[:4]) == EBML.to_bytes(4, "big")


def _number(data: bytes | bytearray, at: int, longest: int) -> tuple[int, int] | None:
    """A number of variable length: with its length's mark, and the bytes it takes; None if more must come.

    Raises:
        FormatError: It is longer than it may be.
    """
    if at >= len(data):
        return None
    length = 9 - data[at].bit_length()
    if length > longest:
        raise FormatError("no WebM element")
    return None if at + length > len(data) else (int.from_bytes(data[at : at + length], "big"), length)


class _Track:
    """What a TrackEntry has told so far."""

    def __init__(self) -> None:
        self.number = 0
        self.codec = b""
        self.private = b""


class WebmOpusDecoder:
    """Decodes the first Opus track of a WebM stream that comes in pieces, cut anywhere.

    The encoder's delay is left out, and so is what the muxer says was added at the end. What cannot be read is skipped
    up to the next cluster, and counted.

    Args:
        rate: Hz.
        channels: Of the output; a stream is mixed to mono or widened from it.

    Raises:
        ConfigError: An argument is out of range.

    Attributes:
        skipped_bytes: That belonged to no element.
        packets: Decoded.
        corrupt_packets: That did not decode; as much is made up from what came before.
    """

    def __init__(self, rate: int = OPUS_RATE, channels: int = 1) -> None:
        self.rate, self.channels = check_rate(rate), check_channels(channels)
        self._converter = RateConverter(OPUS_RATE, rate, channels)
        self._act: dict[int, Callable[[bytes], None]] = {
            TRACK_NUMBER: self._on_number,
            CODEC_ID: self._on_codec,
            CODEC_PRIVATE: self._on_private,
            SIMPLE_BLOCK: self._on_simple_block,
            BLOCK: self._on_block,
            DISCARD_PADDING: self._on_discard,
        }
        self.reset()

    def reset(self) -> None:
        """Forget all audio and begin with another stream."""
        self.skipped_bytes = self.packets = self.corrupt_packets = 0
        self._held = bytearray()
        self._at = 0
        self._given = 0  # bytes since the last header
        self._found = False
        self._error: FormatError | None = None
        self._pass = 0  # bytes of an element still to be passed over
        self._lost = False  # looking for the next cluster
        self._track = _Track()
        self._number: int | None = None  # of the track that is decoded
        self._decoder: PacketDecoder | None = None
        self._gain = np.float32(1.0)
        self._skip = 0
        self._last = silence(0, self.channels)  # of a block group, whose next element may shorten it
        self._ready: deque[Samples] = deque()
        self._converter.reset()
        self._lead = self._converter.latency

    def decode(self, data: bytes | bytearray | memoryview) -> Samples:
        """Audio that is now complete.

        Returns:
            ``[n, channels]``; ``n`` may be 0.

        Raises:
            FormatError: It is no WebM with Opus; what was decoded before comes with the next call.
        """
        parts: list[Samples] = []
        try:
            parts.extend(self.blocks(data))
        except FormatError:
            self._ready.extendleft(reversed(parts))
            raise
        return np.concatenate([silence(0, self.channels), *parts])

    def blocks(self, data: bytes | bytearray | memoryview) -> Iterator[Samples]:
        """As :meth:`decode`, block by block, for few bytes may hold much silence."""
        del self._held[: self._at]
        self._at = 0
        self._held += data
        self._given += len(data)
        return self._blocks()

    def _blocks(self) -> Iterator[Samples]:
        while True:
            while self._ready:
                yield self._ready.popleft()
            if not self._step():
                break
            error, self._error = self._error, None
            if error is not None:
                raise error
        if self._decoder is None and self._given > MAX_SEARCH_BYTES:
            self.reset()
            raise FormatError("no WebM with an Opus track")

    def _step(self) -> bool:
        """Take one element, or pass over bytes; whether there was something to do."""
        available = len(self._held) - self._at
        if self._pass:
            n = min(self._pass, available)
            self._pass -= n
            self._at += n
            return n > 0
        if self._lost and not self._find_cluster():
            return False
        try:
            return self._element()
        except FormatError:
            self._lost = True
            self._at += 1
            self.skipped_bytes += 1
            return True

    def _find_cluster(self) -> bool:
        found = self._held.find(CLUSTER_ID, self._at)
        at = found if found >= 0 else max(self._at, len(self._held) - 3)
        self.skipped_bytes += at - self._at
        self._at = at
        self._lost = found < 0
        return found >= 0

    def _element(self) -> bool:
        tag = _number(self._held, self._at, 4)
        size = tag and _number(self._held, self._at + tag[1], 8)
        if not tag or not size:
            return False
        begin = self._at + tag[1] + size[1]
        unknown = size[0] == (1 << 7 * size[1] + 1) - 1
        length = size[0] & (1 << 7 * size[1]) - 1
        if tag[0] in ENTERED:
            if tag[0] == TRACK:
                self._track = _Track()
            self._at = begin
            return True
        if unknown or length > MAX_PASS:
            raise FormatError("no WebM element")
        if tag[0] == EBML:
            self._restart(len(self._held) - self._at)
        if tag[0] not in READ or length > MAX_ELEMENT:  # a picture of a video track, perhaps
            self._at, self._pass = begin, length
            return True
        if len(self._held) < begin + length:
            return False
        self._at = begin + length
        self._act[tag[0]](bytes(self._held[begin : begin + length]))
        return True

    def _on_number(self, data: bytes) -> None:
        self._track.number = int.from_bytes(data, "big")
        self._choose()

    def _on_codec(self, data: bytes) -> None:
        self._track.codec = data.rstrip(b"\0")
        self._choose()

    def _on_private(self, data: bytes) -> None:
        self._track.private = data
        self._choose()

    def _choose(self) -> None:
        """Decode this track, if it is the first of Opus and all is known of it."""
        track = self._track
        if self._decoder is not None or track.codec != b"A_OPUS" or not track.private or not track.number:
            return
        try:
            head = Head.parse(track.private)
            self._decoder = head.decoder(self.channels)
        except FormatError as error:
            track.codec = b""
            self._error = error
            return
        self._found = True
        self._number = track.number
        self._gain = np.float32(db_to_gain(head.gain_db))
        self._skip = head.pre_skip

    def _restart(self, held: int) -> None:
        """Another stream begins."""
        self._give_last()
        self._decoder = None
        self._given = held

    def _on_simple_block(self, data: bytes) -> None:
        self._on_block(data)
        self._give_last()

    def _on_block(self, data: bytes) -> None:
        """A block: the track's number, a time, flags, then the packet (RFC 9559, section 10.2)."""
        number = _number(data, 0, 8)
        if number is None or len(data) < number[1] + 3:
            raise FormatError("no WebM block")
        if self._decoder is None or number[0] & (1 << 7 * number[1]) - 1 != self._number:
            return
        laced = data[number[1] + 2] & 0x06
        self._give_last()
        try:
            if laced:
                raise FormatError("laced blocks hold no Opus")
            x = self._decoder.decode(data[number[1] + 3 :])
            self.packets += 1
        except FormatError:
            self.corrupt_packets += 1
            x = self._decoder.conceal()
        self._last = remix(x * self._gain, self.channels)

    def _on_discard(self, data: bytes) -> None:
        """The newest packet is shorter at its end, in ns."""
        discard = round(int.from_bytes(data, "big", signed=True) * OPUS_RATE / 1e9)
        self._last = self._last[: max(0, len(self._last) - max(0, discard))]

    def _give_last(self) -> None:
        skipped = min(self._skip, len(self._last))
        self._skip -= skipped
        y = self._converter.process(self._last[skipped:])
        self._last = silence(0, self.channels)
        lead = min(self._lead, len(y))
        self._lead -= lead
        if lead < len(y):
            self._ready.append(y[lead:])

    def flush(self) -> Samples:
        """Return what is still held at the end of the stream, and be as new.

        Raises:
            FormatError: There were bytes, and no WebM with an Opus track.
        """
        nothing = self._given and not self._found
        self._give_last()
        y = np.concatenate([silence(0, self.channels), *self._ready, self._converter.flush()[self._lead :]])
        counts = self.skipped_bytes, self.packets, self.corrupt_packets
        self.reset()
        self.skipped_bytes, self.packets, self.corrupt_packets = counts
        if nothing:
            raise FormatError("no WebM with an Opus track")
        return y
