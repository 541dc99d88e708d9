"""The debounce: legal moves only, and each of them for its reason."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pytest import mark, raises

from menura.errors import ConfigError
from menura.vad.config import VADState
from menura.vad.machine import MOVES, Machine, SpeechEvent, SpeechEventKind, Timing

SILENCE, STARTING, SPEECH, ENDING = VADState
HOP = 10
probabilities = st.lists(st.one_of(st.sampled_from([0.0, 0.34, 0.35, 0.4, 0.5, 1.0]), st.floats(0, 1)), max_size=200)
timings = st.builds(
    Timing,
    hop=st.just(HOP),
    lag=st.integers(0, 30),
    start=st.integers(0, 60),
    shortest=st.integers(0, 90),
    end=st.integers(0, 60),
    longest=st.one_of(st.just(0), st.integers(100, 300)),
)


def play(machine: Machine, values: list[float]) -> tuple[list[VADState], list[SpeechEvent]]:
    states, events = [], []
    for value in values:
        event = machine.step(value)
        states.append(machine.state)
        if event:
            events.append(event)
    return states, events


@given(timings, probabilities)
def test_moves_are_those_of_the_table(timing: Timing, values: list[float]) -> None:
    machine = Machine(timing)
    play(machine, values)
    assert all(new in MOVES[old] for old, new in machine.moves)
    assert sum(machine.spent(state) for state in VADState) == machine.frames == HOP * len(values)


@given(timings, probabilities)
def test_starts_and_ends_alternate_and_lie_in_order(timing: Timing, values: list[float]) -> None:
    machine = Machine(timing)
    _, events = play(machine, values)
    kinds = [event.kind is SpeechEventKind.START for event in events]
    assert kinds == [i % 2 == 0 for i in range(len(events))]
    assert machine.segments == sum(kinds)
    for event in events:
        assert 0 <= event.position <= event.decided
    for before, after in pairwise(events):
        assert before.decided <= after.decided
        assert before.position <= after.position


@given(timings, probabilities)
def test_an_utterance_is_confirmed_by_enough_speech_only(timing: Timing, values: list[float]) -> None:
    _, events = play(Machine(timing), values)
    for event in events:
        if event.kind is not SpeechEventKind.START:
            continue
        end = event.decided // HOP
        took = values[end - 1 :: -1][: timing.to_confirm // HOP]
        speech = HOP * sum(value >= timing.release for value in took)
        assert speech >= max(timing.start, timing.shortest)
        assert event.decided - event.position - timing.to_confirm <= timing.lag


@given(timings, probabilities)
def test_silence_outlasts_the_hangover_before_it_ends_an_utterance(timing: Timing, values: list[float]) -> None:
    _, events = play(Machine(timing), values)
    for event in events:
        end = event.decided // HOP
        if event.kind is SpeechEventKind.END:
            hops = max(1, -(-timing.end // HOP))
            assert values[end - hops] < timing.release
            assert all(value < timing.threshold for value in values[end - hops : end])
        elif event.kind is SpeechEventKind.CUT:
            assert timing.longest


@given(timings, probabilities)
def test_an_utterance_is_no_longer_than_the_longest(timing: Timing, values: list[float]) -> None:
    machine = Machine(timing)
    for value in values:
        before = machine.state
        machine.step(value)
        if timing.longest and before in (SPEECH, ENDING) and machine.state in (SPEECH, ENDING):
            assert machine.utterance < timing.longest


@given(timings, probabilities, probabilities)
def test_reset_is_as_new(timing: Timing, first: list[float], second: list[float]) -> None:
    machine, fresh = Machine(timing), Machine(timing)
    play(machine, first)
    machine.reset()
    assert play(machine, second) == play(fresh, second)
    assert machine.moves == fresh.moves


def test_hysteresis_keeps_speech_between_the_thresholds() -> None:
    machine = Machine(Timing(HOP, threshold=0.6, release=0.4, start=20, end=20))
    states, _ = play(machine, [0.5, 0.6, 0.5, 0.5, 0.39, 0.5, 0.6, 0.39, 0.5])
    assert states == [SILENCE, STARTING, SPEECH, SPEECH, ENDING, SILENCE, STARTING, SILENCE, SILENCE]


def test_speech_returns_within_the_hangover() -> None:
    machine = Machine(Timing(HOP, start=10, end=30))
    states, events = play(machine, [1, 0, 0, 1, 0, 0, 0])
    assert states == [SPEECH, ENDING, ENDING, SPEECH, ENDING, ENDING, SILENCE]
    assert events == [
        SpeechEvent(SpeechEventKind.START, 0, 10),
        SpeechEvent(SpeechEventKind.END, 40, 70),
    ]


def test_a_click_is_no_utterance() -> None:
    machine = Machine(Timing(HOP, start=30, end=30))
    states, events = play(machine, [0, 1, 1, 0, 0])
    assert states == [SILENCE, STARTING, STARTING, SILENCE, SILENCE]
    assert not events


def test_minimum_speech_may_pause_for_what_it_asks_beyond_the_debounce() -> None:
    timing = Timing(HOP, start=20, shortest=40, end=30)
    states, _ = play(Machine(timing), [1, 0, 1, 0, 1, 1])
    assert states == [STARTING] * 5 + [SPEECH]
    states, _ = play(Machine(timing), [1, 0, 0, 0, 1])
    assert states == [STARTING, STARTING, STARTING, SILENCE, STARTING]


def test_the_longest_utterance_is_cut_and_goes_on_as_a_new_one() -> None:
    machine = Machine(Timing(HOP, start=20, end=30, longest=60))
    states, events = play(machine, [1.0] * 10)
    assert states == [STARTING, *[SPEECH] * 4, SILENCE, STARTING, SPEECH, SPEECH, SPEECH]
    assert [event.kind.value for event in events] == ["start", "cut", "start"]


def test_lag_is_taken_off_positions() -> None:
    _, events = play(Machine(Timing(HOP, lag=15, start=10, end=10)), [0, 0, 1, 1, 0])
    assert [event.position for event in events] == [5, 25]


@mark.parametrize("bad", [{"hop": 0}, {"hop": 10, "threshold": 0.3, "release": 0.4}, {"hop": 10, "threshold": 1.1}])
def test_impossible_timing_is_refused(bad: dict[str, float]) -> None:
    with raises(ConfigError):
        Timing(**bad)
