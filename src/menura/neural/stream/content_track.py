"""What a stream has said: the content model's front end computed once for each moment, the rest over a window."""

from collections.abc import Generator
from math import ceil
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
        before: Rows before one that tell its position.
        again: Share of a window's rows that are computed again before new ones; None: all.
        norm: What the front end is told of the loudness of all that was heard; None where it asks for nothing.
    """

    RATE: int
    HOP: int
    reach: int
    before: int
    again: float | None
    norm: FirstNorm | None


class ContentTrack:
    """The front end's rows of a window that moves.

    A row is computed when it is first needed, and carried from then on; what was heard while nothing was computed is
    computed when it is context for something. Rows of one moment are the same however the stream is cut into calls,
    and up to the loudness that they are normalised by they are those of all the audio at once.

    Args:
        content: The model.
        samples: Of the window, whole frames of the model.

    Attributes:
        share: Of the rows before the newest that are computed again, as many as are, where there is less time.
    """

    def __init__(self, content: StreamedContent, samples: int) -> None:
        self._content, self.share = content, 1.0
        self._moments = RunningMoments(content.norm, MEMORY_S, content.RATE) if content.norm else None
        self._kept = self._missing = self._frames(samples)
        self._fresh = 0
        self._rows: Floats | None = None
        self._said = _Said(self._kept)

    def _frames(self, samples: int) -> int:
        return max(0, (samples - self._content.reach) // self._content.HOP + 1)

    def hear(self, x: Floats) -> None:
        """Take note of the next audio ``[samples]``, whole frames of the model: no row of it is known yet."""
        self._fresh = len(x) // self._content.HOP
        self._missing = min(self._missing + self._fresh, self._kept)
        self._said.hear(self._fresh)
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
        rows, count = (yield from self._front(wave)), self._frames(samples)
        if self._content.again is None:
            features: Floats = (yield Request("transform", (rows[None, -count:],)))[0][0]
            return features
        # rows further back than the positions' reach are placed without a look at new ones
        again = min(ceil(self._content.again * self._kept), self._content.before)
        new = self._said.wanted(count, round(again * self.share))
        before = rows[max(0, len(rows) - new - self._content.before) : len(rows) - new]
        before = np.pad(before, ((self._content.before - len(before), 0), (0, 0)))
        past = self._said.past(count, new)
        arrays = (rows[None, -new:], before[None], past)
        features, kept = yield Request("transform", arrays if past is not None else arrays[:1])
        return self._said.take(features[0], kept[0])[-count:].copy()

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


class _Said:
    """Features of a window's rows, and their keys and values in each layer: of the rows that were known last.

    Args:
        most: Rows to keep.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._features: Floats | None = None
        self._kept: Floats | None = None
        self._unknown = 0

    def hear(self, rows: int) -> None:
        """So many more are unknown."""
        self._unknown += rows

    def wanted(self, count: int, again: int) -> int:
        """Rows to be computed, of the ``count`` that matter."""
        known = 0 if self._features is None else len(self._features)
        new = min(count, self._unknown + again)
        return count if known + self._unknown < count else new

    def past(self, count: int, new: int) -> Floats | None:
        """Keys and values before the new rows, ``[1, layers, count - new, …]``; None where there are none."""
        if self._kept is None or count == new:
            return None
        end = self._kept.shape[1] + self._unknown - new
        return self._kept[None, :, end - (count - new) : end]

    def take(self, features: Floats, kept: Floats) -> Floats:
        """Features of all known rows, the newest ones new."""
        new = len(features)
        if self._features is not None and self._kept is not None and new >= self._unknown:
            end = max(0, len(self._features) + self._unknown - new)
            features = np.concatenate([self._features[:end], features])[-self._most :]
            kept = np.concatenate([self._kept[:, :end], kept], axis=1)[:, -self._most :]
        # what is no number must not stay
        finite = bool(np.isfinite(features[-new:]).all())
        self._features, self._kept, self._unknown = (features, kept, 0) if finite else (None, None, 0)
        return features
