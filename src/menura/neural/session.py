"""What a loaded network is, wherever it runs."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from menura.errors import FormatError

__all__ = ["Array", "Session", "check_feeds"]

Array = NDArray[Any]


class Session(Protocol):
    """A network, loaded.

    Attributes:
        name: Of the network.
        inputs, outputs: Their names, in the network's order.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def run(self, **feeds: Array) -> tuple[Array, ...]:
        """Run once; several threads may at the same time.

        Args:
            feeds: Every input by name. Contiguous arrays of the right type are not copied on a CPU.

        Returns:
            The outputs, in their order; they belong to the caller.

        Raises:
            FormatError: An input is missing, unknown, or of a shape or type the network does not take.
            ModelError: The device failed, or has too little memory.
        """
        ...


def check_feeds(name: str, ends: Sequence[str], arrays: Mapping[str, Array], *, verb: str = "takes") -> None:
    """Raise :class:`FormatError` unless ``arrays`` has every end of a network and nothing else."""
    if set(ends) != set(arrays):
        raise FormatError(f"{name} {verb} {', '.join(ends)}, not {', '.join(arrays) or 'nothing'}")
