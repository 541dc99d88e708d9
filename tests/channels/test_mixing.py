import asyncio
from collections.abc import AsyncIterator
from itertools import count

import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.audio.stream import AudioStream
from menura.channels.mixing import Mix, combine
from menura.errors import ConfigError, StateError
from tests.streaming import pieces

RATE = 8000


def noise(frames: int, seed: int) -> Samples:
    return (0.2 * np.random.default_rng(seed).standard_normal((frames, 1))).astype(np.float32)


def stream(x: Samples, first: int) -> AudioStream:
    span = (first / RATE, (first + len(x)) / RATE)
    return AudioStream.from_block(x, RATE, format="pcm_f32le", timestamp=span)


async def source(x: Samples, step: int, first: int = 0) -> AsyncIterator[AudioStream]:
    for piece in pieces(x, (step,)):
        yield stream(piece, first)
        first += len(piece)
        await asyncio.sleep(0)


def joined(out: list[AudioStream]) -> Samples:
    return np.concatenate([one.to_block() for one in out])


def test_sources_are_added_in_sync() -> None:
    x, y, z = noise(9000, 1), noise(4000, 2), noise(100, 3)

    async def run() -> list[AudioStream]:
        mix = Mix(RATE, block_ms=10.0, metadata={"name": "mix"})
        mix.add("x", source(x, 333))
        mix.add("y", source(y, 80, first=2000), gain=0.5)
        mix.add("z", [stream(z, 50)])
        return [out async for out in mix]

    out = asyncio.run(run())
    want = x.copy()
    want[2000:6000] += y * np.float32(0.5)
    want[50:150] += z
    np.testing.assert_allclose(joined(out), want, atol=1e-7)
    assert [one.timestamp[0] for one in out] == [80 * k / RATE for k in range(len(out))]
    assert out[0].metadata == {"name": "mix"}


def test_sources_join_and_leave_and_the_mix_is_held() -> None:
    ones = np.full((800, 1), 0.25, np.float32)

    async def run() -> list[AudioStream]:
        mix = Mix(RATE, block_ms=100.0, hold=True)
        mix.add("a", source(np.concatenate([ones] * 2), 400))
        streams = aiter(mix)
        out = [await anext(streams), await anext(streams)]
        mix.add("b", source(ones, 400, first=1600), gain=2.0)
        out.append(await anext(streams))
        waiting = asyncio.create_task(anext(streams))
        while not mix.stats()["b"].ended:
            await asyncio.sleep(0)
        mix.add("b", source(ones, 400, first=2400), gain=2.0)
        out.append(await waiting)
        endless = asyncio.Event()

        async def stalled() -> AsyncIterator[AudioStream]:
            yield stream(ones, 3200)
            await endless.wait()

        mix.add("c", stalled())
        mix.add("d", source(ones, 400, first=3200))
        out.append(await anext(streams))
        mix.remove("c")
        mix.close()
        return out + [one async for one in streams]

    y = joined(asyncio.run(run()))[:, 0]
    np.testing.assert_allclose(y, np.repeat([0.25, 0.5, 0.5], [1600, 1600, 800])[: len(y)], atol=1e-7)
    assert len(y) == 4000


def test_gain_is_turned_while_it_runs() -> None:
    async def run() -> list[AudioStream]:
        mix = Mix(RATE, block_ms=100.0)
        go = asyncio.Event()

        async def ones() -> AsyncIterator[AudioStream]:
            for k in range(10):
                yield stream(np.full((800, 1), 0.25, np.float32), 800 * k)
                if k == 4:
                    await go.wait()

        mix.add("a", ones())
        out = []
        async for one in mix:
            out.append(one)
            if len(out) == 5:
                mix.set_gain("a", 2.0)
                go.set()
        with pytest.raises(StateError, match="no input 'a'; there are none"):
            mix.set_gain("a", 1.0)
        return out

    y = joined(asyncio.run(run()))[:, 0]
    assert (y[:4000] == 0.25).all()
    assert y[4400:] == pytest.approx(0.5, abs=1e-3)
    assert np.abs(np.diff(y)).max() < 0.02


