"""Whether streams follow each other without a gap, by their timestamps."""

from menura.channels.timeline import TOLERANCE_S

__all__ = ["Continuity"]


class Continuity:
    """Counts missing audio.

    >>> seen = Continuity()
    >>> seen.step((0.0, 0.02)), round(seen.step((0.04, 0.06)), 3), seen.gaps
    (0.0, 0.02, 1)
    """

    __slots__ = ("_end_s", "gap_s", "gaps")

    def __init__(self) -> None:
        self._end_s: float | None = None
        self.gaps = 0
        self.gap_s = 0.0

    def step(self, timestamp: tuple[float, float]) -> float:
        """Note the next stream.

        Returns:
            Seconds missing before it; negative where it goes back, which is no gap; 0 where it follows, is the first,
            or begins at exactly 0, which says nothing about time, and follows.
        """
        start, end = timestamp
        known = self._end_s
        if known is None:
            self._end_s = end
            return 0.0
        if not start:
            self._end_s = known + end
            return 0.0
        self._end_s = end
        gap = start - known
        if -TOLERANCE_S < gap < TOLERANCE_S:
            return 0.0
        if gap > 0:
            self.gaps += 1
            self.gap_s += gap
        return gap
