"""What a session's audio is: the settings that all parts of an engine share."""

from dataclasses import dataclass

from menura.audio.format import AudioFormat, StreamFormat, check_channels, check_rate
from menura.errors import ConfigError

__all__ = ["AudioConfig"]

CHUNK_MS = (1, 10_000)
MAX_CALL_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """Audio of one session.

    Attributes:
        sample_rate: Hz.
        channels: Interleaved.
        bit_depth: Bits of a linear sample: 16, or 32 with ``PCM_F32``. G.711 stands for 16 bits in 8.
        format: Encoding of the bytes.
        chunk_duration_ms: Length of a chunk where a call names none.
        max_chunk_ms: Longest audio that one call may bring.
        min_amplitude: Peak below which a chunk is silence, 0…1.
        max_amplitude: Peak from which a sample counts as clipped, 0…1.
        use_numpy: Accepted and without effect: without numpy everything here would be ten times slower.
        pre_allocate_buffers: Whether an engine keeps a pool of buffers.

    Raises:
        ConfigError: A value it cannot have.

    >>> AudioConfig().bytes_for_ms(20)
    960
    """

    sample_rate: int = 24_000
    channels: int = 1
    bit_depth: int = 16
    format: AudioFormat = AudioFormat.PCM16
    chunk_duration_ms: int = 100
    min_amplitude: float = 0.01
    max_amplitude: float = 0.95
    use_numpy: bool = True
    pre_allocate_buffers: bool = True
    max_chunk_ms: int = 60_000

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)
        check_channels(self.channels)
        try:
            object.__setattr__(self, "format", AudioFormat(self.format))
        except ValueError as error:
            raise ConfigError(f"format must be one of {', '.join(AudioFormat)}, not {self.format!r}") from error
        depth = 32 if self.format is AudioFormat.PCM_F32 else 16
        if self.bit_depth not in (depth, 8 * self.format.width):
            raise ConfigError(f"bit_depth of {self.format} is {depth}, not {self.bit_depth!r}")
        if not CHUNK_MS[0] <= self.chunk_duration_ms <= CHUNK_MS[1]:
            raise ConfigError(f"chunk_duration_ms must be {CHUNK_MS[0]} to {CHUNK_MS[1]}, not {self.chunk_duration_ms}")
        if not CHUNK_MS[0] <= self.max_chunk_ms <= MAX_CALL_MS:
            raise ConfigError(f"max_chunk_ms must be {CHUNK_MS[0]} to {MAX_CALL_MS}, not {self.max_chunk_ms}")
        if not 0.0 <= self.min_amplitude < self.max_amplitude <= 1.0:
            raise ConfigError(
                "amplitudes must keep 0 <= min_amplitude < max_amplitude <= 1: "
                f"{self.min_amplitude=}, {self.max_amplitude=}"
            )

    @property
    def stream_format(self) -> StreamFormat:
        """Encoding, rate and channels."""
        return StreamFormat(self.format, self.sample_rate, self.channels)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame: one sample of every channel."""
        return self.format.width * self.channels

    def bytes_for_ms(self, duration_ms: float) -> int:
        """Bytes of the whole frames nearest to a duration."""
        return round(duration_ms * self.sample_rate / 1000.0) * self.frame_bytes

    def duration_ms(self, size_bytes: int) -> float:
        """Duration of so many bytes."""
        return 1000.0 * (size_bytes / self.frame_bytes) / self.sample_rate
