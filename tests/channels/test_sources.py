import asyncio
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from menura.audio.block import silence
from menura.audio.stream import AudioStream
from menura.channels.sources import array_streams, generate, microphone, play
from menura.devices.synthetic_oneway import SyntheticInput, SyntheticOutput
from menura.dsp.oscillator import Noise, Oscillator
from menura.errors import ConfigError, DeviceError, FormatError

RATE = 16_000


def test_generated_streams_have_true_times_and_any_length() -> None:
    out = list(generate(Oscillator(RATE, 440.0), 0.25, chunk_s=0.1, at_s=2.0, metadata={"note": "A4"}))
    assert [one.frames for one in out] == [1600, 1600, 800]
    assert [one.timestamp for one in out] == [(2.0, 2.1), (2.1, 2.2), (2.2, 2.25)]
    assert out[0].metadata == {"note": "A4"}
    np.testing.assert_array_equal(np.concatenate([one.to_block() for one in out]), Oscillator(RATE, 440.0).read(4000))
    endless = generate(Noise(RATE, channels=2), format="pcm_s16le")
    assert next(endless).channels == 2
    assert next(endless).timestamp == (0.1, 0.2)
    with pytest.raises(ConfigError, match="needs chunk_s"):
        generate(Noise(RATE), chunk_s=0.0)


def test_array_as_streams() -> None:
    x = np.linspace(-1, 1, 999)
    out = list(array_streams(x, 1000, chunk_s=0.3))
    np.testing.assert_allclose(np.concatenate([one.to_block() for one in out])[:, 0], x, atol=1e-6)
    assert out[-1].timestamp == (0.9, 0.999)
    with pytest.raises(FormatError):
        array_streams(np.zeros(10, np.int16), 1000)


def capture(port: SyntheticInput, count: int, at_block: Callable[[int], None]) -> list[AudioStream]:
    """So many streams of a microphone; before each block of its device, `at_block` learns how many have come."""

    out: list[AudioStream] = []

    async def run() -> list[AudioStream]:
        heard = microphone(rate=RATE, open_port=lambda device, **form: port, clock=lambda: port.now_s)
        pump = asyncio.create_task(_pump())
        async for one in heard:
            out.append(one)
            if len(out) == count:
                break
        await heard.aclose()
        pump.cancel()
        return out

    async def _pump() -> None:
        while True:
            if port.alive:
                at_block(len(out))
                port.pump(port.block)
            await asyncio.sleep(0.001)

    return asyncio.run(run())


def test_microphone_counts_frames_though_its_clock_wanders() -> None:
    port = SyntheticInput(RATE)
    port.feed((np.arange(200_000) % 32_000 / 32_768).astype(np.float32)[:, None])

    def wander(come: int) -> None:
        if come >= 10 * len(steps):
            steps.append(come)
            port.now_s += 0.05

    steps: list[int] = []

    out = capture(port, 40, wander)
    assert out[0].timestamp == (0.0, 0.02)
    for a, b in pairwise(out):
        assert b.timestamp == pytest.approx((a.timestamp[1], a.timestamp[1] + 0.02))
        assert (b.samples("int16")[0, 0] - a.samples("int16")[-1, 0]) % 32_000 == 1
    assert not port.alive


def test_microphone_tells_of_audio_that_its_device_has_lost() -> None:
    port = SyntheticInput(RATE)

    lost: list[int] = []

    def lose(come: int) -> None:
        if come >= 20 and not lost:
            lost.append(come)
            port.now_s += 0.5
            port.pump(port.block, lost=True)

    out = capture(port, 60, lose)
    jumps = [b.timestamp[0] - a.timestamp[1] for a, b in pairwise(out) if b.timestamp[0] - a.timestamp[1] > 1e-6]
    assert len(jumps) == 1
    assert jumps[0] == pytest.approx(0.5, abs=0.03)


def test_streams_are_played_to_their_end_and_in_place() -> None:
    port = SyntheticOutput(RATE)
    x = (0.1 + 0.5 * np.random.default_rng(1).random((RATE, 1))).astype(np.float32)

    async def run() -> None:
        given = [
            AudioStream.from_block(x[:8000], RATE, format="pcm_f32le", timestamp=(5.0, 5.5)),
            AudioStream.from_block(x[8000:], RATE, format="pcm_f32le", timestamp=(5.75, 6.25)),
        ]
        task = asyncio.create_task(play(given, open_port=lambda device, **form: port))
        while not task.done():
            if port.alive:
                port.pump(port.block)
            await asyncio.sleep(0.0005)
        await task

    asyncio.run(run())
    heard = port.given[:, 0]
    start = int(np.flatnonzero(heard)[0])
    want = np.concatenate([x[:8000], silence(4000), x[8000:]])[:, 0]
    first = heard[start : start + 8000]
    np.testing.assert_allclose(first[200:], want[200:8000], atol=1e-4)
    assert np.count_nonzero(heard > 0.05) == pytest.approx(RATE, abs=400)
    assert not port.alive


def test_nothing_to_play_opens_nothing_and_a_missing_device_is_told() -> None:
    def missing(device: object, **form: int) -> SyntheticOutput:
        raise DeviceError("Audio device not available: none")

    asyncio.run(play([], open_port=missing))
    with pytest.raises(DeviceError):
        asyncio.run(play([AudioStream.from_block(silence(10), RATE)], open_port=missing))
