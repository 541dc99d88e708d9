"""Pitch models: RMVPE and FCPE."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from menura.errors import DamagedModelError, UnsupportedModelError
from menura.neural.files.checkpoint import read_opened
from menura.neural.files.kinds import ModelKind, kind_of, table_of
from menura.neural.files.source import ModelSource, open_source
from menura.neural.files.weights import Arrays, count_layers, fold_weight_norm, need_shape, only_arrays, single
from menura.neural.nets.config import FcpeConfig, RmvpeConfig

__all__ = ["FcpeCheckpoint", "FcpeConfig", "RmvpeCheckpoint", "fcpe_parts", "read_fcpe", "read_rmvpe", "rmvpe_parts"]

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, eq=False)
class RmvpeCheckpoint:
    """An RMVPE pitch network.

    Attributes:
        config: Its sizes.
        weights: By its own names, float32; those that are float32 in the file stay there, mapped.
    """

    config: RmvpeConfig
    weights: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class FcpeCheckpoint:
    """An FCPE pitch network.

    Attributes:
        config: Its sizes.
        weights: By its own names, weight norm folded, float32; those that are float32 in the file stay there, mapped.
    """

    config: FcpeConfig
    weights: Mapping[str, NDArray[np.float32]]


def read_rmvpe(source: ModelSource) -> RmvpeCheckpoint:
    """Read an RMVPE pitch model (``rmvpe.pt``).

    Args:
        source: A path, or a file's bytes.

    Raises:
        FileError: The file cannot be opened.
        UnsafeModelError: It wants to run code, or is built to exhaust or mislead its reader.
        DamagedModelError: It is cut short, lacks weights, or contradicts itself.
        UnsupportedModelError: It is something else; the text says what.
    """
    opened = open_source(source)
    with opened.errors():
        value = read_opened(opened)
        _need(value, ModelKind.RMVPE)
        config, used = rmvpe_parts(value)
        return RmvpeCheckpoint(config, single(used))


def rmvpe_parts(value: Any) -> tuple[RmvpeConfig, Arrays]:
    """Sizes of an RMVPE network, and its weights.

    Raises:
        ModelError: As :func:`read_rmvpe`.
    """
    stored = _stored(value)
    return _rmvpe_sizes(stored), stored


def _need(value: Any, wanted: ModelKind) -> None:
    kind = kind_of(value)
    if kind is not wanted:
        raise UnsupportedModelError(f"it is {kind}: {wanted} is needed here")


def _stored(value: Any) -> Arrays:
    return {
        name: array for name, array in only_arrays(table_of(value)).items() if not name.endswith(".num_batches_tracked")
    }


def _rmvpe_sizes(stored: Arrays) -> RmvpeConfig:
    levels = count_layers(stored, "unet.encoder.layers.{}.conv.0.conv.0.weight")
    inter = count_layers(stored, "unet.intermediate.layers.{}.conv.0.conv.0.weight")
    recurrent = count_layers(stored, "fc.0.gru.weight_ih_l{}")
    bins, width = need_shape(stored, "fc.1.weight" if recurrent else "fc.0.weight", 2)
    hidden = need_shape(stored, "fc.0.gru.weight_hh_l0", 2)[1] if recurrent else 1
    if recurrent:
        width = need_shape(stored, "fc.0.gru.weight_ih_l0", 2)[1]
    if not levels or not inter or width % 3:
        raise DamagedModelError("it lacks levels of its network: the file is no complete model")
    return RmvpeConfig(
        blocks=count_layers(stored, "unet.encoder.layers.0.conv.{}.conv.0.weight"),
        levels=levels,
        inter_levels=inter,
        channels=need_shape(stored, "unet.encoder.layers.0.conv.0.conv.0.weight", 4)[0],
        gru_layers=recurrent,
        gru_hidden=hidden,
        bins=bins,
        mels=width // 3,
    )


def read_fcpe(source: ModelSource) -> FcpeCheckpoint:
    """Read an FCPE pitch model (``fcpe_c_v001.pt``, as the package ``torchfcpe`` carries it).

    Args:
        source: A path, or a file's bytes.

    Raises:
        ModelError: As :func:`read_rmvpe`.
        FileError: The file cannot be opened.
    """
    opened = open_source(source)
    with opened.errors():
        value = read_opened(opened)
        _need(value, ModelKind.FCPE)
        config, used = fcpe_parts(value)
        return FcpeCheckpoint(config, single(used))


def fcpe_parts(value: Any, *, values: bool = True) -> tuple[FcpeConfig, Arrays]:
    """Sizes of an FCPE network, and its weights; ``values=False``: only shapes are wanted.

    Raises:
        ModelError: As :func:`read_fcpe`.
    """
    stored = fold_weight_norm(_stored(value), values=values)
    stored.pop("gaussian_blurred_cent_mask", None)
    return _fcpe_sizes(stored, _part(value, "config_dict")), stored


def _fcpe_sizes(stored: Arrays, told: Mapping[Any, Any]) -> FcpeConfig:
    hidden, mels, _ = need_shape(stored, "input_stack.0.weight", 3)
    model, mel = _part(told, "model"), _part(told, "mel")
    layers = count_layers(stored, "net.encoder_layers.{}.norm.weight")
    if not layers:
        raise DamagedModelError("it lacks layers of its network: the file is no complete model")
    usual = FcpeConfig()
    return FcpeConfig(
        mels=mels,
        hidden=hidden,
        layers=layers,
        heads=_number(model, "n_heads", usual.heads),
        bins=need_shape(stored, "output_proj.weight", 2)[0],
        kernel=need_shape(stored, "net.encoder_layers.0.conformer.net.4.conv.weight", 3)[2],
        conv_only=not any(".attn." in name for name in stored),
        f0_min=_number(model, "f0_min", usual.f0_min),
        f0_max=_number(model, "f0_max", usual.f0_max),
        rate=_number(mel, "sr", usual.rate),
        fft=_number(mel, "n_fft", usual.fft),
        window=_number(mel, "win_size", usual.window),
        hop=_number(mel, "hop_size", usual.hop),
        mel_min=_number(mel, "fmin", usual.mel_min),
        mel_max=_number(mel, "fmax", usual.mel_max),
    )


def _part(told: Any, name: str) -> Mapping[Any, Any]:
    part = told.get(name) if isinstance(told, dict) else None
    return part if isinstance(part, dict) else {}


def _number(told: Mapping[Any, Any], name: str, usual: _Number) -> _Number:
    """A number of the settings, of the usual one's type."""
    value = told.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise DamagedModelError(f"its settings have no number for {name}")
    return type(usual)(value)
