"""How far back a stream looks, and how much of it is computed again, by the time that its blocks take."""

from collections.abc import Callable
from dataclasses import dataclass

from menura.clock import Clock
from menura.dsp.governor import Governor
from menura.neural.stream.model import Floats
from menura.neural.stream.shape import StreamShape

__all__ = ["Pace", "PaceStats", "ladder"]

FRAME_MS = 10.0
STEPS = 3
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
        steps_down, steps_up: So often less was computed, and more again.
        late: Blocks that took longer than they last.
    """

    context_ms: float
    longest_ms: float
    load: float
    steps_down: int
    steps_up: int
    late: int


def ladder(shape: StreamShape) -> tuple[tuple[int, float], ...]:
    """Steps down: contexts in frames, halves of the longest down to 0.5 s, even as the content model's grid is; and
    what share the content model computes again of what it does, where it carries the rest.

    >>> ladder(StreamShape(context=200)), ladder(StreamShape(context=40))
    (((200, 1.0), (100, 0.5), (50, 0.25)), ((40, 1.0), (40, 0.5), (40, 0.25)))
    """
    steps = [(shape.context, 1.0)]
    # a block's decoder has room in the shortest too
    least = max(LEAST, -(-(shape.decoded - shape.block) // 2) * 2)
    while len(steps) < STEPS:
        context, share = steps[-1]
        steps.append((max(min(context, least), context // 4 * 2), 0.5 * share))
    return tuple(steps)


class Pace:
    """Shortens a stream's context while its blocks take too long, and gives it back when there is room.

    Args:
        shape: How the stream is cut, with its longest context.
        clock: For the time that blocks take.
        look_back: Told how many frames of context the next block has, and what share of it is computed again.
    """

    def __init__(self, shape: StreamShape, clock: Clock, look_back: Callable[[int, float], None]) -> None:
        self._steps, self._clock, self._look_back = ladder(shape), clock, look_back
        self._block_ms = FRAME_MS * shape.block
        self._governor = Governor(
            len(self._steps) - 1, budget=BUDGET, room=ROOM, hold_s=HOLD_S, window_ms=WINDOW_MS, single=SINGLE
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
            self._look_back(*self._steps[level])
        return y

    def stats(self) -> PaceStats:
        """Figures now; from any thread."""
        found = self._governor.stats()
        context_ms, longest_ms = (FRAME_MS * self._steps[level][0] for level in (found.level, 0))
        return PaceStats(context_ms, longest_ms, found.load, found.sheds, found.restores, found.misses)
