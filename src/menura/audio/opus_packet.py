"""Single Opus packets (RFC 6716), through PyAV."""

import struct
from typing import Any

import numpy as np

from menura.audio.block import Samples, as_block, finite, remix, silence
from menura.audio.format import check_channels, check_rate
from menura.errors import ConfigError, FormatError

__all__ = [
    "OPUS_RATE",
    "PACKET_MS",
    "OpusDecoder",
    "OpusEncoder",
    "PacketDecoder",
    "RateConverter",
    "make_head",
    "packet_frames",
]

OPUS_RATE = 48_000
MAX_FRAMES = 5760
"""120 ms: no packet is longer."""
PACKET_MS = 20
ENCODER_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
BIT_RATES = (6000, 510_000)
# frames at 48 kHz by the TOC byte's configuration number, section 3.1
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_FRAMES = _SILK * 3 + _HYBRID * 2 + _CELT * 4


def packet_frames(packet: bytes) -> int:
    """Frames at 48 kHz of a packet, 120 to 5760.

    Raises:
        FormatError: It is no Opus packet.
    """
    if not packet:
        raise FormatError("no Opus packet: it is empty")
    code = packet[0] & 3
    if code == 3 and len(packet) < 2:
        raise FormatError("no Opus packet: it ends before its frame count")
    count = packet[1] & 0x3F if code == 3 else (1, 2, 2)[code]
    frames = _FRAMES[packet[0] >> 3] * count
    if not 0 < frames <= MAX_FRAMES:
        raise FormatError(f"no Opus packet: {frames / 48:g} ms long")
    return frames


def make_head(channels: int, pre_skip: int = 0, rate: int = OPUS_RATE) -> bytes:
    """An OpusHead for 1 or 2 channels (RFC 7845, section 5.1)."""
    return struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, pre_skip, rate, 0, 0)


class RateConverter:
    """Converts blocks from one rate to another with the alignment and cadence of a Stage.

    After ``n`` frames in, ``floor(n · rate_out / rate_in)`` are out, the first ``latency`` of them silence.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        self.rate_in, self.rate_out, self.channels = rate_in, rate_out, channels
        # the library's filter is 32 taps at the lower rate and holds half of them
        self.latency = 0 if rate_in == rate_out else 16 * -(-rate_out // rate_in) + 2
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._resampler: Any = None
        self._held = silence(self.latency, self.channels)
        self._read = self._made = 0

    def process(self, x: Samples) -> Samples:
        """Convert the next block, ``[n, channels]``."""
        if self.rate_in == self.rate_out or not len(x):
            return x
        import av

        layout = "mono" if self.channels == 1 else "stereo" if self.channels == 2 else f"{self.channels}c"
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="flt", layout=layout, rate=self.rate_out)
        frame: Any = av.AudioFrame.from_ndarray(np.ascontiguousarray(x).reshape(1, -1), "flt", layout)
        frame.rate = self.rate_in
        self._read += len(x)
        self._hold(self._resampler.resample(frame))
        return self._give(self._read * self.rate_out // self.rate_in - self._made)

    def _hold(self, frames: list[Any]) -> None:
        blocks = [frame.to_ndarray().reshape(-1, self.channels) for frame in frames]
        self._held = np.concatenate([self._held, *blocks])

    def _give(self, frames: int) -> Samples:
        short = frames - len(self._held)
        if short > 0:
            self._held = np.concatenate([self._held, silence(short, self.channels)])
        y, self._held = self._held[:frames], self._held[frames:]
        self._made += frames
        return y

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held, and be as new."""
        if self._resampler is not None:
            self._hold(self._resampler.resample(None))
        y = self._give(self.latency)
        self.reset()
        return y


