"""Settings and states of voice activity detection."""

from dataclasses import dataclass
from enum import StrEnum

from menura.errors import ConfigError

__all__ = ["VADConfig", "VADState", "VADType"]


class VADType(StrEnum):
    """How speech is told from the rest."""

    ENERGY_BASED = "energy"
    WEBRTC = "webrtc"
    SILERO = "silero"
    CASCADE = "cascade"


class VADState(StrEnum):
    """Where in an utterance a stream is; equal to the plain strings."""

    SILENCE = "silence"
    SPEECH_STARTING = "speech_starting"
    SPEECH = "speech"
    SPEECH_ENDING = "speech_ending"


@dataclass(frozen=True, slots=True)
class VADConfig:
    """Settings of a detector and of the machine behind it.

    Attributes:
        type: The detector.
        energy_threshold: RMS level, 0…1, from which sound is speech to the energy detector.
        speech_start_ms: Speech this long confirms a start.
        speech_end_ms: Silence this long ends an utterance.
        pre_buffer_ms: Audio kept from before the onset; what the debounce and the detector's own lag take comes on top.
        adaptive: Whether the energy detector follows the noise.
        threshold: Probability from which a hop is speech, 0…1; ``None`` is the detector's own.
        release_threshold: Probability below which a hop is silence again; ``None`` keeps the detector's proportion.
        min_speech_ms: An utterance with less speech than this is not confirmed; beyond ``speech_start_ms``, it may
            pause for the difference in total.
        max_utterance_ms: An utterance is ended after this long; ``None`` never.

    Raises:
        ConfigError: A value it cannot have.
    """

    type: VADType = VADType.ENERGY_BASED
    energy_threshold: float = 0.02
    speech_start_ms: int = 100
    speech_end_ms: int = 500
    pre_buffer_ms: int = 300
    adaptive: bool = False
    threshold: float | None = None
    release_threshold: float | None = None
    min_speech_ms: int = 0
    max_utterance_ms: int | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "type", VADType(self.type))
        except ValueError as error:
            raise ConfigError(f"type must be one of {', '.join(VADType)}, not {self.type!r}") from error
        for name in ("energy_threshold", "threshold", "release_threshold"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ConfigError(f"{name} must be 0 to 1, not {value}")
        for name in ("speech_start_ms", "speech_end_ms", "pre_buffer_ms", "min_speech_ms"):
            if not 0 <= getattr(self, name) <= 60_000:
                raise ConfigError(f"{name} must be 0 to 60000 ms, not {getattr(self, name)}")
        if self.max_utterance_ms is not None and self.max_utterance_ms <= self.speech_start_ms:
            raise ConfigError("max_utterance_ms must be longer than speech_start_ms")
        if (
            self.threshold is not None
            and self.release_threshold is not None
            and self.release_threshold > self.threshold
        ):
            raise ConfigError("release_threshold cannot be above threshold")
