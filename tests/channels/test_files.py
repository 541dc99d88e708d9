import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.audio.files import AudioWriter, read_audio, write_audio
from menura.audio.stream import AudioStream
from menura.channels.files import file_streams, paced, play_file
from menura.channels.recording import StreamRecorder, record
from menura.clock import VirtualClock
from menura.errors import ConfigError, FileError, FormatError, StateError
from tests.streaming import speechlike

RATE = 8000


def tone(frames: int, channels: int = 1) -> Samples:
    return np.repeat(speechlike(frames, RATE), channels, axis=1)


def stream(x: Samples, start_s: float, rate: int = RATE, form: str = "pcm_f32le") -> AudioStream:
    return AudioStream.from_block(x, rate, format=form, timestamp=(start_s, start_s + len(x) / rate))


def joined(streams: list[AudioStream]) -> Samples:
    return np.concatenate([one.to_block() for one in streams])


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".opus"])
def test_file_comes_as_streams_that_know_their_time(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_audio(path, tone(20_000, 2), RATE)
    whole, rate = read_audio(path)
    out = list(file_streams(path, chunk_s=0.1, format="pcm_f32le", at_s=7.0))
    np.testing.assert_array_equal(joined(out), whole)
    step = rate // 10
    assert {one.frames for one in out[:-1]} == {step}
    assert [one.timestamp[0] for one in out] == [7.0 + k * step / rate for k in range(len(out))]
    assert out[0].metadata == {"source": path.name}
    part = joined(list(file_streams(path, start_s=0.75, stop_s=1.5, format="pcm_f32le")))
    first = round(0.75 * rate)
    np.testing.assert_allclose(part, whole[first : first + round(0.75 * rate)], atol=1e-6)


def test_file_repeats_without_a_seam(tmp_path: Path) -> None:
    path, x = tmp_path / "a.wav", tone(1234)
    write_audio(path, x, RATE)
    out = list(islice(file_streams(path, chunk_s=0.05, loop=True, format="pcm_f32le"), 20))
    want = np.concatenate([read_audio(path)[0]] * 7)[: 20 * 400]
    np.testing.assert_array_equal(joined(out), want)
    assert out[-1].timestamp == (19 * 400 / RATE, 20 * 400 / RATE)


def test_empty_file_gives_nothing_even_repeated(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", silence(0), RATE)
    assert list(file_streams(tmp_path / "a.wav", loop=True)) == []


def test_wrong_settings_and_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        list(file_streams(tmp_path / "a.wav"))
    for wrong in ({"chunk_s": 0.0}, {"start_s": -1.0}, {"start_s": 2.0, "stop_s": 1.0}, {"format": "mp3"}):
        with pytest.raises(ConfigError, match="needs chunk_s"):
            file_streams(tmp_path / "a.wav", **wrong)
    with pytest.raises(FileError, match="choose one of"):
        StreamRecorder(tmp_path / "a.xyz")


def run_paced(starts: list[tuple[float, float]], pace: float, slow_s: float = 0.0) -> list[float]:
    """When each stream came, by a clock that only sleeping and the consumer move."""
    clock, came = VirtualClock(), []

    async def sleep(duration_s: float) -> None:
        clock.advance(duration_s)

    async def run() -> None:
        given = [AudioStream.from_block(silence(160), RATE, timestamp=span) for span in starts]
        async for _ in paced(given, pace, clock=clock, sleep=sleep):
            came.append(round(clock(), 6))
            clock.advance(slow_s)

    asyncio.run(run())
    return came


def test_pace_is_that_of_the_timestamps() -> None:
    spans = [(5.0 + k * 0.02, 5.02 + k * 0.02) for k in range(4)]
    assert run_paced(spans, 1.0) == [0.0, 0.02, 0.04, 0.06]
    assert run_paced(spans, 2.0) == [0.0, 0.01, 0.02, 0.03]
    assert run_paced([(0.0, 0.0)] * 3, 1.0) == [0.0, 0.02, 0.04]
    assert run_paced([*spans[:2], (6.0, 6.02)], 1.0) == [0.0, 0.02, 1.0]


def test_slow_taker_gets_the_next_at_once_but_no_flood() -> None:
    spans = [(k * 0.02 + 1, k * 0.02 + 1.02) for k in range(4)]
    assert run_paced(spans, 1.0, slow_s=0.05) == [0.0, 0.05, 0.1, 0.15]
    assert run_paced(spans, 1.0, slow_s=1.5) == [0.0, 1.5, 3.0, 4.5]
    assert run_paced([(3.0, 3.02), (3.02, 3.04), (1.0, 1.02), (1.02, 1.04)], 1.0) == [0.0, 0.02, 0.02, 0.04]


def test_pace_must_be_one() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        run_paced([(0.0, 1.0)], 0.0)


def test_file_is_played_and_recorded(tmp_path: Path) -> None:
    x = tone(30_000)
    write_audio(tmp_path / "a.wav", x, RATE)

    async def run() -> None:
        stats = await record(play_file(tmp_path / "a.wav", pace=1e6), tmp_path / "b.wav")
        assert (stats.frames, stats.filled, stats.dropped, stats.jumps) == (30_000, 0, 0, 0)

    asyncio.run(run())
    assert (tmp_path / "a.wav").read_bytes()[-60_000:] == (tmp_path / "b.wav").read_bytes()[-60_000:]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_audio_lies_in_the_file_where_it_lay_in_time(tmp_path: Path, suffix: str) -> None:
    x = tone(6000)
    path = tmp_path / f"a{suffix}"
    with StreamRecorder(path, start_s=9.5) as recorder:
        recorder.write(stream(x[:1000], 10.0))
        recorder.write(stream(x[1000:2000], 10.125 + 0.004))  # wanders, and is no gap
        recorder.write(stream(x[2000:4000], 10.5))
        recorder.write(stream(x[4000:6000], 10.625))  # half of it was there
    y, _ = read_audio(path)
    want = np.concatenate([silence(4000), x[:2000], silence(2000), x[2000:4000], x[5000:]])
    np.testing.assert_allclose(y, want, atol=2**-15 if suffix == ".flac" else 0)
    stats = recorder.stats()
    assert (stats.frames, stats.filled, stats.dropped, stats.jumps, stats.start_s) == (11_000, 6000, 1000, 0, 9.5)


def test_long_jumps_are_left_out_and_fill_may_be_off(tmp_path: Path) -> None:
    for fill, jumps in ((True, 2), (False, 0)):
        with StreamRecorder(tmp_path / "a.wav", fill=fill, max_fill_s=10.0) as recorder:
            for start_s in (0.0, 100.0, 1.0):
                recorder.write(stream(silence(800), start_s))
        assert recorder.stats().jumps == jumps
        assert len(read_audio(tmp_path / "a.wav")[0]) == 2400


def test_file_keeps_its_format_when_the_streams_change(tmp_path: Path) -> None:
    with StreamRecorder(tmp_path / "a.wav", channels=2) as recorder:
        recorder.write(stream(tone(800), 0.0))
        recorder.write(AudioStream.from_block(silence(4410, 2), 44_100, timestamp=(0.1, 0.2)))
        recorder.write(stream(tone(800), 0.2))
        with pytest.raises(FormatError, match="mix to mono"):
            recorder.write(stream(silence(10, 3), 0.3))
    x, rate = read_audio(tmp_path / "a.wav")
    assert (x.shape, rate) == ((2400, 2), RATE)
    assert recorder.stats().conversions == 2
    with pytest.raises(StateError, match="has ended"):
        recorder.write(stream(silence(10), 0.3))


def test_recording_is_kept_when_it_is_cancelled_or_its_source_fails(tmp_path: Path) -> None:
    async def source(error: Exception | None) -> AsyncIterator[AudioStream]:
        for k in range(3):
            yield stream(tone(800), k / 10)
        if error is not None:
            raise error
        went.set()
        await asyncio.Event().wait()

    async def run() -> None:
        with pytest.raises(OSError, match="gone"):
            await record(source(OSError("gone")), tmp_path / "failed.wav")
        task = asyncio.create_task(record(source(None), tmp_path / "cancelled.flac"))
        await went.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    went = asyncio.Event()
    asyncio.run(run())
    for name in ("failed.wav", "cancelled.flac"):
        assert len(read_audio(tmp_path / name)[0]) == 2400


def test_nothing_recorded_is_no_file(tmp_path: Path) -> None:
    stats = asyncio.run(record([], tmp_path / "a.wav"))
    assert stats.frames == 0
    recorder = StreamRecorder(tmp_path / "b.wav")
    recorder.write(stream(silence(10), 0.0))
    recorder.discard()
    assert list(tmp_path.iterdir()) == []


def test_long_files_are_read_and_written_in_bounded_memory(tmp_path: Path) -> None:
    minute = silence(60 * RATE)
    with AudioWriter(tmp_path / "half-hour.wav", RATE) as writer:
        for _ in range(30):
            writer.write(minute)

    async def run() -> int:
        stats = await record(play_file(tmp_path / "half-hour.wav", chunk_s=1.0), tmp_path / "again.wav")
        return stats.frames

    list(islice(file_streams(tmp_path / "half-hour.wav"), 3))
    tracemalloc.start()
    try:
        assert asyncio.run(run()) == 30 * 60 * RATE
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4e6, "the file has 29 MB, 58 as float32"


def test_source_that_begins_anew_is_recorded_whole(tmp_path: Path) -> None:
    x = tone(40_000)
    with StreamRecorder(tmp_path / "a.wav") as recorder:
        for part in (x[:24_000], x[24_000:]):
            for k in range(0, len(part), 800):
                recorder.write(stream(part[k : k + 800], k / RATE))
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], x)
    assert (recorder.stats().dropped, recorder.stats().jumps) == (0, 1)


def test_nothing_before_the_beginning_is_recorded(tmp_path: Path) -> None:
    x = tone(40_000)
    with StreamRecorder(tmp_path / "a.wav", start_s=3.05) as recorder:
        for k in range(0, len(x), 800):
            recorder.write(stream(x[k : k + 800], k / RATE))
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], x[24_400:])
