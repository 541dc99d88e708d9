"""A voice's sizes, from its ``config`` and from the shapes of its weights; where both tell, the shapes are right."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from menura.errors import DamagedModelError, UnsupportedModelError
from menura.neural.files.source import shown
from menura.neural.files.weights import count_layers, need_shape
from menura.neural.nets.config import SynthesizerConfig

__all__ = ["voice_sizes"]

_FIELDS = 18
_LAYERS, _RESBLOCK, _KERNELS, _DILATIONS, _RATES, _UP_KERNELS, _RATE = 6, 9, 10, 11, 12, 14, 17
_PARTS = {"1": "convs1", "2": "convs"}
"""What a residual block's convolutions are called, by its type."""
_STEPS = {"1": 3, "2": 2}
"""Of RVC's own residual blocks."""
_VERSIONS = {256: "v1", 768: "v2"}
_RATES_HZ = range(8_000, 192_001)
_LARGEST = 1 << 16


def voice_sizes(value: Mapping[Any, Any], stored: Mapping[str, NDArray[Any]]) -> SynthesizerConfig:
    """The sizes of a voice.

    Args:
        value: What the file holds.
        stored: Its weights, weight norm folded.

    Raises:
        DamagedModelError: A part of ``config`` or a weight that tells a size is missing or senseless.
        UnsupportedModelError: The voice takes content features that no known content model gives.
    """
    fields = _fields(value)
    hidden, features = need_shape(stored, "enc_p.emb_phone.weight", 2)
    if features not in _VERSIONS:
        raise UnsupportedModelError(
            f"it takes content features {features} wide: RVC's voices take 256 (v1) or 768 (v2)"
        )
    speakers, gin = need_shape(stored, "emb_g.weight", 2)
    initial, inter, _ = need_shape(stored, "dec.conv_pre.weight", 3)
    layers, filters, kernel, heads = _transformer(fields, stored, hidden)
    rates = _integers(fields[_RATES], "upsampling rates")
    kernels = _integers(fields[_KERNELS], "residual kernels")
    resblock = _resblock(fields[_RESBLOCK], stored)
    return SynthesizerConfig(
        version=_VERSIONS[features],
        f0="enc_p.emb_pitch.weight" in stored,
        rate=_rate(fields[_RATE], value.get("sr")),
        features=features,
        inter=inter,
        hidden=hidden,
        filter=filters,
        heads=heads,
        layers=layers,
        kernel=kernel,
        resblock=resblock,
        resblock_kernels=kernels,
        resblock_dilations=_used(_dilations(fields[_DILATIONS])[: len(kernels)], resblock, stored),
        upsample_rates=rates,
        upsample_initial=initial,
        upsample_kernels=_integers(fields[_UP_KERNELS], "upsampling kernels")[: len(rates)],
        speakers=speakers,
        gin=gin,
    )


def _fields(value: Mapping[Any, Any]) -> list[Any]:
    fields = value.get("config")
    if fields is None:
        raise DamagedModelError("it has no config: the file is no complete voice; export it again")
    if isinstance(fields, dict):
        fields = list(fields.values())
    if not isinstance(fields, list | tuple) or len(fields) != _FIELDS:
        count = len(fields) if isinstance(fields, list | tuple) else type(fields).__name__
        raise DamagedModelError(f"its config has {count} entries: an RVC voice's has {_FIELDS}")
    return list(fields)


def _transformer(fields: list[Any], stored: Mapping[str, NDArray[Any]], hidden: int) -> tuple[int, int, int, int]:
    """Layers of the text encoder, their filters, kernel and heads; one without layers is one for RVC too."""
    layers = count_layers(stored, "enc_p.encoder.attn_layers.{}.conv_q.weight")
    if not layers and type(fields[_LAYERS]) is int and fields[_LAYERS] == 0:
        return 0, hidden, 1, 1
    filters, _, kernel = need_shape(stored, "enc_p.encoder.ffn_layers.0.conv_1.weight", 3)
    head = need_shape(stored, "enc_p.encoder.attn_layers.0.emb_rel_k", 3)[-1]
    return layers, filters, kernel, max(1, hidden // head)


def _integers(value: Any, what: str) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= 16:
        raise DamagedModelError(f"its config has no list of {what}")
    if any(type(n) is not int or not 0 < n <= _LARGEST for n in value):
        raise DamagedModelError(f"its config has {what} that are no sizes: {shown(list(value))}")
    return tuple(value)


def _dilations(value: Any) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= 16:
        raise DamagedModelError("its config has no list of dilations")
    return tuple(_integers(row, "dilations") for row in value)


def _resblock(told: Any, stored: Mapping[str, Any]) -> str:
    """Type of the residual blocks."""
    for resblock, part in _PARTS.items():
        if f"dec.resblocks.0.{part}.0.weight" in stored:
            return resblock
    return shown(told, 8)


def _used(
    dilations: tuple[tuple[int, ...], ...], resblock: str, stored: Mapping[str, Any]
) -> tuple[tuple[int, ...], ...]:
    """Those that a voice has weights for: RVC's blocks take three, or two, and leave out what is told beyond."""
    if resblock not in _PARTS:
        return dilations
    steps = _STEPS[resblock]
    beyond = (f"dec.resblocks.{block}.{_PARTS[resblock]}.{steps}.weight" for block in range(len(dilations)))
    return tuple(row if name in stored else row[:steps] for row, name in zip(dilations, beyond, strict=True))


def _rate(*told: Any) -> int:
    """Sampling rate, Hz, as ``48000``, ``"48000"`` or ``"48k"``; the first that is one."""
    for value in told:
        if not isinstance(value, str | int | float):
            continue
        text = str(value).strip().lower()
        thousands = text.endswith("k")
        try:
            rate = round(float(text.removesuffix("k")) * (1000 if thousands else 1))
        except (ValueError, OverflowError):
            continue
        if rate in _RATES_HZ:
            return rate
    raise DamagedModelError(f"its config names no sampling rate: {', '.join(shown(value, 20) for value in told)}")
