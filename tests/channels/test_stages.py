from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menura.audio.block import Samples, silence
from menura.audio.stream import AudioStream
from menura.channels.making import Through
from menura.channels.stages import Gaps, StreamStage
from menura.dsp.chain import Chain
from menura.dsp.delay import Echo
from menura.dsp.dynamics import Gain, Limiter
from menura.dsp.resample import Resampler
from menura.dsp.shift import PitchShift
from menura.dsp.stage import process_whole
from menura.errors import ConfigError, FormatError, VoiceNotFoundError
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from tests.streaming import CUTS, pieces, speechlike

RATE = 16_000


def streams(x: Samples, sizes: tuple[int, ...], *, rate: int = RATE, start_s: float = 0.0) -> Iterator[AudioStream]:
    at = 0
    for k, piece in enumerate(pieces(x, sizes)):
        span = (start_s + at / rate, start_s + (at + len(piece)) / rate)
        at += len(piece)
        yield AudioStream.from_block(piece, rate, format="pcm_f32le", timestamp=span, metadata={"chunk": k})


def run(stage: StreamStage, given_streams: Iterator[AudioStream]) -> list[AudioStream]:
    out = [y for x in given_streams for y in stage.process(x)]
    return out + stage.flush()


def joined(given_streams: list[AudioStream]) -> Samples:
    return np.concatenate([stream.to_block() for stream in given_streams])


def assert_times(out: list[AudioStream], start_s: float = 0.0) -> None:
    """Every timestamp is where its frames are, counted from the first."""
    at = 0
    for stream in (stream for stream in out if stream.frames):
        rate = stream.sample_rate
        assert stream.timestamp == pytest.approx((start_s + at / rate, start_s + (at + stream.frames) / rate), abs=1e-9)
        at += stream.frames


