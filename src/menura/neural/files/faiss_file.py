"""The file format of faiss' flat and IVF-Flat indices, checked field by field before anything is believed.

Source:
    The layout as faiss 1.7–1.15 writes it (``write_index``): little-endian, fields packed, each vector preceded by its
    number of elements. RVC writes ``IVFn,Flat``.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.signs import foreign
from menura.neural.files.source import shown

__all__ = ["FaissFile", "Place", "is_faiss", "read_faiss"]

_KINDS = {
    b"IwPQ": "product-quantized vectors (IVF-PQ)",
    b"IwQR": "product-quantized vectors (IVF-PQR)",
    b"IwSq": "scalar-quantized vectors (IVF-SQ)",
    b"IwPf": "product-quantized vectors (IVF-PQFastScan)",
    b"IvFl": "a layout of faiss before 2018 (IvFl)",
    b"IvFL": "a layout of faiss before 2018 (IvFL)",
    b"IxPq": "product-quantized vectors (PQ)",
    b"IxPT": "a transformation before the search (PCA or OPQ)",
    b"IxMp": "a map of ids (IDMap)",
    b"IxM2": "a map of ids (IDMap2)",
    b"IxSQ": "scalar-quantized vectors (SQ)",
    b"IHNf": "a graph (HNSW)",
    b"IHN2": "a graph (HNSW)",
    b"IBwF": "binary vectors",
    b"IBxF": "binary vectors",
}
_FLAT = (b"IxF2", b"IxFl")
_INNER_PRODUCT, _L2 = 0, 1
_WIDEST = 1 << 14
_ARRAY_MAP = 1
_MOST_LISTS = 1 << 17


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list's vectors and ids lie in the file: byte offsets, and how many there are."""

    codes: int
    ids: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class FaissFile:
    """An index file, checked.

    Attributes:
        dimensions: Of a vector.
        size: Vectors.
        probes: Lists that a search looks at, as the file has it.
        centroids: ``[lists, dimensions]``; of a flat index none: it is one list.
        lists: Where the vectors are.
    """

    dimensions: int
    size: int
    probes: int
    centroids: NDArray[np.float32]
    lists: tuple[Place, ...]


class _Cursor:
    """Reads fields one after the other; what would end outside the file is damage."""

    def __init__(self, view: memoryview) -> None:
        self.view, self.at = view, 0

    def skip(self, count: int) -> int:
        """Pass over bytes; where they began."""
        at = self.at
        if count < 0 or count > len(self.view) - at:
            raise DamagedModelError("the index ends in the middle: the file is cut short; fetch it again")
        self.at = at + count
        return at

    def fields(self, form: str) -> tuple[Any, ...]:
        return struct.unpack_from(form, self.view, self.skip(struct.calcsize(form)))

    def tag(self) -> bytes:
        return bytes(self.fields("<4s")[0])

    def count(self, item: int) -> int:
        """A number of items that follow, each of so many bytes."""
        count = int(self.fields("<Q")[0])
        if count > (len(self.view) - self.at) // item:
            raise DamagedModelError(f"the index claims {count} items and ends before: the file is cut short")
        return count


def is_faiss(view: memoryview) -> bool:
    """The file begins as faiss' indices do."""
    return bytes(view[:2]) in (b"Iw", b"Ix", b"IH", b"Iv", b"IB")


def read_faiss(view: memoryview) -> FaissFile:
    """Check an index file.

    Raises:
        DamagedModelError: It is cut short, or its parts contradict each other.
        UnsafeModelError: It claims sizes that no voice's index has.
        UnsupportedModelError: It is another kind of index; the text says which.
    """
    cursor = _Cursor(view)
    kind = cursor.tag()
    if kind in _FLAT:
        dimensions, size = _header(cursor)
        place = _flat(cursor, dimensions, size)
        made = FaissFile(dimensions, size, 1, np.empty((0, dimensions), np.float32), (place,))
    elif kind == b"IwFl":
        made = _inverted(cursor)
    elif not is_faiss(view):
        raise foreign(view, "an index")
    else:
        kinds = f"with {_KINDS[kind]}" if kind in _KINDS else f"of a kind that menura does not know ({_tag(kind)})"
        raise UnsupportedModelError(f"it is an index {kinds}: RVC's are IVF-Flat; train the index again in RVC")
    if cursor.at != len(view):
        raise DamagedModelError("the index goes on after its end: fetch the file again")
    return made


