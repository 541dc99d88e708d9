import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.audio.files import read_audio
from menura.audio.stream import AudioStream
from menura.channels.manager import ChannelManager
from menura.channels.patch import Patch
from menura.channels.sources import array_streams, generate
from menura.dsp.delay import Echo
from menura.dsp.dynamics import Gain, Limiter
from menura.dsp.oscillator import Noise
from menura.dsp.resample import Resampler
from menura.dsp.shift import PitchShift
from menura.dsp.stage import process_whole
from menura.errors import ConfigError, FormatError, StateError
from tests.streaming import speechlike

RATE = 16_000


def joined(streams: list[AudioStream]) -> Samples:
    return np.concatenate([one.to_block() for one in streams])


async def endless() -> AsyncIterator[AudioStream]:
    for stream in generate(Noise(RATE), chunk_s=0.02):
        yield stream
        await asyncio.sleep(0)


def test_branches_of_different_delay_meet_in_sync(tmp_path: Path) -> None:
    x = speechlike(3 * RATE, RATE)
    patch, heard = Patch(), []
    patch.source(array_streams(x, RATE, chunk_s=0.05, at_s=1.0), to="voice")
    patch.stage("voice", PitchShift(RATE, pitch_st=4.0), to="high")
    patch.stage("voice", Limiter(RATE), to="plain")
    patch.mix({"high": 0.5, "plain": 0.25}, RATE, to="both")
    patch.sink("both", heard.append)
    patch.record("both", tmp_path / "both.wav")
    asyncio.run(patch.run())
    want = 0.5 * process_whole(PitchShift(RATE, pitch_st=4.0), x) + 0.25 * process_whole(Limiter(RATE), x)
    np.testing.assert_allclose(joined(heard), want, atol=1e-6)
    assert heard[0].timestamp[0] == 1.0
    np.testing.assert_array_equal(read_audio(tmp_path / "both.wav")[0], joined(heard))
    stats = patch.stats()
    assert set(stats) == {
        "source → voice", "voice → PitchShift → high", "voice → Limiter → plain", "high + plain → mix → both",
        "both → sink", f"both → record {tmp_path / 'both.wav'}",
    }  # fmt: skip
    assert all(part.ended and part.error is None for part in stats.values())
    assert stats["source → voice"].audio_out_s == pytest.approx(3.0)
    assert stats["both → sink"].audio_in_s == pytest.approx(3.0)


def test_combination_and_a_voice_by_id() -> None:
    x, y = speechlike(RATE, RATE), speechlike(RATE, RATE, seed=5)
    patch, heard = Patch(), []
    patch.source(array_streams(x, RATE), to="a")
    patch.source(array_streams(y, RATE, chunk_s=0.03), to="b")
    patch.combine(["a", "b"], lambda a, b: a * b, RATE, to="ring")
    patch.stage("ring", "robot", to="robot")

    async def take(stream: AudioStream) -> None:
        heard.append(stream)

    patch.sink("robot", take)
    asyncio.run(patch.run())
    assert joined(heard).shape == (RATE, 1)
    assert heard[-1].timestamp[1] == pytest.approx(1.0)


def test_channels_of_others_are_read_and_written() -> None:
    """The end of a channel that somebody else closes goes through; what the patch writes, others read."""
    x = speechlike(RATE, RATE)

    async def run() -> list[AudioStream]:
        async with ChannelManager() as channels:
            await channels.create_channel("out", AudioStream, sample_rate=8000)
            out = channels.subscribe("out", policy="block")
            patch = Patch(channels)
            patch.stage("in", Resampler(RATE, 8000), to="out")
            await patch.start()
            for stream in array_streams(x, RATE, chunk_s=0.02):
                await channels.publish("in", stream)
                if len(out):
                    heard.append(await out.get())
            await channels.close_channel("in")
            heard.extend([stream async for stream in out])
            await patch.wait()
        return heard

    heard: list[AudioStream] = []
    np.testing.assert_array_equal(joined(asyncio.run(run())), process_whole(Resampler(RATE, 8000), x))


def test_stop_lets_what_is_queued_run_through() -> None:
    x = speechlike(RATE, RATE)

    async def body() -> None:
        async with ChannelManager() as channels:
            patch = Patch(channels, max_queue=100, keep=["mixed"])
            patch.stage("in", Limiter(RATE), to="limited")
            patch.source(endless(), to="noise")
            patch.mix({"limited": 1.0, "noise": 0.0}, RATE, to="mixed", hold=True)
            patch.sink("mixed", heard.append)
            async with patch:
                for stream in array_streams(x, RATE):
                    await channels.publish("in", stream)
                while patch.stats()["source → noise"].audio_out_s < 1.1:
                    await asyncio.sleep(0)
            assert "mixed" in channels.list_channels()

    heard: list[AudioStream] = []
    asyncio.run(body())
    np.testing.assert_array_equal(joined(heard)[:RATE], process_whole(Limiter(RATE), x))