class PacketDecoder:
    """Decodes packets at 48 kHz; as an encoder's delay and gain are a container's matter, both stay in.

    Args:
        head: The stream's OpusHead: its mapping counts.
        channels: Of the output; those of ``head``, or 1 or 2 where the mapping is the plain one.

    Raises:
        FormatError: The decoder does not know this mapping.
    """

    def __init__(self, head: bytes, channels: int) -> None:
        import av

        self.channels = channels
        self._toc: int | None = None
        self._frames = PACKET_MS * OPUS_RATE // 1000
        self._errors: tuple[type[Exception], ...] = (av.error.FFmpegError, ValueError)
        codec = "libopus" if "libopus" in av.codecs_available else "opus"
        self._context: Any = av.CodecContext.create(codec, "r")
        self._context.options = {"request_sample_fmt": "flt"}
        # no pre-skip and no gain: bytes 10–11 and 16–17
        self._context.extradata = head[:9] + bytes([channels]) + bytes(2) + head[12:16] + bytes(2) + head[18:]
        try:
            self._context.open()
        except self._errors as error:
            raise FormatError(f"Opus of {head[9]} channels, mapping {head[18]}, cannot be decoded") from error

    def decode(self, packet: bytes) -> Samples:
        """Decode a packet.

        Returns:
            ``[n, channels]`` at 48 kHz, as long as the packet says.

        Raises:
            FormatError: It is no Opus packet; the next may be.
        """
        frames = packet_frames(packet)
        x = self._run(packet)
        if x is None or len(x) != frames:
            raise FormatError(f"no Opus packet: its {len(packet)} bytes do not decode")
        self._toc, self._frames = packet[0] & ~3, frames
        return x

    def _run(self, packet: bytes) -> Samples | None:
        import av

        try:
            blocks = [self._block(frame) for frame in self._context.decode(av.Packet(packet))]
        except self._errors:
            return None
        return finite(np.concatenate([silence(0, self.channels), *blocks]))

    def _block(self, frame: Any) -> Samples:
        x = frame.to_ndarray()
        x = x.T if frame.format.is_planar else x.reshape(-1, self.channels)
        return np.asarray(x, np.float32) if x.dtype.kind == "f" else x.astype(np.float32) / 32768.0

    def conceal(self, frames: int | None = None) -> Samples:
        """What was lost, made up from what came before; it fades to silence by itself.

        Args:
            frames: At 48 kHz; by default as many as the last packet had.
        """
        left = self._frames if frames is None else frames
        parts = []
        while left > 0:
            # a packet without content is one that was not sent: the decoder extrapolates (RFC 6716, section 3.2.1)
            x = self._run(bytes([self._toc])) if self._toc is not None else None
            if x is None or not len(x):
                x = silence(left, self.channels)
            parts.append(x[:left])
            left -= len(x)
        return np.concatenate([silence(0, self.channels), *parts])


