"""Weights on their way from a checkpoint to a network: single precision, weight norm folded, every number finite."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.source import shown

__all__ = ["MOST_LAYERS", "Arrays", "count_layers", "fold_weight_norm", "need_shape", "only_arrays", "single"]

Arrays = dict[str, NDArray[Any]]
"""Tensors by name."""

MOST_LAYERS = 200
"""Of one kind in a network."""

_NORMS = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)
"""Names of a weight's length and direction: before PyTorch 2.0, and since."""


def only_arrays(value: Any, prefix: str = "") -> Arrays:
    """The tensors of a dictionary whose names begin with ``prefix``, which is left out.

    Raises:
        UnsupportedModelError: It is no dictionary of tensors.
    """
    if not isinstance(value, dict):
        raise UnsupportedModelError("it holds no table of weights")
    return {
        key.removeprefix(prefix): array
        for key, array in value.items()
        if isinstance(key, str) and key.startswith(prefix) and isinstance(array, np.ndarray)
    }


def single(arrays: Mapping[str, NDArray[Any]], *, copy: bool = False) -> dict[str, NDArray[np.float32]]:
    """Weights as float32, contiguous and aligned.

    Args:
        arrays: Weights of any number type.
        copy: Also copy those that lie in the file and need no change; otherwise they stay there.

    Raises:
        DamagedModelError: A weight is not finite.
        UnsupportedModelError: A weight is complex.
    """
    made: dict[str, NDArray[np.float32]] = {}
    known: dict[int, NDArray[np.float32]] = {}  # a file may have one tensor under many names
    for name, array in arrays.items():
        if id(array) in known:
            made[name] = known[id(array)]
            continue
        if array.dtype.kind not in "fiub":
            raise UnsupportedModelError(f"weight {shown(name)} is of type {array.dtype}: no network's is")
        with np.errstate(over="ignore"):
            plain: NDArray[np.float32] = np.require(array, np.float32, ["C", "A"])
        if copy and not plain.flags.owndata:
            plain = plain.copy()
        if not _finite(plain):
            raise DamagedModelError(
                f"weight {shown(name)} holds values that are no numbers: its training failed, or the file is damaged"
            )
        made[name] = known[id(array)] = plain
    return made


def _finite(array: NDArray[np.float32]) -> bool:
    """Not a NaN or infinity in it; without a temporary array where that can be told from one sum."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def fold_weight_norm(arrays: Mapping[str, NDArray[Any]], *, values: bool = True) -> Arrays:
    """Weight norm undone: each length and direction become the weight they stand for, ``length · v / |v|``.

    The axes that are summed over are those along which the length is 1: a layer's usual ``[n, 1, 1]``, or ``[1, 1, n]``
    as HuBERT's positional convolution has it. A direction of length 0 gives a weight of 0.

    Args:
        arrays: Weights by name.
        values: False: only shapes are wanted; directions stand for weights, and nothing is computed.

    Raises:
        DamagedModelError: A length has no direction or the other way about, or their shapes do not fit.
        UnsafeModelError: Weights share a direction and differ in length.

    Source:
        Salimans and Kingma, "Weight normalization", 2016.
    """
    folded = dict(arrays)
    known: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
    for length_name, direction_name in _NORMS:
        for name in [name for name in arrays if name.endswith(length_name)]:
            layer = name.removesuffix(length_name)
            if layer + direction_name not in folded:
                raise DamagedModelError(f"weight {shown(layer + direction_name)} is missing")
            length, direction = folded.pop(name), folded.pop(layer + direction_name)
            if id(direction) not in known:
                _check_norm(layer, length, direction)
                known[id(direction)] = length, _product(length, direction) if values else direction
            if known[id(direction)][0] is not length:
                raise UnsafeModelError("weights share a direction and differ in length: built to exhaust memory")
            folded[layer + ".weight"] = known[id(direction)][1]
        for name in [name for name in folded if name.endswith(direction_name)]:
            raise DamagedModelError(f"weight {shown(name.removesuffix(direction_name) + length_name)} is missing")
    return folded


def _check_norm(layer: str, length: NDArray[Any], direction: NDArray[Any]) -> None:
    if length.ndim != direction.ndim or any(
        n not in (1, m) for n, m in zip(length.shape, direction.shape, strict=True)
    ):
        raise DamagedModelError(f"weight {shown(layer)} has a length of shape {length.shape} for {direction.shape}")
    if direction.dtype.kind != "f" or length.dtype.kind != "f":
        raise UnsupportedModelError(f"weight {shown(layer)} is of type {direction.dtype}: no network's is")


def _product(length: NDArray[Any], direction: NDArray[Any]) -> NDArray[np.float32]:
    axes = tuple(axis for axis, n in enumerate(length.shape) if n == 1)
    # what is no number is found and named afterwards
    with np.errstate(all="ignore"):
        wide = direction.astype(np.float32)
        norm = np.sqrt(np.square(wide).sum(axis=axes, keepdims=True, dtype=np.float64))
        scale = np.divide(length, norm, out=np.zeros(norm.shape), where=norm > 0)
        wide *= scale.astype(np.float32)
    return wide


def count_layers(arrays: Mapping[str, Any], name: str) -> int:
    """How many layers there are: ``name`` with 0, 1, … for its ``{}``, up to the first that is not there.

    Raises:
        UnsafeModelError: There are more than any network has.
    """
    for index in range(MOST_LAYERS):
        if name.format(index) not in arrays:
            return index
    raise UnsafeModelError(f"it has more than {MOST_LAYERS} layers of one kind: no network has")


def need_shape(arrays: Mapping[str, NDArray[Any]], name: str, dimensions: int) -> tuple[int, ...]:
    """Shape of a weight that has so many dimensions, none of them empty.

    Raises:
        DamagedModelError: It is missing, or another one.
    """
    if name not in arrays:
        raise DamagedModelError(f"weight {name} is missing: the file is no complete model")
    shape = arrays[name].shape
    if len(shape) != dimensions or 0 in shape:
        raise DamagedModelError(f"weight {name} has shape {shape}, not {dimensions} dimensions")
    return shape
