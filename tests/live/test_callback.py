"""Audio callbacks, and what the callback document says of RVC."""

import threading
import tracemalloc

import numpy as np
import pytest

from menura import RVC, AudioCallbackConfig, GUIConfig, SimpleRVC, apply_crossfade
from menura.dsp.dynamics import Gain
from menura.errors import ConfigError, FormatError, MenuraError
from menura.live.callback import StageCallback
from menura.live.simple_rvc import SimpleStage
from tests.listen import clicks, f0_track, median_f0
from tests.neural.rvc import FIXTURES
from tests.streaming import Case, prove_cuts, prove_finite, prove_latency, prove_reset, prove_silence
from tests.utterances import speech

RATE = 48_000


def ready(**settings):
    rvc = RVC(GUIConfig(**settings))
    rvc.model_loaded = rvc.hubert_loaded = True
    return rvc


def run(callback, x, sizes):
    """Through a callback in blocks of these sizes, again and again."""
    at, i, parts = 0, 0, []
    while at < len(x):
        block = x[at : at + sizes[i % len(sizes)]]
        out = np.full_like(block, 9.0)
        callback(block, out)
        parts.append(out)
        at, i = at + len(block), i + 1
    return np.concatenate(parts)


# --- apply_crossfade


def test_the_fade_is_at_the_beginning_and_the_block_is_remembered():
    current, previous = np.ones(64, np.float32), np.zeros(64, np.float32)
    result = apply_crossfade(current, previous, 16)
    assert result[0] == 0.0
    assert np.all(np.diff(result[:17]) > 0.0)
    assert np.all(result[16:] == 1.0)
    assert np.all(previous == 1.0)
    assert np.all(current == 1.0)


@pytest.mark.parametrize(
    ("n", "kept", "fade"), [(16, 16, 32), (32, 16, 8), (16, 32, 99), (0, 8, 4), (8, 0, 4), (1, 1, 1)]
)
def test_a_fade_is_no_longer_than_either_block(n, kept, fade):
    current, previous = np.arange(n, dtype=np.float32), np.full(kept, 0.5, np.float32)
    result = apply_crossfade(current, previous, fade)
    assert result.shape == (n,)
    shorter = min(n, kept)
    assert np.array_equal(previous[:shorter], current[n - shorter :])
    assert np.all(previous[shorter:] == 0.5)


def test_no_fade_is_the_block_itself():
    assert np.array_equal(apply_crossfade([1.0, 2.0], np.zeros(2, np.float32), 0), [1.0, 2.0])


