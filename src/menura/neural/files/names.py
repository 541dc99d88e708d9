"""The names a checkpoint may use, and what each is made into. This is the whole list: none is looked up elsewhere.

A pickle names functions and classes and asks for them to be called. Here a name is only compared with the tables below:
those of tensors and plain containers become tensors and plain containers; those of training settings become
:class:`Opaque`; every other name ends the reading.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from menura.errors import DamagedModelError, ModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.opaque import Opaque
from menura.neural.files.source import shown
from menura.neural.files.tensor import DTYPES, MOST_DIMENSIONS, STORAGES, Storage, TensorSpec

__all__ = ["Name", "call", "checked_key", "checked_name", "dtype_of"]

_LARGEST_KEY = 1 << 60


@dataclass(frozen=True, slots=True)
class Name:
    """A name from the tables, as it lies on the reader's stack."""

    text: str


def _misused(what: str) -> ModelError:
    return DamagedModelError(f"{what} is not declared the way PyTorch declares it: fetch the file again")


def _whole(value: object) -> int:
    if type(value) is not int:
        raise _misused("a tensor's size")
    return value


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > MOST_DIMENSIONS:
        raise _misused("a tensor's shape")
    return tuple(_whole(n) for n in value)


def _tensor(*args: Any) -> TensorSpec:
    """``_rebuild_tensor`` and ``_rebuild_tensor_v2``: storage, offset, shape, strides; the rest is left out."""
    if not 4 <= len(args) <= 7 or not isinstance(args[0], Storage):
        raise _misused("a tensor")
    return TensorSpec(args[0], args[0].dtype, _whole(args[1]), _sizes(args[2]), _sizes(args[3]))


def _tensor_of_type(*args: Any) -> TensorSpec:
    """``_rebuild_tensor_v3``: as v2, over an untyped storage, with the element type."""
    if not 7 <= len(args) <= 8 or not isinstance(args[0], Storage) or not isinstance(args[6], Name):
        raise _misused("a tensor")
    return TensorSpec(args[0], dtype_of(args[6]), _whole(args[1]), _sizes(args[2]), _sizes(args[3]))


def _parameter(*args: Any) -> TensorSpec:
    if not 1 <= len(args) <= 4 or not isinstance(args[0], TensorSpec):
        raise _misused("a parameter")
    return args[0]


def _subclass(*args: Any) -> Any:
    """``_rebuild_from_type_v2``: function, class, arguments, state."""
    if len(args) != 4 or not isinstance(args[0], Name) or not isinstance(args[2], tuple):
        raise _misused("a tensor")
    if args[0].text not in _TENSORS:
        raise _misused("a tensor")
    return _TENSORS[args[0].text](*args[2])


def _dict(*args: Any) -> dict[Any, Any]:
    """``OrderedDict``, ``defaultdict``, ``Counter`` and ``dict``; a ``defaultdict``'s function is left out."""
    content = args[-1] if args and not isinstance(args[-1], Name) else None
    if content is None:
        return {}
    if isinstance(content, dict):
        return dict(content)
    if not isinstance(content, list | tuple) or any(not isinstance(e, list | tuple) or len(e) != 2 for e in content):
        raise _misused("a dictionary")
    return {checked_key(key): value for key, value in content}


def _list(*args: Any) -> list[Any]:
    if len(args) > 1 or (args and not isinstance(args[0], list | tuple)):
        raise _misused("a list")
    return list(args[0]) if args else []


def _tuple(*args: Any) -> tuple[Any, ...]:
    return tuple(_list(*args))


def _set(*args: Any) -> set[Any]:
    return {checked_key(value) for value in _list(*args)}


def _bytes(*args: Any) -> bytes:
    """``_codecs.encode``, by which old protocols carry bytes as text."""
    if not args:
        return b""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        try:
            return args[0].encode("latin-1")
        except UnicodeEncodeError:
            pass
    elif len(args) == 1 and isinstance(args[0], bytes):
        return args[0]
    raise _misused("a run of bytes")


def _complex(*args: Any) -> complex:
    if len(args) != 2 or any(type(a) is not float for a in args):
        raise _misused("a number")
    return complex(*args)


