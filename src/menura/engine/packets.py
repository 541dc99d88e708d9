"""What a network delivered, in the order in which it was sent."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples, silence

__all__ = ["Packets", "Placed"]

SMALL = 128
"""Frames up to which neighbours are joined: a block has an overhead of its own, and a sender may send single frames."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a packet: frames kept, frames that came too late, frames that were there already."""

    kept: int
    late: int
    duplicate: int


class Packets:
    """Blocks by position, with holes where one is missing.

    Positions count frames from the stream's start in the sender's time. ``head`` is the next to be read; what lies
    before it is late.

    Args:
        channels: Of every block.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._starts: list[int] = []
        self._blocks: list[Samples] = []
        self.head = 0
        self.held = 0

    @property
    def end(self) -> int:
        """Position after the last frame held; ``head`` if none is."""
        return self._starts[-1] + len(self._blocks[-1]) if self._starts else self.head

    @property
    def hole(self) -> int | None:
        """Frames missing at ``head`` before the next one held; ``None`` if none is held."""
        return self._starts[0] - self.head if self._starts else None

    @property
    def ready(self) -> int:
        """Frames that can be taken from ``head`` on without a hole."""
        at = self.head
        for start, block in zip(self._starts, self._blocks, strict=True):
            if start != at:
                break
            at += len(block)
        return at - self.head

    def insert(self, start: int, x: Samples) -> Placed:
        """Place a block at a position; what is late or there already is left out."""
        late = min(len(x), max(0, self.head - start))
        kept, at = 0, start + late
        x = x[late:]
        if not self._starts or at >= self.end:  # in order, as nearly always
            if self._blocks and at == self.end and len(x) + len(self._blocks[-1]) <= SMALL:
                self._blocks[-1] = np.concatenate([self._blocks[-1], x])
            elif len(x):
                self._starts.append(at)
                self._blocks.append(x)
            self.held += len(x)
            return Placed(len(x), late, 0)
        left = len(x)
        index = bisect_right(self._starts, at)
        while len(x):
            if index and self._starts[index - 1] + len(self._blocks[index - 1]) > at:
                covered = min(len(x), self._starts[index - 1] + len(self._blocks[index - 1]) - at)
                at, x = at + covered, x[covered:]
            else:
                room = len(x) if index == len(self._starts) else min(len(x), self._starts[index] - at)
                if room:
                    self._starts.insert(index, at)
                    self._blocks.insert(index, x[:room])
                    kept, at, x = kept + room, at + room, x[room:]
                index += 1
        self.held += kept
        return Placed(kept, late, left - kept)

    def peek(self, frames: int, *, beyond_hole: bool = False) -> Samples:
        """The next ``frames`` that are ready, fewer if fewer are; or those that follow the hole at ``head``."""
        parts, missing = [], frames
        at = self._starts[0] if beyond_hole and self._starts else self.head
        for start, block in zip(self._starts, self._blocks, strict=True):
            if start != at or not missing:
                break
            parts.append(block[:missing])
            missing -= len(parts[-1])
            at += len(block)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else silence(0, self._channels)

    def take(self, frames: int) -> Samples:
        """Remove and return what ``peek`` shows."""
        x = self.peek(frames)
        self.drop(len(x))
        return x

    def drop(self, frames: int) -> None:
        """Remove so many of the oldest frames held; holes before and between them are passed over."""
        self.held -= frames
        while frames:
            self.head = self._starts[0]
            block = self._blocks[0]
            gone = min(frames, len(block))
            self.head += gone
            frames -= gone
            if gone < len(block):
                self._starts[0], self._blocks[0] = self.head, block[gone:]
            else:
                del self._starts[0], self._blocks[0]

    def skip(self, frames: int) -> None:
        """Pass over so many frames of the hole at ``head``."""
        self.head += frames

    def clear(self) -> int:
        """Drop all; returns how many frames. ``head`` is where the last one ended."""
        self.head, gone, self.held = self.end, self.held, 0
        self._starts.clear()
        self._blocks.clear()
        return gone
