import numpy as np
import pytest

from menura.audio.files import read_audio
from menura.clock import VirtualClock
from menura.dsp.delay import Echo
from menura.live.rack import Entry, Rack
from menura.live.session import VoiceSession
from menura.live.treatment import effect_entries, treatment_entries
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.effects import EFFECTS, check_effects
from tests.listen import clicks, lag_frames

SPEECH, RATE = read_audio("tests/fixtures/speech/af_heart_u1.flac")
X = SPEECH[: 2 * RATE]


def entries(*effects):
    return effect_entries(check_effects([{"kind": kind, "params": params} for kind, params in effects]), RATE)


def run(changes=None, block=480, rack=None):
    rack = rack or Rack(RATE, 1)
    out = []
    for number, start in enumerate(range(0, len(X), block)):
        if changes and number in changes:
            rack.set(changes[number])
        out.append(rack.process(X[start : start + block]))
    return np.concatenate([*out, rack.finish(X[:0])]), rack


def test_an_empty_rack_passes_everything_through():
    y, rack = run()
    assert rack.latency == 0
    np.testing.assert_array_equal(y, X)


@pytest.mark.parametrize("kind", [kind for kind in EFFECTS if kind != "hiss"])
def test_putting_an_effect_in_and_out_does_not_click(kind):
    y, rack = run({10: entries((kind, {})), 30: entries(), 50: entries((kind, {})), 70: entries()})
    alone, _ = run({0: entries((kind, {}))})
    assert len(y) >= len(X)  # the limiter stays for what still rings
    quiet = np.zeros((12 * RATE, 1), np.float32)
    rack.process(quiet)
    assert rack.latency == 0
    assert clicks(y, RATE) <= max(clicks(X, RATE), clicks(alone, RATE))


def test_dragging_a_slider_does_not_click_and_ends_at_the_last():
    changes = {n: entries(("equalizer", {"treble_db": float(n % 19)})) for n in range(10, 70)}
    y, _ = run(changes)
    alone, _ = run({0: entries(("equalizer", {"treble_db": 69 % 19}))})
    assert clicks(y, RATE) <= max(clicks(X, RATE), clicks(alone, RATE))
    late = 90 * 480
    assert np.abs(y[late:] - alone[late:]).max() < 1e-3


def test_what_stays_rings_on_while_others_change():
    """The echo's line is not emptied when an effect comes before or behind it."""
    pulse = np.zeros((RATE, 1), np.float32)
    pulse[:480] = X[RATE : RATE + 480]
    rack, out = Rack(RATE, 1), []
    rack.set([Entry("echo", 1, Echo(RATE, delay_ms=300.0))])
    for number, start in enumerate(range(0, RATE, 480)):
        if number == 10:
            rack.set([Entry("new", 1, None), Entry("echo", 1, Echo(RATE, delay_ms=300.0)), Entry("after", 1, None)])
        out.append(rack.process(pulse[start : start + 480]))
    alone = Echo(RATE, delay_ms=300.0).process(pulse)
    np.testing.assert_array_equal(np.concatenate(out), alone)


def level_db(y):
    return 10.0 * np.log10(np.mean(np.square(y, dtype=np.float64)) + 1e-20)


