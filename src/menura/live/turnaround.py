"""How late answers are, against real time."""

__all__ = ["Turnaround"]

SMOOTH = 0.1


class Turnaround:
    """Mean time from when audio was due to when its answer was ready.

    A chunk is due when a client that sends in real time would have sent it: at its arrival, or later where the client
    runs ahead of the clock. So a file sent in one burst does not count its own waiting as latency, and a live one
    counts all of it.

    >>> t = Turnaround(1000)
    >>> t.answered(t.arrived(10.0, 20), 10.004)
    >>> round(t.mean_s, 3)
    0.004
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._clock_s = -float("inf")
        self.mean_s = 0.0

    def arrived(self, now_s: float, frames: int) -> float:
        """Note a chunk; returns when it was due."""
        due_s = max(now_s, self._clock_s)
        self._clock_s = due_s + frames / self._rate
        return due_s

    def answered(self, due_s: float, now_s: float) -> None:
        """Note its answer."""
        late_s = max(0.0, now_s - due_s)
        self.mean_s += (late_s - self.mean_s) * (SMOOTH if self.mean_s else 1.0)
