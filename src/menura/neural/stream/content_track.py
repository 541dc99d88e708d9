"""What a stream has said: the content model's front end computed once for each moment, the rest over a window."""

from collections.abc import Generator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from menura.neural.nets.moments import FirstNorm, RunningMoments
from menura.neural.stream.model import Request

__all__ = ["MEMORY_S", "ContentTrack", "StreamedContent"]

Floats = NDArray[np.float32]
MEMORY_S = 20.0
"""Time of sound over which loudness is remembered: with less, a stream is further from all of its audio at once."""


class StreamedContent(Protocol):
    """What a track must know of a content model.

    Attributes:
        RATE, HOP: Of its audio, Hz; samples from one row of the front end to the next.
        reach: Samples that a row is made of.
        norm: What the front end is told of the loudness of all that was heard; None where it asks for nothing.
    """

    RATE: int
    HOP: int
    reach: int
    norm: FirstNorm | None


class ContentTrack:
    """The front end's rows of a window that moves.

    A row is computed when it is first needed, and carried from then on; what was heard while nothing was computed is
    computed when it is context for something. Rows of one moment are the same however the stream is cut into calls,
    and up to the loudness that they are normalised by they are those of all the audio at once.

    Args:
        content: The model.
        samples: Of the window, whole frames of the model.
    """

    def __init__(self, content: StreamedContent, samples: int) -> None:
        self._content = content
        self._moments = RunningMoments(content.norm, MEMORY_S, content.RATE) if content.norm else None
        self._kept = self._missing = self._frames(samples)
        self._fresh = 0
        self._rows: Floats | None = None

    def _frames(self, samples: int) -> int:
        return max(0, (samples - self._content.reach) // self._content.HOP + 1)

    def hear(self, x: Floats) -> None:
        """Take note of the next audio ``[samples]``, whole frames of the model: no row of it is known yet."""
        self._fresh = len(x) // self._content.HOP
        self._missing = min(self._missing + self._fresh, self._kept)
        if self._moments is not None:
            self._moments.hear(x)

    def steps(self, wave: Floats, samples: int) -> Generator[Request, Any, Floats]:
        """Features of the end of the window.

        Args:
            wave: The window, ``[samples]``.
            samples: Of its end that the content model is to hear.

        Returns:
            By way of requests, ``[frames, channels]``.
        """
        rows = (yield from self._front(wave))[-self._frames(samples) :]
        features: Floats = (yield Request("transform", (rows[None],)))[0]
        return features

    def _front(self, wave: Floats) -> Generator[Request, Any, Floats]:
        """The window's rows; those that are missing are asked for."""
        if self._rows is not None and not self._missing:
            return self._rows
        hop, end = self._content.HOP, (self._kept - 1) * self._content.HOP + self._content.reach
        piece = wave[(self._kept - self._missing) * hop : end]
        row, spare = self._silence(piece)
        piece = np.delete(piece, slice(row * hop, (row + spare) * hop))
        affine = (None, None) if self._moments is None else self._moments.affine()
        made = (yield Request("front", (piece[None], *affine)))[0]
        counts = np.ones(len(made), np.int64)
        counts[row] += spare
        rows = np.repeat(made, counts, axis=0)
        if self._rows is not None:
            rows = np.concatenate([self._rows[self._missing :], rows])
        # what is no number must not stay
        if np.isfinite(made).all():
            self._rows, self._missing = rows, 0
        return rows

    def _silence(self, piece: Floats) -> tuple[int, int]:
        """A row of silence, and how many after it need not be computed because they are the same.

        As many as a block has are computed in any case, so that most requests are of one shape.
        """
        hop = self._content.HOP
        loud = np.concatenate([[-1], np.flatnonzero(piece), [len(piece)]])
        longest = int(np.argmax(np.diff(loud)))
        first = -(-(int(loud[longest]) + 1) // hop)
        last = (int(loud[longest + 1]) - self._content.reach) // hop
        spare = min(last - first, self._missing - self._fresh)
        return (first, spare) if spare > 0 else (0, 0)
