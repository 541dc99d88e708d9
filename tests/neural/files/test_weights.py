import numpy as np
import pytest

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.weights import count_layers, fold_weight_norm, only_arrays, single

LENGTH, DIRECTION = np.ones((2, 1, 1), np.float16), np.arange(12, dtype=np.float16).reshape(2, 3, 2)


def test_a_tensor_under_many_names_is_converted_once() -> None:
    made = single(dict.fromkeys(map(str, range(50)), DIRECTION))
    assert all(array is made["0"] for array in made.values())
    pairs = {f"{i}.weight_g": LENGTH for i in range(50)} | {f"{i}.weight_v": DIRECTION for i in range(50)}
    folded = fold_weight_norm(pairs)
    assert all(array is folded["0.weight"] for array in folded.values())


def test_one_direction_with_many_lengths_is_refused() -> None:
    pairs = {f"{i}.weight_g": LENGTH.copy() for i in range(2)} | {f"{i}.weight_v": DIRECTION for i in range(2)}
    with pytest.raises(UnsafeModelError, match="share"):
        fold_weight_norm(pairs)


def test_weights_are_single_contiguous_and_aligned_and_keep_their_shape() -> None:
    raw = np.frombuffer(b"x" + np.arange(4, dtype="<f4").tobytes(), np.uint8)[1:].view("<f4")
    made = single({"a": raw, "b": DIRECTION.T, "c": np.array(2, np.int64), "d": np.array(1.5, np.float64)})
    assert all(
        array.dtype == np.float32 and array.flags.aligned and array.flags.c_contiguous for array in made.values()
    )
    assert (made["b"].shape, made["c"].shape, float(made["d"])) == ((2, 3, 2), (), 1.5)
    np.testing.assert_array_equal(made["a"], [0, 1, 2, 3])
    whole = np.zeros(4, np.float32)
    assert single({"a": whole[:]})["a"].base is whole
    assert single({"a": whole[:]}, copy=True)["a"].flags.owndata


def test_weights_that_are_no_finite_numbers_are_refused() -> None:
    for value in (np.nan, np.inf, -np.inf, 1e300):
        with pytest.raises(DamagedModelError, match="a holds values"), np.errstate(over="ignore"):
            single({"a": np.array([1.0, value])})
    with pytest.raises(DamagedModelError):
        single({"a": np.array([np.inf, -np.inf], np.float16)})
    large = np.full(4, 3e38, np.float32)
    assert single({"a": large})["a"] is large
    for array in (np.zeros(2, np.complex64), np.array(["x"])):
        with pytest.raises(UnsupportedModelError):
            single({"a": array})
        with pytest.raises(UnsupportedModelError):
            fold_weight_norm({"a.weight_g": np.ones(1), "a.weight_v": array})


def test_a_weight_norm_over_the_last_axis_is_folded_along_it() -> None:
    length = np.full((1, 1, 2), 3.0)
    folded = fold_weight_norm({"a.weight_g": length, "a.weight_v": DIRECTION})["a.weight"]
    np.testing.assert_allclose(np.sqrt((folded**2).sum(axis=(0, 1))), [3, 3], rtol=1e-6)


def test_layers_are_counted_up_to_the_first_that_is_missing() -> None:
    assert count_layers({"a.0": 1, "a.1": 1, "a.3": 1}, "a.{}") == 2
    with pytest.raises(UnsafeModelError):
        count_layers({f"a.{i}": 1 for i in range(500)}, "a.{}")


def test_only_arrays_leaves_out_what_is_none() -> None:
    found = only_arrays({"p.a": DIRECTION, "q.b": DIRECTION, "p.c": 5, 7: DIRECTION}, "p.")
    assert list(found) == ["a"]
    with pytest.raises(UnsupportedModelError):
        only_arrays([1])
