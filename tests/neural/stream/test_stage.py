"""An RVC voice as a Stage: its streaming, and what it makes of a voice with random weights."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from menura.audio.format import check_channels, check_rate
from menura.errors import ConfigError, ModelError
from menura.neural.content import ContentModel
from menura.neural.stream.blocks import RvcBlocks
from menura.neural.stream.features import mix_index, protect, widen
from menura.neural.stream.loudness import Gate, frame_rms, match_loudness
from menura.neural.stream.model import RvcModel, run
from menura.neural.stream.noise import KeyedNoise
from menura.neural.stream.pitch_track import PitchTrack
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import OfficialStage, RvcStage
from menura.neural.synthesizer import coarse_pitch
from tests.neural import rvc
from tests.neural.stream.transparent import Transparent
from tests.streaming import Case, prove_cuts, prove_finite, prove_latency, prove_reset, prove_silence
from tests.utterances import speech

SMALL = StreamShape(block=12, context=40)
OPEN = RvcSettings(gate_db=-120.0)
RATES = (11_025, 16_000, 24_000, 44_100, 48_000)


def loaded(name="v2_48k_f0"):
    config = rvc.voice(name).config
    content = rvc.content_model("hubert_tiny768" if config.version == "v2" else "hubert_tiny", config.version)
    return RvcModel(content, rvc.synthesizer(name), rvc.rmvpe_pitch() if config.f0 else None)


def snr_db(x, y):
    return 10.0 * np.log10(np.sum(np.square(x, dtype=float)) / np.sum(np.square(x - y, dtype=float)))


# --- the stage


@pytest.mark.parametrize("rate", RATES)
def test_a_transparent_model_proves_the_streaming(rate):
    def make():
        return RvcStage(Transparent(), rate, shape=SMALL, settings=OPEN)

    case = Case("transparent", make, lag_ms=1000.0 / rate)
    for prove in (prove_cuts, prove_reset, prove_silence, prove_finite, prove_latency):
        prove(case)


def test_what_a_transparent_model_hears_is_heard_whole():
    x = speech(16_000, "am_michael")[:32_000]
    stage = RvcStage(Transparent(), 16_000, shape=SMALL, settings=OPEN)
    y = np.concatenate([stage.process(x), stage.flush()])[stage.latency :]
    assert len(y) == len(x)
    # two resamplers of equal rates are delays
    assert snr_db(x[:, 0], y[:, 0]) > 100.0


@pytest.mark.parametrize("name", rvc.VOICES)
def test_a_voice_gives_the_same_however_it_is_cut(name):
    model = loaded(name)
    prove_cuts(Case(name, lambda: RvcStage(model, 48_000, shape=SMALL, settings=RvcSettings())))


def test_a_voice_that_carries_what_it_heard_gives_the_same_however_it_is_cut_and_forgets_it_all():
    model = loaded()
    checkpoint = rvc.content("hubert_tiny768")
    content = ContentModel(checkpoint.config, checkpoint.weights, options=rvc.ONE_THREAD)
    content.again = 0.3
    model = replace(model, content=content)
    case = Case("carried", lambda: RvcStage(model, 48_000, shape=SMALL, settings=RvcSettings()))
    prove_cuts(case)
    prove_reset(case)


def test_stereo_gets_the_voice_on_both_sides():
    stage = RvcStage(loaded(), 48_000, 2, shape=SMALL)
    x = np.repeat(speech(48_000, "am_michael")[:48_000], 2, axis=1)
    y = stage.process(x)
    assert y.shape == x.shape
    assert np.array_equal(y[:, 0], y[:, 1])
    assert np.abs(y).max() > 0.01


def test_silence_is_not_computed():
    model = Transparent()
    asked = []
    model.compute = lambda request, real=model.compute: asked.append(request.name) or real(request)
    stage = RvcStage(model, 16_000, shape=SMALL)
    stage.process(np.zeros((16_000, 1), np.float32))
    stage.process(np.full((16_000, 1), 1e-4, np.float32))  # below the gate
    assert asked == []
    stage.process(np.full((16_000, 1), 0.1, np.float32))
    assert asked


def test_settings_change_while_it_runs():
    stage = RvcStage(loaded(), 48_000, shape=SMALL, settings=OPEN)
    x = speech(48_000, "am_michael")[: 2 * 48_000]
    first = stage.process(x[:48_000])
    changed = RvcSettings(key_st=7.0, formant_st=3.0, rms_mix_rate=0.5, protect=0.3, gate_db=-120.0)
    stage.set(changed)
    assert stage.settings == changed
    second = stage.process(x[48_000:])
    assert np.all(np.isfinite(second))
    steps = np.abs(np.diff(np.concatenate([first, second])[:, 0]))
    assert steps[47_000:49_000].max() <= 1.5 * steps.max()
    with pytest.raises(ConfigError, match="speakers 0 to"):
        stage.set(RvcSettings(speaker=10_000))


class Faulty(Transparent):
    """Fails once, or gives what is no number."""

    def __init__(self, value=None):
        super().__init__()
        self.value, self.bad = value, False

    def compute(self, request):
        made = super().compute(request)
        if not self.bad or request.name != "decode":
            return made
        self.bad = False
        if self.value is None:
            raise RuntimeError("the device is lost")
        return np.full_like(made, self.value)


def test_after_a_failure_a_stage_is_as_new():
    model = Faulty()
    stage = RvcStage(model, 44_100, shape=SMALL, settings=OPEN)
    x = speech(48_000, "am_michael")[:48_000]
    stage.process(x[:10_001])
    model.bad = True
    with pytest.raises(RuntimeError, match="lost"):
        stage.process(x[10_001:40_000])
    y = np.concatenate([stage.process(x[at : at + 441]) for at in range(0, len(x), 441)])
    assert np.array_equal(y, RvcStage(Transparent(), 44_100, shape=SMALL, settings=OPEN).process(x))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_a_model_that_gives_no_numbers_once_poisons_nothing(value):
    model = Faulty(value)
    stage = RvcStage(model, 16_000, shape=SMALL, settings=OPEN)
    x = speech(16_000, "am_michael")[:32_000]
    first = stage.process(x[:8000])
    model.bad = True
    y = np.concatenate([first, stage.process(x[8000:])])
    assert np.abs(y).max() <= 1.0
    want = RvcStage(Transparent(), 16_000, shape=SMALL, settings=OPEN).process(x)
    assert np.array_equal(y[:8000], want[:8000])
    assert np.array_equal(y[-8000:], want[-8000:])


def test_pitches_that_are_none_poison_nothing():
    model = loaded()

    class Finder:
        asked = 0

        def pitch(self, wav):
            found = model.finder.pitch(wav)
            self.asked += 1
            if self.asked == 3:
                found[:, ::3], found[:, 1::3], found[:, 2::3] = np.nan, np.inf, 1e30
            return found

    stage = RvcStage(replace(model, finder=Finder()), 48_000, shape=SMALL, settings=OPEN)
    y = stage.process(speech(48_000, "am_michael")[: 2 * 48_000])
    assert np.all(np.isfinite(y))
    assert np.abs(y[-48_000:]).max() > 0.01
    assert np.isfinite(stage.speaker_hz)


@pytest.mark.parametrize(
    "settings",
    [{"key_st": np.nan}, {"index_rate": 1.1}, {"protect": 0.6}, {"speaker": -1}, {"speaker": 1.5}, {"unvoiced": "x"}],
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        RvcSettings(**settings)


def test_numbers_of_numpy_are_taken_as_rate_and_speaker():
    assert type(RvcSettings(speaker=np.int64(1)).speaker) is int
    assert type(check_rate(np.int32(48_000))) is int
    assert type(check_channels(np.int64(2))) is int


@pytest.mark.parametrize("shape", [{"block": 3}, {"context": 1}, {"fade": 0}, {"fade": 25}, {"left": 30, "context": 2}])
def test_shapes_that_cannot_be_are_refused(shape):
    with pytest.raises(ConfigError):
        StreamShape(**shape)


def test_what_does_not_belong_together_is_refused():
    model = loaded()
    with pytest.raises(ModelError, match="pitch"):
        RvcModel(model.content, model.synthesizer)
    with pytest.raises(ModelError, match="768 features"):
        RvcModel(rvc.content_model("hubert_tiny", "v1"), model.synthesizer, model.finder)
    slower = SimpleNamespace(config=replace(model.synthesizer.config, rate=32_000))
    with pytest.raises(ModelError, match="makes 48000 samples a second, and its config says 32000"):
        RvcModel(model.content, slower, model.finder)


# --- seams


class Oracle:
    """A model whose content, pitch and prior are those of the whole audio: what differs then is the seams alone."""

    def __init__(self, model, x):
        self.real, self.content, self.synthesizer = model, model.content, model.synthesizer
        self.index = self.blocks = self.finder = None
        self.before = 300
        wav = np.concatenate([np.zeros(160 * self.before, np.float32), x, np.zeros(16_000, np.float32)])
        self.features = model.content.features(wav[None])[0]
        self.f0 = model.finder.pitch(wav[None]).reshape(-1)
        phone = widen(self.features, len(wav) // 160)
        self.prior = model.synthesizer.encode(phone[None], coarse_pitch(self.f0[: len(phone)])[None])

    def compute(self, request):
        end = self.blocks._end + self.before
        if request.name == "transform":
            rows = request.arrays[0].shape[1]
            kept = np.zeros((1, self.content.layers, rows, 2 * self.content.width), np.float32)
            return self.features[None, end // 2 - 1 - rows : end // 2 - 1].copy(), kept
        if request.name == "pitch":
            frames = request.arrays[0].shape[1] // 160
            return self.f0[None, end - frames : end + 1]
        if request.name == "encode":
            frames = request.arrays[0].shape[1]
            return [np.ascontiguousarray(part[:, :, end - frames : end]) for part in self.prior]
        return self.real.compute(request)


def stream(oracle, x, shape):
    oracle.blocks = RvcBlocks(oracle, shape, OPEN)
    n = 160 * shape.block
    return np.concatenate([run(oracle, oracle.blocks.steps(x[at : at + n])) for at in range(0, len(x) - n + 1, n)])


def seams_db(oracle, x, shape):
    """Per frame of a block: power over that of the difference to one block of all."""
    hop = oracle.synthesizer.config.hop
    whole = StreamShape(block=384, context=200, left=shape.left, right=shape.right, fade=shape.fade)
    y, z = stream(oracle, x, shape), stream(oracle, x, whole)
    length = shape.block * hop
    count = min(len(y), len(z)) // length
    y, z = (part[2 * length : count * length].reshape(-1, shape.block, hop).astype(float) for part in (y, z))
    return 10.0 * np.log10((z**2).mean((0, 2)) / ((y - z) ** 2).mean((0, 2)).clip(1e-30))


def test_seams_are_better_than_those_of_the_official_scheme_at_its_latency():
    """That fades over the five frames which are nearest to both edges; here as a shape without context."""
    x = speech(16_000, "am_michael")[: 384 * 160, 0]
    oracle = Oracle(loaded(), x)
    ours = seams_db(oracle, x, StreamShape())
    theirs = seams_db(oracle, x, StreamShape(left=1, right=0, fade=5))
    assert ours[4:10].min() > 110.0  # the same to the noise of single precision
    assert ours.min() > theirs.min() + 6.0
    assert 10 ** (-ours / 10).mean() < 0.3 * 10 ** (-theirs / 10).mean()
    assert seams_db(oracle, x, StreamShape(left=12, right=10)).min() > 50.0


@pytest.mark.parametrize("shape", [StreamShape(block=300, context=40), StreamShape(2, 40, left=0, right=0)])
@pytest.mark.parametrize("formant_st", [-7.0, 0.0, 12.0])
def test_formants_move_in_blocks_of_any_length(shape, formant_st):
    model, settings = loaded("v2_40k_nof0"), RvcSettings(gate_db=-120.0, formant_st=formant_st)
    y = RvcStage(model, 40_000, shape=shape, settings=settings).process(speech(40_000, "am_michael")[:150_000])
    assert np.isfinite(y).all()
    assert np.abs(y[-20_000:]).max() > 0.001


@pytest.mark.parametrize("name", ["v2_48k_f0", "v2_40k_nof0"])
@pytest.mark.parametrize("formant_st", [-6.0, 0.0, 3.0])
@pytest.mark.parametrize("rms_mix_rate", [1.0, 0.25])
def test_what_is_heard_is_the_same_though_less_is_decoded(name, formant_st, rms_mix_rate):
    model, x = loaded(name), speech(16_000, "am_michael")[: 160 * 12 * 10, 0]
    settings = RvcSettings(gate_db=-120.0, formant_st=formant_st, rms_mix_rate=rms_mix_rate)

    class Whole:
        content, synthesizer, finder, index = model.content, model.synthesizer, model.finder, None

        def compute(self, request):
            if request.name == "decode":
                assert request.arrays[3].sum() > 0
                request = replace(request, arrays=request.arrays[:3])
            return model.compute(request)

    y, z = (RvcBlocks(each, SMALL, settings) for each in (model, Whole()))
    starts = range(0, len(x), 12 * 160)
    part, whole = ([run(each.model, each.steps(x[at : at + 12 * 160])) for at in starts] for each in (y, z))
    rvc.assert_same(name, np.concatenate(part), np.concatenate(whole))


# --- parts


def test_noise_belongs_to_its_moment():
    noise = KeyedNoise(3, 5)
    whole = noise.rows(-100, 400)
    assert np.array_equal(whole[150:170], noise.rows(50, 20))
    assert abs(whole.std() - 1.0) < 0.1
    assert not np.array_equal(whole, KeyedNoise(4, 5).rows(-100, 400))
    assert noise.rows(7, 0).shape == (0, 5)


def test_pitch_that_was_heard_stays():
    track = PitchTrack(20)
    track.advance(8)
    first = track.update(np.full(20, 100.0), RvcSettings(key_st=12.0), 10, 8).copy()
    assert first[-10:].tolist() == [200.0] * 10
    track.advance(8)
    second = track.update(np.full(20, 150.0), RvcSettings(), 10, 8)
    assert second[:10].tolist()[-8:] == [200.0] * 8
    assert second[-10:].tolist() == [150.0] * 10


def test_pitch_is_looked_for_on_the_finders_own_grid():
    model, starts, moment = loaded(), [], 0

    class Finder:
        grid = 8

        def pitch(self, wav):
            starts.append(moment - wav.shape[1] // 160)
            return model.finder.pitch(wav)

    shape = StreamShape(block=10, context=40)
    blocks = RvcBlocks(replace(model, finder=Finder()), shape, OPEN)
    x = speech(16_000, "am_michael")[: 160 * 10 * 20, 0]
    for at in range(0, len(x), 1600):
        moment += 10
        run(blocks.model, blocks.steps(x[at : at + 1600]))
    assert len(starts) > 10
    assert all(start % 8 == 0 for start in starts)


def test_a_register_is_reached_whoever_speaks():
    track = PitchTrack(20)
    for _ in range(3):
        track.advance(8)
        sung = track.update(np.full(20, 110.0), RvcSettings(target_hz=220.0), 10, 8)
    assert track.speaker_hz == 110.0
    assert sung[-1] == pytest.approx(220.0)


def test_missing_pitch_is_filled_if_asked_for():
    found = np.array([100.0, 0.0, 0.0, 0.0, 200.0] + [0.0] * 15)[::-1]
    track = PitchTrack(20)
    sung = track.update(found, RvcSettings(unvoiced="interpolate"), 20, 8)
    assert np.all(sung > 0.0)
    assert sung[-3] == pytest.approx(150.0)


def test_an_index_pulls_towards_its_vectors():
    class Index:
        dimensions = 2

        def search(self, queries, k):
            ids = np.tile(np.arange(k), (len(queries), 1))
            return np.tile(np.array([0.0] + [1.0] * (k - 1), np.float32), (len(queries), 1)), ids

        def vectors(self, ids):
            return np.stack([ids, ids], axis=-1).astype(np.float32)

    x = np.full((3, 2), 8.0, np.float32)
    assert np.array_equal(mix_index(x, Index(), 0.25), np.full((3, 2), 6.0, np.float32))  # the exact one is vector 0
    assert mix_index(x, Index(), 0.0) is x


def test_consonants_are_protected():
    mixed, plain = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    kept = protect(mixed, plain, np.array([True, False]), 0.25)
    assert kept.tolist() == [[1.0] * 3, [0.25] * 3]


def test_the_gate_opens_at_once_and_closes_over_a_frame():
    gate, quiet, loud = Gate(160), np.full(1600, 1e-4, np.float32), np.full(1600, 0.1, np.float32)
    assert not gate.process(quiet, -60.0).any()
    assert np.array_equal(gate.process(loud, -60.0), loud)
    after = gate.process(quiet, -60.0)
    assert not after[-160:].any()
    assert np.array_equal(Gate(160).process(quiet, -120.0), quiet)


def test_loudness_is_the_speakers_if_asked_for():
    y = np.full(1600, 0.1, np.float32)
    levels = frame_rms(np.full(11 * 160, 0.1, np.float32), 160)
    quieter = match_loudness(y, levels, 0.5 * levels, 0.0)
    assert quieter == pytest.approx(np.full(1600, 0.05), rel=1e-4)
    assert match_loudness(y, levels, 0.5 * levels, 1.0) == pytest.approx(y)


class Steady:
    """Finds one pitch in all that is heard."""

    def __init__(self, hz):
        self.hz = hz

    def pitch(self, wav):
        return np.full((len(wav), wav.shape[1] // 160 + 1), self.hz)


@pytest.mark.parametrize("official", [False, True])
def test_another_way_to_find_pitch_is_taken_while_it_speaks(official):
    model, x = loaded(), speech(16_000, "am_michael")[:32_000]
    before, after = (replace(model, finder=Steady(hz)) for hz in (200.0, 120.0))

    def made(model):
        if official:
            return OfficialStage(model, 16_000, block_s=0.12, context_s=0.4, settings=replace(OPEN, noise=0.0))
        return RvcStage(model, 16_000, shape=SMALL, settings=replace(OPEN, noise=0.0))

    stage, want = made(before), made(after)
    stage.process(x)
    stage.exchange(after)
    want.process(x)
    heard, wanted = stage.process(x), want.process(x)
    # but for the phase of the excitation, or where SOLA joins
    assert abs(np.sqrt(np.mean(heard[16_000:] ** 2)) / np.sqrt(np.mean(wanted[16_000:] ** 2)) - 1.0) < 0.1
    with pytest.raises(ConfigError, match="another voice"):
        stage.exchange(loaded("v1_40k_f0"))
