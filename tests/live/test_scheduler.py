"""Many sessions, one model: order, batches, failures, ends; and the pool whose threads wait for it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from menura.errors import StateError
from menura.live.making import _once, close_schedulers, shared_runner
from menura.live.pool import VoicePool, waiting
from menura.live.scheduler import ModelScheduler
from menura.neural.options import RuntimeOptions
from menura.neural.stream.model import Request, run
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import RvcStage
from tests.neural.rvc import snr_db
from tests.neural.stream.test_stage import loaded
from tests.neural.stream.transparent import Transparent
from tests.utterances import speech

SMALL, OPEN = StreamShape(block=12, context=40), RvcSettings(gate_db=-120.0)
WAIT_S = 60.0


@pytest.fixture
def make():
    made = []

    def new(*args, **settings):
        made.append(ModelScheduler(*args, **settings))
        return made[-1]

    yield new
    for scheduler in made:
        scheduler.close()


class Held(Transparent):
    """Computes when it is let, and notes in which order."""

    def __init__(self):
        super().__init__()
        self.let, self.begun, self.order = threading.Event(), threading.Event(), []

    def compute(self, request):
        self.order.append(request.name)
        self.begun.set()
        assert self.let.wait(WAIT_S)
        if request.name == "bad":
            raise ValueError("bad")
        return request.arrays[0]


def wait_for(scheduler, count):
    with scheduler._change:
        assert scheduler._change.wait_for(lambda: len(scheduler._jobs) == count, WAIT_S)


def request(name):
    return Request(name, (np.zeros((1, 2), np.float32),))


def ask(pool, scheduler, model, name, due_s, seat=None):
    return pool.submit(scheduler.compute, seat or scheduler.seat(1.0), model, request(name), due_s)


@pytest.mark.parametrize("batch", [1, 4])
def test_sessions_together_get_what_each_gets_alone(make, batch):
    scheduler, model = make(batch), loaded()
    inputs = [speech(48_000, "am_michael")[at : at + 24_000] for at in (0, 9000, 18_000, 30_000)]
    stages = [RvcStage(model, 48_000, shape=SMALL, settings=OPEN, runner=scheduler.seat(0.12)) for _ in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda stage, x: stage.process(x), stages, inputs))
    for x, y in zip(inputs, together, strict=True):
        alone = RvcStage(model, 48_000, shape=SMALL, settings=OPEN).process(x)
        if batch == 1:
            assert np.array_equal(y, alone)
        else:
            assert snr_db(y, alone) > 100.0
    stats = scheduler.stats()
    assert stats.computed
    assert (stats.batches < stats.computed) == (batch > 1)
    assert (stats.waiting, stats.failed) == (0, 0)


def test_what_is_due_first_is_computed_first(make):
    scheduler, model = make(), Held()
    with ThreadPoolExecutor(4) as pool:
        first = ask(pool, scheduler, model, "first", 9.0)
        assert model.begun.wait(WAIT_S)
        rest = [ask(pool, scheduler, model, f"due {due}", due) for due in (3.0, 1.0, 2.0)]
        wait_for(scheduler, 3)
        model.let.set()
        for future in (first, *rest):
            future.result(WAIT_S)
    assert model.order == ["first", "due 1.0", "due 2.0", "due 3.0"]


def test_who_sends_faster_than_real_time_comes_behind_but_not_for_ever(make):
    scheduler = make(clock=lambda: 100.0)
    seat, model = scheduler.seat(0.25), Held()
    model.let.set()

    def steps():
        return (yield request("latent"))

    due = []
    for _ in range(20):
        assert seat(model, steps()).shape == (1, 2)
        due.append(seat._due_s)
    assert due[:3] == [100.25, 100.5, 100.75]
    assert max(due) == 102.25


def test_who_fails_fails_alone(make):
    scheduler, model = make(4), Held()
    model.let.set()
    with ThreadPoolExecutor(2) as pool:
        bad, good = (ask(pool, scheduler, model, name, 1.0) for name in ("bad", "good"))
        with pytest.raises(ValueError, match="bad"):
            bad.result(WAIT_S)
        assert good.result(WAIT_S).shape == (1, 2)
    assert scheduler.stats().failed == 1


def test_who_leaves_is_taken_out_and_the_others_go_on(make):
    scheduler, model = make(), Held()
    with ThreadPoolExecutor(3) as pool:
        first = ask(pool, scheduler, model, "first", 1.0)
        assert model.begun.wait(WAIT_S)
        seat = scheduler.seat(1.0)
        gone, stays = ask(pool, scheduler, model, "gone", 1.0, seat), ask(pool, scheduler, model, "stays", 2.0)
        wait_for(scheduler, 2)
        seat.leave()
        with pytest.raises(StateError, match="ended"):
            gone.result(WAIT_S)
        model.let.set()
        assert first.result(WAIT_S) is not None
        assert stays.result(WAIT_S) is not None
    assert model.order == ["first", "stays"]


def test_an_end_leaves_nobody_waiting(make):
    scheduler, model = make(), Held()
    with ThreadPoolExecutor(2) as pool:
        first = ask(pool, scheduler, model, "first", 1.0)
        assert model.begun.wait(WAIT_S)
        second = ask(pool, scheduler, model, "second", 1.0)
        wait_for(scheduler, 1)
        threading.Timer(0.05, model.let.set).start()
        scheduler.close()
        with pytest.raises(StateError):
            second.result(WAIT_S)
        assert first.result(WAIT_S) is not None
    with pytest.raises(StateError):
        scheduler.compute(scheduler.seat(1.0), model, request("late"), 1.0)


def test_the_devices_threads_end_and_come_again():
    model = Held()
    model.let.set()

    def steps():
        return (yield request("latent"))

    for _ in range(2):
        seat = shared_runner(RuntimeOptions(), SMALL)
        assert seat(model, steps()).shape == (1, 2)
        thread = seat._scheduler._thread
        close_schedulers()
        assert not thread.is_alive()
        with pytest.raises(StateError):
            seat(model, steps())


def test_what_computes_on_the_same_hardware_has_one_scheduler():
    def of(provider, **more):
        return shared_runner(RuntimeOptions(provider, **more), SMALL)._scheduler

    assert of("cpu") is of("openvino") is of("openvino", bfloat16=True, threads=1)
    assert of("cuda") is of("tensorrt")
    assert len({id(of("cpu")), id(of("cuda")), id(of("cuda", device=1)), id(of("directml"))}) == 4


def test_a_model_wanted_by_many_is_loaded_once():
    loads, found = [], {}

    def find():
        if "x" not in found:
            loads.append(threading.current_thread())
            found["x"] = object()
        return found["x"]

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: _once(("test",), find), range(32)))
    assert len(loads) == 1
    assert set(map(id, got)) == {id(found["x"])}


# --- the pool


def test_threads_that_wait_leave_their_place_to_others():
    answer = threading.Event()

    def wait():
        with waiting():
            return answer.wait(WAIT_S)

    with VoicePool(1) as pool:
        waits = [pool.submit(wait) for _ in range(5)]
        assert pool.submit(lambda: 7).result(WAIT_S) == 7
        answer.set()
        assert all(future.result(WAIT_S) for future in waits)
        assert [pool.submit(lambda i=i: i).result(WAIT_S) for i in range(20)] == list(range(20))


def test_no_more_threads_run_than_there_are_cores():
    lock, running, most = threading.Lock(), [0], [0]

    def work():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        sum(range(20_000))
        with lock:
            running[0] -= 1

    with VoicePool(2) as pool:
        for future in [pool.submit(work) for _ in range(200)]:
            future.result(WAIT_S)
    assert most[0] <= 2


def test_a_pool_that_has_ended_takes_no_more():
    go = threading.Event()
    pool = VoicePool(1)
    running, dropped = pool.submit(go.wait, WAIT_S), pool.submit(int)
    while not running.running():
        pass
    pool.shutdown(wait=False, cancel_futures=True)
    go.set()
    assert running.result(WAIT_S)
    assert dropped.cancelled()
    with pytest.raises(RuntimeError):
        pool.submit(int)


class Meeting(Held):
    """Computes what waits for what is computed at the same time."""

    def __init__(self):
        super().__init__()
        self.let.set()
        self.both = threading.Barrier(2, timeout=WAIT_S)

    def compute(self, request):
        self.both.wait()
        return super().compute(request)


def test_what_a_session_asks_for_together_is_computed_at_the_same_time(make):
    scheduler, model = make(), Meeting()

    def steps(first, second):
        mine, other = yield replace(request(first), beside=request(second))
        return np.concatenate([mine, other])

    seat = scheduler.seat(1.0)
    assert seat(model, steps("one", "two")).shape == (2, 2)
    assert sorted(model.order) == ["one", "two"]
    for pair in (("bad", "good"), ("good", "bad")):
        with pytest.raises(ValueError, match="bad"):
            seat(model, steps(*pair))
    assert seat(model, steps("one", "two")).shape == (2, 2)
    assert scheduler.stats().failed == 2
    scheduler.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("menura-model-beside")]


def test_pitch_and_content_at_once_say_what_they_say_one_after_the_other(make, monkeypatch):
    model, x = loaded(), speech(48_000, "am_michael")[:24_000]
    said = []
    for cores, runner in ((1, run), (2, run), (2, make().seat(0.12))):
        monkeypatch.setattr(model.content, "cores", cores)
        said.append(RvcStage(model, 48_000, shape=SMALL, settings=OPEN, runner=runner).process(x))
    assert np.abs(said[0]).max() > 1e-3
    assert np.array_equal(said[0], said[1])
    assert np.array_equal(said[0], said[2])
