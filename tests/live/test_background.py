"""Callbacks that only copy, and the thread behind them."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from menura import RVC, AudioCallbackConfig, GUIConfig
from menura.errors import FormatError, StateError
from menura.live.background import BackgroundCallback
from menura.live.callback import StageCallback
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import RvcStage
from tests.neural.rvc import FIXTURES
from tests.neural.stream.transparent import Transparent
from tests.utterances import speech

RATE, N = 16_000, 512
SHAPE, OPEN = StreamShape(block=12, context=40), RvcSettings(gate_db=-120.0)
BLOCK = 12 * 160
WAIT_S = 60.0


class Card:
    """A device's clock: a callback comes when the one before has been played."""

    def __init__(self):
        self.now_s = 0.0

    def clock(self):
        return self.now_s

    def play(self, callback, x, n=N):
        parts = []
        for at in range(0, len(x), n):
            self.now_s += n / RATE
            out = np.full_like(x[at : at + n], 9.0)
            callback(x[at : at + n], out)
            parts.append(out)
        return np.concatenate(parts)


class Gated(Transparent):
    """Computes while it is let."""

    def __init__(self):
        super().__init__()
        self.let, self.asked = threading.Event(), threading.Event()
        self.let.set()
        self.fails = False

    def compute(self, request):
        self.asked.set()
        assert self.let.wait(WAIT_S)
        if self.fails:
            self.fails = False
            raise RuntimeError("the device is lost")
        return super().compute(request)


def make(model=None, clock=None, channels=1):
    stage = RvcStage(model or Transparent(), RATE, channels, shape=SHAPE, settings=OPEN)
    return BackgroundCallback(stage, channels, **({} if clock is None else {"clock": clock}))


@pytest.fixture
def said():
    return speech(RATE, "am_michael")[: 24 * N, 0]


def alone(x):
    stage = RvcStage(Transparent(), RATE, shape=SHAPE, settings=OPEN)
    return np.concatenate([stage.process(x[:, None]), stage.flush()])[:, 0]


def settle(callback):
    """Wait for the thread, as time passes for a device."""
    with callback._lock:
        callback._settle()


@pytest.mark.parametrize("n", [1, 160, 512, 1920, 5000, 30_000])
def test_a_caller_that_does_not_wait_for_the_time_to_pass_gets_all_of_it(said, n):
    callback = make()
    parts = []
    for at in range(0, len(said), n):
        out = np.empty_like(said[at : at + n])
        callback(said[at : at + n], out)
        parts.append(out)
    y = np.concatenate([*parts, callback.flush()[:, 0]])
    assert callback.latency == callback.stage.latency + BLOCK
    assert np.array_equal(y, np.concatenate([np.zeros(BLOCK, np.float32), alone(said)]))
    assert callback.stats().late == 0
    callback.close()


def test_a_card_is_never_kept_waiting_and_the_delay_stays_as_it_is(said):
    model, card = Gated(), Card()
    callback = make(model, card.clock)
    parts = []
    want = np.concatenate([np.zeros(BLOCK, np.float32), alone(said)])[: len(said)]
    for number, at in enumerate(range(0, len(said), N)):
        if number == 8:
            settle(callback)
            model.let.clear()  # it computes, and comes to no end
            model.asked.clear()
        if number == 18:
            assert model.asked.wait(WAIT_S)
            model.let.set()
        parts.append(card.play(callback, said[at : at + N]))  # returns, whatever the model does
        if model.let.is_set():
            settle(callback)
    y = np.concatenate(parts)
    stats = callback.stats()
    assert 0 < stats.late < 8 * N
    assert stats.gaps >= 1
    missed = y != want
    assert np.all(np.abs(y[missed]) <= np.abs(want[missed]) + 1e-6)  # silence and fades, and nothing that is late
    assert missed.sum() <= stats.late + 2 * BLOCK
    assert np.array_equal(y[-4 * N :], want[-4 * N :])
    callback.close()


