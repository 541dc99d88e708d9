"""A voice's index: the training's own content features, and a search for those nearest to a frame."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from menura.errors import DamagedModelError, FormatError
from menura.neural.files.faiss_file import FaissFile, Place, read_faiss
from menura.neural.files.source import ModelSource, open_source

__all__ = ["VoiceIndex", "read_index"]

_SPARE = 16
"""Candidates kept beyond those wanted where a quick distance chooses and an exact one decides."""
_FEW_ROWS = 256
"""Up to so many rows the exact distance alone is quicker."""
_AT_ONCE = 1 << 22
"""Numbers of a temporary array."""


class VoiceIndex:
    """Vectors in lists around centroids, in the file's own memory, and the search over them.

    It holds no state of a search: any number of sessions may use one. Its results are those of faiss'
    ``IndexIVFFlat.search``, up to the order of equal distances.

    Attributes:
        dimensions: Of a vector: 256 for voices of RVC v1, 768 for v2.
        size: Vectors; their ids are 0 … size − 1.
        probes: Lists that a search looks at, unless told otherwise.
        centroids: ``[lists, dimensions]``, float32; empty where the index is one list.

    Raises:
        DamagedModelError: An id is there twice or missing.
    """

    def __init__(self, file: FaissFile, view: memoryview) -> None:
        self.dimensions, self.size, self.probes = file.dimensions, file.size, file.probes
        self.centroids = file.centroids
        self._lists, self._view = file.lists, view
        self._squares = np.square(self.centroids).sum(axis=1)
        self._ids = [self._ids_of(place) for place in file.lists]
        self._offsets = self._find_ids()

    def search(
        self, queries: NDArray[np.float32], k: int = 8, probes: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The vectors nearest to each query.

        Args:
            queries: What is looked for.
            k: How many are wanted.
            probes: Lists to look at; None: as the file says.

        Shape:
            queries: ``[n, dimensions]``, float32; ``n`` may be 0.

        Returns:
            Squared Euclidean distances and ids, both ``[n, k]``, nearest first. Where the lists hold fewer, the
            distance is infinite and the id −1; a query that is not finite finds nothing.

        Raises:
            FormatError: ``queries`` is of another shape, or a number is below 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dimensions or k < 1 or (probes is not None and probes < 1):
            raise FormatError(f"a search takes [n, {self.dimensions}], and k and probes of 1 or more")
        queries = np.ascontiguousarray(queries, np.float32)
        distances = np.full((len(queries), k), np.inf, np.float32)
        ids = np.full((len(queries), k), -1, np.int64)
        with np.errstate(all="ignore"):
            for rows, number in self._visits(queries, self.probes if probes is None else probes):
                found = self._scan(queries[rows], number, k)
                _merge(distances, ids, rows, *found)
        return distances, ids

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors by id.

        Shape:
            ids: Any; the result has one axis more, ``[…, dimensions]``. An id of −1 gives zeros.

        Raises:
            FormatError: There is no such id.
        """
        flat = np.asarray(ids, np.int64).reshape(-1)
        if flat.size and (flat.max() >= self.size or flat.min() < -1):
            raise FormatError(f"an index of {self.size} vectors has ids 0 … {self.size - 1}")
        made = np.zeros((len(flat), self.dimensions), np.float32)
        width = 4 * self.dimensions
        for row, number in enumerate(flat.tolist()):
            if number >= 0:
                at = int(self._offsets[number])
                made[row] = np.frombuffer(self._view[at : at + width], "<f4")
        return made.reshape(*np.shape(ids), self.dimensions)

    def _ids_of(self, place: Place) -> NDArray[np.int64]:
        if place.ids < 0:
            return np.arange(place.count)
        return np.frombuffer(self._view[place.ids : place.ids + 8 * place.count], "<i8").astype(np.int64)

    def _find_ids(self) -> NDArray[np.int64]:
        """Where each id's vector lies in the file."""
        offsets = np.full(self.size, -1, np.int64)
        for place, ids in zip(self._lists, self._ids, strict=True):
            if len(ids) and (ids.min() < 0 or ids.max() >= self.size):
                raise DamagedModelError("the index has ids beyond its size: train it again in RVC")
            offsets[ids] = place.codes + 4 * self.dimensions * np.arange(place.count)
        if self.size and offsets.min() < 0:
            raise DamagedModelError("the index has an id twice: train it again in RVC")
        return offsets

    def _visits(self, queries: NDArray[np.float32], probes: int) -> list[tuple[NDArray[np.int64], int]]:
        """Which queries look at which list: row numbers, list."""
        if not len(queries):
            return []
        if not len(self.centroids):
            return [(np.arange(len(queries)), 0)]
        nearest = self._nearest_lists(queries, min(probes, len(self.centroids)))
        order = np.argsort(nearest, axis=None, kind="stable")
        lists, rows = nearest.reshape(-1)[order], order // nearest.shape[1]
        cuts = np.flatnonzero(np.diff(lists)) + 1
        edges = [0, *cuts.tolist(), len(lists)]
        return [(rows[a:b], int(lists[a])) for a, b in pairwise(edges)]

    def _nearest_lists(self, queries: NDArray[np.float32], probes: int) -> NDArray[np.int64]:
        """``[n, probes]``: a matrix product chooses candidates, exact distances decide among them."""
        rough = self._squares - 2.0 * (queries @ self.centroids.T)
        kept = min(probes + _SPARE, rough.shape[1])
        chosen = np.argpartition(rough, kept - 1, axis=1)[:, :kept]
        step = max(1, _AT_ONCE // (kept * self.dimensions))
        exact = np.concatenate(
            [
                np.square(self.centroids[chosen[at : at + step]] - queries[at : at + step, None]).sum(axis=2)
                for at in range(0, len(queries), step)
            ]
        )
        order = np.argsort(exact, axis=1, kind="stable")[:, :probes]
        return np.asarray(np.take_along_axis(chosen, order, axis=1), np.int64)

    def _scan(self, queries: NDArray[np.float32], number: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The nearest in one list: distances and ids, up to k of them."""
        place, ids = self._lists[number], self._ids[number]
        raw = self._view[place.codes : place.codes + 4 * self.dimensions * place.count]
        rows = np.frombuffer(raw, "<f4").reshape(place.count, self.dimensions)
        if place.count <= _FEW_ROWS or place.count <= k + _SPARE:
            rows = np.require(rows, requirements=["A"])
            distances = _exact(queries, rows)
            return distances, np.broadcast_to(ids, distances.shape)
        chosen = self._candidates(queries, rows, k + _SPARE)
        distances = np.stack([_exact(queries[i : i + 1], rows[chosen[i]])[0] for i in range(len(queries))])
        return distances, ids[chosen]

    def _candidates(self, queries: NDArray[np.float32], rows: NDArray[np.float32], kept: int) -> NDArray[np.int64]:
        """``[n, kept]``: rows that a matrix product finds nearest, a piece of the list at a time."""
        step = max(kept, _AT_ONCE // self.dimensions)
        best = np.empty((len(queries), 0), np.float32)
        where = np.empty((len(queries), 0), np.int64)
        for at in range(0, len(rows), step):
            piece = np.ascontiguousarray(rows[at : at + step])
            rough = np.square(piece).sum(axis=1) - 2.0 * (queries @ piece.T)
            best = np.concatenate([best, np.nan_to_num(rough, nan=np.inf)], axis=1)
            numbers = np.broadcast_to(np.arange(at, at + len(piece)), rough.shape)
            where = np.concatenate([where, numbers], axis=1)
            chosen = np.argpartition(best, min(kept, best.shape[1]) - 1, axis=1)[:, :kept]
            best, where = np.take_along_axis(best, chosen, axis=1), np.take_along_axis(where, chosen, axis=1)
        return where


def _exact(queries: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances ``[n, m]`` by differences: a match is 0, with no cancellation."""
    distances = np.empty((len(queries), len(rows)), np.float32)
    for index, query in enumerate(queries):
        difference = rows - query
        distances[index] = np.einsum("ij,ij->i", difference, difference)
    return distances


def _merge(
    distances: NDArray[np.float32],
    ids: NDArray[np.int64],
    rows: NDArray[np.int64],
    more: NDArray[np.float32],
    more_ids: NDArray[np.int64],
) -> None:
    """Put what a list gave into what is known of its queries, nearest first."""
    k = distances.shape[1]
    finite = np.isfinite(more)
    joined = np.concatenate([distances[rows], np.where(finite, more, np.inf)], axis=1)
    joined_ids = np.concatenate([ids[rows], np.where(finite, more_ids, -1)], axis=1)
    order = np.argsort(joined, axis=1, kind="stable")[:, :k]
    distances[rows] = np.take_along_axis(joined, order, axis=1)
    ids[rows] = np.take_along_axis(joined_ids, order, axis=1)


def read_index(source: ModelSource) -> VoiceIndex:
    """Open a voice's index (``added_IVF…_Flat_….index``).

    The vectors stay in the file, mapped: sessions and processes share one copy, and what is never near is never read.
    The file must not be shortened while the index is in use.

    Args:
        source: A path, or a file's bytes.

    Raises:
        FileError: The file cannot be opened.
        DamagedModelError: It is cut short, or its parts contradict each other.
        UnsafeModelError: It claims sizes that no voice's index has.
        UnsupportedModelError: It is another kind of index, or another file; the text says which.
    """
    opened = open_source(source)
    with opened.errors():
        return VoiceIndex(read_faiss(opened.view), opened.view)
