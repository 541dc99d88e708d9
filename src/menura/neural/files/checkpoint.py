"""Any file of weights, read into numpy without running anything: PyTorch's two formats and safetensors."""

from collections.abc import Mapping
from typing import Any

from menura.errors import DamagedModelError, UnsupportedModelError
from menura.neural.files.archive import Archive
from menura.neural.files.legacy import is_legacy, read_legacy
from menura.neural.files.machine import Machine
from menura.neural.files.plain import Plain
from menura.neural.files.safetensor import is_safetensors, read_safetensors
from menura.neural.files.signs import foreign
from menura.neural.files.source import ModelSource, Source, budget_for, open_source, shown
from menura.neural.files.storages import Storages
from menura.neural.files.tensor import array_of

__all__ = ["read_checkpoint", "read_opened"]


def read_checkpoint(source: ModelSource, *, verify: bool = True) -> Any:
    """A file of weights as plain values.

    PyTorch's zip format, its format before 1.6, and safetensors, told apart by content. Nothing in the file is
    executed, imported or looked up by name: its pickle is read by a machine that knows the instructions and a closed
    list of names (:mod:`menura.neural.files.names`).

    Args:
        source: A path, or a file's bytes.
        verify: Compare every record with its checksum, where the format has them.

    Returns:
        What the file holds: dictionaries, lists, tuples, sets, numbers, strings, bytes, and arrays for tensors,
        read-only; ordered and default dictionaries are plain ones. An array lies in the file itself, mapped, so the
        file must not be shortened while it is in use. bfloat16 is widened to float32; booleans and foreign byte orders
        are copied. Settings of a training framework are :class:`~menura.neural.files.opaque.Opaque`. A safetensors
        file is a dictionary of arrays.

    Raises:
        FileError: The file does not exist or cannot be opened.
        UnsafeModelError: It wants to run code, or is built to exhaust or mislead its reader.
        DamagedModelError: It is cut short, or contradicts itself.
        UnsupportedModelError: It is something else; the text says what.
    """
    opened = open_source(source)
    with opened.errors():
        return read_opened(opened, verify=verify)


def read_opened(source: Source, *, verify: bool = True) -> Any:
    """As :func:`read_checkpoint`, of an opened file, whose name is not in the errors' texts."""
    view = source.view
    if bytes(view[:4]) == b"PK\x03\x04":
        return _read_archive(Archive(view, verify))
    if is_safetensors(view):
        return read_safetensors(view)
    if is_legacy(view):
        return read_legacy(view)
    raise foreign(view)


def _read_archive(archive: Archive) -> Any:
    root = _root(archive)
    order = "<"
    if f"{root}byteorder" in archive:
        order = _byte_order(bytes(archive.read(f"{root}byteorder")[:16]))
    storages = Storages()
    machine = Machine(archive.read(f"{root}data.pkl"), 0, storages.storage)
    value = machine.run()
    for key in storages.declared:
        storages.bind(key, archive.read(f"{root}data/{key}"))
    return Plain(lambda tensor: array_of(tensor, order), budget_for(len(archive))).value(value)


def _root(archive: Archive) -> str:
    """The folder that all records of a checkpoint lie in, with its slash."""
    roots = [name.removesuffix("data.pkl") for name in archive.names if name.rsplit("/", 1)[-1] == "data.pkl"]
    roots = [root for root in roots if not root.startswith("__MACOSX/")]
    if len(roots) > 1:
        raise DamagedModelError("the archive holds several checkpoints: unpack it and choose one")
    if not roots:
        raise UnsupportedModelError(_other_archive(archive.names))
    if f"{roots[0]}constants.pkl" in archive:
        raise UnsupportedModelError("it is a TorchScript program, not weights: take the checkpoint it was made from")
    return roots[0]


def _other_archive(names: list[str]) -> str:
    inner = [name for name in names if name.endswith((".pth", ".pt", ".safetensors", ".index"))]
    if inner:
        return f"it is a zip archive that holds {shown(inner[0])}: unpack it first"
    if names and all(name.endswith(".npy") for name in names):
        return "it is a numpy archive (.npz), not a checkpoint"
    return "it is a zip archive, but no checkpoint: it has no data.pkl"


def _byte_order(text: bytes) -> str:
    orders: Mapping[bytes, str] = {b"little": "<", b"big": ">"}
    if text.strip() not in orders:
        raise DamagedModelError(f"its byte order is {shown(text)}: little and big are known")
    return orders[text.strip()]
