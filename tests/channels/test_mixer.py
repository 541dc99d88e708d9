from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menura.audio.block import Samples, silence
from menura.audio.stream import AudioStream
from menura.channels.align import Aligner
from menura.channels.mixer import StreamCombiner, StreamMixer
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from menura.errors import ConfigError, FormatError, StateError
from menura.units import db_to_gain
from tests.streaming import speechlike

RATE = 8000


def stream(x: Samples, first: int, rate: int = RATE, jitter_s: float = 0.0) -> AudioStream:
    start = first / rate + jitter_s
    return AudioStream.from_block(x, rate, format="pcm_f32le", timestamp=(start, start + len(x) / rate))


def noise(frames: int, seed: int, channels: int = 1) -> Samples:
    return (0.2 * np.random.default_rng(seed).standard_normal((frames, channels))).astype(np.float32)


def assert_regular(out: list[AudioStream], start_s: float) -> None:
    at = round(start_s * out[0].sample_rate)
    for one in out:
        assert one.timestamp == (at / one.sample_rate, (at + one.frames) / one.sample_rate)
        at += one.frames


def joined(out: list[AudioStream]) -> Samples:
    return np.concatenate([one.to_block() for one in out])


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[tuple[int, Samples]], list[tuple[int, int, int]]]:
    """Three inputs with a first frame each, and an order in which their parts come: input, from, to."""
    inputs = [(draw(st.integers(0, 900)) + 4000, noise(draw(st.integers(1, 1500)), k)) for k in range(3)]
    parts = []
    for k, (_, x) in enumerate(inputs):
        cuts = sorted({0, len(x), *draw(st.lists(st.integers(0, len(x)), max_size=6))})
        parts.append([(k, a, b) for a, b in pairwise(cuts)])
    order = draw(st.permutations([k for k, own in enumerate(parts) for _ in own]))
    taken = [iter(own) for own in parts]
    return inputs, [next(taken[k]) for k in order]


@settings(max_examples=100, deadline=None)
@given(given_arrivals=arrivals(), block=st.integers(1, 400), jitter=st.floats(-0.004, 0.004))
def test_sum_is_the_offline_sum_however_streams_are_cut_and_come(
    given_arrivals: tuple[list[tuple[int, Samples]], list[tuple[int, int, int]]], block: int, jitter: float
) -> None:
    inputs, order = given_arrivals
    mixer = StreamMixer(Aligner(RATE, block=block))
    for k in range(3):
        mixer.add(str(k), gain=1.0)
    out = []
    for k, a, b in order:
        first, x = inputs[k]
        mixer.push(str(k), stream(x[a:b], first + a, jitter_s=jitter * (a > 0)))
        out += mixer.pull()
    out += mixer.finish()
    start = min(first for first, _ in inputs)
    want = silence(max(first + len(x) for first, x in inputs) - start)
    for first, x in inputs:
        want[first - start : first - start + len(x)] += x
    np.testing.assert_array_equal(joined(out), want)
    assert_regular(out, start / RATE)
    assert {one.frames for one in out[:-1]} <= {block}
    assert mixer.aligner.ended


def test_rates_and_channels_are_made_alike() -> None:
    x, y = speechlike(16_000, 16_000), speechlike(44_100, 44_100, 2, seed=4)
    mixer = StreamMixer(Aligner(48_000, 2))
    mixer.add("mono")
    mixer.add("stereo", gain=0.5)
    for k in range(0, 44_100, 441):
        mixer.push("stereo", stream(y[k : k + 441], k, 44_100))
    for k in range(0, 16_000, 1000):
        mixer.push("mono", stream(x[k : k + 1000], k, 16_000))
    out = mixer.finish()
    want = process_whole(Resampler(16_000, 48_000), x) + 0.5 * process_whole(Resampler(44_100, 48_000, 2), y)
    np.testing.assert_allclose(joined(out), want, atol=1e-6)
    quad = StreamMixer(Aligner(48_000, 4))
    quad.add("stereo")
    with pytest.raises(FormatError, match="mix to mono first"):
        quad.push("stereo", stream(y, 0, 44_100))


