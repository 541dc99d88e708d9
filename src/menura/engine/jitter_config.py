"""Settings and figures of the jitter buffer."""

from dataclasses import dataclass

from menura.dsp.ring import Overflow
from menura.errors import ConfigError

__all__ = ["JitterConfig", "JitterStats"]


@dataclass(frozen=True, slots=True)
class JitterConfig:
    """Bounds and aims of a jitter buffer.

    Attributes:
        initial_delay_ms: Target before anything is known of the network.
        min_delay_ms: Least target.
        max_delay_ms: Greatest target; a gap longer than this is a pause and no jitter.
        quantile: Least share of the audio that shall come in time.
        late_price_ms: Delay that one per cent more of the audio in time is worth: a short tail of the delays is waited
            for, a long one is not. 0: the quantile alone.
        easy_delay_ms: Delay up to which a conversation hardly suffers, and which so costs a fifth: by ITU-T G.107 some
            177 ms from mouth to ear, less what the rest of the way takes.
        catch_up: Whether delay beyond the target is worked off. ``False`` for a source that may run ahead of real
            time, as a file or a speech synthesiser does.
        max_duration_ms: Longest audio held.
        max_size_bytes: Most audio held, as bytes of the stream's format; the tighter of the two counts.
        overflow: What is lost when more comes.
        sequence_modulus: Where ``sequence`` begins again at 0 (65,536 in RTP); 0: never.
        timestamp_modulus: Where ``timestamp_frames`` begins again at 0 (2³² in RTP); 0: never.

    Raises:
        ConfigError: A value it cannot have.
    """

    initial_delay_ms: float = 60.0
    min_delay_ms: float = 0.0
    max_delay_ms: float = 500.0
    quantile: float = 0.97
    late_price_ms: float = 40.0
    easy_delay_ms: float = 150.0
    catch_up: bool = True
    max_duration_ms: int = 5000
    max_size_bytes: int = 1024 * 1024
    overflow: Overflow = Overflow.DROP_OLDEST
    sequence_modulus: int = 0
    timestamp_modulus: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_delay_ms <= self.initial_delay_ms <= self.max_delay_ms <= 10_000.0:
            raise ConfigError(
                "delays must keep 0 <= min <= initial <= max <= 10000 ms: "
                f"{self.min_delay_ms=}, {self.initial_delay_ms=}, {self.max_delay_ms=}"
            )
        if not 0.5 <= self.quantile < 1.0:
            raise ConfigError(f"quantile must be 0.5 or more and less than 1, not {self.quantile!r}")
        for name in ("late_price_ms", "easy_delay_ms"):
            if not 0.0 <= getattr(self, name) <= 1000.0:
                raise ConfigError(f"{name} must be 0 to 1000, not {getattr(self, name)!r}")
        if self.max_duration_ms < 1 or self.max_size_bytes < 1:
            raise ConfigError(f"a buffer holds at least 1 ms, 1 byte: {self.max_duration_ms=}, {self.max_size_bytes=}")
        if self.sequence_modulus < 0 or self.timestamp_modulus < 0:
            raise ConfigError("a modulus is 0 (none) or positive")
        try:
            object.__setattr__(self, "overflow", Overflow(self.overflow))
        except ValueError as error:
            raise ConfigError(f"overflow must be one of {', '.join(Overflow)}, not {self.overflow!r}") from error


@dataclass(frozen=True, slots=True)
class JitterStats:
    """What a jitter buffer has seen and done.

    Of the frame counts, at any time: ``received + concealed + silent + expanded + stretched = played + late +
    duplicate + dropped + accelerated + held``.

    Attributes:
        target_ms: Delay aimed at, beyond the fastest packet's.
        depth_ms: Delay there is, counted the same way.
        held_ms: Audio held, that in the resampler included.
        jitter_ms: Mean deviation of the time between arrivals (RFC 3550, 6.4.1).
        drift_ppm: By how much the reader's clock runs faster than the sender's.
        speed: Sender's frames per reader's frame at present.
        received_packets: All that came.
        received_frames: All that came.
        played_frames: All that the reader got.
        held_frames: All that is held.
        concealed_frames: Made up for what was missing.
        silent_frames: Silence, while filling and after a gap's concealment has faded.
        accelerated_frames: Cut out to catch up.
        expanded_frames: Put in to hold back.
        stretched_frames: Put in (or, negative, taken out) by resampling, against drift.
        dropped_frames: Lost to the bounds, or cleared.
        late_frames: Of packets that came after their time was played.
        duplicate_frames: Of packets that were there already.
        lost_frames: Missing when their time came: never delivered, too late, or dropped as the newest.
        late: Packets.
        duplicate: Packets.
        lost: Gaps in the sequence.
        concealments: Gaps filled.
        underflows: Times it ran empty.
        overflows: Packets that did not fit.
    """

    target_ms: float = 0.0
    depth_ms: float = 0.0
    held_ms: float = 0.0
    jitter_ms: float = 0.0
    drift_ppm: float = 0.0
    speed: float = 1.0
    received_packets: int = 0
    received_frames: int = 0
    played_frames: int = 0
    held_frames: int = 0
    concealed_frames: int = 0
    silent_frames: int = 0
    accelerated_frames: int = 0
    expanded_frames: int = 0
    stretched_frames: int = 0
    dropped_frames: int = 0
    late_frames: int = 0
    duplicate_frames: int = 0
    lost_frames: int = 0
    late: int = 0
    duplicate: int = 0
    lost: int = 0
    concealments: int = 0
    underflows: int = 0
    overflows: int = 0
