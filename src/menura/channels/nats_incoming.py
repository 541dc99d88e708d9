"""What arrives on one channel: in each publisher's order, once, and with what is missing counted."""

from collections import OrderedDict, deque
from typing import Final

from menura.channels.wire import REPLAYED, Frame

__all__ = ["Incoming"]

MAX_PUBLISHERS: Final = 1024
"""More are forgotten, the one heard longest ago first: a flood of invented ones takes no memory."""
MAX_HELD: Final = 256


class Incoming:
    """Puts frames in order. A frame never comes after one that its publisher sent later, and never twice.

    While answers to a request for kept frames may come (:meth:`expect`), a publisher's live frames wait for its
    answer, which goes before them.

    Attributes:
        received: Frames handed on.
        lost: Frames that publishers sent, as their counts tell, and that never came.
        repeated: Frames left out because they, or later ones, had come before.
        foreign: Messages left out because they are no frames, or do not fit the channel.

    >>> from menura.channels.wire import Kind
    >>> incoming = Incoming()
    >>> [len(incoming.take(Frame(Kind.BYTES, 1, sequence, 0, b""))) for sequence in (5, 6, 6, 9, 7)]
    [1, 1, 0, 1, 0]
    >>> incoming.lost, incoming.repeated
    (2, 2)
    """

    def __init__(self) -> None:
        self.received = self.lost = self.repeated = self.foreign = 0
        self._last: OrderedDict[int, int] = OrderedDict()
        self._left: OrderedDict[int, int] = OrderedDict()  # who said goodbye may send what it did once more
        self._expecting = False
        self._welcomed: set[int] = set()
        self._held: dict[int, deque[Frame]] = {}

    @property
    def publishers(self) -> int:
        """Publishers heard that have not said goodbye."""
        return len(self._last)

    @property
    def last(self) -> dict[int, int]:
        """The sequence heard last, by publisher."""
        return dict(self._last)

    def expect(self) -> None:
        """Kept frames were asked for: from now to :meth:`release`, each publisher's answer goes first."""
        self._expecting = True
        self._welcomed.clear()

    def take(self, frame: Frame) -> list[Frame]:
        """The frames that may be handed on now."""
        if self._expecting and self._waits(frame):
            held = self._held.setdefault(frame.publisher, deque())
            held.append(frame)
            return self._let_go(frame.publisher) if len(held) > MAX_HELD else []
        return [frame] if self._next(frame) else []

    def _waits(self, frame: Frame) -> bool:
        if frame.flags & REPLAYED or frame.publisher in self._welcomed or len(self._held) > MAX_PUBLISHERS:
            return False
        return frame.sequence > 1 or frame.publisher in self._held

    def _next(self, frame: Frame) -> bool:
        last = self._last.get(frame.publisher)
        if last is None:
            last = self._left.get(frame.publisher)
            if len(self._last) >= MAX_PUBLISHERS:
                self._last.popitem(last=False)
        if last is not None:
            if frame.sequence <= last:
                self.repeated += not frame.flags & REPLAYED
                return False
            self.lost += frame.sequence - last - 1
        self._last[frame.publisher] = frame.sequence
        if len(self._last) > 1:
            self._last.move_to_end(frame.publisher)
        self.received += 1
        return True

    def welcome(self, publisher: int) -> list[Frame]:
        """A publisher has given what it keeps: its live frames may follow."""
        self._welcomed.add(publisher)
        return self._let_go(publisher)

    def _let_go(self, publisher: int) -> list[Frame]:
        self._welcomed.add(publisher)
        return [frame for frame in self._held.pop(publisher, ()) if self._next(frame)]

    def release(self) -> list[Frame]:
        """Nobody answers any more."""
        frames = [frame for publisher in list(self._held) for frame in self._let_go(publisher)]
        self._expecting = False
        self._welcomed.clear()
        return frames

    def leave(self, publisher: int) -> None:
        """A publisher said goodbye."""
        last = self._last.pop(publisher, None)
        if last is not None:
            self._left[publisher] = last
            if len(self._left) > MAX_PUBLISHERS:
                self._left.popitem(last=False)