def test_the_late_are_waited_for_so_long_and_no_longer() -> None:
    mixer = StreamMixer(Aligner(RATE, block=80, max_wait_s=0.05))
    mixer.add("a")
    mixer.add("b")
    ones = np.full((80, 1), 0.25, np.float32)
    for k in range(10):
        mixer.push("a", stream(ones, 80 * k), now_s=0.01 * k)
        if k < 3:
            mixer.push("b", stream(ones, 80 * k), now_s=0.01 * k)
    assert [one.timestamp[0] for one in mixer.pull(0.0799)] == [0.0, 0.01, 0.02]
    assert mixer.aligner.deadline_s() == pytest.approx(0.08)
    (late,) = mixer.pull(0.08)
    np.testing.assert_array_equal(late.to_block(), ones)
    assert mixer.aligner.deadline_s() == pytest.approx(0.09)
    mixer.push("b", stream(np.concatenate([ones] * 2), 240), now_s=0.081)
    (mixed,) = mixer.pull(0.081)
    np.testing.assert_array_equal(mixed.to_block(), 2 * ones)
    stats = mixer.stats()["b"]
    assert (stats.heard, stats.missing, stats.late, stats.gap) == (320, 80, 80, 0)
    assert mixer.stats()["a"].waiting == 5 * 80
    assert mixer.pull(1.0)[-1].timestamp[1] == pytest.approx(0.1)
    assert mixer.aligner.deadline_s() is None


def test_input_that_gives_nothing_holds_up_for_max_wait_only() -> None:
    for max_wait_s in (None, 0.03):
        mixer = StreamMixer(Aligner(RATE, block=80, max_wait_s=max_wait_s))
        mixer.add("a")
        mixer.add("silent")
        mixer.push("a", stream(noise(800, 1), 0), now_s=5.0)
        assert mixer.pull(5.0) == []
        assert len(mixer.pull(5.04)) == (0 if max_wait_s is None else 10)
        mixer.end("silent")
        assert len(mixer.pull(6.0)) == (10 if max_wait_s is None else 0)


def test_gaps_are_silence_and_what_is_there_twice_is_dropped() -> None:
    mixer = StreamMixer(Aligner(RATE, block=100))
    mixer.add("a")
    x = noise(1000, 2)
    mixer.push("a", stream(x[:300], 0))
    mixer.push("a", stream(x[300:600], 1000))
    mixer.push("a", stream(x[600:1000], 1000))
    out = mixer.finish()
    np.testing.assert_array_equal(joined(out), np.concatenate([x[:300], silence(700), x[300:600], x[900:]]))
    stats = mixer.stats()["a"]
    assert (stats.heard, stats.gap, stats.twice, stats.missing) == (700, 700, 300, 0)


def test_a_long_common_gap_is_skipped() -> None:
    mixer = StreamMixer(Aligner(RATE, block=100, max_gap_s=1.0))
    mixer.add("a")
    mixer.add("b")
    mixer.push("a", stream(noise(250, 2), 0))
    mixer.push("b", stream(noise(250, 2), 50))
    mixer.push("a", stream(noise(50, 2), 16_000))
    mixer.push("b", stream(noise(150, 2), 16_000))
    out = mixer.finish()
    starts = [round(one.timestamp[0] * RATE) for one in out]
    assert starts == [0, 100, 200, 16_000, 16_100]
    assert mixer.aligner.skips == 1


def test_gain_turns_without_a_click() -> None:
    mixer = StreamMixer(Aligner(RATE, block=80))
    mixer.add("a", gain=1.0)
    tone = (0.5 * np.sin(2 * np.pi * 100 * np.arange(4000) / RATE)).astype(np.float32)[:, None]
    out = []
    for k in range(50):
        if k == 20:
            mixer.set_gain("a", 0.0)
        if k == 35:
            mixer.set_gain("a", 0.5)
        mixer.push("a", stream(tone[80 * k : 80 * k + 80], 80 * k))
        out += mixer.pull()
    y = joined(out)
    assert np.abs(np.diff(y[:, 0])).max() < 0.06  # the tone's own steepest step is 0.04
    np.testing.assert_array_equal(y[:1600], tone[:1600])
    assert np.abs(y[2200:2800]).max() < 1e-4
    np.testing.assert_allclose(y[3500:], 0.5 * tone[3500:], atol=1e-4)


def test_inputs_join_and_leave_while_it_runs() -> None:
    mixer = StreamMixer(Aligner(RATE, block=80))
    mixer.add("a")
    ones = np.full((800, 1), 0.25, np.float32)
    mixer.push("a", stream(ones, 0))
    out = mixer.pull()
    mixer.add("b")
    mixer.push("b", stream(ones, 880))
    mixer.push("a", stream(ones, 800))
    out += mixer.pull()
    assert mixer.aligner.inputs == ("a", "b")
    mixer.push("b", stream(ones, 1680))
    mixer.remove("a")
    mixer.push("b", stream(ones, 2480))
    out += mixer.pull()
    assert mixer.aligner.inputs == ("b",)
    y = joined(out)[:, 0]
    assert y[:880].tolist() == [0.25] * 880
    assert y[880:1600].tolist() == [0.5] * 720
    assert (y[1600:] == 0.25).all()
    mixer.remove("b")
    rest = mixer.finish()
    assert mixer.aligner.inputs == ()
    assert rest == []


