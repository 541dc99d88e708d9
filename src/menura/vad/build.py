"""Detectors by their type."""

from collections.abc import Callable

from menura.units import ms_to_frames
from menura.vad.config import VADConfig, VADType
from menura.vad.detector import Detector
from menura.vad.energy import AdaptiveEnergy, Energy
from menura.vad.machine import Timing

__all__ = ["DETECTORS", "make_detector", "timing_of"]


def _energy(config: VADConfig, rate: int) -> Detector:
    return AdaptiveEnergy(rate) if config.adaptive else Energy(rate, config.energy_threshold)


def _webrtc(config: VADConfig, rate: int) -> Detector:
    from menura.vad.webrtc import WebRTC

    return WebRTC(rate)


def _silero(config: VADConfig, rate: int) -> Detector:
    from menura.vad.silero import Silero

    return Silero(rate)


def _cascade(config: VADConfig, rate: int) -> Detector:
    from menura.vad.cascade import Cascade

    return Cascade(rate)


DETECTORS: dict[VADType, Callable[[VADConfig, int], Detector]] = {
    VADType.ENERGY_BASED: _energy,
    VADType.WEBRTC: _webrtc,
    VADType.SILERO: _silero,
    VADType.CASCADE: _cascade,
}


def make_detector(config: VADConfig, rate: int) -> Detector:
    """A fresh detector.

    Args:
        rate: Of the audio it will take, Hz.

    Raises:
        MissingExtraError: A package that it needs is not installed; the text says how to install it.
    """
    return DETECTORS[config.type](config, rate)


def timing_of(config: VADConfig, detector: Detector) -> Timing:
    """Times of the machine behind a detector; thresholds that the settings leave open are the detector's.

    A threshold that is set without its release keeps the detector's proportion of the two, and the other way round.
    """
    proportion = detector.release / detector.threshold
    threshold, release = config.threshold, config.release_threshold
    if threshold is None:
        threshold = detector.threshold if release is None else max(detector.threshold, release)
    if release is None:
        release = threshold * proportion
    rate = detector.rate
    return Timing(
        hop=detector.hop,
        lag=detector.lag,
        threshold=threshold,
        release=release,
        start=ms_to_frames(config.speech_start_ms, rate),
        shortest=ms_to_frames(config.min_speech_ms, rate),
        end=ms_to_frames(config.speech_end_ms, rate),
        longest=ms_to_frames(config.max_utterance_ms or 0, rate),
    )
