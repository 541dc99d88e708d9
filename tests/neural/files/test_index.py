import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from menura.errors import DamagedModelError, FormatError, ModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.index import VoiceIndex, read_index
from menura.neural.files.inspect import inspect_model
from tests.neural.model_files import RVC

FIXTURE = RVC / "added_IVF8_Flat_nprobe_1_rand_v2.index"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


def vectors(count: int, dimensions: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)


def built(kind: str, data: NDArray[np.float32], *, metric: int = faiss.METRIC_L2) -> Any:
    made = faiss.index_factory(data.shape[1], kind, metric)
    made.verbose = False
    if hasattr(made, "cp"):
        made.cp.min_points_per_centroid = 1
    made.train(data)
    made.add(data)
    return made


def written(index: Any) -> bytes:
    return bytes(faiss.serialize_index(index).tobytes())


def assert_same_results(ours: VoiceIndex, theirs: Any, queries: NDArray[np.float32], k: int, probes: int) -> None:
    if hasattr(theirs, "nprobe"):
        theirs.nprobe = probes
    wanted, wanted_ids = theirs.search(queries, k)
    found, ids = ours.search(queries, k, probes)
    np.testing.assert_array_equal(ids, wanted_ids)
    there = wanted_ids >= 0
    np.testing.assert_allclose(found[there], wanted[there], rtol=1e-5, atol=1e-5)
    assert np.isinf(found[~there]).all()


@pytest.mark.parametrize("probes", [1, 3, 8, 100])
@pytest.mark.parametrize("count", [1, 7, 25, 120])
def test_search_finds_what_faiss_finds(probes: int, count: int) -> None:
    ours, theirs = read_index(FIXTURE), faiss.read_index(str(FIXTURE))
    stored = theirs.reconstruct_n(0, theirs.ntotal)
    queries = stored[:: len(stored) // count][:count] + 0.3 * vectors(count, 768, seed=count)
    assert_same_results(ours, theirs, queries, 8, probes)
    assert_same_results(ours, theirs, queries, 1, probes)


def test_an_index_tells_its_sizes_and_gives_its_vectors() -> None:
    ours, theirs = read_index(FIXTURE), faiss.read_index(str(FIXTURE))
    assert (ours.size, ours.dimensions, ours.probes, ours.centroids.shape) == (600, 768, 1, (8, 768))
    np.testing.assert_array_equal(ours.vectors(np.arange(600)), theirs.reconstruct_n(0, 600))
    picked = ours.vectors(np.array([[5, -1], [599, 0]]))
    assert picked.shape == (2, 2, 768)
    assert not picked[0, 1].any()
    for ids in ([600], [-2]):
        with pytest.raises(FormatError, match="ids 0 … 599"):
            ours.vectors(np.array(ids))
    facts = inspect_model(FIXTURE)
    assert facts.about == {"vectors": 600, "dimensions": 768, "lists": 8, "probes": 1}


@pytest.mark.parametrize(("kind", "count", "dimensions"), [
    ("IVF4,Flat", 3000, 256), ("IVF1,Flat", 1500, 16), ("IVF64,Flat", 65, 5), ("Flat", 2000, 32), ("Flat", 3, 4),
])  # fmt: skip
def test_indices_of_every_shape_are_searched_like_faiss_does(kind: str, count: int, dimensions: int) -> None:
    theirs = built(kind, vectors(count, dimensions))
    ours = read_index(written(theirs))
    queries = vectors(30, dimensions, seed=1)
    for probes in (1, 2, 64):
        assert_same_results(ours, theirs, queries, 8, probes)


def test_an_index_with_empty_lists_a_direct_map_and_no_vectors_is_read() -> None:
    data = vectors(300, 8)
    sparse = faiss.index_factory(8, "IVF32,Flat")
    sparse.cp.min_points_per_centroid = 1
    sparse.train(data)
    nothing = read_index(written(sparse))
    distances, ids = nothing.search(data[:3])
    assert (nothing.size, ids.max()) == (0, -1)
    assert np.isinf(distances).all()
    sparse.add(data[:3])
    assert_same_results(read_index(written(sparse)), sparse, data[:3], 8, 5)
    sparse.make_direct_map()
    assert_same_results(read_index(written(sparse)), sparse, data[:3], 8, 5)


def test_an_exact_match_has_distance_zero_and_comes_first() -> None:
    for kind in ("IVF4,Flat", "Flat"):
        data = 100 * vectors(2000, 64)
        distances, ids = read_index(written(built(kind, data))).search(data[40:60], 8, 4)
        np.testing.assert_array_equal(ids[:, 0], np.arange(40, 60))
        assert not distances[:, 0].any()


def test_queries_that_are_no_numbers_find_nothing_and_harm_no_other() -> None:
    ours = read_index(FIXTURE)
    queries = ours.vectors(np.arange(4)) + np.float32(0.01)
    alone = ours.search(queries)
    queries[1], queries[2, 5] = np.nan, np.inf
    distances, ids = ours.search(queries)
    assert (ids[1:3] == -1).all()
    np.testing.assert_array_equal(ids[[0, 3]], alone[1][[0, 3]])
    assert np.isinf(distances[1]).all()


def test_a_search_of_nothing_is_empty_and_of_another_width_an_error() -> None:
    ours = read_index(FIXTURE)
    distances, ids = ours.search(np.empty((0, 768), np.float32))
    assert distances.shape == ids.shape == (0, 8)
    one = np.zeros((1, 768), np.float32)
    for queries, k, probes in ((one[:, :256], 8, 1), (one[0], 8, 1), (one, 0, 1), (one, 8, 0)):
        with pytest.raises(FormatError):
            ours.search(queries, k, probes)


@pytest.mark.parametrize(("kind", "said"), [
    ("IVF4,PQ4x4", "IVF-PQ"), ("IVF4,SQ8", "IVF-SQ"), ("PCA4,IVF4,Flat", "transformation"),
    ("HNSW8,Flat", "graph"), ("SQ8", "scalar-quantized"), ("IVF4_HNSW8,Flat", "unusual way"),
])  # fmt: skip
def test_an_index_of_another_kind_is_named(kind: str, said: str) -> None:
    with pytest.raises(UnsupportedModelError, match=said):
        read_index(written(built(kind, vectors(800, 16))))


def test_an_index_by_inner_product_or_untrained_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="inner product"):
        read_index(written(built("IVF4,Flat", vectors(400, 8), metric=faiss.METRIC_INNER_PRODUCT)))
    with pytest.raises(DamagedModelError, match="never trained"):
        read_index(written(faiss.index_factory(8, "IVF4,Flat")))


