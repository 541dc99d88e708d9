"""HuBERT and ContentVec, as fairseq and as Hugging Face keep them, under one naming."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import DamagedModelError, FileError, ModelError, UnsupportedModelError
from menura.neural.files.checkpoint import read_opened
from menura.neural.files.hubert_sizes import hubert_sizes
from menura.neural.files.kinds import ModelKind, kind_of, table_of
from menura.neural.files.opaque import Opaque
from menura.neural.files.source import ModelSource, open_source, shown
from menura.neural.files.weights import Arrays, fold_weight_norm, only_arrays, single
from menura.neural.nets.config import HubertConfig

__all__ = ["HubertCheckpoint", "hubert_parts", "read_hubert", "weights_file"]

_RENAMED = (
    (r"mask_emb", "masked_spec_embed"),
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.(weight|bias)", r"feature_extractor.conv_layers.\1.conv.\2"),
    (
        r"feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?(weight|bias)",
        r"feature_extractor.conv_layers.\1.layer_norm.\2",
    ),
    (r"layer_norm\.(weight|bias)", r"feature_projection.layer_norm.\1"),
    (r"post_extract_proj\.(weight|bias)", r"feature_projection.projection.\1"),
    (r"encoder\.pos_conv\.0\.(.+)", r"encoder.pos_conv_embed.conv.\1"),
    (r"encoder\.layers\.(\d+)\.self_attn\.(.+)", r"encoder.layers.\1.attention.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(.+)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.fc1\.(.+)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.fc2\.(.+)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
)
"""fairseq's names, and Hugging Face's for the same; what is not here has one name in both."""

_FILES = ("model.safetensors", "pytorch_model.bin")
_LARGEST_CONFIG = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class HubertCheckpoint:
    """A content model, ready for its network.

    Attributes:
        config: Its sizes.
        weights: By Hugging Face's names without a prefix, the positional convolution's weight norm folded, float32.
            Those that are float32 in the file stay there, mapped: it must not be shortened while they are in use.
        ignored: Names of weights that no network uses.
    """

    config: HubertConfig
    weights: Mapping[str, NDArray[np.float32]]
    ignored: tuple[str, ...] = ()


def read_hubert(source: ModelSource, *, heads: int | None = None) -> HubertCheckpoint:
    """Read a content model: HuBERT or ContentVec, with or without ``final_proj``.

    Args:
        source: fairseq's file (``hubert_base.pt``, ``checkpoint_best_legacy_500.pt``), a Hugging Face folder with
            ``config.json`` and ``model.safetensors`` or ``pytorch_model.bin``, one of these two files, or bytes of
            either kind.
        heads: Attention heads, which no weight tells. None: as the file's settings say, or ``config.json`` beside it;
            without these, 64 channels each.

    Raises:
        FileError: The file or folder cannot be opened.
        UnsafeModelError: It wants to run code, or is built to exhaust or mislead its reader.
        DamagedModelError: It is cut short, lacks weights, or contradicts itself.
        UnsupportedModelError: It is something else; the text says what.
    """
    path = weights_file(source) if isinstance(source, str | PathLike) else None
    opened = open_source(source if path is None else path)
    with opened.errors():
        value = read_opened(opened)
        kind = kind_of(value)
        if kind is not ModelKind.HUBERT:
            raise UnsupportedModelError(f"it is {kind}: a HuBERT or ContentVec content model is needed here")
        config, used, ignored = hubert_parts(value, path, heads)
        return HubertCheckpoint(config, single(used), ignored)


def weights_file(source: str | PathLike[str]) -> Path:
    """The file of weights in a Hugging Face folder; any other path is what it is.

    Raises:
        FileError: The folder has none.
    """
    path = Path(source)
    if not path.is_dir():
        return path
    for name in _FILES:
        if (path / name).is_file():
            return path / name
    raise FileError(f"{path}: has neither {' nor '.join(_FILES)}")


def hubert_parts(
    value: Any, path: Path | None, heads: int | None = None, *, values: bool = True
) -> tuple[HubertConfig, Arrays, tuple[str, ...]]:
    """Sizes of a content model, the weights its network uses, and the names of those it does not.

    Args:
        value: What the file holds.
        path: Of the file, where ``config.json`` may lie beside it.
        heads: Attention heads, where they are known.
        values: False: only shapes are wanted, and nothing is computed.

    Raises:
        ModelError: As :func:`read_hubert`.
    """
    settings = _settings(value) or (_beside(path) if path else {})
    named = fold_weight_norm(_renamed(only_arrays(table_of(value))), values=values)
    config = hubert_sizes(named, settings, heads)
    names = _layout(config)
    absent = [name for name in names if name not in named]
    if absent:
        raise DamagedModelError(f"{len(absent)} of its {len(names)} weights are missing ({', '.join(absent[:5])})")
    return config, {name: named[name] for name in names}, tuple(sorted(set(named) - set(names)))


def _renamed(stored: Arrays) -> Arrays:
    made: Arrays = {}
    for name, array in stored.items():
        new = name.removeprefix("hubert.")
        for pattern, template in _RENAMED:
            if re.fullmatch(pattern, new):
                new = re.sub(pattern, template, new)
                break
        if new in made:
            raise DamagedModelError(f"weight {shown(new)} is there twice, under two names")
        made[new] = array
    return made


def _layout(config: HubertConfig) -> list[str]:
    """Names of all weights that the network takes."""
    both = ("weight", "bias")
    names = []
    for index in range(len(config.conv_dim)):
        layer = f"feature_extractor.conv_layers.{index}"
        names += [f"{layer}.conv.{part}" for part in (both if config.conv_bias else ("weight",))]
        if config.conv_norm == "layer" or index == 0:
            names += [f"{layer}.layer_norm.{part}" for part in both]
    parts = ["feature_projection.layer_norm", "feature_projection.projection", "encoder.pos_conv_embed.conv"]
    parts.append("encoder.layer_norm")
    for index in range(config.layers):
        layer = f"encoder.layers.{index}"
        parts += [f"{layer}.attention.{part}_proj" for part in ("q", "k", "v", "out")]
        parts += [f"{layer}.layer_norm", f"{layer}.final_layer_norm"]
        parts += [f"{layer}.feed_forward.{part}_dense" for part in ("intermediate", "output")]
    if config.projection:
        parts.append("final_proj")
    return names + [f"{part}.{kind}" for part in parts for kind in both]


def _beside(path: Path) -> Mapping[str, Any]:
    """The ``config.json`` beside a file of weights."""
    place = path.with_name("config.json")
    try:
        if place.stat().st_size > _LARGEST_CONFIG:
            return {}
        config = json.loads(place.read_bytes())
    except OSError:
        return {}
    except (ValueError, RecursionError) as error:
        raise DamagedModelError("config.json beside it is not readable: fetch it again") from error
    if not isinstance(config, dict):
        raise DamagedModelError("config.json beside it is no dictionary: fetch it again")
    if config.get("model_type", "hubert") != "hubert":
        raise UnsupportedModelError(f"config.json beside it is of {shown(config['model_type'])}: a HuBERT is needed")
    return config


def _settings(value: Any) -> Mapping[str, Any]:
    """fairseq's settings of the model, as plain values: ``cfg.model``, or ``args`` in older files."""
    try:
        model = _plain(_plain(value).get("cfg", {})).get("model")
        found = _plain(model) or _plain(_plain(value).get("args"))
    except RecursionError as error:
        raise ModelError("its settings are nested too deeply") from error
    return {key: _scalar(item) for key, item in found.items() if isinstance(key, str)}


def _plain(value: Any) -> Mapping[Any, Any]:
    """The entries of a dictionary, or of the settings objects that hold one."""
    if isinstance(value, Opaque):
        state = value.state if isinstance(value.state, dict) else {}
        value = state.get("_content", state)
    return value if isinstance(value, dict) else {}


def _scalar(value: Any) -> Any:
    if isinstance(value, Opaque) and isinstance(value.state, dict):
        return value.state.get("_val")
    return value
