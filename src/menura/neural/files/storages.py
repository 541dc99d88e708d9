"""The storages a checkpoint declares, and their bytes once found."""

from typing import Any

from menura.errors import DamagedModelError, UnsafeModelError
from menura.neural.files.source import shown
from menura.neural.files.tensor import Storage

__all__ = ["Storages"]

_KEY_LENGTH = 200


class Storages:
    """Collects what a pickle's persistent ids declare.

    Attributes:
        declared: Storages by key.
    """

    def __init__(self) -> None:
        self.declared: dict[str, Storage] = {}
        self._views: dict[tuple[str, str], tuple[Storage, int]] = {}

    def storage(self, identity: Any) -> Storage:
        """The storage that a persistent id means: ``("storage", type, key, location, elements)``, one more for views.

        Raises:
            DamagedModelError: It is no such id, or contradicts an earlier one.
            UnsafeModelError: Its key would lead elsewhere.
        """
        if not isinstance(identity, tuple) or not 5 <= len(identity) <= 6 or identity[0] not in ("storage", b"storage"):
            raise DamagedModelError("it refers to something outside the file that is no storage: fetch the file again")
        kind, key, numel = identity[1], identity[2], identity[4]
        if not isinstance(kind, Storage) or not isinstance(key, str) or type(numel) is not int or numel < 0:
            raise DamagedModelError("a storage is not declared the way PyTorch declares it: fetch the file again")
        if not key or len(key) > _KEY_LENGTH or "/" in key or "\\" in key or ".." in key:
            raise UnsafeModelError(f"a storage has a name that leads elsewhere ({shown(key)})")
        known = self.declared.setdefault(key, Storage(key, kind.dtype, numel))
        if (known.dtype, known.numel) != (kind.dtype, numel):
            raise DamagedModelError(f"storage {shown(key)} is declared twice, differently: fetch the file again")
        view = identity[5] if len(identity) == 6 else None
        return known if view is None else self._view(known, view)

    def bind(self, key: str, data: memoryview) -> None:
        """Say where a storage's bytes are.

        Raises:
            DamagedModelError: They are fewer than declared.
        """
        storage = self.declared[key]
        if len(data) < storage.nbytes:
            raise DamagedModelError(
                f"storage {shown(key)} has {len(data)} bytes and claims {storage.nbytes}: the file is damaged"
            )
        storage.data = data
        for (root, _), (view, start) in self._views.items():
            if root == key:
                view.data = data[start * storage.nbytes // max(1, storage.numel) :][: view.nbytes]

    def _view(self, root: Storage, view: Any) -> Storage:
        """A part of a storage under its own key, as PyTorch before 0.4 had them: key, first element, elements."""
        if not isinstance(view, tuple) or len(view) != 3 or not isinstance(view[0], str):
            raise DamagedModelError("a storage's view is not declared the way PyTorch declares it")
        key, start, numel = view
        if type(start) is not int or type(numel) is not int or min(start, numel) < 0 or start + numel > root.numel:
            raise UnsafeModelError("a view reaches beyond its storage: it would read what is not its own")
        made = Storage(shown(key), root.dtype, numel)
        return self._views.setdefault((root.key, key), (made, start))[0]
