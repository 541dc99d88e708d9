"""What a stream of audio bytes is made of: encoding, rate, channels."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from menura.errors import ConfigError, FormatError

__all__ = ["MAX_RATE", "MIN_RATE", "AudioFormat", "StreamFormat", "check_channels", "check_rate"]

MIN_RATE, MAX_RATE = 8000, 192_000
MAX_CHANNELS = 8


class AudioFormat(StrEnum):
    """Encoding of samples as bytes; all little-endian, channels interleaved."""

    PCM16 = "pcm16"
    PCM_F32 = "pcm_f32"
    G711_ULAW = "g711_ulaw"
    G711_ALAW = "g711_alaw"

    @property
    def width(self) -> int:
        """Bytes per sample."""
        return {AudioFormat.PCM16: 2, AudioFormat.PCM_F32: 4}.get(self, 1)


def check_rate(rate: int) -> int:
    """Return ``rate`` if audio can have it.

    Raises:
        ConfigError: It is no whole number between 8,000 and 192,000 Hz.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or not MIN_RATE <= rate <= MAX_RATE:
        raise ConfigError(f"sample rate must be a whole number from {MIN_RATE} to {MAX_RATE} Hz, not {rate!r}")
    return int(rate)


def check_channels(channels: int) -> int:
    """Return ``channels`` if audio can have so many.

    Raises:
        ConfigError: It is no whole number between 1 and 8.
    """
    if isinstance(channels, bool) or not isinstance(channels, int | np.integer) or not 1 <= channels <= MAX_CHANNELS:
        raise ConfigError(f"channels must be a whole number from 1 to {MAX_CHANNELS}, not {channels!r}")
    return int(channels)


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """Encoding, rate in Hz and channels of a byte stream.

    >>> StreamFormat(AudioFormat.PCM16, 24000).bytes_for(480)
    960
    """

    encoding: AudioFormat = AudioFormat.PCM16
    rate: int = 48_000
    channels: int = 1

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check_channels(self.channels)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame: one sample of every channel."""
        return self.encoding.width * self.channels

    def bytes_for(self, frames: int) -> int:
        """Bytes that so many frames take."""
        return frames * self.frame_bytes

    def frames_in(self, data: bytes | bytearray | memoryview) -> int:
        """Whole frames in ``data``.

        Raises:
            FormatError: ``data`` ends within a frame.
        """
        frames, rest = divmod(len(data), self.frame_bytes)
        if rest:
            raise FormatError(
                f"{len(data)} bytes are not whole {self.encoding} frames of {self.frame_bytes} bytes: "
                f"{rest} byte{'s' if rest > 1 else ''} left over"
            )
        return frames
