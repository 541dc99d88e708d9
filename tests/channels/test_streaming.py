import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.audio.stream import AudioStream
from menura.channels import offload as offload_module
from menura.channels.context import ProcessingContext
from menura.channels.offload import Offload
from menura.channels.streaming import process
from menura.clock import VirtualClock
from menura.dsp.chain import Chain
from menura.dsp.dynamics import Gain, Limiter
from menura.dsp.resample import Resampler
from menura.dsp.shift import PitchShift
from menura.dsp.stage import process_whole
from menura.errors import FormatError
from tests.streaming import pieces, speechlike

RATE = 16_000


async def source(x: Samples, step: int = 320, rate: int = RATE) -> AsyncIterator[AudioStream]:
    at = 0
    for piece in pieces(x, (step,)):
        yield AudioStream.from_block(
            piece, rate, format="pcm_f32le", timestamp=(at / rate, (at + len(piece)) / rate), metadata={"take": 1}
        )
        at += len(piece)


def test_one_stream_comes_back_as_long_and_when_it_was() -> None:
    x = speechlike(50_000, RATE)
    stream = AudioStream.from_block(x, RATE, format="pcm_f32le", timestamp=(3.0, 6.125), metadata={"who": "me"})
    out = asyncio.run(process(stream, PitchShift(RATE, pitch_st=3.0)))
    np.testing.assert_array_equal(out.to_block(), process_whole(PitchShift(RATE, pitch_st=3.0), x))
    assert (out.timestamp, out.metadata, out.format) == ((3.0, 6.125), {"who": "me"}, "pcm_f32le")


def test_one_stream_of_any_timestamp_and_rate() -> None:
    for stamp in ((0.0, 0.0), (0.0, 1.0), (5.0, 9.0)):
        stream = AudioStream.from_block(silence(40_000), RATE, timestamp=stamp)
        out = asyncio.run(process(stream, Resampler(RATE, 48_000)))
        assert (out.frames, out.sample_rate, out.timestamp) == (120_000, 48_000, stamp)
    nothing = asyncio.run(process(AudioStream(sample_rate=RATE, channels=2), "robot"))
    assert (nothing.frames, nothing.channels, nothing.sample_rate) == (0, 2, RATE)


def test_many_streams_in_a_row() -> None:
    x = speechlike(20_000, RATE)

    async def run() -> list[AudioStream]:
        chain = Chain([PitchShift(RATE, pitch_st=-2.0), Limiter(RATE)])
        return [out async for out in process(process(source(x), chain), Gain(RATE, gain_db=-6.0), format="pcm_s16le")]

    out = asyncio.run(run())
    y = np.concatenate([stream.to_block() for stream in out])
    want = process_whole(Chain([PitchShift(RATE, pitch_st=-2.0), Limiter(RATE), Gain(RATE, gain_db=-6.0)]), x)
    np.testing.assert_allclose(y, want, atol=1 / 60_000)
    assert out[-1].timestamp[1] == pytest.approx(1.25)
    assert all(stream.metadata == {"take": 1} for stream in out)


def test_list_of_streams_will_do() -> None:
    came = [AudioStream.from_block(silence(160), RATE) for _ in range(3)]

    async def run() -> int:
        return sum([out.frames async for out in process(came, Limiter(RATE))])

    assert asyncio.run(run()) == 480


def test_stage_is_as_new_after_a_break_and_the_source_is_closed() -> None:
    x = speechlike(20_000, RATE)
    shift = PitchShift(RATE, pitch_st=2.0)
    closed = []

    async def careful() -> AsyncIterator[AudioStream]:
        try:
            async for stream in source(x):
                yield stream
        finally:
            closed.append(True)

    async def run() -> None:
        outs = process(careful(), shift)
        async for _ in outs:
            break
        await outs.aclose()

    asyncio.run(run())
    assert closed == [True]
    np.testing.assert_array_equal(process_whole(shift, x), process_whole(PitchShift(RATE, pitch_st=2.0), x))


def test_fault_of_source_or_format_comes_through() -> None:
    async def broken() -> AsyncIterator[AudioStream]:
        yield AudioStream.from_block(silence(160), RATE)
        raise OSError("the source is gone")

    async def run(given: AsyncIterator[AudioStream]) -> None:
        async for _ in process(given, Limiter(RATE)):
            pass

    with pytest.raises(OSError, match="the source is gone"):
        asyncio.run(run(broken()))
    with pytest.raises(FormatError, match="48000"):
        asyncio.run(run(source(silence(100), rate=48_000)))


def test_work_leaves_the_loop_when_it_takes_time() -> None:
    clock = VirtualClock()
    threads: list[int] = []

    def work(cost_s: float) -> int:
        threads.append(threading.get_ident())
        clock.advance(cost_s)
        return 7

    async def run() -> None:
        offload = Offload(clock)
        for cost_s in (0.0001, 0.0001, 0.01, 0.01):
            assert await offload.run(100, work, cost_s) == 7
        assert await offload.run(1, work, 0.0) == 7

    asyncio.run(run())
    here = [thread == threading.get_ident() for thread in threads]
    assert here == [False, True, True, False, True]


def test_cancelled_work_is_finished_before_the_cancellation_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload_module, "TRIVIAL_S", -1.0)
    go, done = threading.Event(), []

    def work() -> None:
        go.wait(20)
        done.append(True)
        raise ValueError("seen by none")

    async def run() -> None:
        task = asyncio.create_task(Offload().run(1, work))
        await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == [True]

    asyncio.run(run())


def test_context_does_the_same_with_a_channel_between() -> None:
    x = speechlike(20_000, RATE)

    async def run() -> list[AudioStream]:
        async with ProcessingContext() as context:
            channels = context.get_channel_manager()
            heard = channels.subscribe("in", "robot", policy="block")

            async def publish() -> None:
                async for stream in source(x):
                    await channels.publish("in", stream)
                await channels.close_channel("in")

            task = asyncio.create_task(publish())
            out = [stream async for stream in context.process(heard, "robot")]
            await task
            whole = await context.process(AudioStream.from_block(x, RATE, format="pcm_f32le"), "robot")
        np.testing.assert_array_equal(np.concatenate([stream.to_block() for stream in out]), whole.to_block())
        return out

    out = asyncio.run(run())
    assert out[-1].timestamp[1] == pytest.approx(1.25)