def test_a_card_that_catches_up_is_not_kept_waiting(said):
    """After it was held up it calls several times at once, as it does to fill its buffers."""
    model, card = Gated(), Card()
    callback = make(model, card.clock)
    card.play(callback, said[:BLOCK], n=160)
    settle(callback)
    model.let.clear()
    model.asked.clear()
    card.play(callback, said[: 2 * BLOCK], n=160)
    assert model.asked.wait(WAIT_S)
    late = callback.stats().late
    out = np.full(160, 9.0, np.float32)
    card.now_s += 0.5
    for _ in range(5):  # at one moment: would it wait, it would do so for ever
        callback(said[:160], out)
        assert not out.any()
    assert callback.stats().late == late + 5 * 160
    model.let.set()
    callback.close()


def test_what_would_be_too_late_altogether_is_not_computed(said):
    model, card = Gated(), Card()
    callback = make(model, card.clock)
    card.play(callback, said[: 4 * N])
    settle(callback)
    model.let.clear()
    model.asked.clear()
    card.play(callback, said[: 4 * N])
    assert model.asked.wait(WAIT_S)
    card.play(callback, said[: 20 * N])  # five blocks
    asked, real = [], model.compute
    model.compute = lambda request: asked.append(request.name) or real(request)
    model.let.set()
    settle(callback)
    assert asked.count("content") <= 2
    callback.close()


def test_more_than_it_holds_is_lost_and_the_delay_stays(said):
    model, card = Gated(), Card()
    callback = make(model, card.clock)
    model.let.clear()
    x = np.concatenate([said] * 4)
    card.play(callback, x)
    assert callback.stats().lost > 0
    model.let.set()
    settle(callback)
    late = callback.stats().late
    y = []
    for at in range(0, len(said), N):
        y.append(card.play(callback, said[at : at + N]))
        settle(callback)
    y = np.concatenate(y)
    want = np.concatenate([np.zeros(BLOCK, np.float32), alone(said)])[: len(said)]
    assert np.allclose(y[-4 * N :], want[-4 * N :], atol=1e-6)  # cut elsewhere now
    assert callback.stats().late - late < 6 * N
    callback.close()


def test_a_failure_is_told_once_and_the_stream_goes_on(said):
    model, card = Gated(), Card()
    callback = make(model, card.clock)
    card.play(callback, said[:BLOCK], n=160)
    settle(callback)
    model.fails = True
    out = np.zeros(BLOCK, np.float32)

    def heard():
        callback(said[:BLOCK], out)  # the thread may be done before this is
        settle(callback)
        callback(said[:160], out[:160])

    with pytest.raises(RuntimeError, match="lost"):
        heard()
    parts = []
    for at in range(0, len(said), N):
        parts.append(card.play(callback, said[at : at + N]))
        settle(callback)
    assert callback.stats().faults == 1
    assert np.abs(np.concatenate(parts)[-4 * N :]).max() > 0.01
    callback.close()


def test_a_flush_gives_what_is_held_and_leaves_it_as_new(said):
    callback = make()
    for _ in range(2):
        out = np.empty_like(said)
        callback(said, out)
        rest = callback.flush()
        assert rest.shape == (callback.latency, 1)
        y = np.concatenate([out, rest[:, 0]])[callback.latency :]
        assert np.array_equal(y, alone(said)[callback.stage.latency :])
    callback(said, out)
    callback.reset()
    again = np.empty_like(said)
    callback(said, again)
    assert np.array_equal(again, y_of(said))
    callback.close()


def y_of(x):
    return np.concatenate([np.zeros(BLOCK, np.float32), alone(x)])[: len(x)]


