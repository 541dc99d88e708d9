"""From what a pickle declares to what a reader's caller gets: tensors become arrays, containers stay what they are."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import UnsafeModelError
from menura.neural.files.names import Name
from menura.neural.files.opaque import Opaque
from menura.neural.files.tensor import Storage, TensorSpec

__all__ = ["Plain"]

_DEEPEST = 64


class Plain:
    """Turns values into plain ones, each shared one once.

    Args:
        array: Makes a tensor's array.
        budget: Bytes that all tensors together may take.
    """

    def __init__(self, array: Callable[[TensorSpec], NDArray[Any]], budget: int) -> None:
        self._array, self._budget = array, budget
        self._done: dict[int, Any] = {}
        self._open: list[Any] = []
        self._kept: list[Any] = []  # so that no id is used twice

    def value(self, value: Any) -> Any:
        """The plain value.

        Raises:
            UnsafeModelError: It is nested too deeply, contains itself, or would take too much memory.
        """
        if isinstance(value, TensorSpec | tuple | list | dict | set | Opaque):
            return self._shared(value)
        if isinstance(value, Name):
            return Opaque(value.text)
        if isinstance(value, Storage):
            return self._tensor(TensorSpec(value, value.dtype, 0, (value.numel,), (1,)))
        return value

    def _shared(self, value: Any) -> Any:
        key = id(value)
        if key in self._done:
            return self._done[key]
        self._kept.append(value)
        if isinstance(value, TensorSpec):
            made: Any = self._tensor(value)
        else:
            self._enter(value)
            made = self._container(value)
            self._open.pop()
        self._done[key] = made
        return made

    def _enter(self, value: Any) -> None:
        if len(self._open) >= _DEEPEST:
            raise UnsafeModelError(f"it is nested more than {_DEEPEST} deep: no model is")
        if isinstance(value, Opaque):
            self._done[id(value)] = value  # settings may refer back to what holds them: they are filled in place
        elif any(other is value for other in self._open):
            raise UnsafeModelError("it contains itself: no model does")
        self._open.append(value)

    def _container(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([self.value(item) for item in value])
        if isinstance(value, set):
            return {self.value(item) for item in value}
        if isinstance(value, list):
            value[:] = [self.value(item) for item in value]
        elif isinstance(value, dict):
            self._dict(value)
        else:
            value.args, value.state = self.value(value.args), self.value(value.state)
            value.items, value.entries = self.value(value.items), self.value(value.entries)
        return value

    def _dict(self, value: dict[Any, Any]) -> None:
        entries = [(self.value(key), self.value(item)) for key, item in value.items()]
        value.clear()
        value.update(entries)

    def _tensor(self, tensor: TensorSpec) -> NDArray[Any]:
        self._budget -= tensor.nbytes
        if self._budget < 0:
            raise UnsafeModelError("its tensors claim many times the file's own size: built to exhaust memory")
        array = self._array(tensor)
        array.flags.writeable = False
        return np.asarray(array)
