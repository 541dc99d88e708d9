"""Where in the stream a packet belongs, by its timestamp, its number, or the order in which it came."""

from menura.engine.jitter_config import JitterConfig

__all__ = ["Placer"]

STRAYS = 3
"""Packets in a row from long ago that prove that the sender began its count anew."""


def _unwrap(value: int, last: int, modulus: int) -> int:
    """The number nearest to ``last`` of those that are ``value`` modulo ``modulus``.

    >>> _unwrap(3, 65_534, 65_536)
    65539
    """
    return last + (value - last + modulus // 2) % modulus - modulus // 2 if modulus else value


class Placer:
    """Gives every packet its position, frames from the stream's start in the sender's time.

    Args:
        jitter: The moduli of sequence and timestamp, and the longest gap that is no pause.
        reach: Frames; a packet further away than this from where the stream is begins it anew.
        longest: Frames; a gap in time longer than this is a pause.

    Attributes:
        resumed: Positions at which the sender went on after a pause: the hole before them is no loss. Those passed are
            forgotten.
    """

    def __init__(self, jitter: JitterConfig, reach: int, longest: int) -> None:
        self._moduli = jitter.sequence_modulus, jitter.timestamp_modulus
        self._reach, self._longest = reach, longest
        self._next = 0  # position after the newest packet
        self._stamp: tuple[int, int] | None = None  # newest timestamp and its position
        self._newest: tuple[int, int, int] | None = None  # sequence, position, frames
        self._first = 0
        self._counted = 0
        self._missing = 0  # of the counts before this one
        self._strays = 0
        self.resumed: set[int] = set()

    @property
    def missing(self) -> int:
        """Packets that the sequence tells of and that have not come; one that came twice hides one."""
        expected = self._newest[0] - self._first + 1 if self._newest else 0
        return self._missing + expected - self._counted

    def place(self, frames: int, sequence: int | None, timestamp: int | None, head: int) -> tuple[int, bool]:
        """Position of the next packet's first frame.

        Returns:
            Position, and whether the stream begins anew with this packet.
        """
        due = max(self._next, head)
        follows = False
        if sequence is not None and self._newest:
            sequence = _unwrap(sequence, self._newest[0], self._moduli[0])
            follows = sequence == self._newest[0] + 1
        at = self._position(frames, sequence, timestamp, due)
        anew = self._is_anew(at, due, head)
        if anew:
            self._begin_anew()
            at = due
        elif at > due and (at - due > self._longest or (follows and timestamp is not None)):
            self.resumed.add(at)
            self.resumed.difference_update([place for place in self.resumed if place < head])
        self._note(at, frames, sequence, timestamp)
        return at, anew

    def _position(self, frames: int, sequence: int | None, timestamp: int | None, due: int) -> int:
        if timestamp is not None and self._stamp:
            return self._stamp[1] + _unwrap(timestamp, self._stamp[0], self._moduli[1]) - self._stamp[0]
        if timestamp is None and sequence is not None and self._newest:
            number, position, length = self._newest
            return position + (sequence - number) * (length if sequence > number else frames)
        return due

    def _is_anew(self, at: int, due: int, head: int) -> bool:
        if at > due + self._reach:
            return True
        self._strays = self._strays + 1 if at < head - self._reach else 0
        return self._strays >= STRAYS

    def _begin_anew(self) -> None:
        self._missing = self.missing
        self._stamp = self._newest = None
        self._counted = self._strays = 0

    def _note(self, at: int, frames: int, sequence: int | None, timestamp: int | None) -> None:
        self._next = max(self._next, at + frames)
        if timestamp is not None:
            if self._stamp:
                timestamp = _unwrap(timestamp, self._stamp[0], self._moduli[1])
            if not self._stamp or at > self._stamp[1]:
                self._stamp = timestamp, at
        if sequence is not None:
            if not self._newest:
                self._first = sequence
            self._first = min(self._first, sequence)
            self._counted += 1
            if not self._newest or sequence > self._newest[0]:
                self._newest = sequence, at, frames
