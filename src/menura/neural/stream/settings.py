"""What a user may turn of an RVC voice while it speaks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real

import numpy as np

from menura.errors import ConfigError

__all__ = ["RANGES", "RvcSettings", "Unvoiced"]


class Unvoiced(StrEnum):
    """What the synthesizer is told where there is no pitch: none, or what lies between the neighbours.

    Most shared voices were trained with none; the newest version of RVC trains with the other.
    """

    ZERO = "zero"
    INTERPOLATE = "interpolate"


RANGES: Mapping[str, tuple[float, float]] = {
    "key_st": (-36.0, 36.0),
    "formant_st": (-12.0, 12.0),
    "index_rate": (0.0, 1.0),
    "protect": (0.0, 0.5),
    "rms_mix_rate": (0.0, 1.0),
    "gate_db": (-120.0, 0.0),
    "noise": (0.0, 1.0),
    "target_hz": (0.0, 1000.0),
}


@dataclass(frozen=True, slots=True)
class RvcSettings:
    """Settings of an RVC voice.

    Attributes:
        key_st: Pitch shift, semitones.
        formant_st: Formant shift, semitones.
        index_rate: Share of the training's own features, where the voice has an index.
        protect: Below 0.5 consonants keep that share of the unmixed features.
        rms_mix_rate: 1 leaves the model's loudness, 0 takes the speaker's.
        gate_db: RMS level below which the speaker is taken for silent, dBFS; −120 for never.
        speaker: Of the voice's speakers.
        unvoiced: What stands for a missing pitch.
        noise: Scale of the randomness the network was trained with; 0 is deterministic.
        target_hz: Median pitch to bring the speaker to, on top of which ``key_st`` comes; 0 leaves the register alone.

    Raises:
        ConfigError: A value it cannot have.
    """

    key_st: float = 0.0
    formant_st: float = 0.0
    index_rate: float = 0.0
    protect: float = 0.5
    rms_mix_rate: float = 1.0
    gate_db: float = -60.0
    speaker: int = 0
    unvoiced: Unvoiced = Unvoiced.ZERO
    noise: float = 1.0
    target_hz: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            number = type(value) is not bool and isinstance(value, Real) and math.isfinite(value)
            if not number or not low <= float(value) <= high:
                raise ConfigError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
        if isinstance(self.speaker, bool) or not isinstance(self.speaker, int | np.integer) or self.speaker < 0:
            raise ConfigError(f"speaker must be a whole number from 0, not {self.speaker!r}")
        object.__setattr__(self, "speaker", int(self.speaker))
        try:
            object.__setattr__(self, "unvoiced", Unvoiced(self.unvoiced))
        except ValueError:
            raise ConfigError(f"unvoiced must be one of {', '.join(Unvoiced)}, not {self.unvoiced!r}") from None
