"""The options of an RVC voice: names, ranges, defaults, presets, for voices, ``GUIConfig``, command line and docs."""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np

from menura.errors import ConfigError
from menura.neural.options import Provider
from menura.neural.stream.settings import RANGES, RvcSettings, Unvoiced

__all__ = ["OPTIONS", "PITCH_METHODS", "PRECISIONS", "QUALITIES", "Kind", "RvcOption"]

PITCH_METHODS = ("rmvpe", "fcpe", "swift", "tracker")
SCHEMES = ("menura", "official")
PRECISIONS = ("auto", "fp32", "int8", "bf16", "fp16")
DECODERS = ("auto", "fp32", "bf16")
QUALITIES: Mapping[str, Mapping[str, Any]] = {
    "best": {"precision": "fp32", "decoder": "fp32", "context_ms": 2000.0},
    "balanced": {"precision": "fp32", "decoder": "fp32", "context_ms": 1000.0},
    "fast": {"precision": "auto", "decoder": "auto", "context_ms": 1000.0},
    "lightest": {"precision": "auto", "decoder": "auto", "context_ms": 500.0},
}
"""What each preset stands for: options that may also be given by themselves, and then count."""
_NO_MODEL = "'tracker' needs no model either, and 'rmvpe' is misled least"
ADVICE: Mapping[str, str] = {
    "pm": _NO_MODEL,
    "harvest": _NO_MODEL,
    "dio": _NO_MODEL,
    "crepe": "'rmvpe' finds it better and costs less",
    "mangio-crepe": "'rmvpe' finds it better and costs less",
    "crepe-tiny": "'swift' is as small",
    "rmvpe_gpu": "say 'rmvpe', and provider 'cuda'",
    "rmvpe+": "say 'rmvpe'",
    "hybrid": "'rmvpe' by itself is misled least",
}
"""What to ask for instead of a pitch method of other programs."""


class Kind(StrEnum):
    """What a value is."""

    NUMBER = "number"
    WHOLE = "whole"
    CHOICE = "choice"
    SWITCH = "switch"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class RvcOption:
    """An option of a voice's stage ``rvc``.

    Attributes:
        name: In the stage.
        what: What it does, in a line.
        kind: Of its value.
        default: Where it is not given; None where ``quality`` says it, or nothing stands for it.
        low, high: Range of a number.
        unit: Of a number.
        choices: Values of a choice.
        gui: Its name in ``GUIConfig``; "" for none.
        gui_unit: Its unit there, where that is another.
        gui_range: Its range there, where that is another.
        live: Whether it may change while the voice speaks.
    """

    name: str
    what: str
    kind: Kind
    default: Any = None
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    choices: tuple[str, ...] = ()
    gui: str = ""
    gui_unit: str = ""
    gui_range: tuple[float, float] | None = None
    live: bool = False

    def check(self, value: Any, *, gui: bool = False) -> None:
        """See that it can have this value.

        Args:
            value: Which.
            gui: It is ``GUIConfig``'s: with its name and its range.

        Raises:
            ConfigError: It cannot; the text says what it can.
        """
        name = self.gui if gui else self.name
        if self.kind is Kind.CHOICE:
            if not isinstance(value, str) or value not in self.choices:
                hint = f": {ADVICE[value]}" if self.name == "pitch" and value in ADVICE else ""
                raise ConfigError(f"{name} must be one of {', '.join(self.choices)}, not {value!r}{hint}")
        elif self.kind is Kind.SWITCH:
            if not isinstance(value, bool):
                raise ConfigError(f"{name} must be true or false, not {value!r}")
        elif self.kind is Kind.FILE:
            if not isinstance(value, str | os.PathLike):
                raise ConfigError(f"{name} must be a path, not {value!r}")
        else:
            self._check_number(name, value, (self.gui_range if gui else None) or (self.low, self.high))

    def _check_number(self, name: str, value: Any, limits: tuple[float, float]) -> None:
        low, high = limits
        type_ = int | np.integer if self.kind is Kind.WHOLE else Real
        number = isinstance(value, type_) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low <= value <= high:
            what = "a whole number" if self.kind is Kind.WHOLE else "a number"
            upper = f" to {high:g}" if math.isfinite(high) else ""
            raise ConfigError(f"{name} must be {what} from {low:g}{upper}, not {value!r}")

    def parse(self, text: str) -> Any:
        """A value as people write it.

        Raises:
            ConfigError: It cannot be.

        >>> OPTIONS["context_ms"].parse("600"), OPTIONS["adapt"].parse("off")
        (600.0, False)
        """
        value: Any = text
        if self.kind is Kind.SWITCH:
            value = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}.get(text, text)
        elif self.kind in (Kind.NUMBER, Kind.WHOLE):
            with suppress(ValueError):
                value = float(text) if self.kind is Kind.NUMBER else int(text)
        self.check(value)
        return value


