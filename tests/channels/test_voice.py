"""A voice between two channels: true times, the same length, gaps, switches."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from menura.audio.block import Samples
from menura.audio.stream import AudioStream
from menura.channels.manager import ChannelManager
from menura.channels.voice import ChannelVoice, ChannelVoiceStats
from menura.errors import VoiceNotFoundError
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.voice import VoiceParameters
from tests.listen import lag_frames, median_f0
from tests.speech import NAMES, all_speech, speech

RATE = 24_000
PLAIN = VoiceParameters(mix=0.0)


def streams(x: Samples, start_s: float = 100.0, size: int = 480) -> list[AudioStream]:
    return [
        AudioStream.from_block(
            x[at : at + size], RATE, format="pcm_f32le", metadata={"at": at},
            timestamp=(start_s + at / RATE, start_s + min(len(x), at + size) / RATE),
        )
        for at in range(0, len(x), size)
    ]  # fmt: skip


def joined(got: list[AudioStream]) -> Samples:
    return np.concatenate([stream.to_block() for stream in got])


def change(
    said: list, voice: str = "natural-woman", do=None, **settings
) -> tuple[list[AudioStream], ChannelVoiceStats]:
    """Everything that comes out for what goes in; ``do`` is called before each with the voice and its number."""

    async def main():
        async with ChannelManager() as channels:
            heard = channels.subscribe("out", max_queue=10_000)
            changer = ChannelVoice(channels, "in", "out", voice, policy="block", max_queue=2, **settings)
            await changer.ready()
            running = asyncio.create_task(changer.run())
            for i, item in enumerate(said):
                if do is not None:
                    await do(changer, i)
                await channels.publish("in", item)
            await channels.close_channel("in")
            async with asyncio.timeout(60.0):
                got = [stream async for stream in heard]
                await running
            return got, changer.stats()

    return asyncio.run(main())


def assert_follows(got: list[AudioStream], start_s: float, end_s: float) -> None:
    """No gap, and nothing twice."""
    assert got[0].timestamp[0] == pytest.approx(start_s, abs=1e-6)
    assert got[-1].timestamp[1] == pytest.approx(end_s, abs=1e-6)
    for before, after in pairwise(got):
        assert after.timestamp[0] == pytest.approx(before.timestamp[1], abs=1e-6)
    for stream in got:
        assert stream.duration_seconds() == pytest.approx(stream.timestamp[1] - stream.timestamp[0], abs=1e-6)


def test_as_much_comes_out_as_went_in_each_at_its_own_time() -> None:
    x = speech(NAMES[0], RATE)[: 2 * RATE]
    got, stats = change(streams(x), parameters=PLAIN)
    y = joined(got)
    assert len(y) == len(x)
    assert_follows(got, 100.0, 102.0)
    assert np.abs(y - x).max() < 1e-4, "the unchanged voice, in its place"
    assert got[5].metadata["voice"] == "natural-woman" and got[5].metadata["at"] % 480 == 0
    assert stats.session is not None and got[5].metadata["voice_latency_ms"] == stats.session.latency_ms > 0.0
    assert (stats.streams_in, stats.refused, stats.stage.frames_out) == (100, 0, len(x))


def test_the_voice_is_changed_as_a_session_changes_it() -> None:
    x = speech(NAMES[0], RATE)[: 3 * RATE]
    got, _ = change(streams(x), parameters=VoiceParameters(pitch_st=4.0), voice="natural-man")
    stage = make_stage(find_voice("natural-man"), RATE, 1, parameters=VoiceParameters(pitch_st=4.0))
    whole = np.concatenate([stage.process(x), stage.flush()])[stage.latency :]
    assert np.abs(joined(got) - whole).max() < 1e-6


def test_a_short_gap_is_silence_and_a_long_one_a_new_beginning() -> None:
    x = speech(NAMES[0], RATE)[: 2 * RATE]
    said = streams(x)
    del said[30:35]
    got, stats = change(said, parameters=PLAIN)
    y = joined(got)
    assert len(y) == len(x) and stats.stage.filled_frames == 5 * 480
    assert_follows(got, 100.0, 102.0)
    assert not y[30 * 480 + 240 : 35 * 480 - 240].any()
    got, stats = change(said, parameters=PLAIN, max_fill_s=0.05)
    y = joined(got)
    assert len(y) == len(x) - 5 * 480 and stats.stage.resets == 1
    jumps = [b.timestamp[0] - a.timestamp[1] for a, b in pairwise(got)]
    assert max(jumps) == pytest.approx(0.1, abs=1e-6)


def test_a_change_between_voices_of_one_delay_is_a_crossfade() -> None:
    x = all_speech(RATE)[: 4 * RATE]

    async def do(changer: ChannelVoice, i: int) -> None:
        if i == 100:
            await changer.switch("natural-man", VoiceParameters(pitch_st=-5.0))

    got, stats = change(streams(x), do=do)
    y = joined(got)
    assert len(y) == len(x) and stats.voice == "natural-man"
    assert_follows(got, 100.0, 104.0)
    assert median_f0(y[: 2 * RATE], RATE) > 1.3 * median_f0(y[2 * RATE + RATE // 5 :], RATE)
    steady = [change(streams(x)), change(streams(x), voice="natural-man", parameters=VoiceParameters(pitch_st=-5.0))]
    steps = [
        np.abs(np.diff(z[2 * RATE - 1200 : 2 * RATE + 1200, 0])).max() for z in (y, *(joined(z) for z, _ in steady))
    ]
    assert steps[0] <= 1.1 * max(steps[1:]), "a click"


def test_a_change_between_voices_of_different_delay_loses_no_time() -> None:
    x = all_speech(RATE)[: 4 * RATE]
    order = {50: "whisper", 100: "natural-woman", 150: "radio"}

    async def do(changer: ChannelVoice, i: int) -> None:
        if i in order:
            await changer.switch(order[i], PLAIN)

    got, stats = change(streams(x), do=do, parameters=PLAIN)
    y = joined(got)
    assert len(y) == len(x) == stats.stage.frames_out
    assert_follows(got, 100.0, 104.0)
    assert abs(lag_frames(x, y)) <= 1
    assert {stream.metadata["voice"] for stream in got} == {"natural-woman", "whisper", "radio"}


def test_settings_are_turned_while_it_runs() -> None:
    x = all_speech(RATE)[: 4 * RATE]

    async def do(changer: ChannelVoice, i: int) -> None:
        if i == 100:
            changer.set(VoiceParameters(pitch_st=7.0))

    got, _ = change(streams(x), voice="natural-man", do=do)
    y = joined(got)
    assert median_f0(y[2 * RATE + 4800 :], RATE) > 1.25 * median_f0(y[: 2 * RATE], RATE)


def test_what_is_no_audio_is_left_out_and_counted() -> None:
    x = speech(NAMES[0], RATE)[:RATE]
    got, stats = change(["text", *streams(x)], parameters=PLAIN)
    assert len(joined(got)) == len(x) and stats.refused == 1


def test_another_rate_is_made_to_fit() -> None:
    x = speech(NAMES[0], RATE)[:RATE]
    later = AudioStream.from_block(speech(NAMES[0], 48_000)[48_000:96_000], 48_000, timestamp=(101.0, 102.0))
    got, _ = change([*streams(x), later], parameters=PLAIN)
    assert abs(len(joined(got)) - 2 * RATE) <= 1 and {stream.sample_rate for stream in got} == {RATE}


def test_an_unknown_voice_is_refused_and_the_old_one_goes_on() -> None:
    async def do(changer: ChannelVoice, i: int) -> None:
        if i == 3:
            with pytest.raises(VoiceNotFoundError):
                await changer.switch("nobody")

    got, stats = change(streams(speech(NAMES[0], RATE)[:RATE]), do=do)
    assert stats.voice == "natural-woman" and len(joined(got)) == RATE


def test_many_voices_share_threads_and_one_that_is_closed_ends() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(2) as pool:
            async with ChannelManager() as channels:
                voices = [ChannelVoice(channels, f"in{i}", f"out{i}", pool=pool, end_sink=False) for i in range(8)]
                tasks = [asyncio.create_task(voice.run()) for voice in voices]
                for stream in streams(speech(NAMES[0], RATE)[:4800]):
                    for i in range(8):
                        await channels.publish(f"in{i}", stream)
                for i, voice in enumerate(voices):
                    if i % 2:
                        await channels.close_channel(f"in{i}")
                    else:
                        voice.close()
                async with asyncio.timeout(30.0):
                    await asyncio.gather(*tasks)

    asyncio.run(main())


def test_what_is_queued_is_changed_before_it_ends() -> None:
    x = speech(NAMES[0], RATE)[:RATE]

    async def main() -> list[AudioStream]:
        async with ChannelManager() as channels:
            heard = channels.subscribe("out", max_queue=10_000)
            changer = ChannelVoice(channels, "in", "out", parameters=PLAIN, max_queue=10_000)
            for item in streams(x):
                await channels.publish("in", item)
            running = asyncio.create_task(changer.run())
            await asyncio.sleep(0)
            changer.finish()
            await channels.publish("in", streams(x)[0])  # too late
            async with asyncio.timeout(60.0):
                got = [stream async for stream in heard]
                await running
            return got

    assert np.abs(joined(asyncio.run(main())) - x).max() < 1e-4