def test_late_source_holds_up_no_longer_than_max_wait() -> None:
    async def run() -> list[AudioStream]:
        never = asyncio.Event()

        async def stalled() -> AsyncIterator[AudioStream]:
            yield stream(np.ones((80, 1), np.float32), 0)
            await never.wait()

        mix = Mix(RATE, block_ms=10.0, max_wait_s=0.02)
        mix.add("a", source(noise(800, 1), 80))
        mix.add("b", stalled())
        out = []
        async for one in mix:
            out.append(one)
            if len(out) == 10:
                break
        assert mix.stats()["b"].missing == 720
        return out

    y = joined(asyncio.run(run()))
    np.testing.assert_allclose(y, noise(800, 1) + np.repeat([1.0, 0.0], [80, 720])[:, None], atol=1e-6)


def test_fast_source_is_read_so_far_ahead_and_no_further() -> None:
    read = []

    async def run() -> None:
        go = asyncio.Event()

        async def fast() -> AsyncIterator[AudioStream]:
            for k in count():
                read.append(k)
                yield stream(silence(RATE), RATE * k)
                if k == 30:
                    return

        async def slow() -> AsyncIterator[AudioStream]:
            yield stream(silence(RATE), 0)
            await go.wait()
            yield stream(silence(30 * RATE), RATE)

        mix = Mix(RATE, block_ms=1000.0)
        mix.add("fast", fast())
        mix.add("slow", slow())
        streams = aiter(mix)
        await anext(streams)
        waiting = asyncio.create_task(anext(streams))
        while mix.stats()["fast"].waiting < 10 * RATE:
            await asyncio.sleep(0.001)
        for _ in range(50):
            await asyncio.sleep(0)
        assert 10 <= len(read) < 20
        go.set()
        await waiting
        assert len([one async for one in streams]) == 29

    asyncio.run(run())
    assert len(read) == 31


def test_fault_of_a_source_ends_the_mix_and_closes_the_others() -> None:
    closed = []

    async def fails() -> AsyncIterator[AudioStream]:
        yield stream(silence(80), 0)
        raise OSError("the line is cut")

    async def goes_on() -> AsyncIterator[AudioStream]:
        try:
            while True:
                yield stream(silence(80), 0)
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def run() -> None:
        mix = Mix(RATE)
        mix.add("a", fails())
        mix.add("b", goes_on())
        with pytest.raises(OSError, match="the line is cut"):
            async for _ in mix:
                pass

    asyncio.run(run())
    assert closed == [True]


def test_product_of_sources() -> None:
    x, y = noise(1000, 1), noise(700, 2)

    async def run() -> list[AudioStream]:
        return [one async for one in combine(lambda a, b: a * b, [source(x, 160), source(y, 99)], RATE)]

    np.testing.assert_array_equal(joined(asyncio.run(run())), x * np.concatenate([y, silence(300)]))


def test_wrong_use_is_told() -> None:
    mix = Mix(RATE)
    mix.add("a", [])
    with pytest.raises(StateError, match="already"):
        mix.add("a", [])
    with pytest.raises(ConfigError, match="a gain is"):
        mix.add("b", [], gain=-1.0)
    with pytest.raises(StateError, match="no input 'b'; there are a"):
        mix.remove("b")
    assert asyncio.run(_all(mix)) == []


async def _all(mix: Mix) -> list[AudioStream]:
    return [one async for one in mix]


def test_sources_of_different_clocks_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[AudioStream]:
        mix = Mix(RATE)
        mix.add("from zero", source(noise(800, 1), 80))
        mix.add("from 1970", source(noise(800, 2), 80, first=1_700_000_000 * RATE))
        return [one async for one in mix]

    out = asyncio.run(run())
    assert "the input from 1970 lies 1700000000 s ahead of the others" in caplog.text
    assert sum(one.frames for one in out) == 1600, "the time between is skipped"