def test_an_index_cut_short_or_lengthened_anywhere_is_damaged() -> None:
    data = FIXTURE.read_bytes()
    lists = data.index(b"ilar")
    for cut in (4, 8, 36, 40, 52, 60, 100, lists - 1, lists + 3, lists + 30, lists + 90, lists + 5000, len(data) - 1):
        with pytest.raises(DamagedModelError):
            read_index(data[:cut])
    with pytest.raises(DamagedModelError, match="goes on"):
        read_index(data + b"\0")
    for other in (b"", b"Iw", RVC / "v1_40k_f0.pth"):
        with pytest.raises(ModelError):
            read_index(other)


@pytest.mark.parametrize(("at", "form", "value", "error"), [
    (4, "<i", 0, UnsafeModelError), (4, "<i", -1, UnsafeModelError), (4, "<i", 1 << 30, UnsafeModelError),
    (4, "<i", 767, DamagedModelError), (8, "<q", -1, UnsafeModelError), (8, "<q", 601, DamagedModelError),
    (8, "<q", 1 << 62, DamagedModelError), (37, "<Q", 9, DamagedModelError), (37, "<Q", 1 << 63, DamagedModelError),
    ("ilar", "<Q", 7, DamagedModelError), ("code", "<Q", 4, DamagedModelError),
    ("counts", "<Q", 1 << 61, DamagedModelError),
    ("first", "<Q", 1 << 62, DamagedModelError), ("first", "<Q", 0, DamagedModelError),
    ("id", "<q", 600, DamagedModelError), ("id", "<q", -5, DamagedModelError),
    ("same id", "<q", None, DamagedModelError),
    ("centroid", "<f", float("nan"), DamagedModelError),
])  # fmt: skip
def test_an_index_whose_fields_lie_is_refused(at: int | str, form: str, value: Any, error: type[ModelError]) -> None:
    data = bytearray(FIXTURE.read_bytes())
    lists = data.index(b"ilar")
    ids = len(data) - 16
    places = {"ilar": lists + 4, "code": lists + 12, "counts": lists + 24, "first": lists + 32}
    places |= {"id": ids, "same id": ids, "centroid": 98}
    if value is None:
        value = struct.unpack_from("<q", data, ids + 8)[0]
    struct.pack_into(form, data, places.get(at, at) if isinstance(at, str) else at, value)
    with pytest.raises(error):
        read_index(bytes(data))


def test_lists_named_twice_or_beyond_are_refused() -> None:
    sparse = built("IVF32,Flat", vectors(300, 8))
    sparse.reset()
    sparse.add(vectors(3, 8))
    data = bytearray(written(sparse))
    at = data.index(b"sprs")
    for value in (32, 1 << 60, struct.unpack_from("<Q", data, at + 12)[0]):
        made = bytearray(data)
        struct.pack_into("<Q", made, at + 28, value)
        with pytest.raises(DamagedModelError):
            read_index(bytes(made))


def test_an_index_stays_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "voice.index"
    faiss.write_index(built("IVF4,Flat", vectors(2000, 256)), str(path))
    ours = read_index(path)
    assert ours.search(vectors(2, 256))[1].shape == (2, 8)
    assert len(ours._view) == path.stat().st_size


def test_an_index_of_more_lists_than_any_has_is_refused_before_it_takes_memory() -> None:
    lists = 1 << 20
    header = struct.pack("<iqqqBi", 1, 0, 0, 0, 1, 1)
    data = b"IwFl" + header + struct.pack("<QQ", lists, 1) + b"IxF2" + struct.pack("<iqqqBi", 1, lists, 0, 0, 1, 1)
    data += struct.pack("<Q", lists) + bytes(4 * lists) + b"\0" + bytes(8) + b"ilar" + struct.pack("<QQ", lists, 4)
    data += b"sprs" + bytes(8)
    with pytest.raises(UnsafeModelError, match="lists"):
        read_index(data)


@pytest.mark.parametrize(("name", "says"), [
    ("v2_48k_f0.pth", "it is a checkpoint, not an index: give it as the voice's model"),
    ("hubert_tiny/model.safetensors", "it is a checkpoint, not an index"),
    ("torch/legacy_protocol2.pt", "it is a checkpoint, not an index"),
    (b"<html>", "it is a web page"),
    (b"IwXYzz", r"it is an index of a kind that menura does not know \(IwXY\)"),
    (b"IwPQzz", "it is an index with product-quantized vectors"),
    (bytes(40), "download was not finished"),
])  # fmt: skip
def test_what_is_given_as_an_index_is_called_what_it_is(name: str | bytes, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        read_index(name if isinstance(name, bytes) else RVC / name)
