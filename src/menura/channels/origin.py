"""Whose audio a stage gives: which of its inputs, from when."""

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from menura.audio.block import Samples

__all__ = ["Origin", "Origins", "Piece"]


class Piece(NamedTuple):
    """Audio, and what it was made of.

    Attributes:
        block: ``[n, channels]``.
        start_s: When its first frame was, by the timestamps of the input.
        end_s: When its last frame ended.
        format: Of the input.
        metadata: Of the input.
    """

    block: Samples
    start_s: float
    end_s: float
    format: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """One input.

    Attributes:
        base: Frames at the stage's rate before the conversion that this is part of.
        offset: Frames of that conversion's input before this one's.
        frames: How many it has.
        rate: Hz.
        start_s, end_s: Its timestamp.
        format: Its encoding.
        metadata: What travels with it.
    """

    base: int
    offset: int
    frames: int
    rate: int
    start_s: float
    end_s: float
    format: str
    metadata: dict[str, Any]

    def joins(self, before: "Origin", tolerance_s: float) -> bool:
        """Whether one piece may hold the end of ``before`` and the beginning of this."""
        return (
            self.frames > 0
            and before.frames > 0
            and abs(self.start_s - before.end_s) <= tolerance_s
            and self.format == before.format
            and _equal(self.metadata, before.metadata)
        )


def _equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    try:
        return a is b or bool(a == b)
    except ValueError:  # arrays have no one truth
        return False


class _Cut(NamedTuple):
    first: int
    end: int
    head: Origin
    tail: Origin


class Origins:
    """Cuts what a stage gives into pieces that belong to its inputs.

    Positions are whole numbers throughout: frame ``k`` of the output is at ``k · rate_in / rate_out`` of the stage's
    input, and that at a fraction of one of its own inputs, whose timestamp then tells its time.

    Args:
        rate_in: Of the stage, Hz.
        rate_out: Of the stage, Hz.
        tolerance_s: A piece may hold the end of one input and the beginning of the next if their times are no further
            apart, and their formats and metadata alike.
        whole: One piece for each input, when all of it is there.
    """

    def __init__(self, rate_in: int, rate_out: int, tolerance_s: float, *, whole: bool = False) -> None:
        self._in, self._out = rate_in, rate_out
        self._tolerance_s = tolerance_s
        self._whole = whole
        self._made = 0
        self._inputs: deque[Origin] = deque()
        self._held: list[Samples] = []

    def add(self, origin: Origin) -> None:
        """What the stage is given next."""
        self._inputs.append(origin)

    def cut(self, y: Samples, *, last: bool = False) -> list[Piece]:
        """The next that the stage gave, in pieces; with ``last``, all that is held."""
        if self._whole:
            y = self._hold(y, last=last)
        start, end = self._made, self._made + len(y)
        self._made = end
        return [self._piece(y[c.first - start : c.end - start], c) for c in self._cuts(start, end)]

    def _piece(self, block: Samples, cut: _Cut) -> Piece:
        head, tail = cut.head, cut.tail
        start_s = self._time(head, cut.first) if head.frames else head.start_s
        end_s = self._time(tail, cut.end) if tail.frames else tail.end_s
        return Piece(block, start_s, end_s, tail.format, tail.metadata)

    def _cuts(self, at: int, end: int) -> list[_Cut]:
        cuts: list[_Cut] = []
        while self._inputs:
            head = self._inputs[0]
            until = self._until()
            if at >= until and (len(self._inputs) > 1 or not head.frames):
                self._inputs.popleft()
                if not head.frames:
                    cuts.append(_Cut(at, at, head, head))
                continue
            if at >= end:
                break
            stop = min(end, until) if len(self._inputs) > 1 else end
            if cuts and not self._whole and head.joins(cuts[-1].tail, self._tolerance_s):
                cuts[-1] = cuts[-1]._replace(end=stop, tail=head)
            else:
                cuts.append(_Cut(at, stop, head, head))
            at = stop
        return cuts

    def _until(self) -> int:
        head = self._inputs[0]
        return self._first(head, head.frames) if len(self._inputs) == 1 else self._first(self._inputs[1], 0)

    def _first(self, origin: Origin, frame: int) -> int:
        """First frame of the output that lies at or behind a frame of an input."""
        position = (origin.offset + frame) * self._out * self._in + origin.base * self._out * origin.rate
        return -(-position // (origin.rate * self._in))

    def _time(self, origin: Origin, k: int) -> float:
        into = (k * self._in - origin.base * self._out) * origin.rate - origin.offset * self._out * self._in
        share = into / (self._out * self._in * origin.frames)
        if share == 1.0:
            return origin.end_s
        return origin.start_s + (origin.end_s - origin.start_s) * share

    def _hold(self, y: Samples, *, last: bool) -> Samples:
        """What is complete of what was held and comes now."""
        held = [*self._held, y] if len(y) or not self._held else self._held
        there = self._made + sum(len(block) for block in held)
        complete = there if last else self._made
        if not last:
            for origin in self._inputs:
                until = self._first(origin, origin.frames)
                if until > there:
                    break
                complete = until
        if complete == self._made:
            self._held = held
            return y[:0]
        whole = np.concatenate(held)
        count = complete - self._made
        self._held = [whole[count:]]
        return whole[:count]