def test_stereo_blocks_fade_as_mono_ones():
    previous = np.zeros((4, 2), np.float32)
    result = apply_crossfade(np.ones((4, 2)), previous, 2)
    assert np.array_equal(result[:, 0], result[:, 1])
    assert result.shape == (4, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_sample_spoils_no_fade(bad):
    previous = np.full(4, bad, np.float32)
    for _ in range(2):
        result = apply_crossfade(np.full(4, bad), previous, 2)
        assert np.abs(result).max() <= 1.0
        assert np.abs(previous).max() <= 1.0


@pytest.mark.parametrize("fade", [2.5, "2", None, True])
def test_a_fade_without_a_length_is_refused(fade):
    with pytest.raises(FormatError, match="whole number"):
        apply_crossfade(np.ones(4), np.zeros(4, np.float32), fade)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(FormatError, match="shape"):
        apply_crossfade([[1.0, 2.0], [3.0]], np.zeros(4, np.float32), 1)
    with pytest.raises(FormatError, match="shape"):
        SimpleRVC().infer_simple([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("previous", [[0.0, 0.0], np.zeros(2, np.int16), np.zeros((2, 1), np.float32)])
def test_what_cannot_be_written_to_is_refused(previous):
    with pytest.raises(FormatError):
        apply_crossfade(np.ones(2), previous, 1)


# --- callbacks of stages


def test_any_blocks_give_the_same_as_one():
    x = speech(RATE, "am_michael")[:RATE, 0]
    make = ready(pitch=4.0).create_audio_callback
    config = AudioCallbackConfig(sample_rate=RATE)
    whole = run(make(config), x, [len(x)])
    assert np.array_equal(whole, run(make(config), x, [1, 7, 512, 333, 4096]))


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_the_first_latency_frames_are_silent_and_a_click_comes_where_it_should(rate):
    callback = ready().create_audio_callback(AudioCallbackConfig(sample_rate=rate))
    x = np.zeros(rate // 2, np.float32)
    x[100] = 0.5
    y = run(callback, x, [512])
    assert abs(int(np.argmax(np.abs(y))) - 100 - callback.latency) <= 1
    assert np.all(np.abs(y[: callback.latency]) < 1e-3)


def test_a_stereo_block_keeps_its_sides():
    callback = ready(pitch=3.0).create_audio_callback(AudioCallbackConfig(sample_rate=RATE, channels=2))
    x = speech(RATE, "am_michael")[: RATE // 2]
    y = run(callback, np.concatenate([x, -0.5 * x], axis=1), [480])
    assert np.allclose(y[:, 1], -0.5 * y[:, 0], atol=1e-4)


def test_the_pitch_is_what_was_asked_for():
    x = speech(RATE, "am_michael")[: 2 * RATE, 0]
    callback = ready(pitch=7.0).create_audio_callback(AudioCallbackConfig(sample_rate=RATE))
    y = np.concatenate([run(callback, x, [512]), callback.flush()[:, 0]])[callback.latency :]
    before, after = f0_track(x[:, None], RATE), f0_track(y[:, None], RATE)
    both = (before > 0.0) & (after > 0.0)
    assert np.median(12.0 * np.log2(after[both] / before[both])) == pytest.approx(7.0, abs=0.2)


def test_pitch_turns_while_it_runs_without_a_click():
    rvc = ready()
    callback = rvc.create_audio_callback(AudioCallbackConfig(sample_rate=RATE))
    rvc.set_audio_callback(callback)
    x = speech(RATE, "am_michael")[: 2 * RATE, 0]
    first = run(rvc.process_audio_callback, x[:RATE], [512])
    rvc.pitch = 5.0
    rvc.formant = 2.0
    y = np.concatenate([first, run(rvc.process_audio_callback, x[RATE:], [512])])
    assert clicks(y[:, None], RATE) <= clicks(x[:, None], RATE)
    assert median_f0(y[RATE:, None], RATE) > 1.2 * median_f0(x[RATE:, None], RATE)


@pytest.mark.parametrize(
    "odd",
    [np.zeros(0), np.zeros(1), np.ones(8192), np.full(512, np.nan), np.full(512, np.inf), np.full(512, -3e38)],
    ids=["empty", "tiny", "large", "nan", "infinite", "huge"],
)
def test_odd_blocks_pass_and_poison_nothing(odd):
    rvc = ready(pitch=2.0)
    rvc.set_audio_callback(rvc.create_audio_callback())
    output = np.zeros(max(512, len(odd)), np.float32)
    rvc.process_audio_callback(odd.astype(np.float32), output)
    assert np.all(np.isfinite(output))
    x = speech(16_000, "am_michael")[:16_000, 0]
    after = run(rvc.process_audio_callback, x, [512])
    assert np.all(np.isfinite(after))
    assert np.sqrt(np.mean(after[8000:] ** 2)) == pytest.approx(np.sqrt(np.mean(x[8000:] ** 2)), rel=0.3)


def test_output_longer_than_input_ends_in_silence():
    callback = StageCallback(Gain(RATE))
    output = np.full(8, 9.0, np.float32)
    callback(np.ones(3, np.float32), output)
    assert np.array_equal(output, [1, 1, 1, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (np.zeros(4, np.float32), [0.0] * 4),
        (np.zeros(4, np.float32), np.zeros(3, np.float32)),
        (np.zeros(4, np.float32), np.zeros(4, np.int16)),
        (np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32)),
        (np.zeros(4, np.int16), np.zeros(4, np.float32)),
        (np.zeros((4, 1), np.float32), np.zeros(4, np.float32)),
        (np.zeros((4, 1), np.float32), np.zeros((4, 2), np.float32)),
        (0.5, np.zeros(4, np.float32)),
        ([[1.0], [1.0, 2.0]], np.zeros((2, 1), np.float32)),
        ("sound", np.zeros(4, np.float32)),
    ],
)
def test_what_fits_nowhere_is_refused(given, output):
    with pytest.raises(FormatError):
        StageCallback(Gain(RATE))(given, output)


def test_lists_and_double_precision_are_taken():
    callback, output = StageCallback(Gain(RATE)), np.ones(4)
    callback([0.5, 0.25, 1e300, -1e300], output)
    assert output.tolist() == [0.5, 0.25, 1.0, -1.0]


def test_a_buffer_of_floats_is_written_to():
    memory = bytearray(16)
    StageCallback(Gain(RATE))(np.ones(4, np.float32), memoryview(memory).cast("f"))
    assert list(memoryview(memory).cast("f")) == [1.0] * 4


def test_threads_share_a_callback():
    callback = ready(pitch=3.0).create_audio_callback()
    faults = []

    def work():
        out = np.zeros(256, np.float32)
        try:
            for _ in range(50):
                callback(np.full(256, 0.1, np.float32), out)
                assert np.all(np.isfinite(out))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []


def test_a_simple_rvc_is_called_by_many_threads_at_once():
    # what happens inside is in C, where two at once would write over each other
    simple, faults = SimpleRVC(tgt_sr=48_000), []
    x = speech(RATE, "am_michael")[:4800, 0]
    start = threading.Barrier(6)

    def use(number):
        try:
            start.wait(30)
            for turn in range(30):
                assert np.all(np.isfinite(simple.infer_simple(x[: 160 * (1 + turn)])))
                simple.f0_up_key = float(number + turn % 3)
                if turn % 10 == number:
                    simple.reset()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []


def test_nothing_piles_up():
    callback = ready(pitch=3.0).create_audio_callback()
    x, out = np.full(512, 0.1, np.float32), np.zeros(512, np.float32)
    for _ in range(20):
        callback(x, out)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(200):
        callback(x, out)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


# --- RVC as the document has it


def test_without_models_it_is_not_ready():
    rvc = RVC()
    assert (rvc.is_ready(), rvc.model_loaded, rvc.hubert_loaded, rvc.audio_callback) == (False, False, False, None)
    for call in (rvc.create_audio_callback, rvc.start_enhanced_stream):
        with pytest.raises(RuntimeError, match="RVC not ready"):
            call(AudioCallbackConfig())
    with pytest.raises(MenuraError, match="No audio callback registered"):
        rvc.process_audio_callback(np.zeros(4, np.float32), np.zeros(4, np.float32))


def test_a_callback_of_the_users_own_is_called():
    rvc = RVC()

    def louder(given, output):
        output[: len(given)] = 0.8 * given

    rvc.set_audio_callback(louder)
    output = np.zeros(3, np.float32)
    rvc.process_audio_callback([0.5, 0.25, 0.0], output)
    assert np.allclose(output, [0.4, 0.2, 0.0])
    rvc.clear_audio_callback()
    assert rvc.audio_callback is None


def test_a_callback_that_raises_leaves_silence():
    rvc = RVC()

    def fail(given, output):
        output[:] = 0.7
        raise ValueError("no")

    rvc.set_audio_callback(fail)
    output = np.ones(4, np.float32)
    with pytest.raises(ValueError, match="no"):
        rvc.process_audio_callback(np.zeros(4, np.float32), output)
    assert not output.any()


def test_a_stream_runs_once_and_keeps_its_callback():
    rvc = ready()
    rvc.start_stream(16_000, 512)
    assert rvc.is_streaming()
    with pytest.raises(RuntimeError, match="already running"):
        rvc.start_enhanced_stream(AudioCallbackConfig())
    with pytest.raises(RuntimeError, match="while streaming is active"):
        rvc.set_audio_callback(rvc.create_audio_callback())
    assert "Streaming active" in rvc.get_stream_info()
    rvc.stop_stream()
    assert not rvc.is_streaming()
    assert rvc.get_stream_info() is None
    with pytest.raises(RuntimeError, match="No stream running"):
        rvc.stop_stream()
    with pytest.raises(RuntimeError, match="Streaming not active"):
        rvc.process_stream_chunk(np.zeros(4, np.float32))


def test_a_stream_with_its_end_is_all_that_was_said():
    rvc = ready()
    x = speech(RATE, "am_michael")[:RATE, 0]
    rvc.start_enhanced_stream(AudioCallbackConfig(sample_rate=RATE, block_size=1024))
    latency = rvc.stream_latency
    parts = [rvc.process_stream_chunk(x[at : at + 1000]) for at in range(0, len(x), 1000)]
    y = np.concatenate([*parts, rvc.stop_stream()[:, 0]])[latency:]
    assert len(y) == len(x)
    assert np.max(np.abs(y - x)) < 1e-3


def test_a_stream_uses_the_callback_that_was_set():
    rvc = ready()
    rvc.set_audio_callback(lambda given, output: np.copyto(output, -given))
    rvc.start_stream(16_000, 512)
    assert np.array_equal(rvc.process_stream_chunk(np.ones(3, np.float32)), [-1, -1, -1])
    assert rvc.stream_latency == 0


def test_a_stream_at_another_rate_has_a_callback_of_its_own():
    rvc = ready(pitch=5.0)
    rvc.set_audio_callback(rvc.create_audio_callback())  # 16 kHz
    rvc.start_enhanced_stream(AudioCallbackConfig(sample_rate=44_100, block_size=1024, crossfade_samples=128))
    x = speech(48_000, "am_michael")[:48_000, 0]
    y = np.concatenate([rvc.process_stream_chunk(x), rvc.stop_stream()[:, 0]])
    want = ready(pitch=5.0)
    want.start_stream(44_100, 1024)
    assert np.array_equal(y, np.concatenate([want.process_stream_chunk(x), want.stop_stream()[:, 0]]))


@pytest.mark.parametrize("chunk", [0.5, np.zeros((2, 2, 2)), [[1.0], [1.0, 2.0]], np.zeros(4, np.int16)])
def test_a_chunk_that_is_none_is_refused_and_the_stream_goes_on(chunk):
    rvc = ready()
    rvc.start_stream(16_000, 512)
    with pytest.raises(FormatError):
        rvc.process_stream_chunk(chunk)
    assert rvc.process_stream_chunk([0.1] * 8).shape == (8,)
    assert "1 chunks" in rvc.get_stream_info()


def test_a_change_reaches_every_callback():
    rvc = ready()
    callbacks = [rvc.create_audio_callback(AudioCallbackConfig(RATE)) for _ in range(2)]
    rvc.change(pitch=7.0)
    x = speech(RATE, "am_michael")[:RATE, 0]
    want = run(ready(pitch=7.0).create_audio_callback(AudioCallbackConfig(RATE)), x, [512])
    for callback in callbacks:
        y = run(callback, x, [512])
        assert np.allclose(y[RATE // 2 :], want[RATE // 2 :], atol=1e-3)  # once it has glided there


@pytest.mark.parametrize(
    "settings", [{"f0method": "harvest"}, {"pitch": np.nan}, {"pitch": 99.0}, {"formant": "high"}, {"pitch": True}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        RVC(GUIConfig(**settings))


@pytest.mark.parametrize(
    "settings", [{"sample_rate": 0}, {"block_size": 0}, {"crossfade_samples": -1}, {"channels": 0}]
)
def test_callback_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError):
        ready().create_audio_callback(AudioCallbackConfig(**settings))


def test_settings_as_numpy_and_sounddevice_have_them_are_taken():
    config = AudioCallbackConfig(44_100.0, np.int64(512), crossfade_samples=np.int32(64), channels=np.uint8(1))
    assert ready().create_audio_callback(config).stage.rate_in == 44_100
    rvc = ready()
    rvc.start_stream(48_000.0, np.int64(480))
    assert "48000 Hz, blocks of 480" in rvc.get_stream_info()
    with pytest.raises(ConfigError, match=r"44100\.5"):
        ready().create_audio_callback(AudioCallbackConfig(44_100.5))


# --- with a model


@pytest.fixture(scope="module")
def model():
    rvc = RVC(
        GUIConfig(
            pth_path=str(FIXTURES / "v2_48k_f0.pth"),
            hubert_path=str(FIXTURES / "hubert_tiny768"),
            rmvpe_path=str(FIXTURES / "rmvpe_tiny.pt"),
            index_path=str(FIXTURES / "added_IVF8_Flat_nprobe_1_rand_v2.index"),
            block_time=0.12,
            extra_time=0.4,
            n_cpu=1,
        )
    )
    told = []
    rvc.load(lambda done, text: told.append((done, text)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (1.0, "ready")
    return rvc


def test_a_loaded_model_speaks(model):
    assert (model.is_ready(), model.model_loaded, model.hubert_loaded) == (True, True, True)
    model.start_enhanced_stream(AudioCallbackConfig(sample_rate=44_100, block_size=1024, crossfade_samples=128))
    x = speech(48_000, "am_michael")[:44_100, 0]
    parts = [model.process_stream_chunk(x[at : at + 1024]) for at in range(0, len(x), 1024)]
    assert 270.0 < 1000.0 * model.stream_latency / 44_100 < 370.0  # a block of 120 ms more for the thread
    assert ", context 400 ms" in model.get_stream_info()
    model.change(pitch=4.0, index_rate=0.5, protect=0.33, rms_mix_rate=0.25, formant=1.0)
    parts += [model.process_stream_chunk(x), model.stop_stream()[:, 0]]
    y = np.concatenate(parts)
    assert len(y) == 2 * len(x) + len(parts[-1])
    assert np.all(np.isfinite(y))
    assert np.sqrt(np.mean(y**2)) > 1e-3


@pytest.mark.parametrize("fade", [5760, 5761, 48_000, 1_000_000])
def test_a_fade_longer_than_the_models_block_is_as_long_as_that(model, fade):
    config = AudioCallbackConfig(sample_rate=RATE, crossfade_samples=fade, background=False)
    callback = model.create_audio_callback(config)
    assert callback.latency / RATE == pytest.approx(0.12 + 0.04 + 0.12, abs=0.01)  # block, what follows it, fade
    x = speech(RATE, "am_michael")[:RATE, 0]
    y = run(callback, x, [4800])
    assert np.all(np.isfinite(y))
    assert np.sqrt(np.mean(y**2)) > 1e-3


@pytest.mark.parametrize("background", [False, True])
def test_how_pitch_is_found_changes_while_it_speaks(model, background):
    def stream(method):
        model.change(f0method=method)
        callback = model.create_audio_callback(AudioCallbackConfig(RATE, background=background))
        return callback, run(callback, x, [960])

    x = speech(RATE, "am_michael")[: 2 * RATE, 0]
    model.change(adapt=False)
    try:
        before, heard = stream("rmvpe")
        kept, tracked = stream("tracker")
        assert background or not np.allclose(heard, tracked)
        # both speak as the tracker has it now; in a thread, what is late is left out
        later, same = run(before, x, [960]), run(kept, x, [960])
        assert background or np.allclose(later[RATE:], same[RATE:], atol=0.2)
        model.change(f0method="rmvpe")
        assert before.stage.settings == kept.stage.settings
        assert np.all(np.isfinite(run(before, x, [960])))
        with pytest.raises(MenuraError, match="no_such"):
            model.change(f0method="fcpe", rmvpe_path="no_such.pt")
        assert (model.config.f0method, model.config.rmvpe_path) == ("rmvpe", str(FIXTURES / "rmvpe_tiny.pt"))
    finally:
        model.change(f0method="rmvpe", rmvpe_path=str(FIXTURES / "rmvpe_tiny.pt"), adapt=True)


def test_a_change_that_cannot_be_changes_nothing(model):
    before = model.config
    for settings, says in (
        ({"pitch": 99}, "pitch"),
        ({"index_rate": -1}, "index_rate"),
        ({"speaker_id": 1000}, "speakers"),
        ({"colour": 1}, "colour"),
        ({"block_time": 0}, "block_time"),
    ):
        with pytest.raises(ConfigError, match=says):
            model.change(**settings)
    assert model.config == before


def test_a_model_that_is_none_is_told_and_the_one_before_stays(model):
    rvc = RVC(GUIConfig(pth_path=str(FIXTURES / "rmvpe_tiny.pt")))
    with pytest.raises(MenuraError, match="RMVPE"):
        rvc.load()
    assert not rvc.is_ready()
    with pytest.raises(ConfigError, match="pth_path"):
        RVC().load()


def test_simple_rvc_needs_no_weights():
    simple = SimpleRVC(f0_up_key=12.0, tgt_sr=RATE)
    x = speech(RATE, "am_michael")[: 2 * RATE, 0]
    y = np.concatenate([simple.infer_simple(x[at : at + 700]) for at in range(0, len(x), 700)])
    assert y.shape == x.shape
    assert median_f0(y[:, None], RATE) > 1.9 * median_f0(x[:, None], RATE)
    assert SimpleRVC(f0_up_key=12.0, if_f0=0, tgt_sr=RATE).infer_simple(x[:1]).shape == (1,)


def test_the_simple_stage_keeps_the_contract():
    case = Case("simple", lambda: SimpleStage(RATE, formant_st=0.0))
    for prove in (prove_cuts, prove_reset, prove_silence, prove_finite, prove_latency):
        prove(case)
