"""Safetensors files: a JSON heading and the tensors' bytes.

Source:
    The format as its project describes it: 8 bytes length of the heading, little-endian; the heading, name to
    ``{dtype, shape, data_offsets}``; the bytes, without gaps. Element types are little-endian.
"""

import json
import struct
from typing import Any

from menura.errors import DamagedModelError, ModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.plain import Plain
from menura.neural.files.source import budget_for, shown
from menura.neural.files.tensor import Storage, TensorSpec, array_of

__all__ = ["is_safetensors", "read_safetensors"]

_DTYPES = {
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "BF16": "bfloat16",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
    "C64": "complex64",
}
_LARGEST_HEADING = 4 << 20


def is_safetensors(view: memoryview) -> bool:
    """The file begins as safetensors files do: a length, then JSON."""
    return len(view) >= 10 and view[8] == ord("{") and not any(view[5:8])


def read_safetensors(view: memoryview) -> dict[str, Any]:
    """The file's tensors by name, read-only and in place.

    Raises:
        ModelError: As :func:`~menura.neural.files.checkpoint.read_checkpoint`.
    """
    length = struct.unpack_from("<Q", view)[0]
    if length > _LARGEST_HEADING:
        raise UnsafeModelError(f"its heading is larger than {_LARGEST_HEADING >> 20} MiB: no model's is")
    if length > len(view) - 8:
        raise DamagedModelError("it ends in its heading: the file is cut short; fetch it again")
    heading = _heading(bytes(view[8 : 8 + length]))
    data = view[8 + length :]
    specs, spans = {}, []
    for name, entry in heading.items():
        specs[name], span = _spec(name, entry, data)
        spans.append(span)
    _check_spans(sorted(spans), len(data))
    values = Plain(lambda tensor: array_of(tensor, "<"), budget_for(len(view))).value(specs)
    return dict(values)


def _heading(text: bytes) -> dict[str, Any]:
    try:
        heading = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DamagedModelError("its heading is not readable: fetch the file again") from error
    if not isinstance(heading, dict):
        raise DamagedModelError("its heading is no dictionary: fetch the file again")
    heading.pop("__metadata__", None)
    return heading


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise UnsafeModelError("its heading names a tensor twice")
    return made


def _spec(name: str, entry: Any, data: memoryview) -> tuple[TensorSpec, tuple[int, int]]:
    try:
        kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, start, end))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedModelError(
            f"tensor {shown(name)} is not declared as it should be: fetch the file again"
        ) from error
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise UnsupportedModelError(f"it holds tensors of type {shown(kind)}: save them as float16 or float32")
    if not whole or not start <= end <= len(data):
        raise DamagedModelError(f"tensor {shown(name)} lies outside the file: the file is cut short; fetch it again")
    strides, numel = [], 1
    for n in reversed(shape):
        strides.append(numel)
        numel *= n
    storage = Storage(shown(name), _DTYPES[kind], numel, data[start:end])
    if storage.nbytes != end - start:
        raise DamagedModelError(f"tensor {shown(name)} has {end - start} bytes and claims {storage.nbytes}")
    return TensorSpec(storage, _DTYPES[kind], 0, tuple(shape), tuple(reversed(strides))), (start, end)


def _check_spans(spans: list[tuple[int, int]], size: int) -> None:
    at = 0
    for start, end in spans:
        if start != at:
            raise UnsafeModelError("its tensors overlap or leave gaps: no library writes them so")
        at = end
    if at != size:
        raise _length_error(at, size)


def _length_error(needed: int, size: int) -> ModelError:
    return DamagedModelError(f"its tensors take {needed} bytes and {size} are there: fetch the file again")
