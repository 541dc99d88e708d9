"""SimpleRVC: what changes a voice in a callback where there are no weights, by pitch and formants alone."""

import math
import threading
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menura.audio.block import Samples, as_block, finite
from menura.errors import ConfigError
from menura.live.callback import AudioCallbackConfig, StageCallback
from menura.live.session import VoiceSession
from menura.units import st_to_ratio
from menura.voices.build import VoiceStage
from menura.voices.voice import Category, StageSpec, Voice, VoiceParameters

__all__ = ["SimpleRVC", "SimpleStage", "check_number", "parameters_of"]

MAX_PITCH_ST, MAX_FORMANT_ST = 24.0, 12.0

_PLAIN = Voice(
    id="simple-rvc",
    name="Simple",
    category=Category.CUSTOM,
    description="Pitch and formants, no model",
    stages=(StageSpec("shift", MappingProxyType({})),),
)


def check_number(name: str, value: Any, low: float, high: float) -> float:
    """A setting as a float.

    Raises:
        ConfigError: It is no number, or outside.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise ConfigError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    return float(value)


def parameters_of(pitch_st: float, formant_st: float) -> VoiceParameters:
    """Pitch and formant shift, both in semitones, as a voice's parameters.

    Raises:
        ConfigError: Out of range.
    """
    pitch_st = check_number("pitch", pitch_st, -MAX_PITCH_ST, MAX_PITCH_ST)
    formant_st = check_number("formant", formant_st, -MAX_FORMANT_ST, MAX_FORMANT_ST)
    return VoiceParameters(pitch_st=pitch_st, formant=st_to_ratio(formant_st))


class SimpleStage(VoiceSession):
    """A Stage of pitch and formants, both settable from any thread while it runs.

    Args:
        rate: Hz.
        channels: Of every block.
        pitch_st: Pitch shift, semitones.
        formant_st: Formant shift, semitones.
    """

    def __init__(self, rate: int, channels: int = 1, *, pitch_st: float = 0.0, formant_st: float = 0.0) -> None:
        super().__init__(VoiceStage(_PLAIN, rate, channels, parameters=parameters_of(pitch_st, formant_st)))
        self.rate_in = self.rate_out = rate

    def turn(self, pitch_st: float, formant_st: float) -> None:
        """Change both without a click."""
        self.set(parameters_of(pitch_st, formant_st))

    def process(self, x: Samples) -> Samples:
        """Change the next block."""
        return super().process(finite(x))

    def flush(self) -> Samples:
        """The ``latency`` frames still held; then it is as new."""
        return self.finish()

    def reset(self) -> None:
        """Forget all audio."""
        self.finish()


class SimpleRVC:
    """Lightweight RVC for callbacks: needs no weights, and has none. All methods may be called from any thread.

    Args:
        f0_up_key: Pitch shift, semitones; may be set at any time.
        formant_shift: Formant shift, semitones; may be set at any time.
        device: Where a model would run; kept for whoever asks.
        is_half: Whether a model would run in half precision; the same.
        tgt_sr: Sample rate, Hz.
        if_f0: Whether the model uses pitch; 0 leaves the pitch alone.
        version: Of the model's format.
        model_loaded: Whether there is a model; for whoever asks.
        hubert_loaded: The same.

    Raises:
        ConfigError: A setting has a value it cannot have.

    >>> SimpleRVC(f0_up_key=5.0, tgt_sr=16_000).infer_simple(np.zeros(256, np.float32)).shape
    (256,)
    """

    def __init__(  # noqa: PLR0913 - all by name, as documented
        self,
        f0_up_key: float = 0.0,
        formant_shift: float = 0.0,
        *,
        device: str = "cpu",
        is_half: bool = False,
        tgt_sr: int = 16_000,
        if_f0: int = 1,
        version: str = "v2",
        model_loaded: bool = False,
        hubert_loaded: bool = False,
    ) -> None:
        self.device, self.is_half, self.if_f0, self.version = device, is_half, if_f0, version
        self.model_loaded, self.hubert_loaded = model_loaded, hubert_loaded
        self.tgt_sr = tgt_sr
        self._f0_up_key, self._formant_shift = f0_up_key, formant_shift
        self._stage = self.stage(tgt_sr)
        self._lock = threading.Lock()

    def stage(self, rate: int, channels: int = 1) -> SimpleStage:
        """Another with these settings, for a stream of its own."""
        return SimpleStage(rate, channels, pitch_st=self._pitch_st, formant_st=self._formant_shift)

    def callback(self, config: AudioCallbackConfig) -> StageCallback:
        """An audio callback with these settings."""
        config.check()
        return StageCallback(self.stage(config.sample_rate, config.channels), config.channels)

    @property
    def _pitch_st(self) -> float:
        return self._f0_up_key if self.if_f0 else 0.0

    @property
    def f0_up_key(self) -> float:
        """Pitch shift, semitones."""
        return self._f0_up_key

    @f0_up_key.setter
    def f0_up_key(self, value: float) -> None:
        self._turn(value, self._formant_shift)

    @property
    def formant_shift(self) -> float:
        """Formant shift, semitones."""
        return self._formant_shift

    @formant_shift.setter
    def formant_shift(self, value: float) -> None:
        self._turn(self._f0_up_key, value)

    def _turn(self, pitch_st: float, formant_st: float) -> None:
        parameters_of(pitch_st, formant_st)
        self._f0_up_key, self._formant_shift = pitch_st, formant_st
        self._stage.turn(self._pitch_st, formant_st)

    @property
    def latency(self) -> int:
        """Frames by which what :meth:`infer_simple` returns lags."""
        return self._stage.latency

    def infer_simple(self, input: ArrayLike) -> NDArray[np.float32]:  # noqa: A002 - as documented
        """Change the next block of one stream.

        Shape:
            input: ``[n]`` or ``[n, 1]`` at ``tgt_sr``; NaN is silence, infinities are full scale.

        Returns:
            As many samples in the same shape, late by :attr:`latency`.

        Raises:
            FormatError: It has another shape, or holds integers.
        """
        block = as_block(input, 1)
        with self._lock:
            return self._stage.process(block).reshape(np.shape(input))

    def reset(self) -> None:
        """Forget all audio."""
        with self._lock:
            self._stage.reset()
