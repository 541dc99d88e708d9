"""Voices that are models: found, loaded once, built like any other voice."""

import gc
import threading

import numpy as np
import pytest

from menura.errors import ConfigError, MenuraError, ModelError, UnsupportedModelError
from menura.live.convert import stream_through
from menura.live.making import make_stage as live_stage
from menura.live.session import VoiceSession
from menura.neural.native import bfloat16_sets
from menura.neural.options import RuntimeOptions
from menura.neural.pitch import FcpePitch
from menura.neural.precision import bfloat16_here
from menura.neural.stream.stage import OfficialStage
from menura.neural.tracker import TrackedPitch
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.rvc import _loaded, base_model, check_rvc, load_planned, load_rvc
from menura.voices.rvc_plan import plan_options
from menura.voices.voice import Category, StageSpec, Voice, VoiceParameters
from tests.neural.rvc import FIXTURES, snr_db
from tests.utterances import speech

CONTENT = {"v2": str(FIXTURES / "hubert_tiny768"), "v1": str(FIXTURES / "hubert_tiny")}
FAST = {"block_ms": 120.0, "context_ms": 400.0, "threads": 1, "gate_db": -120.0}


def voice(name="v2_48k_f0", **params):
    params = FAST | {"model": str(FIXTURES / f"{name}.pth"), "content": CONTENT[name[:2]], "pitch": "tracker"} | params
    return Voice("mine", "Mine", Category.CUSTOM, "", (StageSpec("rvc", params),))