@pytest.mark.parametrize("where", ["source", "stage", "sink", "mix", "record"])
def test_failure_of_any_part_ends_all_and_is_told(where: str, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[AudioStream]:
        yield AudioStream.from_block(silence(320), RATE)
        raise OSError("no more")

    def breaks(stream: AudioStream) -> None:
        raise OSError("no more")

    patch = Patch()
    patch.source(broken() if where == "source" else endless(), to="a")
    patch.stage("a", Limiter(8000 if where == "stage" else RATE), to="b")
    channels = 4 if where == "mix" else 1
    patch.source(generate(Noise(RATE, channels=2)), to="noise")
    patch.mix(["b", "noise"], RATE, channels, to="c")
    patch.sink("c", breaks if where == "sink" else lambda stream: None)
    patch.record("a", tmp_path / "a.wav")
    if where == "record":
        patch.record("noise", tmp_path / "missing" / "b.wav")
    with pytest.raises(OSError if where in {"source", "sink", "record"} else FormatError) as told:
        asyncio.run(patch.run())
    assert "of a patch" in told.value.__notes__[0]
    assert list(patch.errors.values()) == [told.value]
    assert all(part.ended for part in patch.stats().values())


def test_failure_is_kept_apart_if_asked_for(tmp_path: Path) -> None:
    def breaks(stream: AudioStream) -> None:
        raise OSError("no more")

    patch = Patch(isolate=True)
    patch.source(array_streams(speechlike(RATE, RATE), RATE), to="a")
    patch.stage("a", Limiter(8000), to="never")
    patch.record("never", tmp_path / "never.wav")
    patch.sink("a", breaks)
    patch.record("a", tmp_path / "a.wav")
    asyncio.run(patch.run())
    assert [type(error) for error in patch.errors.values()] == [FormatError, OSError]
    assert len(read_audio(tmp_path / "a.wav")[0]) == RATE
    assert not (tmp_path / "never.wav").exists()


def test_cancelled_run_ends_all_parts(tmp_path: Path) -> None:
    patch = Patch()
    patch.source(endless(), to="a")
    patch.stage("a", PitchShift(RATE), to="b")
    patch.record("b", tmp_path / "b.wav")

    async def run() -> None:
        task = asyncio.create_task(patch.run())
        while not patch.stats()["a → PitchShift → b"].streams_out:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(part.ended for part in patch.stats().values())

    asyncio.run(run())
    assert len(read_audio(tmp_path / "b.wav")[0]) >= 0


def test_error_in_the_body_ends_all_parts() -> None:
    async def run() -> None:
        patch = Patch()
        patch.source(endless(), to="a")
        patch.sink("a", lambda stream: None)
        with pytest.raises(ZeroDivisionError):
            async with patch:
                raise ZeroDivisionError
        assert all(part.ended for part in patch.stats().values())

    asyncio.run(run())


def test_circles_and_second_starts_are_refused() -> None:
    patch = Patch()
    patch.source(endless(), to="in")
    patch.mix(["in", "back"], RATE, to="sum")
    patch.stage("sum", Echo(RATE), to="delayed")
    patch.stage("delayed", Gain(RATE), to="back")
    with pytest.raises(ConfigError, match="made of itself"):
        asyncio.run(patch.run())

    async def twice() -> None:
        empty = Patch()
        await empty.run()
        with pytest.raises(StateError, match="runs once"):
            await empty.run()
        with pytest.raises(StateError, match="before the patch is started"):
            empty.source([], to="a")

    asyncio.run(twice())


def test_what_is_no_audio_is_told() -> None:
    async def run() -> None:
        channels = ChannelManager()
        patch = Patch(channels)
        patch.sink("levels", lambda stream: None)
        await patch.start()
        await channels.publish("levels", 0.5)
        with pytest.raises(FormatError, match="gave float, not AudioStream"):
            await patch.wait()

    asyncio.run(run())


def test_parts_of_one_name_are_told_apart() -> None:
    patch = Patch()
    for _ in range(3):
        patch.sink("a", lambda stream: None)
    assert list(patch.stats()) == ["a → sink", "a → sink #2", "a → sink #3"]


def test_an_hour_runs_in_flat_memory_with_exact_times() -> None:
    rate, made = 8000, [0]

    def check(stream: AudioStream) -> None:
        assert stream.timestamp[0] == made[0] / rate
        made[0] += stream.frames

    patch = Patch()
    second = AudioStream.from_block(silence(2 * rate), rate)
    patch.source((second.replaced(timestamp=(2.0 * k, 2.0 * k + 2.0)) for k in range(1800)), to="a")
    patch.stage("a", Limiter(rate), to="b")
    patch.mix(["a", "b"], rate, to="c", block_ms=1000.0)
    patch.sink("c", check)
    tracemalloc.start()
    try:
        asyncio.run(patch.run())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made[0] == 3600 * rate
    assert peak < 20e6, "the hour has 58 MB, and 115 as float32"


def test_a_patch_stopped_before_its_parts_had_a_turn_ends() -> None:
    async def run() -> Patch:
        patch = Patch()
        patch.source(generate(Noise(RATE)), to="noise")
        patch.stage("noise", Echo, to="echo")
        patch.sink("echo", lambda stream: None)
        async with asyncio.timeout(20.0), patch:
            pass
        return patch

    assert all(part.ended for part in asyncio.run(run()).stats().values())


def test_a_part_whose_own_work_is_cancelled_has_failed() -> None:
    def give_up(stream: AudioStream) -> None:
        raise asyncio.CancelledError

    patch = Patch()
    patch.source(generate(Noise(RATE), seconds=1.0), to="noise")
    patch.sink("noise", give_up)
    with pytest.raises(StateError, match="cancelled"):
        asyncio.run(patch.run())


def test_a_patch_cancelled_while_it_starts_leaves_nothing_running() -> None:
    async def run() -> None:
        for turns in range(6):
            async with ChannelManager() as channels:
                patch = Patch(channels)
                patch.source(generate(Noise(RATE)), to="noise")
                patch.sink("noise", lambda stream: None)
                starting = asyncio.create_task(patch.start())
                for _ in range(turns):
                    await asyncio.sleep(0)
                if not starting.cancel():
                    await patch.stop()
                    continue
                await asyncio.wait([starting])
                async with asyncio.timeout(20.0):
                    while len(asyncio.all_tasks()) > 1:
                        await asyncio.sleep(0.01)
                if "noise" in {one.name for one in channels.all_stats().channels}:
                    assert all(one.closed for one in channels.stats("noise").subscribers)

    asyncio.run(run())