@pytest.mark.parametrize(
    ("kind", "params", "name", "values"),
    [
        ("reverb", {"room": 0.8, "wet": 0.5}, "wet", np.linspace(0.5, 0.55, 11)),
        ("reverb", {"room": 0.8, "wet": 0.5}, "damping", np.linspace(0.4, 0.45, 11)),
        ("reverb", {"room": 0.8, "wet": 0.5}, "room", np.linspace(0.8, 0.85, 11)),
        ("reverb", {"room": 0.8, "wet": 0.5}, "room", np.linspace(0.8, 0.75, 11)),
        ("echo", {"delay_ms": 200.0, "feedback": 0.8}, "feedback", np.linspace(0.8, 0.82, 11)),
        ("echo", {"delay_ms": 200.0, "feedback": 0.8}, "mix", np.linspace(0.35, 0.4, 11)),
        ("echo", {"delay_ms": 200.0, "feedback": 0.8}, "delay_ms", np.linspace(200.0, 300.0, 11)),
        ("echo", {"delay_ms": 200.0, "feedback": 0.8}, "delay_ms", np.linspace(200.0, 150.0, 11)),
    ],
)
def test_tail_rings_on_while_a_slider_is_dragged(kind, params, name, values):
    """Speech ends, then the slider is moved by ten steps of 50 ms: what still rings is not cut."""
    block, spoken = RATE // 100, RATE
    x = np.zeros((3 * RATE, 1), np.float32)
    x[:spoken] = X[RATE // 2 : RATE // 2 + spoken]

    def tail(changed):
        rack, out = Rack(RATE, 1), []
        rack.set(entries((kind, params)))
        for number, start in enumerate(range(0, len(x), block)):
            step, part = divmod(number - 105, 5)
            if changed and not part and 0 <= step < len(values):
                rack.set(entries((kind, {**params, name: float(values[step])})))
            out.append(rack.process(x[start : start + block]))
        return np.concatenate(out)

    still, moved = tail(False), tail(True)
    after = slice(int(1.65 * RATE), int(2.05 * RATE))
    assert abs(level_db(moved[after]) - level_db(still[after])) < 6.0
    rings = slice(spoken, None)
    assert clicks(moved[rings], RATE) <= max(clicks(still[rings], RATE), clicks(x, RATE))


CATHEDRAL = {"room": 0.9, "wet": 0.5}
ECHOES = {"delay_ms": 200.0, "feedback": 0.8}


def spoken_then_quiet(seconds=3):
    x = np.zeros((seconds * RATE, 1), np.float32)
    x[:RATE] = X[RATE // 2 : RATE // 2 + RATE]
    return x


def ringing_parts(rack):
    return sum(place.ring is not None for place in rack._places)


def through(x, changes, block=RATE // 100, rack=None):
    rack, out = rack or Rack(RATE, 1), []
    for number, start in enumerate(range(0, len(x), block)):
        if number in changes:
            rack.set(changes[number])
        out.append(rack.process(x[start : start + block]))
    return np.concatenate(out), rack


def off(kind, params):
    return effect_entries(check_effects([{"kind": kind, "params": params, "enabled": False}]), RATE)


@pytest.mark.parametrize(("kind", "params"), [("reverb", CATHEDRAL), ("echo", ECHOES)])
@pytest.mark.parametrize("bypassed", [True, False])
def test_tail_rings_out_when_its_effect_is_switched_off_or_removed(kind, params, bypassed):
    gone = off(kind, params) if bypassed else entries()
    x = spoken_then_quiet()
    still, _ = through(x, {0: entries((kind, params))})
    y, rack = through(x, {0: entries((kind, params)), 100: gone})
    np.testing.assert_allclose(y[RATE:], still[RATE:], atol=1e-4)
    assert level_db(y[int(1.5 * RATE) : 2 * RATE]) > -60
    again, lag = spoken_then_quiet(1), rack.latency
    voice, _ = through(again, {}, rack=rack)
    n = len(again) - lag
    left, _ = through(np.zeros_like(again), {}, rack=through(x, {0: entries((kind, params)), 100: gone})[1])
    np.testing.assert_allclose(voice[lag:], again[:n] + left[lag:], atol=1e-3)  # new words pass the effect by


def test_tail_is_taken_up_when_its_effect_is_switched_on_again():
    x = spoken_then_quiet()
    still, _ = through(x, {0: entries(("echo", ECHOES))})
    y, rack = through(x, {0: entries(("echo", ECHOES)), 100: off("echo", ECHOES), 130: entries(("echo", ECHOES))})
    np.testing.assert_allclose(y[RATE:], still[RATE:], atol=1e-4)
    assert ringing_parts(rack) == 0


def test_tail_of_a_loud_effect_is_limited_as_long_as_it_rings():
    loud = entries(("gain", {"gain_db": 20.0}), ("echo", {"delay_ms": 200.0, "feedback": 0.9, "mix": 1.0}))
    x = spoken_then_quiet(14)
    y, rack = through(x, {0: loud, 100: entries()})
    assert 0.5 < np.abs(y[RATE:]).max() <= 1.0
    assert (ringing_parts(rack), rack.latency, rack._places) == (0, 0, [])


def test_effects_that_come_and_go_quickly_do_not_ring_all_at_once():
    echo = {"delay_ms": 2000.0, "feedback": 0.9}
    changes = {n: entries(("echo", echo)) if n % 10 == 0 else entries() for n in range(0, 200, 5)}
    x = np.tile(spoken_then_quiet(2), (2, 1))
    y, rack = through(x, changes)
    assert ringing_parts(rack) <= 6, "four, and those that fade"
    alone, _ = through(x, {0: entries(("echo", echo))})
    assert clicks(y, RATE) <= max(clicks(x, RATE), clicks(alone, RATE))
    _, rack = through(np.zeros((RATE // 2, 1), np.float32), {}, rack=rack)
    assert ringing_parts(rack) <= 4


def test_end_of_a_session_while_a_tail_rings_gives_what_is_held_and_leaves_nothing_behind():
    y, rack = through(spoken_then_quiet(2), {0: entries(("reverb", CATHEDRAL)), 100: entries()})
    assert rack.latency > 0
    assert len(rack.finish(y[:0])) > 0
    assert (rack.latency, rack._places) == (0, [])
    z, _ = through(X, {}, rack=rack)
    np.testing.assert_array_equal(z, X)


def test_many_changes_leave_nothing_behind():
    rack = Rack(RATE, 1)
    kinds = list(EFFECTS)
    for number in range(200):
        rack.set(entries((kinds[number % len(kinds)], {})))
        rack.process(X[:37])
    rack.set(())
    for _ in range(600):
        rack.process(X[:480])
    assert rack._places == []
    assert rack.latency == 0


def test_it_is_the_same_however_the_input_is_cut():
    whole, _ = run({0: entries(("echo", {}), ("robot", {}), ("reverb", {}))}, block=len(X))
    for block in (77, 4096):
        y, rack = run({0: entries(("echo", {}), ("robot", {}), ("reverb", {}))}, block=block)
        np.testing.assert_array_equal(y, whole)
        assert len(y) == len(X) + rack.latency


def session(**treatment):
    made = VoiceSession(make_stage(find_voice("natural-man"), RATE), VirtualClock())
    made.set_treatment(treatment_entries(RATE, **treatment))
    return made


def test_a_session_lags_by_the_latency_it_tells_with_all_of_it():
    made = session(noise_suppression=True, auto_gain=True)
    made.set_effects(entries(("drive", {"drive_db": -20.0}), ("vibrato", {"depth_st": 0.0})))
    made.set(made.stage.parameters.changed({"mix": 0.0}))
    out = [made.process(X[start : start + 480]) for start in range(0, len(X), 480)]
    latency = made.latency
    tail = made.finish()
    assert len(tail) == latency
    assert abs(lag_frames(X, np.concatenate([*out, tail])) - latency) <= 3


def test_muting_and_treatment_do_not_click():
    made, out = session(), []
    for number, start in enumerate(range(0, len(X), 480)):
        if number % 30 == 10:
            made.set_level(float("-inf"))
        if number % 30 == 20:
            made.set_level(-6.0)
        if number % 40 == 0:
            made.set_treatment(treatment_entries(RATE, noise_suppression=number % 80 == 0, auto_gain=number % 80 == 40))
        out.append(made.process(X[start : start + 480]))
    plain = session()
    alone = np.concatenate([plain.process(X[start : start + 480]) for start in range(0, len(X), 480)])
    assert clicks(np.concatenate(out), RATE) <= clicks(alone, RATE)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000, 192_000])
def test_treatment_can_be_at_every_rate(rate):
    rack = Rack(rate, 1)
    rack.set(treatment_entries(rate, noise_suppression=True, auto_gain=True))
    latency = rack.latency
    y = rack.process(np.zeros((rate // 10, 1), np.float32))
    assert len(y) == rate // 10
    assert len(rack.finish(y[:0])) == latency > 0


def test_asking_for_the_latency_takes_nothing_away_from_the_audio_thread():
    """What was wanted is begun by the next block alone: another thread that asks meanwhile has no part in it."""
    rack = Rack(RATE, 1)
    rack.set(entries(("whisper", {})))
    latency = rack.latency
    assert latency == rack.latency > 0
    assert len(rack._wanted) == 1
    y, _ = run(rack=rack)
    assert len(y) == len(X) + latency


@pytest.mark.parametrize("kind", ["echo", "reverb", "chorus"])
@pytest.mark.parametrize("again", [31, 32, 60])  # while it still fades out, and when only its tail is left
def test_what_an_effect_repeats_of_a_sound_that_goes_on_begins_without_a_click(kind, again):
    seconds = np.arange(2 * RATE) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 220.0 * seconds)).astype(np.float32)[:, None]
    y, _ = through(tone, {10: entries((kind, {})), 30: off(kind, {}), again: entries((kind, {}))})
    bent = np.abs(np.diff(y[:, 0], 2)).max()
    assert bent < 2.0 * np.abs(np.diff(tone[:, 0], 2)).max()
