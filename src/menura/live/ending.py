"""What is stopped before the program ends, where nobody has stopped it.

PortAudio ends its streams with the program. Whoever took that for the loss of a device would report it, and open the
device again for ever.
"""

import atexit
from collections.abc import Callable, Hashable

__all__ = ["let_end", "stop_at_exit"]

_running: dict[Hashable, Callable[[], object]] = {}


def _stop_all() -> None:
    for stop in list(_running.values()):
        stop()


def stop_at_exit(thing: Hashable, stop: Callable[[], object]) -> None:
    """It runs from now on, on devices that were opened before; ``stop`` stops it."""
    _running[thing] = stop
    atexit.unregister(_stop_all)
    atexit.register(_stop_all)  # the last to be registered is the first to be called, before PortAudio's


def let_end(thing: Hashable) -> None:
    """It runs no more."""
    _running.pop(thing, None)