class OpusDecoder:
    """Decodes Opus packets as RTP, WebRTC or a provider sends them, one at a time.

    After packets of ``n`` frames at 48 kHz, ``floor(n · rate / 48000)`` are out, less the pre-skip; the first
    ``latency`` of them are silence (at most 2.3 ms, none at 48 kHz), and ``flush`` gives those still held.

    Args:
        rate: Hz.
        channels: 1 or 2, whatever the packets have.
        pre_skip: Frames at 48 kHz to leave out at the beginning: the encoder's delay, where the sender tells it.

    Raises:
        ConfigError: An argument is out of range.

    >>> decoder = OpusDecoder(24000)
    >>> decoder.decode(None).shape
    (480, 1)
    """

    def __init__(self, rate: int = OPUS_RATE, channels: int = 1, *, pre_skip: int = 0) -> None:
        if check_channels(channels) > 2:
            raise ConfigError(f"Opus packets have 1 or 2 channels, not {channels}")
        if not 0 <= pre_skip <= OPUS_RATE:
            raise ConfigError(f"pre_skip is 0 to {OPUS_RATE} frames at 48 kHz, not {pre_skip}")
        self.rate, self.channels, self.pre_skip = check_rate(rate), channels, pre_skip
        self.lost = 0
        self._converter = RateConverter(OPUS_RATE, rate, channels)
        self.latency = self._converter.latency
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._packets = PacketDecoder(make_head(self.channels), self.channels)
        self._converter.reset()
        self._skip = self.pre_skip

    def decode(self, packet: bytes | None) -> Samples:
        """Decode the next packet.

        Args:
            packet: None for one that was lost: as much as the last one had is made up from what came before, which
                fades to silence if more are lost.

        Returns:
            ``[n, channels]``.

        Raises:
            FormatError: It is no Opus packet; nothing has changed, and the next may be decoded.
        """
        if packet is None:
            self.lost += 1
            x = self._packets.conceal()
        else:
            x = self._packets.decode(bytes(packet))
        skipped = min(self._skip, len(x))
        self._skip -= skipped
        return self._converter.process(x[skipped:])

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held, and be as new."""
        y = self._converter.flush()
        self.reset()
        return y


class OpusEncoder:
    """Encodes to Opus packets of 20 ms.

    Args:
        rate: Hz, any.
        channels: 1 or 2.
        bitrate: Bits a second, 6,000 to 510,000.
        application: ``"voip"`` for speech, ``"audio"`` for anything.

    Raises:
        ConfigError: An argument is out of range.

    >>> encoder = OpusEncoder(24000)
    >>> len(encoder.encode(silence(24000)))
    50
    """

    def __init__(self, rate: int = OPUS_RATE, channels: int = 1, bitrate: int = 32_000, *, application: str = "voip"):
        if check_channels(channels) > 2 or not BIT_RATES[0] <= bitrate <= BIT_RATES[1]:
            raise ConfigError(f"Opus has 1 or 2 channels and 6000 to 510000 bit/s, not {channels} and {bitrate}")
        if application not in ("voip", "audio"):
            raise ConfigError(f"application is 'voip' or 'audio', not {application!r}")
        self.rate, self.channels, self.bitrate, self.application = check_rate(rate), channels, bitrate, application
        self._coded_rate = rate if rate in ENCODER_RATES else OPUS_RATE
        self._converter = RateConverter(rate, self._coded_rate, channels)
        self._size = PACKET_MS * self._coded_rate // 1000
        self.reset()
        lead = self._converter.latency * OPUS_RATE // self._coded_rate
        self.pre_skip = int.from_bytes(self._context.extradata[10:12], "little") + lead
        """Frames at 48 kHz by which what is decoded lags: what an OpusHead tells."""

    def reset(self) -> None:
        """Forget all audio."""
        import av

        context: Any = av.CodecContext.create("libopus", "w")
        context.rate = self._coded_rate
        context.layout = "mono" if self.channels == 1 else "stereo"
        context.format = "flt"
        context.bit_rate = self.bitrate
        context.options = {"frame_duration": str(PACKET_MS), "application": self.application}
        context.open()
        self._context = context
        self._converter.reset()
        self._held = silence(0, self.channels)
        self._coded = 0

    def encode(self, x: Samples) -> list[bytes]:
        """Packets now complete.

        Shape:
            x: ``[n, channels]``, any ``n``; mono is widened and stereo mixed.
        """
        return self._encode(self._converter.process(remix(finite(as_block(x)), self.channels)))

    def _encode(self, x: Samples) -> list[bytes]:
        import av

        held = np.concatenate([self._held, x])
        whole = len(held) // self._size * self._size
        self._held = held[whole:]
        packets: list[bytes] = []
        for at in range(0, whole, self._size):
            part = np.ascontiguousarray(held[at : at + self._size]).reshape(1, -1)
            frame: Any = av.AudioFrame.from_ndarray(part, "flt", self._context.layout.name)
            frame.rate, frame.pts = self._coded_rate, self._coded
            self._coded += self._size
            packets.extend(bytes(packet) for packet in self._context.encode(frame))
        return packets

    def flush(self) -> list[bytes]:
        """The last packets, with silence at the end as far as all that was given comes out; then be as new."""
        rest = self._converter.flush()
        delay = -(-self.pre_skip * self._coded_rate // OPUS_RATE)
        pad = -(len(self._held) + len(rest) + delay) % self._size
        packets = self._encode(np.concatenate([rest, silence(delay + pad, self.channels)]))
        self.reset()
        return packets