def _setting(name: str, gui: str, unit: str, what: str, **more: Any) -> RvcOption:
    """One of those that may change while the voice speaks, with the range and the default that it has there."""
    (default,) = (field.default for field in fields(RvcSettings) if field.name == name)
    assert default is not MISSING
    if name in RANGES:
        low, high = RANGES[name]
        return RvcOption(name, what, Kind.NUMBER, default, low, high, unit, gui=gui, live=True, **more)
    if isinstance(default, StrEnum):
        return RvcOption(name, what, Kind.CHOICE, str(default), choices=tuple(Unvoiced), gui=gui, live=True)
    return RvcOption(name, what, Kind.WHOLE, default, 0.0, gui=gui, live=True)


def _file(name: str, gui: str, what: str) -> RvcOption:
    return RvcOption(name, what, Kind.FILE, gui=gui)


def _choice(name: str, choices: tuple[str, ...], default: str | None, what: str, gui: str = "") -> RvcOption:
    return RvcOption(name, what, Kind.CHOICE, default, choices=choices, gui=gui)


def _whole(name: str, high: float, what: str, gui: str = "") -> RvcOption:
    return RvcOption(name, what, Kind.WHOLE, 0, 0.0, high, gui=gui)


_ALL = (
    _setting("key_st", "pitch", "st", "semitones", gui_range=(-24.0, 24.0)),
    _setting("formant_st", "formant", "st", "semitones; above 0, a smaller speaker"),
    _setting("index_rate", "index_rate", "", "share of the training's own features; 0.5 after an import with an index"),
    _setting("protect", "protect", "", "below 0.5, consonants keep that share of what was said"),
    _setting("rms_mix_rate", "rms_mix_rate", "", "1: the model's loudness; 0: the speaker's"),
    _setting("gate_db", "threshold", "dBFS", "level below which nothing is said; −120 for never"),
    _setting("speaker", "speaker_id", "", "of the voice's speakers"),
    _setting("target_hz", "", "Hz", "median pitch the speaker is brought to, whoever speaks; 0 for none"),
    _setting("unvoiced", "", "", "what stands for a missing pitch"),
    _setting("noise", "", "", "of the network's own randomness; 0 gives always the same"),
    _choice("quality", tuple(QUALITIES), "balanced", "precision and context, where they are not given", "quality"),
    _choice("precision", PRECISIONS, None, "what networks compute in; pitch always in fp32", "precision"),
    _choice("decoder", DECODERS, None, "what the decoder, which is heard, computes in on a processor", "decoder"),
    RvcOption(
        "context_ms", "what the model hears before a block", Kind.NUMBER, None, 140.0, 30_000.0, "ms",
        gui="extra_time", gui_unit="s", gui_range=(0.14, 30.0),
    ),
    RvcOption("adapt", "whether the context is shorter while blocks take too long", Kind.SWITCH, True, gui="adapt"),
    RvcOption(
        "block_ms", "new audio for each computation: shorter is sooner, and costs more", Kind.NUMBER, 240.0,
        20.0, 30_000.0, "ms", gui="block_time", gui_unit="s", gui_range=(0.02, 30.0),
    ),
    _choice("scheme", SCHEMES, "menura", "how blocks are computed and joined"),
    _choice("pitch", PITCH_METHODS, "rmvpe", "how pitch is found; `tracker` needs no model", "f0method"),
    _file("pitch_model", "rmvpe_path", "the file of rmvpe or fcpe, where it is not the pulled one"),
    _choice("provider", tuple(Provider), "cpu", "where networks run", "provider"),
    _whole("threads", 64, "of a computation on a processor; 0: as many as it has cores, 8 at most", "n_cpu"),
    _whole("device", 15, "number of the GPU"),
    _file("model", "pth_path", "the voice"),
    _file("index", "index_path", "its index"),
    _file("content", "hubert_path", "the content model, where it is not the pulled one"),
)  # fmt: skip
OPTIONS: Mapping[str, RvcOption] = MappingProxyType({option.name: option for option in _ALL})
"""All, by their names in a voice's stage."""