MAKE = {
    "nothing": lambda: Chain([], RATE),
    "limiter": lambda: Limiter(RATE),
    "shift": lambda: PitchShift(RATE, pitch_st=3.0),
    "up": lambda: Resampler(RATE, 44_100),
    "down and up": lambda: Chain([Resampler(RATE, 8000), Echo(8000), Resampler(8000, 24_000), Limiter(24_000)]),
}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", MAKE)
def test_output_is_that_of_the_stage_however_cut_and_has_its_times(name: str, whole: bool) -> None:
    x = speechlike(RATE // 3, RATE)
    stage = MAKE[name]()
    want = process_whole(stage, x)
    for cut, sizes in CUTS.items():
        short = x[:300] if cut == "1" else x
        want_here = process_whole(stage, short) if cut == "1" else want
        runner = StreamStage(MAKE[name](), whole=whole)
        out = run(runner, streams(short, sizes, start_s=3.25))
        y = joined([part for part in out if part.frames])
        if name != "down and up":
            np.testing.assert_array_equal(y, want_here)
        assert_times(out, 3.25)
        assert runner.stats().frames_in == len(short)
        assert runner.stats().frames_out == len(y)
        again = run(runner, streams(short, sizes, start_s=9.0))
        np.testing.assert_array_equal(joined([part for part in again if part.frames]), y)


def test_metadata_stay_with_their_audio() -> None:
    x = np.arange(1, 1001, dtype=np.float32)[:, None] / 2000
    out = run(StreamStage(Limiter(RATE)), streams(x, (7, 160, 1, 300)))
    marks = {0: 7, 1: 167, 2: 168, 3: 468}
    at = 0
    for stream in out:
        chunk = stream.metadata["chunk"]
        at += stream.frames
        if chunk in marks:
            assert at <= marks[chunk]
        np.testing.assert_allclose(stream.to_block()[-1, 0], at / 2000)
    assert [stream.metadata["chunk"] for stream in out] == sorted(stream.metadata["chunk"] for stream in out)


def test_streams_alike_are_joined_and_others_are_not() -> None:
    stage = StreamStage(Limiter(RATE))
    same = [
        AudioStream.from_block(silence(160), RATE, timestamp=(k / 100, (k + 1) / 100), metadata={"who": "a"})
        for k in range(5)
    ]
    out = run(stage, iter(same))
    assert [stream.frames for stream in out] == [160 - 24, 160, 160, 160, 160, 24]
    other = [same[0], same[1].model_copy(update={"metadata": {"who": "b"}})]
    out = run(stage, iter(other))
    assert [(stream.frames, stream.metadata["who"]) for stream in out] == [(136, "a"), (24, "a"), (136, "b"), (24, "b")]
    arrays = [one.model_copy(update={"metadata": {"f0": np.zeros(3)}}) for one in same]
    assert sum(stream.frames for stream in run(stage, iter(arrays))) == 800


def test_whole_gives_each_stream_back_as_long_and_when_it_was() -> None:
    x = speechlike(RATE, RATE)
    came = list(streams(x, (480, 33, 1000, 2)))
    out = run(StreamStage(PitchShift(RATE), whole=True), iter(came))
    assert [(y.frames, y.timestamp, y.metadata) for y in out] == [(c.frames, c.timestamp, c.metadata) for c in came]


def test_empty_stream_passes_in_its_place() -> None:
    parts = list(streams(speechlike(1000, RATE), (400,)))
    mark = AudioStream(sample_rate=RATE, timestamp=(0.05, 0.05), metadata={"end": True})
    for whole in (False, True):
        out = run(StreamStage(Limiter(RATE), whole=whole), iter([*parts[:2], mark, parts[2], mark]))
        ends = [k for k, stream in enumerate(out) if stream.metadata.get("end")]
        assert [sum(stream.frames for stream in out[:k]) for k in ends] == [800, 1000]
        assert all(out[k].timestamp == (0.05, 0.05) for k in ends)


def test_times_that_wander_or_stretch_are_carried() -> None:
    rng = np.random.default_rng(3)
    starts = np.arange(20) * 0.02 + rng.uniform(0, 0.004, 20) + 100
    came = [AudioStream.from_block(silence(320), RATE, timestamp=(s, s + 0.02)) for s in starts]
    stage = StreamStage(Limiter(RATE), whole=True)
    assert [y.timestamp for y in run(stage, iter(came))] == [c.timestamp for c in came]
    assert stage.stats().gaps == stage.stats().overlaps == 0
    slow = [AudioStream.from_block(silence(160), RATE, timestamp=(k, k + 1.0)) for k in range(1, 6)]
    out = run(StreamStage(Limiter(RATE)), iter(slow))
    assert out[0].timestamp == pytest.approx((1.0, 1.0 + 136 / 160))
    assert out[1].timestamp == pytest.approx((1.0 + 136 / 160, 2.0 + 136 / 160))


def test_streams_without_times_follow_each_other() -> None:
    for stamp in ((0.0, 0.0), (0.0, 0.02)):
        stage = StreamStage(Chain([], RATE))
        came = [AudioStream.from_block(silence(320), RATE, timestamp=stamp) for _ in range(200)]
        out = run(stage, iter(came))
        assert_times(out)
        assert stage.stats().overlaps == 0


def holes() -> list[AudioStream]:
    """Two frames of 100 ms that follow each other, a gap of 0.5 s, two more; then one that was there already."""
    x = speechlike(8000, RATE)
    starts = (1.0, 1.1, 1.7, 1.8, 1.85)
    return [
        AudioStream.from_block(x[k * 1600 : (k + 1) * 1600], RATE, format="pcm_f32le", timestamp=(s, s + 0.1))
        for k, s in enumerate(starts)
    ]


def test_reset_finishes_what_was_before_a_jump() -> None:
    stage = StreamStage(PitchShift(RATE, pitch_st=2.0), gaps="reset")
    came = holes()
    out = run(stage, iter(came))
    parts = [came[:2], came[2:4], came[4:]]
    want = [process_whole(PitchShift(RATE, pitch_st=2.0), joined(part)) for part in parts]
    np.testing.assert_array_equal(joined(out), np.concatenate(want))
    assert out[0].timestamp[0] == 1.0
    assert all(b.timestamp[0] == pytest.approx(a.timestamp[1]) or b.timestamp[0] in (1.7, 1.85)
               for a, b in pairwise(out))  # fmt: skip
    stats = stage.stats()
    assert (stats.gaps, stats.overlaps, stats.resets) == (1, 1, 2)


def test_fill_puts_silence_into_gaps_and_drops_what_is_there_twice() -> None:
    stage = StreamStage(Echo(RATE, delay_ms=50.0), gaps=Gaps.FILL)
    came = holes()
    out = run(stage, iter(came))
    x = np.concatenate([joined(came[:2]), silence(8000), joined(came[2:4]), came[4].to_block()[800:]])
    np.testing.assert_array_equal(joined(out), process_whole(Echo(RATE, delay_ms=50.0), x))
    assert_times(out, 1.0)
    stats = stage.stats()
    assert (stats.filled_frames, stats.dropped_frames, stats.resets) == (8000, 800, 0)


def test_fill_leaves_a_long_gap_and_a_restart() -> None:
    stage = StreamStage(Chain([], RATE), gaps="fill", max_fill_s=0.4)
    out = run(stage, iter([*holes(), holes()[0]]))
    assert sum(stream.frames for stream in out) == 6 * 1600 - 800
    assert stage.stats().resets == 2


def test_fill_drops_a_stream_wholly_heard_before() -> None:
    stage = StreamStage(Chain([], RATE), gaps="fill")
    came = holes()
    out = run(stage, iter([*came[:2], came[0], came[1], came[2]]))
    assert_times(out, 1.0)
    assert stage.stats().dropped_frames == 3200


def test_ignore_takes_the_audio_as_one_and_tells_its_times() -> None:
    stage = StreamStage(PitchShift(RATE, pitch_st=2.0), gaps="ignore", whole=True)
    came = holes()
    out = run(stage, iter(came))
    np.testing.assert_array_equal(joined(out), process_whole(PitchShift(RATE, pitch_st=2.0), joined(came)))
    assert [stream.timestamp for stream in out] == [stream.timestamp for stream in came]
    apart = StreamStage(PitchShift(RATE, pitch_st=2.0), gaps="ignore")
    for stream in run(apart, iter(came)):
        assert stream.timestamp[1] - stream.timestamp[0] == pytest.approx(stream.duration_seconds())


def test_formats_are_kept_or_chosen() -> None:
    x = 0.25 * np.ones((320, 1), np.float32)
    stage = StreamStage(Chain([], RATE))
    for form in ("pcm_s16le", "pcm_f32le"):
        (out,) = stage.process(AudioStream.from_block(x, RATE, format=form))
        assert out.format == form
        stage.reset()
    (out,) = StreamStage(Chain([], RATE), format="pcm_f32le").process(AudioStream.from_block(x, RATE))
    assert (out.format, out.sample_width) == ("pcm_f32le", 4)


def test_another_format_is_refused_and_changes_nothing() -> None:
    stage = StreamStage(Limiter(RATE))
    first, second = streams(speechlike(640, RATE), (320,))
    out = stage.process(first)
    with pytest.raises(FormatError, match="takes 16000 Hz and 1 channels, the stream has 48000 Hz and 2"):
        stage.process(AudioStream.from_block(silence(480, 2), 48_000))
    out += stage.process(second) + stage.flush()
    assert_times(out)
    assert sum(stream.frames for stream in out) == 640


def test_changes_of_rate_and_channels_are_converted_in_place() -> None:
    stage = StreamStage(Limiter(48_000, 2), mismatch="convert")
    came, at = [], 0.0
    t = np.arange(48_000) / 48_000
    for rate, channels in ((48_000, 2), (16_000, 1), (44_100, 2), (44_100, 1), (48_000, 1)):
        n = rate // 5
        tone = 0.3 * np.sin(2 * np.pi * 400 * (at + t[:n] * 48_000 / rate))[:, None]
        came += list(streams(np.repeat(tone, channels, 1).astype(np.float32), (777,), rate=rate, start_s=at))
        at += 0.2
    out = run(stage, iter(came))
    y = joined(out)
    assert y.shape == (48_000, 2)
    assert_times(out)
    want = 0.3 * np.sin(2 * np.pi * 400 * np.arange(48_000) / 48_000)
    inner = np.ones(48_000, bool)
    for edge in range(0, 48_001, 9600):  # a conversion begins and ends in silence
        inner[max(0, edge - 300) : edge + 300] = False
    assert np.abs(y[:, 0] - want)[inner].max() < 2e-3
    assert stage.stats().conversions == 4
    with pytest.raises(FormatError, match="mix to mono"):
        stage.process(AudioStream.from_block(silence(10, 4), 48_000))


def test_voice_by_id_is_built_to_fit_the_first_stream() -> None:
    x = speechlike(8000, 44_100, 2)
    stage = StreamStage("robot")
    assert stage.stage is None
    y = joined(run(stage, streams(x, (512,), rate=44_100)))
    np.testing.assert_array_equal(y, process_whole(make_stage(find_voice("robot"), 44_100, 2), x))
    assert stage.latency_s > 0.0
    by_function = StreamStage(lambda rate, channels: make_stage(find_voice("robot"), rate, channels))
    np.testing.assert_array_equal(joined(run(by_function, streams(x, (999,), rate=44_100))), y)
    np.testing.assert_array_equal(
        joined(run(StreamStage(Limiter), streams(x, (999,), rate=44_100))), process_whole(Limiter(44_100, 2), x)
    )
    with pytest.raises(VoiceNotFoundError):
        StreamStage("nobody").process(AudioStream.from_block(x, 44_100))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="gaps is one of reset, fill, ignore"):
        StreamStage(Gain(RATE), gaps="perhaps")
    with pytest.raises(ConfigError, match="mismatch is one of"):
        StreamStage(Gain(RATE), mismatch="perhaps")
    with pytest.raises(ConfigError, match="tolerance_s"):
        StreamStage(Gain(RATE), tolerance_s=-1.0)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=8).filter(any),
    whole=st.booleans(),
    rate_out=st.sampled_from([8000, 16_000, 22_050, 48_000]),
)
def test_any_cut_gives_the_same_audio_and_times(sizes: list[int], whole: bool, rate_out: int) -> None:
    x = speechlike(3000, RATE)

    def make() -> Chain:
        return Chain([Limiter(RATE), Resampler(RATE, rate_out)])

    out = run(StreamStage(make(), whole=whole), streams(x, tuple(sizes), start_s=12.5))
    np.testing.assert_array_equal(joined(out), process_whole(make(), x))
    assert_times(out, 12.5)


