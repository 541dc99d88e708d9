"""Tensors of a checkpoint as numpy arrays over the file's own bytes."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError

__all__ = ["DTYPES", "MOST_DIMENSIONS", "STORAGES", "Storage", "TensorSpec", "array_of", "widen_bfloat16"]

DTYPES = {
    "float16": "f2",
    "float32": "f4",
    "float64": "f8",
    "bfloat16": "u2",
    "int8": "i1",
    "int16": "i2",
    "int32": "i4",
    "int64": "i8",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "bool": "u1",
    "complex64": "c8",
    "complex128": "c16",
}
"""PyTorch's names of element types, and what their bytes are to numpy."""

STORAGES = {
    "HalfStorage": "float16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "BFloat16Storage": "bfloat16",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
"""PyTorch's classes of storages, and their element types."""

MOST_DIMENSIONS = 16
"""Of a tensor."""

_LARGEST_EMPTY = 1 << 40


@dataclass(slots=True, eq=False)
class Storage:
    """A run of elements that tensors are views of.

    Attributes:
        key: Its name in the file.
        dtype: Of its elements, one of :data:`DTYPES`.
        numel: Elements.
        data: Its bytes, once they are found.
    """

    key: str
    dtype: str
    numel: int
    data: memoryview | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that its elements take."""
        return self.numel * np.dtype(DTYPES[self.dtype]).itemsize


@dataclass(slots=True, eq=False)
class TensorSpec:
    """A tensor as a checkpoint declares it: a view of a storage. Offset and strides count elements."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UnsupportedModelError(f"it holds tensors of type {self.dtype}: save them as float16 or float32")
        if len(self.shape) != len(self.strides) or len(self.shape) > MOST_DIMENSIONS:
            raise DamagedModelError(f"a tensor has {len(self.shape)} dimensions and {len(self.strides)} strides")
        if self.offset < 0 or any(n < 0 for n in (*self.shape, *self.strides)):
            raise UnsafeModelError("a tensor has a negative size, stride or offset")
        if self.numel and self._last >= self._capacity:
            raise UnsafeModelError("a tensor reaches beyond its storage: it would read what is not its own")
        if not self.numel and prod(n or 1 for n in self.shape) > _LARGEST_EMPTY:
            raise UnsafeModelError("an empty tensor has sizes that no model has")

    @property
    def numel(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes when it stands alone, as numpy has it."""
        return self.numel * (4 if self.dtype == "bfloat16" else np.dtype(DTYPES[self.dtype]).itemsize)

    @property
    def _capacity(self) -> int:
        return self.storage.nbytes // np.dtype(DTYPES[self.dtype]).itemsize

    @property
    def _last(self) -> int:
        return self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))


def array_of(tensor: TensorSpec, byte_order: str) -> NDArray[Any]:
    """A tensor's values.

    bfloat16, which numpy does not have, is widened to float32, exactly. What lies plainly in the file stays there, as a
    read-only view, perhaps not aligned; other byte orders and booleans are copied.

    Args:
        byte_order: ``<`` or ``>``, the file's.

    Raises:
        DamagedModelError: The storage is missing.
    """
    stored = np.dtype(byte_order + DTYPES[tensor.dtype])
    if not tensor.numel:
        array: NDArray[Any] = np.empty(tensor.shape, stored)
    elif tensor.storage.data is None:
        raise DamagedModelError(f"storage {tensor.storage.key} is missing: fetch the file again")
    else:
        strides = tuple(step * stored.itemsize for step in tensor.strides)
        array = np.ndarray(tensor.shape, stored, tensor.storage.data, tensor.offset * stored.itemsize, strides)
    array = array.astype(stored.newbyteorder("="), copy=False)
    if tensor.dtype == "bfloat16":
        return widen_bfloat16(array)
    return np.asarray(array != 0) if tensor.dtype == "bool" else array


def widen_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Upper halves of float32 numbers as those numbers: what bfloat16 is.

    >>> widen_bfloat16(np.array([0x3FC0, 0xC000], np.uint16)).tolist()
    [1.5, -2.0]
    """
    return np.asarray(bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
