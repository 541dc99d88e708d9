"""Effects that a user puts after a voice: a catalogue with ranges, and the chain they make."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from menura.dsp.chain import Chain
from menura.dsp.dynamics import Limiter
from menura.dsp.stage import Stage
from menura.errors import ConfigError
from menura.voices.build import KINDS

__all__ = ["EFFECTS", "MAX_EFFECTS", "Effect", "EffectKind", "EffectParam", "check_effects", "make_effects"]

MAX_EFFECTS = 8
"""Longest chain."""


@dataclass(frozen=True, slots=True)
class EffectParam:
    """A parameter of an effect.

    Attributes:
        name: In messages.
        label: For people.
        unit: Of the number; "" where it has none.
        min, max, default, step: Of the number; a step of 1 means whole numbers.
    """

    name: str
    label: str
    unit: str
    min: float
    max: float
    default: float
    step: float
    type: str = "number"

    def checked(self, kind: str, value: object) -> float:
        """The value, if it can have it.

        Raises:
            ConfigError: It cannot.
        """
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.min <= value <= self.max:
            wanted = f"a number from {self.min:g} to {self.max:g}"
            raise ConfigError(f"{kind}: {self.name} must be {wanted}, not {repr(value)[:40]}")
        if self.step == 1.0 and self.unit == "" and value != int(value):
            raise ConfigError(f"{kind}: {self.name} must be a whole number, not {value!r}")
        return float(value)


@dataclass(frozen=True, slots=True)
class EffectKind:
    """A kind of effect.

    Attributes:
        make: Called with rate, channels and all parameters.
    """

    kind: str
    name: str
    description: str
    params: tuple[EffectParam, ...]
    make: Callable[..., Stage] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "description": self.description,
            "params": [asdict(param) for param in self.params],
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect with all its parameters; one that is not enabled is passed by."""

    kind: str
    params: Mapping[str, float]
    enabled: bool = True

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"kind": self.kind, "params": dict(self.params), "enabled": self.enabled}


def _chorus(rate: int, channels: int, *, voices: float, **params: float) -> Stage:
    return KINDS["chorus"](rate, channels, voices=int(voices), **params)


