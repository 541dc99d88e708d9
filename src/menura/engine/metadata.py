"""What is known about a stretch of audio."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples
from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.engine.config import ProcessingMode
from menura.engine.verdict import Verdict
from menura.vad.config import VADConfig
from menura.vad.fast import FastVADDetector

__all__ = ["AudioMetadata", "estimate_snr_db", "speech_share"]

FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class AudioMetadata:
    """Properties of a stretch of audio; those that need a closer look are ``None`` unless asked for.

    Attributes:
        format: Encoding of the bytes.
        duration_ms: Of the whole frames.
        size_bytes: Of all bytes.
        sample_rate: Hz.
        channels: Interleaved.
        verdict: What validation says.
        peak_amplitude: 0…1.
        rms_amplitude: 0…1.
        dc_offset: Mean, −1…1.
        clipped_samples: At or above the configured maximum.
        is_speech: Whether a good part of it is speech, by the adaptive energy detector.
        signal_to_noise_ratio: dB, of the loud frames over the quiet ones.
        loudness_lufs: Integrated, ITU-R BS.1770.
        processing_mode: What it went through.
    """

    format: AudioFormat
    duration_ms: float
    size_bytes: int
    sample_rate: int
    channels: int
    verdict: Verdict = Verdict.OK
    peak_amplitude: float | None = None
    rms_amplitude: float | None = None
    dc_offset: float | None = None
    clipped_samples: int | None = None
    is_speech: bool | None = None
    signal_to_noise_ratio: float | None = None
    loudness_lufs: float | None = None
    processing_mode: ProcessingMode = ProcessingMode.BALANCED

    def to_dict(self) -> dict[str, Any]:
        """The known properties, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def frame_levels(x: Samples, rate: int) -> NDArray[np.float64]:
    """RMS of each whole 20 ms frame of a block, mixed to mono."""
    size = max(1, rate * FRAME_MS // 1000)
    mono = x.mean(axis=1, dtype=np.float64)
    frames = mono[: len(mono) // size * size].reshape(-1, size)
    power = np.mean(frames**2, axis=1) if len(frames) else np.mean(mono**2, keepdims=True)
    return np.asarray(np.sqrt(power), np.float64)


def estimate_snr_db(x: Samples, rate: int) -> float | None:
    """How far the loud frames are above the quiet ones, dB; ``None`` for silence.

    The quiet tenth of the frames is taken as noise, so steady sound gives 0 and speech without a pause too little.
    """
    levels = frame_levels(x, rate)
    if not levels.size or levels.max() <= 0.0:
        return None
    quiet, loud = np.quantile(levels, 0.1), np.quantile(levels, 0.95)
    noise = max(float(quiet) ** 2, 1e-12)
    return float(10.0 * np.log10(max(float(loud) ** 2 - noise, noise * 1e-3) / noise)) if loud > quiet else 0.0


def speech_share(audio: bytes, config: AudioConfig) -> float:
    """Share of a recording, 0…1, that the adaptive energy detector takes for speech."""
    vad = FastVADDetector(VADConfig(adaptive=True), config)
    vad.process_chunk(audio)
    stats = vad.stats()
    total_ms = stats.speech_ms + stats.silence_ms
    return stats.speech_ms / total_ms if total_ms else 0.0
