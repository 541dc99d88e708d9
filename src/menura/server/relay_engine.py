"""What a client with a loudspeaker of its own has heard."""

from menura.clock import Clock
from menura.live.engine import AudioEngine

__all__ = ["Playhead", "RelayEngine"]

RelayEngine = AudioEngine


class Playhead:
    """Where a client's loudspeaker should be: it plays what it gets, from when it gets it, without a break.

    That is later than the truth by the way back and earlier by the way there; a client that reports is better.

    >>> now = [0.0]
    >>> head = Playhead(lambda: now[0])
    >>> head.sent(100.0)
    >>> now[0] = 0.03
    >>> head.heard_ms, head.ahead_ms
    (30.0, 70.0)
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent_ms = self._ends_s = 0.0

    def sent(self, duration_ms: float) -> None:
        """The client gets more."""
        self._ends_s = max(self._ends_s, self._clock()) + duration_ms / 1000.0
        self._sent_ms += duration_ms

    def stop(self, heard_ms: float) -> None:
        """The client has thrown away what it did not play; so much it did."""
        self._sent_ms, self._ends_s = heard_ms, 0.0

    @property
    def ahead_ms(self) -> float:
        """What it still has to play."""
        return round(1000.0 * max(0.0, self._ends_s - self._clock()), 6)

    @property
    def heard_ms(self) -> float:
        """What it has played, of all it ever got."""
        return max(0.0, self._sent_ms - self.ahead_ms)
