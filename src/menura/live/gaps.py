"""Audio that a device has lost, by what it says and by its times."""

from menura.devices.port import PortStats

__all__ = ["GapMeter"]

WINDOW_S = 1.0
LEAST_S = 0.05
"""The times that devices tell wander by less, from one window to the next."""


class GapMeter:
    """Counts gaps, and measures them.

    The time of a frame less its number stays where it is, but for the wander of the times; each window has its least. A
    loss lifts it for good, by what was lost.

    Args:
        rate: Hz.

    Attributes:
        gaps: Times audio was lost.
        lost_s: Audio lost, as far as known.

    >>> meter = GapMeter(1000)
    >>> for second in range(8):
    ...     meter.note(1000, second + (0.25 if second > 3 else 0.0), PortStats())
    >>> meter.gaps, meter.lost_s
    (1, 0.25)
    """

    def __init__(self, rate: int) -> None:
        self.gaps = 0
        self.lost_s = 0.0
        self._rate = rate
        self._frames = 0
        self._seen = PortStats()
        self._dropped_s = 0.0
        self._known: float | None = None  # least of the last whole window
        self._least: float | None = None
        self._window = 0
        self._told = -2  # window in which the device last said that it lost audio

    def note(self, frames: int, start_s: float, counts: PortStats) -> None:
        """So many frames were read, the first of them captured at ``start_s`` by the device's clock."""
        dropped = counts.dropped_in - self._seen.dropped_in
        if dropped or counts.xruns_in > self._seen.xruns_in:
            self.gaps += 1
            self._told = self._window
            self.lost_s += dropped / self._rate
            self._dropped_s += dropped / self._rate
        self._seen = counts
        offset_s = start_s - self._frames / self._rate - self._dropped_s
        self._least = offset_s if self._least is None else min(self._least, offset_s)
        self._frames += frames
        if self._frames >= (self._window + 1) * WINDOW_S * self._rate:
            self._close(self._least)

    def _close(self, least_s: float) -> None:
        rise_s = 0.0 if self._known is None else least_s - self._known
        if rise_s > LEAST_S:
            self.lost_s += rise_s
            self.gaps += self._told < self._window - 2
        self._known, self._least = least_s, None
        self._window = int(self._frames / (WINDOW_S * self._rate))