def test_leaving_input_fades_what_it_has_given() -> None:
    mixer = StreamMixer(Aligner(RATE, block=400))
    mixer.add("a")
    mixer.add("b")
    ones = np.full((400, 1), 0.25, np.float32)
    mixer.push("a", stream(ones, 0))
    mixer.remove("a")
    mixer.push("b", stream(ones, 0))
    y = joined(mixer.pull())[:, 0] - 0.25
    assert np.abs(np.diff(y)).max() < 0.006
    assert y[0] > 0.24
    assert not y[80:].any()


def test_limit_keeps_peaks_below_full_scale_and_times_true() -> None:
    x = 0.9 * np.sign(noise(8000, 3))
    for limit in (False, True):
        mixer = StreamMixer(Aligner(RATE), limit=limit, format="pcm_s16le")
        for name in "ab":
            mixer.add(name)
            mixer.push(name, stream(x, 1000))
        out = mixer.pull() + mixer.finish()
        y = joined(out)
        assert len(y) == 8000
        assert out[0].timestamp[0] == 0.125
        assert sum(one.duration_seconds() for one in out) == pytest.approx(1.0)
        peak = np.abs(y).max()
        assert peak <= db_to_gain(-0.1) + 1 / 32768 if limit else peak == 1.0


def test_combination_sees_the_same_times() -> None:
    seen = []

    def duck(voice: Samples, music: Samples) -> Samples:
        seen.append((len(voice), len(music)))
        return voice * music

    combiner = StreamCombiner(Aligner(RATE, block=80), duck, inputs=("voice", "music"), metadata={"what": "product"})
    x, y = noise(500, 5), noise(460, 6)
    combiner.push("music", stream(y, 40))
    for k in range(0, 500, 50):
        combiner.push("voice", stream(x[k : k + 50], k))
    out = combiner.finish()
    np.testing.assert_array_equal(joined(out), x * np.concatenate([silence(40), y]))
    assert out[0].metadata == {"what": "product"}
    assert seen == [(80, 80)] * 6 + [(20, 20)]


def test_wrong_use_is_told() -> None:
    mixer = StreamMixer(Aligner(RATE))
    mixer.add("a")
    with pytest.raises(StateError, match="an input 'a' already"):
        mixer.add("a")
    with pytest.raises(StateError, match="no input 'b'; there are a"):
        mixer.push("b", stream(noise(1, 1), 0))
    with pytest.raises(StateError, match="no input 'b'"):
        mixer.set_gain("b", 1.0)
    with pytest.raises(ConfigError, match="0 or more"):
        mixer.set_gain("a", float("nan"))
    mixer.end("a")
    mixer.end("a")
    with pytest.raises(StateError, match="has ended"):
        mixer.push("a", stream(noise(1, 1), 0))
    for wrong in ({"block": 0}, {"max_wait_s": -1.0}, {"max_gap_s": -1.0}):
        with pytest.raises(ConfigError, match="needs block"):
            Aligner(RATE, **wrong)


def test_an_hour_stays_on_the_grid_and_in_bounds() -> None:
    mixer = StreamMixer(Aligner(48_000, block=24_000))
    mixer.add("a")
    mixer.add("b")
    x = AudioStream.from_block(silence(24_000), 48_000)
    made = 0
    for k in range(7200):
        for name in "ab":
            mixer.push(name, x.model_copy(update={"timestamp": (0.1 + k / 2, 0.1 + (k + 1) / 2)}))
        for out in mixer.pull():
            assert out.timestamp[0] == (4800 + made) / 48_000
            made += out.frames
    assert made == 3600 * 48_000
    assert mixer.stats()["a"].waiting == 0


def test_input_that_begins_anew_goes_on_at_once() -> None:
    mixer = StreamMixer(Aligner(RATE, block=100))
    mixer.add("a")
    x = noise(24_000, 2)
    for k in range(0, 16_000, 800):
        mixer.push("a", stream(x[k : k + 800], k))
    for k in range(0, 8000, 800):
        mixer.push("a", stream(x[16_000 + k : 16_800 + k], k))
    out = mixer.pull()
    np.testing.assert_array_equal(joined(out), x)
    assert_regular(out, 0.0)
    assert mixer.stats()["a"].restarts == 1


def test_a_removed_input_that_was_far_ahead_leaves_no_silence_to_give() -> None:
    aligner = Aligner(8000, block=80, max_wait_s=0.1)
    for name, at_s in (("here", 0.0), ("astray", 1000.0)):
        aligner.add(name)
        aligner.push(name, AudioStream(data=bytes(160), sample_rate=8000, timestamp=(at_s, at_s + 0.01)), now_s=0.0)
    aligner.remove("astray")
    given = 0
    while aligner.pull(now_s=1.0) is not None:
        given += 1
        assert given < 10
    assert given == 1 and aligner.deadline_s() is None