@pytest.mark.parametrize("name", ["v2_48k_f0", "v1_40k_f0", "v2_40k_nof0"])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000, 96_000])
def test_a_model_is_a_voice_at_any_rate(name, rate):
    stage = make_stage(voice(name), rate)
    x = speech(48_000, "am_michael")[: 48_000 // 2]
    y = np.concatenate([stage.process(x[at : at + 480]) for at in range(0, len(x), 480)] + [stage.flush()])
    assert len(y) == len(x) + stage.latency
    assert np.all(np.isfinite(y))
    assert np.abs(y).max() > 1e-3


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_a_voice_runs_as_the_official_client_does_if_it_is_asked_to(rate):
    stage = make_stage(voice(scheme="official", noise=0.0), rate)
    (model,) = stage._models
    assert isinstance(model, OfficialStage)
    assert model.latency == pytest.approx(rate * (0.12 + 0.06), rel=0.05)
    x = speech(rate, "am_michael")[: rate // 2]
    stage.set(VoiceParameters(pitch_st=3.0))
    y = np.concatenate([stage.process(x[at : at + 480]) for at in range(0, len(x), 480)])
    assert 60.0 < model.speaker_hz < 400.0
    assert len(y) + len(stage.flush()) == len(x) + stage.latency
    assert np.abs(y).max() > 1e-3
    assert model.settings.key_st == 3.0
    model.resting = True
    model.process(x)
    assert not np.any(model.process(x))
    check_rvc(**voice(scheme="official").stages[0].params)


def test_weights_are_in_memory_once_and_go_with_their_last_voice():
    gc.collect()
    before = len(_loaded)
    stages = [make_stage(voice(), 48_000) for _ in range(3)]
    assert len(_loaded) == before + 2
    models = {id(stage._models[0]._model.synthesizer) for stage in stages}
    assert len(models) == 1
    del stages
    gc.collect()
    assert len(_loaded) == before


def test_rmvpe_and_an_index_are_used_where_they_are_given():
    model = load_rvc(
        FIXTURES / "v2_48k_f0.pth", FIXTURES / "added_IVF8_Flat_nprobe_1_rand_v2.index", content=CONTENT["v2"],
        pitch_model=FIXTURES / "rmvpe_tiny.pt",
    )  # fmt: skip
    assert model.index.dimensions == 768
    assert model.finder is not None


def test_fcpe_finds_pitch_where_its_file_is_given():
    stage = make_stage(voice(pitch="fcpe", pitch_model=str(FIXTURES / "fcpe_tiny.pt")), 48_000)
    (model,) = stage._models
    assert isinstance(model._model.finder, FcpePitch)
    assert np.all(np.isfinite(stage.process(speech(48_000, "am_michael")[:24_000])))


def test_networks_are_kept_for_the_next_time_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    monkeypatch.setenv("MENURA_CACHE", "off")
    make_stage(voice(threads=1, context_ms=420.0), 48_000)
    assert not (tmp_path / "cache").exists()
    monkeypatch.delenv("MENURA_CACHE")
    make_stage(voice(threads=1, context_ms=440.0), 48_000)
    assert any((tmp_path / "cache" / "networks").iterdir())


def test_a_user_turns_pitch_and_formants():
    stage = make_stage(voice(key_st=2.0), 48_000, parameters=VoiceParameters(pitch_st=3.0, formant=2.0))
    (model,) = stage._models
    assert model.settings.key_st == 5.0
    assert model.settings.formant_st == pytest.approx(12.0)
    stage.set(VoiceParameters())
    assert model.settings.key_st == 2.0


def test_what_is_missing_says_which_command_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    missing = r"^Model loading failed: {} is missing, .*: run 'menura models pull {}'$"
    with pytest.raises(ModelError, match=missing.format("hubert_base.pt", "content")):
        load_rvc(FIXTURES / "v2_48k_f0.pth")
    with pytest.raises(ModelError, match=missing.format("rmvpe.pt", "rmvpe")):
        load_rvc(FIXTURES / "v1_40k_f0.pth", content=CONTENT["v1"])
    assert load_rvc(FIXTURES / "v1_40k_f0.pth", content=CONTENT["v1"], pitch="tracker").finder is not None


@pytest.mark.parametrize(
    ("params", "error", "says"),
    [
        ({"model": "/nowhere.pth"}, ModelError, "nowhere"),
        ({"model": str(FIXTURES / "rmvpe_tiny.pt")}, UnsupportedModelError, "RMVPE"),
        ({"content": str(FIXTURES / "v2_48k_f0.pth")}, UnsupportedModelError, "content model"),
        ({"content": CONTENT["v1"]}, ModelError, "features"),
        ({"pitch": "guess"}, MenuraError, "rmvpe, fcpe, swift, tracker"),
        ({"pitch": "fcpe"}, MenuraError, "fcpe_c_v001.pt"),
        ({"scheme": "theirs"}, MenuraError, "menura, official"),
        ({"scheme": "official", "context_ms": 20_000.0}, MenuraError, "10.18 s"),
        ({"wet": 1}, MenuraError, "unknown setting 'wet'"),
        ({"index_rate": 2}, MenuraError, "index_rate"),
        ({"provider": "abacus"}, MenuraError, "abacus"),
        ({"block_ms": 1e9}, MenuraError, "block"),
        ({"index": str(FIXTURES / "v2_48k_f0.pth")}, ModelError, "index"),
        ({"model": 5}, MenuraError, "rvc"),
    ],
)
def test_what_cannot_be_is_told(params, error, says):
    with pytest.raises(error, match=says):
        make_stage(voice(**params), 48_000)


def test_fcpe_without_its_file_says_which_command_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    with pytest.raises(MenuraError, match=r"fcpe_c_v001\.pt is missing, .*'menura models pull fcpe'"):
        base_model("fcpe")
    check_rvc(model="any.pth", pitch="fcpe")
    check_rvc(model="any.pth", pitch="fcpe", pitch_model="fcpe_c_v001.pt")


def test_a_session_changes_to_a_model_and_back_without_a_gap():
    x = np.concatenate([speech(48_000, "am_michael")[:48_000]] * 3)
    x = x + 0.05 * np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)  # no pauses of its own
    model, plain = voice(), find_voice("natural-man")
    session, parts = VoiceSession(make_stage(plain, 48_000)), []
    for at in range(0, len(x), 480):
        if at == 48_000:
            session.switch(make_stage(model, 48_000))
        if at == 96_000:
            session.switch(make_stage(plain, 48_000))
        parts.append(session.process(x[at : at + 480]))
    y = np.concatenate(parts)[4800:, 0]
    levels = np.sqrt((y[: len(y) // 960 * 960].reshape(-1, 960) ** 2).mean(axis=1))
    assert levels.min() > 0.003
    assert session.stage.voice == plain


class Broken:
    """A runtime that fails when it is told to."""

    def __init__(self, stage):
        (self.stage,) = stage._models
        self.real, self.stage._runner, self.fails = self.stage._runner, self, True

    def __call__(self, model, steps):
        if self.fails:
            raise RuntimeError("the device is lost")
        return self.real(model, steps)


def blocks(session, x):
    """What a session gives, and how often it failed: silence then, as a server has it."""
    parts, failures = [], 0
    for at in range(0, len(x), 480):
        try:
            parts.append(session.process(x[at : at + 480]))
        except RuntimeError:
            parts.append(np.zeros_like(x[at : at + 480]))
            failures += 1
        assert len(parts[-1]) == len(x[at : at + 480])
    return np.concatenate(parts), failures


def test_a_session_outlives_a_model_that_fails():
    x = speech(48_000, "am_michael")[:72_000]
    stage = make_stage(voice(), 48_000)
    session, broken = VoiceSession(stage), Broken(stage)
    _, failures = blocks(session, x)
    assert failures > 3
    broken.fails = False
    session.finish()
    y, failures = blocks(session, x)
    assert failures == 0
    assert np.array_equal(y, VoiceSession(make_stage(voice(), 48_000)).process(x))


def test_a_model_that_fails_before_it_is_heard_leaves_the_voice_that_was():
    x = np.concatenate([speech(48_000, "am_michael")[:48_000]] * 2)
    session, plain = (
        VoiceSession(make_stage(find_voice("robot"), 48_000)),
        VoiceSession(make_stage(find_voice("robot"), 48_000)),
    )
    before, _ = blocks(session, x[:24_000])
    stage = make_stage(voice(), 48_000)
    Broken(stage)
    session.switch(stage)
    after, failures = blocks(session, x[24_000:])
    assert failures == 1
    assert session.stage.voice.id == "robot"
    y, want = np.concatenate([before, after]), blocks(plain, x)[0]
    assert (y != want).any(axis=1).sum() <= 480  # the block that failed


@pytest.mark.parametrize("gone_ms", [0, 100, 310])
def test_what_was_said_before_a_switch_is_heard_to_its_end(gone_ms):
    """The session ends while the model is silent yet: the voice before it says all it was given."""
    x = speech(48_000, "am_michael")[:48_000]
    stage = make_stage(find_voice("natural-man"), 48_000)
    session, alone = VoiceSession(stage), VoiceSession(make_stage(find_voice("natural-man"), 48_000))
    first = 48_000 - gone_ms * 48
    parts = [session.process(x[:first])]
    session.switch(make_stage(voice(block_ms=480.0), 48_000))
    parts += [session.process(x[first:])] if gone_ms else [session.process(x[:0])]
    assert session.stage is not stage
    latency = session.latency
    parts.append(session.finish())
    assert len(parts[-1]) == latency
    want = np.concatenate([alone.process(x), alone.finish()])
    heard = min(len(want), first + latency)
    assert np.array_equal(np.concatenate(parts)[:heard], want[:heard])
    assert np.array_equal(session.process(x), VoiceSession(make_stage(voice(block_ms=480.0), 48_000)).process(x))


def test_sessions_change_between_models_of_different_latency():
    x = np.concatenate([speech(48_000, "am_michael")[:48_000]] * 4)
    slow, quick = voice(block_ms=480.0), voice("v1_40k_f0")
    session, parts, seen = VoiceSession(make_stage(quick, 48_000)), [], set()
    for number, at in enumerate(range(0, len(x), 480)):
        if number in (60, 160, 170, 180, 250):  # also before the last has ended
            session.switch(make_stage(slow if number % 20 else quick, 48_000))
        parts.append(session.process(x[at : at + 480]))
        seen.add(session.latency)
        assert len(parts[-1]) == 480
    tail = session.finish()
    y = np.concatenate([*parts, tail])
    assert len(y) == len(x) + session.latency
    assert len(seen) == 2
    assert np.all(np.isfinite(y))


def test_threads_that_load_a_voice_at_once_share_it():
    made = []
    threads = [threading.Thread(target=lambda: made.append(make_stage(voice(), 48_000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 4
    assert len({id(stage._models[0]._model.synthesizer) for stage in made}) == 1


def test_the_tracker_follows_a_glide():
    t = np.arange(32_000) / 16_000
    f0 = 120.0 + 80.0 * t
    tone = sum(np.sin(2 * np.pi * k * np.cumsum(f0) / 16_000) / k for k in range(1, 6)).astype(np.float32) * 0.2
    found = TrackedPitch().pitch(np.stack([tone, np.zeros_like(tone)]))
    assert found.shape == (2, 201)
    assert np.allclose(found[0, 5:-1], f0[::160][5:], rtol=0.02)
    assert not found[1].any()
    with pytest.raises(ConfigError):
        TrackedPitch(fmin_hz=1.0)


def test_a_live_voice_adapts_and_tells_how_it_keeps_up_and_a_file_does_not():
    session = VoiceSession(live_stage(voice(), 48_000))
    pace = session.pace()
    assert (pace.context_ms, pace.longest_ms, pace.steps_down) == (400.0, 400.0, 0)
    assert live_stage(voice(), 48_000, live=False).pace() is None
    assert live_stage(voice(adapt=False), 48_000).pace() is None
    assert live_stage(voice(scheme="official"), 48_000).pace() is None
    assert live_stage(find_voice("robot"), 48_000).pace() is None
    assert make_stage(voice(), 48_000).pace() is None


def test_files_share_weights_and_scheduler_with_what_is_live():
    """One copy of the weights in a process, and one computation at a time on a device."""
    gc.collect()
    live = live_stage(voice(), 48_000)
    (model,) = live._models
    scheduler = model._runner._scheduler
    before, computed = len(_loaded), scheduler.stats().computed
    x = speech(48_000, "am_michael")[:24_000]
    parts = list(stream_through(iter([x]), voice(), 48_000, 1))
    assert sum(map(len, parts)) == len(x)
    assert len(_loaded) == before
    assert scheduler.stats().computed > computed


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_voice_computes_in_the_precision_it_asks_for(precision):
    if precision == "bf16" and not bfloat16_here():
        pytest.skip("OpenVINO is not installed, or this processor has no bfloat16")
    x = speech(48_000, "am_michael")[:48_000]
    said = []
    for wanted in ("fp32", precision):
        stage = make_stage(voice(precision=wanted, noise=0.0), 48_000)
        said.append(stage.process(x))
        if wanted == "bf16":
            assert stage._models[0]._model.synthesizer is not make_stage(voice(), 48_000)._models[0]._model.synthesizer
    exact, fast = said
    assert not np.array_equal(exact, fast)
    assert snr_db(fast, exact) > 15.0


@pytest.mark.skipif(not bfloat16_sets(), reason="this processor has no products of bfloat16")
def test_a_fast_voice_s_decoder_in_bfloat16_is_near_and_knows_no_cuts():
    x = speech(48_000, "am_michael")[:48_000]
    exact, fast, again = (
        make_stage(voice(precision="fp32", decoder=decoder, noise=0.0), 48_000) for decoder in ("fp32", "bf16", "bf16")
    )
    models = [stage._models[0]._model for stage in (exact, fast, again)]
    assert models[0].content is models[1].content
    assert models[0].synthesizer is not models[1].synthesizer
    assert models[1].synthesizer is models[2].synthesizer
    said, near = exact.process(x), fast.process(x)
    cut = np.concatenate([again.process(x[at : at + 317]) for at in range(0, len(x), 317)])
    assert np.array_equal(cut, near)
    assert not np.array_equal(near, said)
    assert snr_db(near, said) > 25.0


def test_pitch_is_found_in_single_precision_whatever_the_rest_computes_in():
    plan = plan_options({"model": "x.pth", "precision": "bf16"}, {"MENURA_CACHE": "off"})
    files = {"model": FIXTURES / "v2_48k_f0.pth", "content": CONTENT["v2"], "pitch_model": FIXTURES / "rmvpe_tiny.pt"}
    if not bfloat16_here():
        pytest.skip("OpenVINO is not installed, or this processor has no bfloat16")
    finder = load_planned(plan, files).finder
    exact = load_rvc(**files, options=RuntimeOptions("openvino")).finder
    wav = speech(16_000, "am_michael")[:16_000, 0][None]
    assert np.array_equal(finder.pitch(wav), exact.pitch(wav))
