"""Raw PCM as numbers and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menura.audio.samples import FORMATS, from_samples, to_samples
from menura.errors import FormatError

WHOLE = {"pcm_u8": 8, "pcm_s16le": 16, "pcm_s24le": 24, "pcm_s32le": 32}


def stored(numbers: list[int], form: str) -> bytes:
    """The reference: each number by itself."""
    width = WHOLE[form] // 8
    if form == "pcm_u8":
        return bytes(number + 128 for number in numbers)
    return b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)


@pytest.mark.parametrize("form", WHOLE)
@given(data=st.data())
def test_every_stored_number_is_read_as_it_is(form: str, data: st.DataObject) -> None:
    full = 1 << (WHOLE[form] - 1)
    numbers = data.draw(st.lists(st.integers(-full, full - 1), max_size=20))
    raw = stored(numbers, form)
    exact = to_samples(raw, form, "float64")
    assert [number * full for number in exact] == numbers
    assert from_samples(exact, form) == raw, "float64 is without loss, there and back"
    np.testing.assert_array_equal(to_samples(raw, form, "float32"), exact.astype(np.float32))
    if WHOLE[form] <= 24:
        assert from_samples(to_samples(raw, form), form) == raw
    nearest = np.clip(np.rint(exact * 32768), -32768, 32767)
    np.testing.assert_array_equal(to_samples(raw, form, "int16"), nearest.astype(np.int16))


@pytest.mark.parametrize("form", ["pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"])
def test_int16_survives_any_wider_format(form: str) -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_samples(from_samples(every, form), form, "int16"), every)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("form", WHOLE)
def test_floats_are_rounded_and_clipped_and_nan_is_silence(form: str, kind: str) -> None:
    full = 1 << (WHOLE[form] - 1)
    x = np.array([1.0, -1.0, 3.0, -3.0, np.inf, -np.inf, np.nan, 0.5, 1e30], kind)
    numbers = [full - 1, -full, full - 1, -full, full - 1, -full, 0, full // 2, full - 1]
    assert from_samples(x, form) == stored(numbers, form)


def test_float_format_keeps_what_lies_beyond_full_scale_but_no_hostile_values() -> None:
    x = np.array([1.5, -2.0, np.nan, np.inf, -np.inf, 1e300, 1e-300])
    data = from_samples(x, "pcm_f32le")
    assert np.frombuffer(data, "<f4").tolist() == [1.5, -2.0, 0.0, 1.0, -1.0, 1.0, 0.0]
    hostile = np.array([np.nan, np.inf, 0.25, 1.5], "<f4").tobytes()
    assert to_samples(hostile, "pcm_f32le").tolist() == [0.0, 1.0, 0.25, 1.5]
    assert to_samples(hostile, "pcm_f32le", "float64").tolist() == [0.0, 1.0, 0.25, 1.5]
    assert to_samples(hostile, "pcm_f32le", "int16").tolist() == [0, 32767, 8192, 32767]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "complex64", object, "sound", "float16", "U3"])
def test_unsupported_dtype_says_so(dtype: object) -> None:
    with pytest.raises(FormatError, match=r"^Unsupported dtype"):
        to_samples(b"", "pcm_s16le", dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "complex64"])
def test_array_of_unsupported_dtype_is_refused(dtype: str) -> None:
    with pytest.raises(FormatError, match=r"^Unsupported dtype"):
        from_samples(np.zeros(4, dtype))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_samples_are_a_copy_one_may_change(form: str, dtype: str) -> None:
    data = bytes(FORMATS[form].width * 6)
    samples = to_samples(data, form, dtype)
    samples += 1
    assert (samples.dtype, samples.shape) == (np.dtype(dtype), (6,))
    assert not to_samples(b"", form, dtype).size


def test_arrays_of_any_byte_order_and_stride_are_read() -> None:
    x = np.array([1, 2, 3, 4], np.int16)
    assert from_samples(x.astype(">i2")) == x.tobytes()
    assert from_samples(x[::-2]) == x[::-2].tobytes()
    floats = np.array([0.25, -0.5], ">f4")
    assert to_samples(from_samples(floats, "pcm_s24le"), "pcm_s24le").tolist() == [0.25, -0.5]
