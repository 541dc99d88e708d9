"""What a voice is: data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from menura.errors import ConfigError

__all__ = ["PARAMETER_RANGES", "Category", "StageSpec", "Voice", "VoiceParameters"]


class Category(StrEnum):
    """Kind of voice, as a listener would sort them."""

    REALISTIC = "realistic"
    CHARACTER = "character"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage of a voice: its kind (a name of :data:`menura.voices.build.KINDS`) and its parameters."""

    kind: str
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice: who it is, and the chain of stages that makes it.

    Attributes:
        register_hz: Median pitch it aims at, for voices that adapt to who speaks; None for the others.
    """

    id: str
    name: str
    category: Category
    description: str
    stages: tuple[StageSpec, ...]

    @property
    def register_hz(self) -> float | None:
        """Median pitch the voice aims at; None if it follows the speaker's."""
        for spec in self.stages:
            if target := spec.params.get("target_hz"):
                return float(target)
        return None


PARAMETER_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"pitch_st": (-24.0, 24.0), "formant": (0.5, 2.0), "mix": (0.0, 1.0)}
)
"""Lowest and highest value of each parameter."""


@dataclass(frozen=True, slots=True)
class VoiceParameters:
    """What a user may turn while a voice runs, on top of the voice's own setting.

    Attributes:
        pitch_st: Semitones added.
        formant: Factor on the formants: above 1 a smaller throat.
        mix: Share of the changed voice; the rest is the unchanged one, equally late.
    """

    pitch_st: float = 0.0
    formant: float = 1.0
    mix: float = 1.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            low, high = PARAMETER_RANGES[item.name]
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(f"{item.name} must be a number from {low:g} to {high:g}, not {repr(value)[:40]}")

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with some values replaced.

        Raises:
            ConfigError: An unknown name, or a value out of range; the text names it.
        """
        known = {item.name for item in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ConfigError(f"unknown parameter {unknown[0]!r}; there are {', '.join(sorted(known))}")
        return replace(self, **changes)

    def as_dict(self) -> dict[str, float]:
        """The values by name."""
        return {name: float(value) for name, value in asdict(self).items()}
