"""How far back a stream looks, by the time that its blocks take."""

from collections.abc import Callable
from dataclasses import dataclass

from menura.clock import Clock
from menura.dsp.governor import Governor
from menura.neural.stream.model import Floats
from menura.neural.stream.shape import StreamShape

__all__ = ["Pace", "PaceStats", "ladder"]

FRAME_MS = 10.0
LEAST = 50
"""Frames of the shortest context that is stepped down to."""
BUDGET, ROOM = 0.9, 0.45
"""Shares of real time: above the first, blocks are about to be late; below the other, twice as much is in time."""
HOLD_S, WINDOW_MS = 5.0, 1000.0
SINGLE = 1.0
"""A block that takes as long as it lasts is late by itself, and heard: the next may not be."""


@dataclass(frozen=True, slots=True)
class PaceStats:
    """How far back a stream looks.

    Attributes:
        context_ms: Of the next block.
        longest_ms: Where there is time.
        load: Time that blocks take as a share of their duration, over the last second.
        steps_down, steps_up: So often the context became shorter, and longer again.
        late: Blocks that took longer than they last.
    """

    context_ms: float
    longest_ms: float
    load: float
    steps_down: int
    steps_up: int
    late: int


def ladder(shape: StreamShape) -> tuple[int, ...]:
    """Contexts to step down, frames: halves of the longest, down to 0.5 s; even, as the content model's grid is.

    >>> ladder(StreamShape(context=200)), ladder(StreamShape(context=120)), ladder(StreamShape(context=40))
    ((200, 100, 50), (120, 60, 50), (40,))
    """
    steps = [shape.context]
    while steps[-1] > LEAST:
        steps.append(max(LEAST, steps[-1] // 4 * 2))
    return tuple(steps)


class Pace:
    """Shortens a stream's context while its blocks take too long, and gives it back when there is room.

    Args:
        shape: How the stream is cut, with its longest context.
        clock: For the time that blocks take.
        look_back: Told how many frames of context the next block has.
    """

    def __init__(self, shape: StreamShape, clock: Clock, look_back: Callable[[int], None]) -> None:
        self._contexts, self._clock, self._look_back = ladder(shape), clock, look_back
        self._block_ms = FRAME_MS * shape.block
        self._governor = Governor(
            len(self._contexts) - 1, budget=BUDGET, room=ROOM, hold_s=HOLD_S, window_ms=WINDOW_MS, single=SINGLE
        )
        self._level, self._first = 0, True

    def measured(self, compute: Callable[[], Floats]) -> Floats:
        """Compute a block, and decide on the next.

        Silence takes no time, and says nothing about the load; neither does the first block of a length, which
        provides the memory for the others.
        """
        begun_s = self._clock()
        y = compute()
        if not y.any():
            return y
        if self._first:
            self._first = False
            return y
        level = self._governor.observe(1000.0 * (self._clock() - begun_s), self._block_ms)
        if level != self._level:
            self._level, self._first = level, True
            self._look_back(self._contexts[level])
        return y

    def stats(self) -> PaceStats:
        """Figures now; from any thread."""
        found = self._governor.stats()
        context_ms, longest_ms = FRAME_MS * self._contexts[found.level], FRAME_MS * self._contexts[0]
        return PaceStats(context_ms, longest_ms, found.load, found.sheds, found.restores, found.misses)
