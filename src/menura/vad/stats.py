"""Figures of a detector of byte chunks."""

from dataclasses import dataclass

from menura.vad.config import VADState

__all__ = ["VADStats"]


@dataclass(frozen=True, slots=True)
class VADStats:
    """Figures of a detector.

    Attributes:
        current_state: Of the last complete hop.
        type: The detector.
        chunks_processed: Chunks given, malformed ones included.
        malformed_chunks: Chunks that were no audio, or of which a fragment shorter than a frame was left out.
        speech_segments: Utterances confirmed.
        transitions: How often each change of state was made, as ``"silence>speech_starting"``.
        probability: Of the last hop, 0…1.
        energy: RMS level of the last hop, 0…1.
        noise_floor: RMS level of the noise, 0…1; ``None`` where the detector follows none.
        threshold: Probability from which a hop is speech.
        release_threshold: Probability below which it no longer is.
        energy_threshold: RMS level at which the energy detector decides, where it does not adapt.
        speech_ms: Time in ``SPEECH`` and ``SPEECH_ENDING``.
        silence_ms: Time in ``SILENCE`` and ``SPEECH_STARTING``.
        utterance_ms: Length so far of the utterance that is going on, 0 in silence.
        model_runs: How often a model was asked.
        lag_ms: By which a decision trails the sound, before any debounce.
        pre_buffer_bytes: What ``get_pre_buffer`` would give.
    """

    current_state: VADState
    type: str
    chunks_processed: int
    malformed_chunks: int
    speech_segments: int
    transitions: dict[str, int]
    probability: float
    energy: float
    noise_floor: float | None
    threshold: float
    release_threshold: float
    energy_threshold: float
    speech_ms: float
    silence_ms: float
    utterance_ms: float
    model_runs: int
    lag_ms: float
    pre_buffer_bytes: int