_P = EffectParam
_SHARE = ("", 0.0, 1.0)
_KINDS = (
    EffectKind("equalizer", "Equalizer", "Bass, middle and treble", (
        _P("bass_db", "Bass", "dB", -18.0, 18.0, 0.0, 0.5),
        _P("mid_db", "Middle", "dB", -18.0, 18.0, 0.0, 0.5),
        _P("treble_db", "Treble", "dB", -18.0, 18.0, 0.0, 0.5),
    ), KINDS["equalizer"]),
    EffectKind("compressor", "Compressor", "Brings loud and quiet closer together", (
        _P("threshold_db", "Threshold", "dB", -60.0, 0.0, -20.0, 1.0),
        _P("ratio", "Ratio", "", 1.0, 20.0, 3.0, 0.1),
        _P("knee_db", "Knee", "dB", 0.0, 24.0, 6.0, 0.5),
        _P("makeup_db", "Make-up gain", "dB", 0.0, 24.0, 0.0, 0.5),
    ), KINDS["compressor"]),
    EffectKind("gate", "Noise gate", "Silent while nobody speaks", (
        _P("threshold_db", "Threshold", "dB", -80.0, -10.0, -50.0, 1.0),
        _P("hysteresis_db", "Hysteresis", "dB", 0.0, 24.0, 6.0, 0.5),
        _P("floor_db", "Floor", "dB", -90.0, 0.0, -60.0, 1.0),
        _P("hold_ms", "Hold", "ms", 0.0, 1000.0, 120.0, 10.0),
    ), KINDS["gate"]),
    EffectKind("gain", "Gain", "Louder or quieter", (
        _P("gain_db", "Gain", "dB", -40.0, 20.0, 0.0, 0.5),
    ), KINDS["gain"]),
    EffectKind("reverb", "Reverb", "The sound of a room", (
        _P("room", "Room size", *_SHARE, 0.5, 0.01),
        _P("damping", "Damping", *_SHARE, 0.4, 0.01),
        _P("wet", "Mix", *_SHARE, 0.25, 0.01),
    ), KINDS["reverb"]),
    EffectKind("echo", "Echo", "Echoes that repeat and fade", (
        _P("delay_ms", "Delay", "ms", 20.0, 2000.0, 280.0, 10.0),
        _P("feedback", "Feedback", "", 0.0, 0.95, 0.35, 0.01),
        _P("mix", "Mix", *_SHARE, 0.35, 0.01),
        _P("damp_hz", "Damping", "Hz", 500.0, 12000.0, 5000.0, 100.0),
    ), KINDS["echo"]),
    EffectKind("chorus", "Chorus", "Several voices from one", (
        _P("rate_hz", "Rate", "Hz", 0.05, 10.0, 0.8, 0.05),
        _P("depth_ms", "Depth", "ms", 0.0, 7.5, 2.0, 0.1),
        _P("delay_ms", "Delay", "ms", 8.0, 60.0, 16.0, 0.5),
        _P("mix", "Mix", *_SHARE, 0.5, 0.01),
        _P("voices", "Voices", "", 1.0, 8.0, 3.0, 1.0),
    ), _chorus),
    EffectKind("drive", "Drive", "Saturation, from warm to rasping", (
        _P("drive_db", "Drive", "dB", -20.0, 40.0, 12.0, 0.5),
        _P("bias", "Bias", "", -1.0, 1.0, 0.0, 0.05),
        _P("level_db", "Level", "dB", -40.0, 0.0, -6.0, 0.5),
    ), KINDS["drive"]),
    EffectKind("tremolo", "Tremolo", "Loudness that swings", (
        _P("rate_hz", "Rate", "Hz", 0.1, 20.0, 5.0, 0.1),
        _P("depth", "Depth", *_SHARE, 0.5, 0.01),
    ), KINDS["tremolo"]),
    EffectKind("vibrato", "Vibrato", "Pitch that swings", (
        _P("rate_hz", "Rate", "Hz", 0.5, 20.0, 5.5, 0.1),
        _P("depth_st", "Depth", "st", 0.0, 2.0, 0.4, 0.05),
    ), KINDS["vibrato"]),
    EffectKind("ring_modulator", "Ring modulator", "Metallic, like an alien", (
        _P("freq_hz", "Frequency", "Hz", 1.0, 2000.0, 50.0, 1.0),
        _P("mix", "Mix", *_SHARE, 1.0, 0.01),
    ), KINDS["ring_modulator"]),
    EffectKind("hiss", "Radio hiss", "Noise and crackle under the voice", (
        _P("level_db", "Level", "dB", -80.0, -20.0, -46.0, 1.0),
        _P("crackle_hz", "Crackle", "Hz", 0.0, 50.0, 0.0, 0.5),
    ), KINDS["hiss"]),
    EffectKind("robot", "Robot", "Speech on one pitch", (
        _P("pitch_hz", "Pitch", "Hz", 40.0, 500.0, 110.0, 1.0),
    ), KINDS["robot"]),
    EffectKind("whisper", "Whisper", "Speech without voice", (), KINDS["whisper"]),
)  # fmt: skip
EFFECTS: Mapping[str, EffectKind] = MappingProxyType({kind.kind: kind for kind in _KINDS})
"""Every kind of effect there is, in the order of a menu."""


def check_effects(effects: Iterable[Mapping[str, Any]]) -> tuple[Effect, ...]:
    """Effects from outside, with what is missing filled in.

    Args:
        effects: Each with ``kind``, and maybe ``params`` and ``enabled``.

    Raises:
        ConfigError: There are too many, or one has a kind, a parameter or a value that it cannot have; the text names
            it.

    >>> check_effects([{"kind": "gain", "params": {"gain_db": -3}}])
    (Effect(kind='gain', params=mappingproxy({'gain_db': -3.0}), enabled=True),)
    """
    given = list(effects)
    if len(given) > MAX_EFFECTS:
        raise ConfigError(f"a chain has at most {MAX_EFFECTS} effects, not {len(given)}")
    return tuple(_checked(effect) for effect in given)


def _checked(effect: Mapping[str, Any]) -> Effect:
    found = EFFECTS.get(effect["kind"])
    if found is None:
        raise ConfigError(f"unknown effect {str(effect['kind'])[:40]!r}; there are {', '.join(EFFECTS)}")
    params = effect.get("params") or {}
    names = [param.name for param in found.params]
    if unknown := sorted(set(params) - set(names)):
        raise ConfigError(
            f"{found.kind}: unknown parameter {str(unknown[0])[:40]!r}; there are {', '.join(names) or 'none'}"
        )
    values = {param.name: param.checked(found.kind, params.get(param.name, param.default)) for param in found.params}
    return Effect(found.kind, MappingProxyType(values), bool(effect.get("enabled", True)))


def make_effects(effects: Iterable[Effect], rate: int, channels: int = 1) -> Chain:
    """The chain of those that are enabled, then a limiter; without any it passes all through, without delay.

    >>> make_effects(check_effects([{"kind": "reverb"}]), 48000).latency == make_effects((), 48000).latency
    False

    Raises:
        ConfigError: An effect cannot be at this rate.
    """
    stages = [EFFECTS[effect.kind].make(rate, channels, **effect.params) for effect in effects if effect.enabled]
    return Chain([*stages, Limiter(rate, channels)] if stages else [], rate)
