"""A content model's sizes, from the shapes of its weights and, for what no shape tells, from its settings."""

import re
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from menura.errors import DamagedModelError, UnsupportedModelError
from menura.neural.files.source import shown
from menura.neural.files.weights import count_layers, need_shape
from menura.neural.nets.config import HubertConfig

__all__ = ["hubert_sizes"]

_USUAL_STRIDES = (5, 2, 2, 2, 2, 2, 2)
_USUAL_HEAD = 64
_LARGEST_STRIDE = 100


def hubert_sizes(stored: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], heads: int | None) -> HubertConfig:
    """The sizes of a content model.

    Args:
        stored: Its weights by Hugging Face's names, weight norm folded.
        settings: ``config.json`` or fairseq's settings of the model; may be empty.
        heads: Attention heads, where they are known.

    Raises:
        DamagedModelError: A weight that tells a size is missing or senseless.
        UnsupportedModelError: Neither weights nor settings tell a size.
    """
    shapes = [
        need_shape(stored, f"feature_extractor.conv_layers.{index}.conv.weight", 3)
        for index in range(max(1, count_layers(stored, "feature_extractor.conv_layers.{}.conv.weight")))
    ]
    hidden, _ = need_shape(stored, "feature_projection.projection.weight", 2)
    _, group, pos_kernel = need_shape(stored, "encoder.pos_conv_embed.conv.weight", 3)
    layered = "feature_extractor.conv_layers.1.layer_norm.weight" in stored
    return HubertConfig(
        hidden=hidden,
        intermediate=need_shape(stored, "encoder.layers.0.feed_forward.intermediate_dense.weight", 2)[0],
        heads=heads or _heads(settings, hidden),
        layers=count_layers(stored, "encoder.layers.{}.attention.q_proj.weight"),
        conv_dim=tuple(shape[0] for shape in shapes),
        conv_kernel=tuple(shape[2] for shape in shapes),
        conv_stride=_strides(settings, len(shapes)),
        pos_kernel=pos_kernel,
        pos_groups=max(1, hidden // group),
        eps=_eps(settings),
        conv_bias="feature_extractor.conv_layers.0.conv.bias" in stored,
        conv_norm="layer" if layered else "group",
        pre_norm=_pre_norm(settings, layered),
        projection=need_shape(stored, "final_proj.weight", 2)[0] if "final_proj.weight" in stored else 0,
    )


def _heads(settings: Mapping[str, Any], hidden: int) -> int:
    for name in ("num_attention_heads", "encoder_attention_heads"):
        value = settings.get(name)
        if type(value) is int and value > 0:
            return value
    if hidden % _USUAL_HEAD:
        raise UnsupportedModelError("it does not say how many attention heads it has: give heads=")
    return hidden // _USUAL_HEAD


def _eps(settings: Mapping[str, Any]) -> float:
    value = settings.get("layer_norm_eps", 1e-5)
    if not isinstance(value, float) or not 0 < value < 1:
        raise DamagedModelError(f"its settings have a layer_norm_eps of {shown(value)}")
    return value


def _pre_norm(settings: Mapping[str, Any], layered: bool) -> bool:
    for name in ("do_stable_layer_norm", "layer_norm_first"):
        if isinstance(settings.get(name), bool):
            return bool(settings[name])
    return layered


def _strides(settings: Mapping[str, Any], count: int) -> tuple[int, ...]:
    strides = settings.get("conv_stride")
    if isinstance(settings.get("conv_feature_layers"), str):
        strides = _written_strides(settings["conv_feature_layers"])
    if strides is None and count == len(_USUAL_STRIDES):
        return _USUAL_STRIDES
    whole = isinstance(strides, list | tuple) and len(strides) == count
    if not whole or any(type(n) is not int or not 0 < n <= _LARGEST_STRIDE for n in strides or ()):
        raise UnsupportedModelError(f"it does not say the strides of its {count} convolutions")
    return tuple(strides or ())


def _written_strides(text: str) -> list[int] | None:
    """Strides in fairseq's way of writing layers, ``[(512,10,5)] + [(512,3,2)] * 4``; fairseq evaluates it as code."""
    strides: list[int] = []
    for term in text[:500].split("+"):
        part = re.fullmatch(r"\s*\[((?:\(\d+,\s*\d+,\s*\d+\),?\s*)+)\]\s*(?:\*\s*(\d{1,2})\s*)?", term, re.ASCII)
        if part is None:
            return None
        found = [int(n) for n in re.findall(r"\(\d+,\s*\d+,\s*(\d{1,4})\)", part[1])]
        strides += found * int(part[2] or 1)
    return strides
