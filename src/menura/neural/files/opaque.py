"""What a checkpoint holds beside weights: shown by name, never made into the thing it names."""

from typing import Any

from menura.neural.files.source import shown

__all__ = ["Opaque"]


class Opaque:
    """An object of a class that the reader does not make: its name and what the file says of it, as plain data.

    Nothing of the class is imported or called. Only names of training frameworks' settings get this far; any other name
    is refused (:mod:`menura.neural.files.names`).

    Attributes:
        name: ``module.Class``.
        args: What it would have been made with.
        state: What its attributes would have been set to, or None.
        items: What would have been appended to it.
        entries: What would have been put into it by key.
    """

    __slots__ = ("args", "entries", "items", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...] = ()) -> None:
        self.name, self.args = name, args
        self.state: Any = None
        self.items: list[Any] = []
        self.entries: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"<{shown(self.name)}, not made>"
