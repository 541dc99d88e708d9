"""What a subscriber asks publishers for when it comes, or comes back."""

from typing import NamedTuple

from menura.channels.wire import Frame, Kind, encode

__all__ = ["Question"]


class Question(NamedTuple):
    """What a subscriber asks publishers for, in a ``HELLO``.

    Attributes:
        replay: The last so many that are kept for all.
        away_s: How long it was away, having listened before.
        known: The sequence heard last, by publisher.
    """

    replay: int
    away_s: float
    known: dict[int, int]

    def encode(self, identity: int) -> bytes:
        """As a frame of this process."""
        away_ms = min(round(1000.0 * self.away_s), 2**32 - 1)
        pairs = [number.to_bytes(8, "little") for pair in self.known.items() for number in pair]
        return encode(Kind.HELLO, identity, self.replay, away_ms.to_bytes(4, "little") + b"".join(pairs))

    @classmethod
    def decode(cls, frame: Frame) -> "Question":
        """Read a frame; what is cut off is not there."""
        body = frame.body
        numbers = [int.from_bytes(body[at : at + 8], "little") for at in range(4, len(body) - 7, 8)]
        known = dict(zip(numbers[::2], numbers[1::2], strict=False))
        return cls(frame.sequence, int.from_bytes(body[:4], "little") / 1000.0, known)