def _tag(kind: bytes) -> str:
    return shown(kind.decode("latin-1"))


def _header(cursor: _Cursor) -> tuple[int, int]:
    """Dimensions and number of vectors; the two fields between are unused in faiss."""
    dimensions, size, _, _, trained, metric = cursor.fields("<iqqqBi")
    if not 0 < dimensions <= _WIDEST or size < 0:
        raise UnsafeModelError(f"the index claims {size} vectors of {dimensions} dimensions: no voice's does")
    if metric != _L2:
        what = "inner product" if metric == _INNER_PRODUCT else f"measure {metric}"
        raise UnsupportedModelError(f"the index compares by {what}: RVC's compare by Euclidean distance")
    if trained != 1:
        raise DamagedModelError("the index was never trained: train it again in RVC")
    return dimensions, size


def _flat(cursor: _Cursor, dimensions: int, size: int) -> Place:
    if cursor.count(4) != size * dimensions:
        raise DamagedModelError("the index does not hold as many vectors as it says: fetch the file again")
    return Place(cursor.skip(4 * size * dimensions), -1, size)


def _inverted(cursor: _Cursor) -> FaissFile:
    dimensions, size = _header(cursor)
    lists, probes = cursor.fields("<QQ")
    if cursor.tag() not in _FLAT:
        raise UnsupportedModelError("the index finds its lists in an unusual way: train it again in RVC")
    if _header(cursor) != (dimensions, lists):
        raise DamagedModelError("the index has other centroids than lists: fetch the file again")
    if lists > _MOST_LISTS:
        raise UnsafeModelError(f"the index has {lists} lists: no voice's has more than {_MOST_LISTS}")
    centroids = _flat(cursor, dimensions, lists)
    _direct_map(cursor)
    places = _lists(cursor, lists, dimensions)
    if sum(place.count for place in places) != size:
        raise DamagedModelError("the index's lists do not hold as many vectors as it says: fetch the file again")
    raw = cursor.view[centroids.codes : centroids.codes + 4 * lists * dimensions]
    table = np.frombuffer(raw, "<f4").astype(np.float32).reshape(lists, dimensions)
    if not lists or not np.isfinite(table).all():
        raise DamagedModelError("the index's centroids are no numbers: train it again in RVC")
    return FaissFile(dimensions, size, min(max(1, probes), lists), table, places)


def _direct_map(cursor: _Cursor) -> None:
    """A second way from ids to vectors, which the lists' own ids make needless."""
    kind = cursor.fields("<B")[0]
    cursor.skip(8 * cursor.count(8))
    if kind > _ARRAY_MAP:
        raise UnsupportedModelError("the index has a hash table of ids: train it again in RVC")


def _lists(cursor: _Cursor, lists: int, dimensions: int) -> tuple[Place, ...]:
    if cursor.tag() != b"ilar":
        raise UnsupportedModelError("the index keeps its vectors elsewhere: train it again in RVC")
    if cursor.fields("<QQ") != (lists, 4 * dimensions):
        raise DamagedModelError("the index's lists are not of its own size: fetch the file again")
    places = []
    for count in _counts(cursor, lists):
        if count > len(cursor.view):
            raise DamagedModelError("a list of the index is longer than the file: the file is cut short")
        places.append(Place(cursor.skip(4 * dimensions * count), cursor.skip(8 * count), count))
    return tuple(places)


def _counts(cursor: _Cursor, lists: int) -> list[int]:
    """Length of every list: written for all, or for those that are not empty."""
    form = cursor.tag()
    if form not in (b"full", b"sprs"):
        raise UnsupportedModelError("the index's lists are written in an unknown way: train it again in RVC")
    at = cursor.skip(8 * cursor.count(8))
    values = np.frombuffer(cursor.view[at : cursor.at], "<u8").tolist()
    if form == b"full":
        if len(values) != lists:
            raise DamagedModelError("the index has other lengths than lists: fetch the file again")
        return list(values)
    counts = [0] * lists
    for number, count in zip(values[::2], values[1::2], strict=False):
        if number >= lists or counts[number]:
            raise DamagedModelError("the index gives a length to a list that it has not: fetch the file again")
        counts[number] = count
    return counts
