"""Streams from and to numpy and pydub, in a loop."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from menura import AudioStream, ChannelManager, ProcessingContext
from menura.audio.segment import to_segment
from menura.errors import ChannelClosedError, FormatError

AudioSegment = type(to_segment(AudioStream()))


def run(test: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await test

    return asyncio.run(main())


def made(data: Any, rate: int = 48_000, *rest: Any, **fields: Any) -> AudioStream:
    stream: AudioStream = run(ProcessingContext().audio_stream_from_numpy(data, rate, *rest, **fields))
    return stream


def read(stream: AudioStream, *rest: Any, **settings: Any) -> np.ndarray:
    samples: np.ndarray = run(ProcessingContext().audio_stream_to_numpy(stream, *rest, **settings))
    return samples


def test_int16_is_taken_as_it_is() -> None:
    x = np.array([0, 1, -1, 32767, -32768], np.int16)
    stream = made(x, 44_100)
    assert (stream.data, stream.sample_rate, stream.channels, stream.sample_width) == (x.tobytes(), 44_100, 1, 2)
    assert (stream.format, stream.timestamp, stream.metadata) == ("pcm_s16le", (0.0, 5 / 44_100), {})
    np.testing.assert_array_equal(read(stream, "int16"), x)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_become_16_bits_by_32768_rounded_and_clipped(kind: type) -> None:
    x = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 7.0, -7.0, np.nan, np.inf, 1.6 / 32768], kind)
    assert read(made(x), "int16").tolist() == [0, 16384, -16384, 32767, -32768, 32767, -32768, 0, 32767, 2]
    assert read(made(x))[:5].tolist() == [0.0, 0.5, -0.5, 32767 / 32768, -1.0]


def test_float_format_keeps_floats() -> None:
    x = np.array([0.1, 1.5, -2.0], np.float32)
    np.testing.assert_array_equal(read(made(x, format="pcm_f32le")), x)
    np.testing.assert_array_equal(read(made(x, format="pcm_f32le"), "float64"), x.astype(np.float64))


def test_stereo_is_interleaved_or_by_frame_as_one_likes() -> None:
    flat = np.array([1, 2, 3, 4, 5, 6], np.int16)
    interleaved, by_frame = made(flat, 8000, 2), made(flat.reshape(3, 2), 8000)
    assert interleaved == by_frame == made(flat.reshape(3, 2), 8000, 2)
    assert (by_frame.channels, by_frame.frames) == (2, 3)
    assert read(interleaved, "int16").tolist() == flat.tolist()
    samples = read(interleaved, "int16", layout="frames")
    assert samples.tolist() == [[1, 2], [3, 4], [5, 6]]
    samples += 1


@pytest.mark.parametrize(
    ("data", "channels", "text"),
    [
        (np.zeros(3, np.int16), 2, "data: 3 samples are not whole frames of 2 channels"),
        (np.zeros((4, 2), np.int16), 3, "data: .* 3 channels"),
        (np.zeros((2, 4410), np.int16), 1, "transpose"),
        (np.zeros((4, 0), np.int16), 1, "data"),
        (np.zeros((2, 2, 2), np.int16), 1, "data"),
        (np.int16(1), 1, "data"),
        (np.zeros(4, np.int16), 0, "channels"),
        (np.zeros(4, np.int16), 9, "channels"),
        (np.zeros(4, np.int16), "two", "channels"),
        (np.zeros(4, np.uint8), 1, "^Unsupported dtype: uint8"),
        ([0, 1], 1, "^Unsupported dtype: int64"),
        (["a"], 1, "^Unsupported dtype"),
    ],
)
def test_array_that_is_no_audio_is_refused_by_name(data: Any, channels: Any, text: str) -> None:
    with pytest.raises(FormatError, match=text):
        made(data, 48_000, channels)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": 48_000.5}, "sample_rate"),
        ({"timestamp": (1.0, 0.0)}, "timestamp"),
        ({"metadata": 3}, "metadata"),
        ({"format": "mp3"}, "format"),
    ],
)
def test_field_that_cannot_be_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        run(ProcessingContext().audio_stream_from_numpy(**{"data": np.zeros(4), "sample_rate": 48_000} | fields))


def test_numbers_of_numpy_are_numbers() -> None:
    stream = made(np.zeros(4, np.float32), np.int64(48_000), np.int64(2))  # type: ignore[arg-type]
    assert (stream.sample_rate, stream.channels) == (48_000, 2)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "sound", object])
def test_unsupported_dtype_says_so(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"^Unsupported dtype"):
        read(AudioStream(), dtype)
    with pytest.raises(FormatError, match="layout"):
        read(AudioStream(), layout="sideways")


def test_segment_goes_through_and_back() -> None:
    async def main() -> None:
        context = ProcessingContext()
        segment = AudioSegment(data=bytes(range(8)), sample_width=2, frame_rate=44_100, channels=2)
        stream = await context.audio_stream_from_segment(segment, (1.0, 2.0), {"source": "me"})
        assert (stream.timestamp, stream.metadata, stream.data) == ((1.0, 2.0), {"source": "me"}, bytes(range(8)))
        assert (await context.audio_stream_from_segment(segment)).timestamp == (0.0, 2 / 44_100)
        again = await context.audio_stream_to_segment(stream)
        assert again == segment
        assert (again + 6).frame_rate == 44_100

    run(main())


def test_anything_like_a_segment_is_read() -> None:
    like = SimpleNamespace(raw_data=bytes(4), frame_rate=8000, channels=1, sample_width=2)
    assert run(ProcessingContext().audio_stream_from_segment(like)).frames == 2


def in_thread(work: Callable[[ProcessingContext], Awaitable[Any]]) -> bool:
    """Whether the conversion ran beside the loop."""
    seen: list[int] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_name in {"to_samples", "from_samples", "from_segment"}:
            seen.append(threading.get_ident())

    async def main() -> None:
        await work(ProcessingContext())

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        run(main())
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert seen
    return threading.get_ident() not in seen


@pytest.mark.parametrize("seconds", [1, 60])
def test_long_audio_is_converted_beside_the_loop(seconds: int) -> None:
    data = bytes(96_000 * seconds)
    stream = AudioStream(data=data, sample_rate=48_000)
    x = np.zeros(48_000 * seconds, np.int16)
    like = SimpleNamespace(raw_data=data, frame_rate=48_000, channels=1, sample_width=2)
    floats = AudioStream(data=data, sample_rate=48_000, format="pcm_f32le")
    works: list[Callable[[ProcessingContext], Awaitable[Any]]] = [
        lambda context: context.audio_stream_to_numpy(stream),
        lambda context: context.audio_stream_from_numpy(x, 48_000),
        lambda context: context.audio_stream_from_segment(like),
        lambda context: context.audio_stream_to_segment(floats),
    ]
    assert [in_thread(work) for work in works] == [seconds > 1] * 4


def test_each_context_has_channels_of_its_own_unless_given() -> None:
    async def main() -> None:
        shared = ChannelManager()
        first, second = ProcessingContext(), ProcessingContext()
        assert first.get_channel_manager() is first.get_channel_manager()
        assert first.get_channel_manager() is not second.get_channel_manager()
        assert ProcessingContext(shared).get_channel_manager() is shared
        async with ProcessingContext(shared):
            await shared.publish("a", 1)
        with pytest.raises(ChannelClosedError):
            await shared.publish("a", 1)
        await ProcessingContext().close()

    run(main())


@pytest.mark.parametrize("value", [True, np.True_, 1.0, "1", None])
def test_numbers_that_are_none_are_refused_by_name(value: Any) -> None:
    with pytest.raises(FormatError, match="sample_rate: must be a whole number"):
        made(np.zeros(4), value)
    with pytest.raises(FormatError, match="channels: must be a whole number"):
        made(np.zeros(4), 44_100, value)
