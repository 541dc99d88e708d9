"""What a channel lets in, and how it converts."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from menura import AudioStream, ChannelManager
from menura.channels.gate import Gate
from menura.channels.options import ChannelOptions
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from menura.errors import FormatError


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


def tone(frames: int, rate: int, channels: int = 1) -> np.ndarray:
    t = np.arange(frames) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * (440 + 110 * c) * t) for c in range(channels)], axis=1).astype(np.float32)


def cut(x: np.ndarray, rate: int, sizes: list[int], **fields: Any) -> list[AudioStream]:
    streams, at = [], 0
    while at < len(x):
        part = x[at : at + sizes[len(streams) % len(sizes)]]
        span = (2.0 + at / rate, 2.0 + (at + len(part)) / rate)
        streams.append(AudioStream.from_block(part, rate, timestamp=span, **fields))
        at += len(part)
    return streams


def through(options: ChannelOptions, streams: list[AudioStream]) -> list[AudioStream]:
    gate = Gate("a", options)
    return [out for stream in streams for out in gate.admit(stream)] + gate.flush()


@pytest.mark.parametrize("sizes", [[882], [1], [7, 0, 4410, 160], [100_000]])
@pytest.mark.parametrize("rates", [(44_100, 48_000), (48_000, 16_000), (16_000, 48_000)])
def test_resampled_channel_is_the_whole_resampled_at_once_however_it_is_cut(
    sizes: list[int], rates: tuple[int, int]
) -> None:
    have, want = rates
    x = tone(3000 if sizes == [1] else have, have)
    streams = cut(x, have, sizes, format="pcm_f32le", metadata={"who": "me"})
    out = through(ChannelOptions(sample_rate=want, mismatch="convert"), streams)
    joined = np.concatenate([stream.to_block() for stream in out])
    np.testing.assert_array_equal(joined, process_whole(Resampler(have, want), x))
    assert len(joined) == len(x) * want // have
    assert {stream.sample_rate for stream in out} == {want}
    assert all(stream.metadata == {"who": "me"} and stream.frames for stream in out)


def test_resampled_timestamps_say_when_each_sample_was() -> None:
    x = tone(44_100, 44_100)
    out = through(ChannelOptions(sample_rate=48_000, mismatch="convert"), cut(x, 44_100, [882]))
    frames = 0
    for stream in out:
        assert stream.timestamp[0] == pytest.approx(2.0 + frames / 48_000, abs=1e-9)
        frames += stream.frames
        assert stream.timestamp[1] == pytest.approx(2.0 + frames / 48_000, abs=1e-9)
    for stream in out[1:-1]:
        t = stream.timestamp[0] - 2.0 + np.arange(stream.frames) / 48_000
        np.testing.assert_allclose(stream.to_block()[:, 0], 0.5 * np.sin(2 * np.pi * 440 * t), atol=2e-3)
    assert {stream.frames for stream in out[1:-1]} == {960}, "20 ms in, 20 ms out"


def test_audio_without_times_stays_without() -> None:
    streams = [AudioStream.from_block(tone(882, 44_100), 44_100, timestamp=(0.0, 0.0)) for _ in range(3)]
    out = through(ChannelOptions(sample_rate=48_000, mismatch="convert"), streams)
    assert {stream.timestamp for stream in out} == {(0.0, 0.0)}
    assert sum(stream.frames for stream in out) == 2880


def test_audio_that_always_begins_at_0_is_one_piece() -> None:
    x = tone(4410, 44_100)
    streams = [AudioStream.from_block(x[at : at + 882], 44_100) for at in range(0, len(x), 882)]
    out = through(ChannelOptions(sample_rate=48_000, mismatch="convert"), streams)
    assert sum(stream.frames for stream in out) == 4800
    assert out[-1].timestamp[1] == pytest.approx(0.1)


def test_jump_in_time_begins_anew_and_gives_out_what_was_held() -> None:
    first, second = cut(tone(4410, 44_100), 44_100, [882]), cut(tone(4410, 44_100), 44_100, [882])
    second = [stream.replaced(timestamp=tuple(t + 5.0 for t in stream.timestamp)) for stream in second]
    out = through(ChannelOptions(sample_rate=48_000, mismatch="convert"), first + second)
    before = [stream for stream in out if stream.timestamp[0] < 5.0]
    assert sum(stream.frames for stream in before) == 4800
    assert before[-1].timestamp[1] == pytest.approx(2.1)
    assert out[len(before)].timestamp[0] == pytest.approx(7.0)
    assert sum(stream.frames for stream in out) == 9600


def test_jitter_of_a_clock_moves_the_times_but_makes_no_click() -> None:
    streams = cut(tone(44_100, 44_100), 44_100, [882])
    late = [
        stream.replaced(timestamp=tuple(t + 0.004 * (number % 3) for t in stream.timestamp))
        for number, stream in enumerate(streams)
    ]
    options = ChannelOptions(sample_rate=48_000, mismatch="convert")
    steady, moved = through(options, streams), through(options, late)
    assert [stream.data for stream in moved] == [stream.data for stream in steady]
    assert moved[1].timestamp[0] - steady[1].timestamp[0] == pytest.approx(0.004)


@pytest.mark.parametrize("span", [1.0, 0.001, 0.0])
def test_times_are_the_source_s_where_they_span_more_or_less_than_the_samples(span: float) -> None:
    x = tone(44_100, 44_100)
    streams = [
        AudioStream.from_block(x[at : at + 22_050], 44_100, timestamp=(2.0 + number, 2.0 + number + span))
        for number, at in enumerate((0, 22_050))
    ]
    if span < 1.0:  # as the samples are, told by points in time
        streams[1] = streams[1].replaced(timestamp=(2.5, 2.5 + span))
    out = through(ChannelOptions(sample_rate=48_000, mismatch="convert"), streams)
    assert sum(stream.frames for stream in out) == 48_000
    assert len(out) == 3, "one piece, and the rest of it"
    start_s = out[1].timestamp[0] + 24_000 / 48_000 - out[0].frames / 48_000  # of the second stream's first sample
    assert start_s == pytest.approx(streams[1].timestamp[0])


def test_stream_that_cannot_be_converted_takes_nothing_from_the_others() -> None:
    gate = Gate("a", ChannelOptions(sample_rate=48_000, mismatch="convert"))
    streams = cut(tone(4410, 44_100), 44_100, [882])
    out = [each for stream in streams[:2] for each in gate.admit(stream)]
    with pytest.raises(FormatError, match="sample_rate"):
        gate.admit(AudioStream(data=bytes(20), sample_rate=100))
    out += [each for stream in streams[2:] for each in gate.admit(stream)] + gate.flush()
    assert sum(stream.frames for stream in out) == 4800
    assert gate.converted == 5


def test_source_that_changes_its_rate_is_followed() -> None:
    slow = cut(tone(4410, 44_100), 44_100, [882])
    same = [AudioStream.from_block(tone(960, 48_000), 48_000, timestamp=(2.1, 2.12))]
    fast = [AudioStream.from_block(tone(1920, 96_000, 2), 96_000, timestamp=(2.12, 2.14))]
    out = through(ChannelOptions(sample_rate=48_000, channels=1, mismatch="convert"), slow + same + fast)
    assert sum(stream.frames for stream in out) == 4800 + 960 + 960
    ends = [stream.timestamp for stream in out]
    assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(ends))
    assert any(stream is same[0] for stream in out), "what fits passes as it is"


@pytest.mark.parametrize(("have", "want"), [(1, 2), (2, 1), (3, 1), (1, 6)])
@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_channels_are_remixed(have: int, want: int, rate: int) -> None:
    x = tone(960, rate, have)
    stream = AudioStream.from_block(x, rate, format="pcm_f32le")
    out = through(ChannelOptions(sample_rate=48_000, channels=want, mismatch="convert"), [stream])
    assert {each.channels for each in out} == {want}
    if rate == 48_000:
        (only,) = out
        np.testing.assert_allclose(only.to_block(), x.mean(axis=1, keepdims=True).repeat(want, axis=1), atol=1e-7)
        assert only.timestamp == stream.timestamp


def test_remixing_that_would_be_a_guess_is_refused() -> None:
    gate = Gate("a", ChannelOptions(channels=6, mismatch="convert"))
    with pytest.raises(FormatError, match=r"channels: .* neither is mono"):
        gate.admit(AudioStream.from_block(tone(10, 48_000, 2), 48_000))


def test_rate_that_cannot_be_converted_is_refused() -> None:
    gate = Gate("a", ChannelOptions(sample_rate=48_000, mismatch="convert"))
    with pytest.raises(FormatError, match="sample_rate"):
        gate.admit(AudioStream(data=bytes(4), sample_rate=100))


@pytest.mark.parametrize(
    ("have", "want"), [("pcm_s16le", "pcm_f32le"), ("pcm_s24le", "pcm_s32le"), ("pcm_u8", "pcm_s16le")]
)
def test_format_is_converted_without_loss(have: str, want: str) -> None:
    stream = AudioStream.from_block(tone(960, 48_000, 2), 48_000, format=have, timestamp=(1.0, 2.0))
    (out,) = through(ChannelOptions(format=want, mismatch="convert"), [stream])
    assert (out.format, out.timestamp, out.sample_width) == (want, (1.0, 2.0), len(out.data) // 1920)
    np.testing.assert_array_equal(out.samples("float64"), stream.samples("float64"))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"sample_rate": 44_100}, "sample_rate: channel 'a' carries 48000, not 44100; convert it"),
        ({"channels": 2}, "channels: channel 'a' carries 1, not 2"),
        ({"format": "pcm_f32le"}, "format: channel 'a' carries pcm_s16le, not pcm_f32le"),
    ],
)
def test_audio_that_does_not_fit_is_refused_by_name(fields: dict[str, Any], text: str) -> None:
    async def main() -> None:
        manager = ChannelManager()
        await manager.create_channel("a", sample_rate=48_000, channels=1, format="pcm_s16le")
        subscription = manager.subscribe("a")
        fitting = {"data": bytes(8), "sample_rate": 48_000}
        with pytest.raises(FormatError, match=text):
            await manager.publish("a", AudioStream(**fitting | fields))
        with pytest.raises(FormatError, match="carries AudioStream, not bytes"):
            await manager.publish("a", bytes(8))
        await manager.publish("a", stream := AudioStream(**fitting))
        assert await subscription.get() is stream
        assert manager.stats("a").refused == 2

    run(main)


def test_strict_timestamps_are_an_option() -> None:
    async def main() -> None:
        manager = ChannelManager()
        await manager.create_channel("a", strict_timestamps=True)
        with pytest.raises(FormatError, match="timestamp: "):
            await manager.publish("a", AudioStream(data=bytes(88_200), timestamp=(0.0, 2.0)))
        await manager.publish("a", AudioStream(data=bytes(88_200), timestamp=(0.0, 1.00001)))

    run(main)


@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
def test_closing_a_converting_channel_gives_what_it_held(policy: str) -> None:
    async def main() -> None:
        manager = ChannelManager()
        await manager.create_channel("a", sample_rate=48_000, mismatch="convert")
        subscription = manager.subscribe("a", policy=policy, max_queue=50)
        streams = cut(tone(44_100, 44_100), 44_100, [882])
        for stream in streams:
            await manager.publish("a", stream)
        assert manager.stats("a").converted == 50
        await manager.close()
        out = [stream async for stream in subscription]
        if policy == "block":
            assert sum(stream.frames for stream in out) == 48_000
        assert out[-1].timestamp[1] == pytest.approx(3.0)

    run(main)


def test_nowait_on_a_converting_channel_keeps_all_or_nothing() -> None:
    async def main() -> None:
        manager = ChannelManager()
        await manager.create_channel("a", sample_rate=48_000, mismatch="convert")
        subscription = manager.subscribe("a", policy="block", max_queue=1)
        manager.publish_nowait("a", AudioStream.from_block(tone(882, 44_100), 44_100))
        await subscription.get()
        manager.publish_nowait("a", fitting := AudioStream(data=bytes(4), sample_rate=48_000))
        held = await subscription.get()
        assert held.timestamp[1] == pytest.approx(0.02)
        assert await subscription.get() is fitting
        assert subscription.stats().blocked == 0

    run(main)


def test_long_audio_is_converted_beside_the_loop() -> None:
    async def main() -> None:
        manager = ChannelManager()
        await manager.create_channel("a", sample_rate=48_000, mismatch="convert")
        subscription = manager.subscribe("a", policy="block", max_queue=1)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await manager.publish("a", AudioStream(data=bytes(2 * 441_000)))
        counting.cancel()
        assert (await subscription.get()).frames > 470_000
        assert turns > 1

    run(main)
