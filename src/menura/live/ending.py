"""What is stopped before the program ends, where nobody has stopped it.

PortAudio ends its streams with the program. Whoever took that for the loss of a device would report it, and open the
device again for ever.
"""

import atexit
from typing import Protocol

__all__ = ["Stoppable", "let_end", "stop_at_exit"]


class Stoppable(Protocol):
    """Anything that runs until it is stopped."""

    def stop(self) -> object:
        """Stop; twice is fine."""


_running: set[Stoppable] = set()


def _stop_all() -> None:
    for thing in list(_running):
        thing.stop()


def stop_at_exit(thing: Stoppable) -> None:
    """It runs from now on, on devices that were opened before."""
    _running.add(thing)
    atexit.unregister(_stop_all)
    atexit.register(_stop_all)  # the last to be registered is the first to be called, before PortAudio's


def let_end(thing: Stoppable) -> None:
    """It runs no more."""
    _running.discard(thing)
