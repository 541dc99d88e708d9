"""Modes and buffers of an engine."""

from dataclasses import dataclass
from enum import StrEnum

from menura.dsp.ring import Overflow
from menura.errors import ConfigError

__all__ = ["BufferConfig", "ProcessingMode", "Underflow"]


class ProcessingMode(StrEnum):
    """What an engine does to audio.

    ``REALTIME`` checks and passes through, with no latency of its own. ``BALANCED`` adds gate, automatic gain and rate
    conversion, and sheds what is costly under load. ``QUALITY`` adds noise suppression, echo cancellation where a
    reference is given, and loudness normalisation.
    """

    REALTIME = "realtime"
    QUALITY = "quality"
    BALANCED = "balanced"

    @classmethod
    def of(cls, value: "ProcessingMode | str") -> "ProcessingMode":
        """The mode of this name.

        Raises:
            ConfigError: There is none.
        """
        try:
            return cls(value)
        except ValueError as error:
            raise ConfigError(f"mode must be one of {', '.join(cls)}, not {value!r}") from error


class Underflow(StrEnum):
    """What a reader gets when too little is held."""

    SILENCE = "silence"
    REPEAT = "repeat"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """Bounds and policies of a stream buffer.

    Attributes:
        max_size_bytes: Most bytes held.
        max_duration_ms: Longest audio held; the tighter of the two counts.
        overflow_strategy: ``drop_oldest``, ``drop_newest`` or ``error``.
        underflow_strategy: ``silence``, ``repeat`` (the last chunk once more) or ``error``.
        pre_allocate: Allocate all memory at the start rather than as it is needed.
        use_circular: Accepted and without effect: the buffer is a ring always.
        zero_copy: Whether ``view_chunk`` lends memory of the buffer itself where a chunk lies in one piece.
        jitter: Whether arrival is smoothed, gaps concealed and clock drift corrected.

    Raises:
        ConfigError: A value it cannot have.
    """

    max_size_bytes: int = 1024 * 1024
    max_duration_ms: int = 5000
    overflow_strategy: str = Overflow.DROP_OLDEST
    underflow_strategy: str = Underflow.SILENCE
    pre_allocate: bool = True
    use_circular: bool = True
    zero_copy: bool = True
    jitter: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("overflow_strategy", Overflow), ("underflow_strategy", Underflow)):
            try:
                object.__setattr__(self, name, kind(getattr(self, name)))
            except ValueError as error:
                raise ConfigError(f"{name} must be one of {', '.join(kind)}, not {getattr(self, name)!r}") from error
        if self.max_size_bytes < 1 or self.max_duration_ms < 1:
            raise ConfigError(f"a buffer holds at least 1 byte, 1 ms: {self.max_size_bytes=}, {self.max_duration_ms=}")
