"""An RVC voice file: its sizes, its weights and what it says about itself, checked against each other."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.checkpoint import read_opened
from menura.neural.files.kinds import ModelKind, kind_of, table_of
from menura.neural.files.source import ModelSource, open_source, shown
from menura.neural.files.voice_layout import voice_layout
from menura.neural.files.voice_sizes import voice_sizes
from menura.neural.files.weights import MOST_LAYERS, Arrays, count_layers, fold_weight_norm, only_arrays, single
from menura.neural.nets.config import SynthesizerConfig

__all__ = ["VoiceCheckpoint", "read_voice", "voice_parts", "voice_words"]

_PLAYED_VOCODERS = ("", "hifi-gan", "nsf-hifi-gan", "hifigan", "nsf-hifigan", "default")
_TOLD = ("info", "model_name", "author", "epoch", "step", "creation_date", "dataset_length", "model_hash")
_NAMED_AT_MOST = 5
_LARGEST = 1 << 53


@dataclass(frozen=True, slots=True, eq=False)
class VoiceCheckpoint:
    """An RVC voice, ready for its networks.

    Attributes:
        config: Its sizes.
        weights: By RVC's own names, weight norm folded, float32. They are copies: the file may go.
        info: What its maker wrote, or "".
        embedder: Content model it was trained with, as the file names it: ``contentvec`` where it says nothing.
        about: What else the file says of itself (author, epoch, …), short texts and numbers.
        ignored: Names of weights that no network uses.
    """

    config: SynthesizerConfig
    weights: Mapping[str, NDArray[np.float32]]
    info: str = ""
    embedder: str = "contentvec"
    about: Mapping[str, str | int | float] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def read_voice(source: ModelSource) -> VoiceCheckpoint:
    """Read an RVC voice (``.pth``), of RVC or of a tool that writes its format.

    Sizes are taken from the weights wherever weights tell them, from the file's ``config`` where not (rates,
    dilations): so a wrong number of speakers, or a version that is missing, does no harm.

    Args:
        source: A path, or a file's bytes.

    Raises:
        FileError: The file cannot be opened.
        UnsafeModelError: It wants to run code, or is built to exhaust or mislead its reader.
        DamagedModelError: It is cut short, lacks weights, or contradicts itself.
        UnsupportedModelError: It is something else, or a voice with a decoder of another kind; the text says what.
    """
    opened = open_source(source, stays=False)
    with opened.errors():
        return _voice(read_opened(opened))


def _voice(value: Any) -> VoiceCheckpoint:
    kind = kind_of(value)
    if kind is not ModelKind.VOICE:
        raise UnsupportedModelError(f"it is {kind}" if kind is not ModelKind.OTHER else _not_a_voice(value))
    config, used, ignored = voice_parts(value)
    info, embedder, about = voice_words(value)
    return VoiceCheckpoint(config, single(used, copy=True), info, embedder, about, ignored)


def voice_parts(value: Any, *, values: bool = True) -> tuple[SynthesizerConfig, Arrays, tuple[str, ...]]:
    """Sizes of a voice, the weights its networks use, and the names of those they do not.

    Args:
        value: What the file holds.
        values: False: only shapes are wanted, and nothing is computed.

    Raises:
        ModelError: As :func:`read_voice`.
    """
    _check_vocoder(value)
    stored = only_arrays(table_of(value))
    stored = {name: array for name, array in stored.items() if not name.startswith("enc_q.")}
    stored = fold_weight_norm(stored, values=values)
    config = voice_sizes(value, stored)
    layout = voice_layout(config, *_flow(stored))
    _check(stored, layout)
    used = {name: stored[name] for name in layout}
    return config, used, tuple(sorted(name for name in stored if name not in layout))


def voice_words(value: Mapping[Any, Any]) -> tuple[str, str, dict[str, str | int | float]]:
    """What a voice says of itself: its maker's words, its content model, and the rest."""
    return _text(value.get("info")), _text(value.get("embedder_model")) or "contentvec", _about(value)


def _not_a_voice(value: Any) -> str:
    if not isinstance(value, dict):
        return f"it holds a {type(value).__name__}, not a voice"
    keys = ", ".join(shown(key, 30) for key in list(value)[:_NAMED_AT_MOST])
    return f"it is no voice: an RVC voice has weight and config; this has {keys or 'nothing'}"


def _check_vocoder(value: Mapping[Any, Any]) -> None:
    vocoder = _text(value.get("vocoder"))
    keys = table_of(value)
    if vocoder.lower() not in _PLAYED_VOCODERS:
        raise UnsupportedModelError(f"its decoder is {shown(vocoder)}: menura plays voices with RVC's own, HiFi-GAN")
    if any(isinstance(key, str) and key.startswith("dec.mrfs.") for key in keys):
        raise UnsupportedModelError("its decoder is MRF HiFi-GAN: menura plays voices with RVC's own, HiFi-GAN")


def _flow(stored: Mapping[str, Any]) -> tuple[list[int], int]:
    """Numbers of the flow's couplings, and how many gated layers each has."""
    found = [re.fullmatch(r"flow\.flows\.(\d{1,4})\.pre\.weight", name) for name in stored]
    couplings = sorted(int(match[1]) for match in found if match)
    if not couplings:
        raise DamagedModelError("weight flow.flows.0.pre.weight is missing: the file is no complete voice")
    if len(couplings) > MOST_LAYERS:
        raise UnsafeModelError(f"it has more than {MOST_LAYERS} layers of one kind: no network has")
    return couplings, count_layers(stored, f"flow.flows.{couplings[0]}.enc.in_layers.{{}}.weight")


def _check(stored: Mapping[str, NDArray[Any]], layout: Mapping[str, tuple[int | None, ...]]) -> None:
    absent = [name for name in layout if name not in stored]
    if absent:
        named = ", ".join(absent[:_NAMED_AT_MOST]) + ("" if len(absent) <= _NAMED_AT_MOST else ", …")
        raise DamagedModelError(f"{len(absent)} of its {len(layout)} weights are missing ({named})")
    for name, shape in layout.items():
        got = stored[name].shape
        if len(got) != len(shape) or any(want not in (None, n) or not n for want, n in zip(shape, got, strict=True)):
            wanted = "×".join("?" if n is None else str(n) for n in shape)
            raise DamagedModelError(f"weight {name} is {'×'.join(map(str, got))}; the voice's sizes say {wanted}")


def _text(value: Any) -> str:
    return shown(value, 500) if isinstance(value, str) else ""


def _about(value: Mapping[Any, Any]) -> dict[str, str | int | float]:
    told = {key: value[key] for key in _TOLD if isinstance(value.get(key), str | int | float)}
    # numbers that every reader of JSON takes
    kept = {key: item for key, item in told.items() if isinstance(item, str) or abs(item) < _LARGEST}
    return {key: shown(item, 500) if isinstance(item, str) else item for key, item in kept.items()}
