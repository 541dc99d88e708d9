"""How long a device that was lost has been away, and when to look for it again."""

from menura.clock import monotonic_s
from menura.devices.port import InputPort

__all__ = ["Absence", "retry_after_s"]

FIRST_RETRY_S, LONGEST_RETRY_S = 0.25, 5.0
GROWTH = 0.25
LEAST_S = 0.005
"""Times that devices tell wander by more."""


def retry_after_s(away_s: float) -> float:
    """When to look again for a device that has been away for so long: it comes back soon, or late.

    >>> retry_after_s(0.0), retry_after_s(4.0), retry_after_s(3600.0)
    (0.25, 1.0, 5.0)
    """
    return min(LONGEST_RETRY_S, max(FIRST_RETRY_S, GROWTH * away_s))


class Absence:
    """The time between the last frame of a device that was closed and the first of the one opened in its place."""

    def __init__(self) -> None:
        self._end_s: float | None = None  # when the last frame that was read was captured
        self._away = False

    def begin(self) -> None:
        """The device is closed."""
        self._away = self._end_s is not None

    def read(self, port: InputPort, frames: int) -> float:
        """So many frames were just read; returns the seconds that are missing before them."""
        before_s, now_s = self._end_s, monotonic_s()
        self._end_s = now_s - max(0.0, port.now_s - port.next_s)
        if not self._away or before_s is None:
            return 0.0
        self._away = False
        missing_s = self._end_s - frames / port.rate - before_s
        return missing_s if missing_s > LEAST_S else 0.0
