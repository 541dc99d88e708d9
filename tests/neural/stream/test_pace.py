"""A context that becomes shorter where time does."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from menura.neural.stream.blocks import RvcBlocks
from menura.neural.stream.model import run
from menura.neural.stream.pace import Pace, ladder
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import RvcStage
from tests.neural.stream.test_stage import loaded
from tests.neural.stream.transparent import Transparent
from tests.streaming import Case, prove_latency
from tests.utterances import speech

SHAPE = StreamShape(block=24, context=200)
OPEN = RvcSettings(gate_db=-120.0)
BLOCK = 24 * 160


class Machine:
    """Runs networks in no time, and tells that it took so long: a cost for each 10 ms that the content model hears."""

    def __init__(self, ms):
        self.now_s, self.ms, self.heard = 0.0, ms, []

    def clock(self):
        return self.now_s

    def __call__(self, model, steps):
        def compute(request):
            if request.name == "encode":
                self.heard.append(request.arrays[0].shape[1] - SHAPE.block)
                self.now_s += self.ms * self.heard[-1] / 1000.0
            return model.compute(request)

        return run(SimpleNamespace(compute=compute), steps)


def stage(machine, model=None, rate=16_000, shape=SHAPE):
    return RvcStage(model or Transparent(), rate, shape=shape, settings=OPEN, runner=machine, clock=machine.clock)


def say(stage, blocks):
    x = np.tile(speech(16_000, "am_michael")[:32_000], (1 + blocks * BLOCK // 32_000, 1))[: blocks * BLOCK]
    return x, stage.process(x)


@pytest.mark.parametrize(
    ("context", "steps"), [(200, (200, 100, 50)), (160, (160, 80, 50)), (50, (50, 50, 50)), (20, (20, 20, 20))]
)
def test_contexts_are_halved_down_to_half_a_second(context, steps):
    contexts, shares = zip(*ladder(StreamShape(context=context)), strict=True)
    assert contexts == steps
    assert shares == (1.0, 0.5, 0.25)
    assert all(step % 2 == 0 for step in steps)


def test_a_context_has_room_for_what_the_decoder_is_given():
    shape = StreamShape(block=300, context=200, fade=100)
    steps = [context for context, _ in ladder(shape)]
    assert steps == [200, 112, 112]
    assert all(replace(shape, context=context).decoded <= context + shape.block for context in steps)


def test_a_stream_in_time_keeps_its_context():
    machine = Machine(ms=0.8)  # 160 ms of 240
    running = stage(machine)
    say(running, 60)
    assert set(machine.heard) == {200}
    told = running.pace()
    assert (told.context_ms, told.longest_ms, told.steps_down, told.late) == (2000.0, 2000.0, 0, 0)
    assert told.load == pytest.approx(0.8 * 200 / 240)


def test_a_stream_that_is_late_looks_back_less_far_until_it_is_in_time():
    machine = Machine(ms=2.0)  # 400 ms of 240; 200; 100
    running = stage(machine)
    say(running, 40)
    assert machine.heard[0] == 200
    assert machine.heard[8:] == [100] * 32
    told = running.pace()
    assert (told.context_ms, told.steps_down, told.steps_up) == (1000.0, 1, 0)
    assert told.late >= 1


def test_it_goes_down_to_the_shortest_and_stays_there():
    machine = Machine(ms=20.0)
    running = stage(machine)
    say(running, 40)
    assert machine.heard[-1] == 50
    assert running.pace().steps_down == 2


def test_it_looks_back_as_far_as_before_when_there_was_room_for_a_while():
    machine = Machine(ms=2.0)
    running = stage(machine)
    say(running, 20)
    machine.ms = 0.2
    say(running, 15)
    assert machine.heard[-1] == 100  # 3.6 s are no while
    say(running, 30)
    assert machine.heard[-1] == 200
    assert running.pace().steps_up == 1


def test_a_load_at_the_edge_does_not_go_to_and_fro():
    machine = Machine(ms=1.25)  # 250 ms of 240 in full, 125 with half: no room to go back
    running = stage(machine)
    say(running, 400)
    assert running.pace().steps_down == 1


def test_silence_says_nothing_about_the_load():
    machine = Machine(ms=2.0)
    running = stage(machine)
    say(running, 20)
    running.process(np.zeros((200 * BLOCK, 1), np.float32))
    assert running.pace().context_ms == 1000.0


def test_one_slow_block_at_the_beginning_is_no_load():
    machine = Machine(ms=20.0)
    running = stage(machine)
    say(running, 1)
    machine.ms = 0.8
    say(running, 40)
    assert running.pace().steps_down == 0


def test_what_hears_all_it_is_given_says_the_same_at_any_pace():
    """No latency changes, and no frame is lost: a transparent model is heard whole while the context comes and goes."""
    machine = Machine(ms=2.0)
    running = stage(machine)
    parts, spoken = [], ((2.0, 20), (0.1, 40), (5.0, 20), (0.1, 120))
    for at, (ms, blocks) in enumerate(spoken):
        machine.ms = ms
        parts.append(say(running, blocks)[1])
        assert running.pace().steps_down > at // 2
    assert running.pace().steps_up >= 2
    still = RvcStage(Transparent(), 16_000, shape=SHAPE, settings=OPEN)
    want = [say(still, blocks)[1] for _, blocks in spoken]
    assert np.array_equal(np.concatenate(parts), np.concatenate(want))
    assert running.latency == still.latency
    prove_latency(Case("paced", lambda: stage(Machine(2.0))))


def seams(model, x, contexts):
    """At each block's beginning: power of the difference between what is faded into each other, and how it sounds."""
    blocks, found = RvcBlocks(model, SHAPE, OPEN), []
    join = blocks._join

    def watched(y):
        fade = SHAPE.fade * blocks.hop
        found.append(float(np.mean(np.square(blocks._overhang - y[:fade], dtype=float))))
        return join(y)

    blocks._join = watched
    parts = []
    for at, context in enumerate(contexts):
        blocks.look_back(context, context / 200)
        parts.append(run(model, blocks.steps(x[at * BLOCK : (at + 1) * BLOCK])))
    return np.array(found), np.concatenate(parts)


def test_no_seam_is_worse_where_the_context_changes():
    """What is faded into each other there differs no more than at the seams of a stream that keeps its context."""
    x = np.tile(speech(16_000, "am_michael")[:, 0], 2)[: 40 * BLOCK]
    model = loaded()
    contexts = ([200] * 3 + [100] * 2 + [50] * 2 + [100] * 2 + [200]) * 4
    changes = [at for at in range(1, len(contexts)) if contexts[at] != contexts[at - 1]]
    moving, z = seams(model, x, contexts)
    still = [seams(model, x, [context] * len(contexts)) for context in (200, 50)]
    assert moving[changes].mean() <= max(found[8:].mean() for found, _ in still)
    assert moving[changes].max() <= max(found[8:].max() for found, _ in still)
    assert np.abs(np.diff(z)).max() <= 1.05 * max(np.abs(np.diff(y)).max() for _, y in still)


def test_pace_tells_what_the_next_block_hears():
    told = []
    machine = Machine(ms=0.0)
    pace = Pace(SHAPE, machine.clock, lambda *step: told.append(step))

    def late():
        machine.now_s += 1.0
        return np.ones(4, np.float32)

    for _ in range(7):
        pace.measured(late)
    assert told == [(100, 0.5), (50, 0.25)]
