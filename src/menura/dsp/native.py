"""The compiled kernels (``native/*.c``), loaded once. A call releases the GIL while it runs."""

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

__all__ = ["declare", "lib", "pointer"]

_SUFFIX = {"win32": "dll", "darwin": "dylib"}.get(sys.platform, "so")
_PATH = Path(__file__).with_name(f"_native.{_SUFFIX}")

try:
    lib = ctypes.CDLL(str(_PATH))
except OSError as error:
    raise ImportError(
        f"menura's compiled kernels are missing ({_PATH.name}): run `make setup` in a checkout, or reinstall menura"
    ) from error


def pointer(array: NDArray[Any]) -> int:
    """Address of a C-contiguous array's data, for a ``c_void_p`` argument; keep the array alive during the call."""
    return array.ctypes.data


def declare(name: str, arguments: Sequence[Any], result: Any = None) -> Any:
    """A function of the library with its argument and result types set."""
    function = getattr(lib, name)
    function.argtypes = list(arguments)
    function.restype = result
    return function