def test_stereo_and_blocks_of_all_kinds(said):
    callback = make(channels=2)
    x = np.stack([said, said], axis=1)
    out = np.empty((len(x), 2))  # double precision
    callback(x, out)
    assert np.allclose(out[:, 0], y_of(said))
    assert np.array_equal(out[:, 0], out[:, 1])
    wide = np.zeros((N, 4), np.float32)
    callback(x[:N], wide[:, 1:3])  # a part of a larger block
    assert wide[:, 1:3].any()
    assert not wide[:, [0, 3]].any()
    callback(np.full((N, 2), np.nan), np.empty((N, 2), np.float32))
    callback(x[:0], out[:0])
    with pytest.raises(FormatError):
        callback(x, out[:5])
    long = np.full((N + 5, 2), 9.0, np.float32)
    callback(x[:N], long)
    assert not long[N:].any()
    callback.close()


def test_after_its_end_it_says_so(said):
    callback = make()
    callback.close()
    callback.close()
    assert not callback._thread.is_alive()
    with pytest.raises(StateError, match="closed"):
        callback(said, np.empty_like(said))


def test_a_callback_that_nobody_holds_ends_its_thread():
    callback = make()
    thread, gone = callback._thread, weakref.ref(callback)
    del callback
    gc.collect()
    assert gone() is None
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_the_callbacks_own_path_keeps_nothing(said):
    """What numpy makes in it, views of blocks and rings, is gone when it returns."""
    model, card = Gated(), Card()
    callback = make(model, card.clock)
    x, out = said[:N].copy(), np.empty(N, np.float32)
    for _ in range(20):
        card.play(callback, x)
        settle(callback)
    model.let.clear()
    model.asked.clear()
    card.play(callback, said[:BLOCK])
    assert model.asked.wait(WAIT_S)
    card.play(callback, x)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(8):
            card.now_s += N / RATE
            callback(x, out)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2000
    assert peak - before < 4 * N  # less than one block of samples
    model.let.set()
    callback.close()


# --- RVC


@pytest.fixture(scope="module")
def model():
    rvc = RVC(
        GUIConfig(
            pth_path=str(FIXTURES / "v2_48k_f0.pth"),
            hubert_path=str(FIXTURES / "hubert_tiny768"),
            f0method="tracker",
            block_time=0.12,
            extra_time=0.4,
            n_cpu=1,
            adapt=False,
        )
    )
    rvc.load()
    return rvc


@pytest.mark.parametrize(
    ("frames", "asked", "background"),
    [(512, None, True), (5759, None, True), (5760, None, False), (512, False, False), (9000, True, True)],
)
def test_a_thread_is_taken_where_blocks_are_shorter_than_the_models(model, frames, asked, background):
    config = AudioCallbackConfig(sample_rate=48_000, block_size=frames, background=asked)
    callback = model.create_audio_callback(config)
    assert isinstance(callback, StageCallback)
    assert isinstance(callback, BackgroundCallback) == background
    callback.close()


def test_streams_tell_their_whole_delay_and_how_it_goes(model):
    config = AudioCallbackConfig(sample_rate=48_000, block_size=512)
    model.start_enhanced_stream(config)
    with_thread = model.stream_latency
    x = speech(48_000, "am_michael")[:48_000, 0]
    parts = [model.process_stream_chunk(x[at : at + 512]) for at in range(0, len(x), 512)]
    told = model.get_stream_info()
    assert f"latency {1000 * with_thread / 48_000:.1f} ms" in told
    assert "0 samples missed" in told
    threads = [thread for thread in threading.enumerate() if thread.name == "menura-callback"]
    y = np.concatenate([*parts, model.stop_stream()[:, 0]])
    assert all(not thread.is_alive() for thread in threads)
    model.start_enhanced_stream(AudioCallbackConfig(sample_rate=48_000, block_size=512, background=False))
    assert with_thread == model.stream_latency + 5760
    want = np.concatenate([model.process_stream_chunk(x), model.stop_stream()[:, 0]])
    assert np.array_equal(y[5760:], want)