def test_an_hour_keeps_its_times_to_the_sample() -> None:
    stage = StreamStage(Chain([Resampler(RATE, 11_025)]))
    step = RATE // 2
    x = AudioStream.from_block(silence(step), RATE)
    made = 0
    for k in range(7200):
        for out in stage.process(x.model_copy(update={"timestamp": (k * step / RATE, (k + 1) * step / RATE)})):
            assert out.timestamp[0] == pytest.approx(made / 11_025, abs=1e-11)
            made += out.frames
    made += sum(out.frames for out in stage.flush())
    assert made == 3600 * 11_025


def test_source_that_begins_anew_is_heard_at_once_whatever_is_done_with_gaps() -> None:
    x = speechlike(3 * RATE, RATE)
    came = [*streams(x[: 2 * RATE], (1600,)), *streams(x[2 * RATE :], (1600,))]
    for gaps in Gaps:
        stage = StreamStage(Chain([], RATE), gaps=gaps)
        np.testing.assert_array_equal(joined(run(stage, iter(came))), x)
        assert stage.stats().overlaps == 1


def test_rate_that_cannot_be_converted_is_refused_and_changes_nothing() -> None:
    stage = StreamStage(Limiter(RATE), mismatch="convert")
    first, second = streams(speechlike(640, RATE), (320,))
    out = stage.process(first)
    for rate in (4000, 384_000):
        with pytest.raises(FormatError, match="sample rate must be"):
            stage.process(AudioStream.from_block(silence(10), rate))
    out += stage.process(second) + stage.flush()
    assert sum(stream.frames for stream in out) == 640


@pytest.mark.parametrize("time_s", [1e308, -1e308, 1e13])
@pytest.mark.parametrize("gaps", list(Gaps))
def test_a_timestamp_that_is_no_time_is_a_typed_error(time_s: float, gaps: Gaps) -> None:
    stage = StreamStage(Through(8000, 1), gaps=gaps)
    stage.process(AudioStream(data=bytes(160), sample_rate=8000, timestamp=(1.0, 1.01)))
    with pytest.raises(FormatError, match="seconds"):
        stage.process(AudioStream(data=bytes(160), sample_rate=8000, timestamp=(time_s, time_s)))
    assert stage.process(AudioStream(data=bytes(160), sample_rate=8000, timestamp=(1.01, 1.02)))[0].timestamp[0] == 1.01