_TENSORS: dict[str, Callable[..., TensorSpec]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
_BUILTINS = ("builtins", "__builtin__")
_MADE: dict[str, Callable[..., Any]] = {
    **_TENSORS,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    "collections.Counter": _dict,
    "torch.Size": _tuple,
    "_codecs.encode": _bytes,
    **{f"{home}.dict": _dict for home in _BUILTINS},
    **{f"{home}.list": _list for home in _BUILTINS},
    **{f"{home}.tuple": _tuple for home in _BUILTINS},
    **{f"{home}.set": _set for home in _BUILTINS},
    **{f"{home}.frozenset": _set for home in _BUILTINS},
    **{f"{home}.bytes": _bytes for home in _BUILTINS},
    **{f"{home}.bytearray": _bytes for home in _BUILTINS},
    **{f"{home}.complex": _complex for home in _BUILTINS},
}
"""Names whose call makes a tensor or a plain value."""

_INERT = {
    *(f"torch.{name}" for name in (*DTYPES, "device", "Tensor", "strided", "contiguous_format", "preserve_format")),
    *(f"{home}.{name}" for home in _BUILTINS for name in ("int", "long", "float", "str", "unicode", "bool", "object")),
    *(f"{home}.multiarray.{name}" for home in ("numpy.core", "numpy._core") for name in ("scalar", "_reconstruct")),
    *("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"),
    *("numpy.dtype", "numpy.ndarray", "argparse.Namespace", "types.SimpleNamespace", "copy_reg._reconstructor"),
    *("copyreg._reconstructor", "torch.nn.parameter.Parameter", "datetime.datetime", "datetime.timedelta"),
    *(
        f"pathlib.{name}"
        for name in ("Path", "PurePath", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    ),
}
"""Names that are kept as :class:`Opaque`."""

_INERT_HOMES = ("fairseq", "omegaconf", "hydra", "typing", "enum", "examples")
"""Packages whose classes hold a training's settings: ``hubert_base.pt`` and ContentVec name some."""

_UNSUPPORTED = {
    "torch._utils._rebuild_sparse_tensor": "sparse tensors",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse tensors",
    "torch._utils._rebuild_nested_tensor": "nested tensors",
    "torch._utils._rebuild_qtensor": "quantized tensors",
    "torch._utils._rebuild_meta_tensor_no_storage": "tensors without values",
    "torch._utils._rebuild_device_tensor_from_numpy": "tensors of an unusual device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "tensors of an unusual device",
    "torch._utils._rebuild_wrapper_subclass": "tensors of an unusual class",
    "torch.storage._load_from_bytes": "another file inside it",
}


def checked_name(module: str, name: str) -> Name | Storage:
    """A name that may be used; one that names a class of storages becomes an empty storage of that type.

    Raises:
        UnsafeModelError: The name is not in the tables: what it names would be code to run.
        UnsupportedModelError: It names weights of a kind that no voice has, or a whole program.
    """
    full = f"{module}.{name}"
    if module in ("torch", "torch.cuda", "torch.storage") and name in STORAGES:
        return Storage("", STORAGES[name], 0)
    if full in _MADE or full in _INERT or _is_settings(module, name):
        return Name(full)
    if full in _UNSUPPORTED or name.endswith(("QInt8Storage", "QUInt8Storage", "QInt32Storage")):
        kind = _UNSUPPORTED.get(full, "quantized tensors")
        raise UnsupportedModelError(f"it holds {kind}, which no voice needs: save its weights as float16 or float32")
    if full.startswith(("torch.float8", "torch.q")):
        raise UnsupportedModelError(f"it holds tensors of type {shown(full)}: save them as float16 or float32")
    if module.startswith(("torch.nn.", "torch.jit.")) and name[:1].isupper():
        raise UnsupportedModelError(
            f"it is a whole PyTorch program ({shown(full)}), not weights: save its state_dict() instead"
        )
    raise UnsafeModelError(
        f"this file wants to run code ({shown(full)}) when it is opened; menura refuses it and has run nothing. "
        "Take the model from a source you trust, or ask its author for the weights alone"
    )


def _is_settings(module: str, name: str) -> bool:
    home = module.split(".", 1)[0]
    return home in _INERT_HOMES and name.isidentifier() and name[0].isupper()


def dtype_of(name: Name) -> str:
    """Element type that a name such as ``torch.float16`` stands for.

    Raises:
        DamagedModelError: It names something else.
    """
    kind = name.text.removeprefix("torch.")
    if kind not in DTYPES:
        raise _misused("a tensor's type")
    return kind


def call(function: object, args: object) -> Any:
    """What a pickle's call of ``function`` yields: a tensor or plain value by the tables, else an :class:`Opaque`.

    Raises:
        DamagedModelError: It is no name, or the arguments are not its.
        ModelError: As the tensor says.
    """
    if not isinstance(function, Name) or not isinstance(args, tuple):
        raise DamagedModelError("it calls something that is no function: the file is damaged, or built to mislead")
    maker = _MADE.get(function.text)
    if maker is not None:
        return maker(*args)
    if function.text.endswith("._reconstructor") and args and isinstance(args[0], Name):
        return Opaque(args[0].text)
    return Opaque(function.text, args)


def checked_key(key: object) -> Any:
    """A dictionary's key, or a set's member: only kinds whose hashes nobody can choose to collide.

    Raises:
        UnsafeModelError: It is of another kind.
    """
    if isinstance(key, Opaque | Name) or key is None or isinstance(key, str | bytes):
        return key
    if isinstance(key, int) and abs(key) < _LARGEST_KEY:
        return key
    raise UnsafeModelError(f"a dictionary has a key of type {type(key).__name__}: no model's has")
