"""PyTorch's format before version 1.6: pickles one after the other, then the storages' bytes."""

import struct
from typing import Any

from menura.errors import DamagedModelError, UnsupportedModelError
from menura.neural.files.machine import Machine
from menura.neural.files.plain import Plain
from menura.neural.files.source import budget_for, shown
from menura.neural.files.storages import Storages
from menura.neural.files.tensor import Storage, array_of

__all__ = ["is_legacy", "read_legacy"]

_MAGIC = 0x1950A86A20F9469CFC6C
_MAGIC_BYTES = _MAGIC.to_bytes(10, "little")
_PROTOCOL = 1001


def is_legacy(view: memoryview) -> bool:
    """The file begins as PyTorch's old format does, with the pickle of a certain number."""
    head = bytes(view[:32])
    return _MAGIC_BYTES in head or str(_MAGIC).encode() in head


def read_legacy(view: memoryview) -> Any:
    """What the file holds, as :func:`~menura.neural.files.checkpoint.read_checkpoint` returns it.

    Raises:
        ModelError: As there.
    """
    magic, at = _value(view, 0)
    version, at = _value(view, at)
    system, at = _value(view, at)
    if magic != _MAGIC or not isinstance(system, dict):
        raise DamagedModelError("it does not begin as a checkpoint does: fetch the file again")
    if version != _PROTOCOL:
        raise UnsupportedModelError(f"it is a checkpoint of version {shown(version)}; version {_PROTOCOL} is known")
    storages = Storages()
    machine = Machine(view, at, storages.storage)
    value = machine.run()
    keys, at = _value(view, machine.position)
    _bind(view, at, keys, storages)
    order = "<" if system.get("little_endian", True) is True else ">"
    return Plain(lambda tensor: array_of(tensor, order), budget_for(len(view))).value(value)


def _value(view: memoryview, at: int) -> tuple[Any, int]:
    machine = Machine(view, at, _no_storage)
    return machine.run(), machine.position


def _no_storage(identity: Any) -> Storage:
    del identity
    raise DamagedModelError("its heading refers to weights: the file is damaged; fetch it again")


def _bind(view: memoryview, at: int, keys: Any, storages: Storages) -> None:
    """Find each storage's bytes: in the order of ``keys``, each after its number of elements."""
    if not isinstance(keys, list) or any(not isinstance(key, str) for key in keys):
        raise DamagedModelError("its list of storages is not readable: fetch the file again")
    if len(set(keys)) != len(keys) or set(keys) != set(storages.declared):
        raise DamagedModelError("its list of storages is not that of its weights: fetch the file again")
    for key in keys:
        storage = storages.declared[key]
        if at + 8 > len(view):
            raise DamagedModelError("it ends in the middle of its weights: the file is cut short; fetch it again")
        numel = struct.unpack_from("<q", view, at)[0]
        if numel != storage.numel:
            raise DamagedModelError(f"storage {shown(key)} has {numel} elements and claims {storage.numel}")
        storages.bind(key, view[at + 8 : at + 8 + storage.nbytes])
        at += 8 + storage.nbytes
