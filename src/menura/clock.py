"""Clocks are arguments: a real one for the edges, a virtual one for tests."""

import time
from collections.abc import Callable

__all__ = ["Clock", "VirtualClock", "monotonic_s"]

Clock = Callable[[], float]
"""Seconds since an arbitrary start, never going back."""

monotonic_s: Clock = time.perf_counter


class VirtualClock:
    """A clock that moves only when told to.

    >>> clock = VirtualClock()
    >>> clock.advance(0.25)
    >>> clock()
    0.25
    """

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        """Seconds since the start."""
        return self._now_s

    def advance(self, duration_s: float) -> None:
        """Let time pass."""
        self._now_s += duration_s
