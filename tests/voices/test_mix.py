import numpy as np
import pytest

from menura.audio.files import read_audio
from menura.clock import VirtualClock
from menura.errors import ConfigError
from menura.live.session import VoiceSession
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.mix import VoiceMix
from menura.voices.voice import VoiceParameters
from tests.listen import clicks, lag_frames
from tests.streaming import run

SPEECH, RATE = read_audio("tests/fixtures/speech/af_heart_u1.flac")
X = SPEECH[: 2 * RATE]


def mix(one="natural-man", two="whisper", gains=(0.5, 0.5)):
    return VoiceMix([make_stage(find_voice(voice), RATE) for voice in (one, two)], gains)


def test_it_is_the_same_however_the_input_is_cut():
    whole = run(mix(), X, (len(X),))
    for sizes in [(77,), (480,), (1, 0, 512, 4096, 33)]:
        np.testing.assert_array_equal(run(mix(), X, sizes), whole)


def test_voices_are_aligned_and_as_late_as_told():
    made = mix()
    assert made.latency >= max(stage.latency for stage in made.stages)
    made.set(VoiceParameters(mix=0.0))
    made.reset()
    y = run(made, X)
    assert lag_frames(X, y) == made.latency
    np.testing.assert_allclose(y[made.latency :], X, atol=1e-3)


def test_one_voice_alone_where_the_other_has_no_gain():
    made = mix(gains=(1.0, 0.0))
    y, alone = run(made, X), make_stage(find_voice("natural-man"), RATE)
    z = run(alone, X)
    n = len(X) - made.latency
    np.testing.assert_allclose(y[made.latency :][:n], z[alone.latency :][:n], atol=1e-3)


def parameters_of(*owned):
    own = [VoiceParameters(**one) for one in owned]
    names = ("natural-man", "whisper")
    stages = [make_stage(find_voice(name), RATE, parameters=one) for name, one in zip(names, own, strict=True)]
    made = VoiceMix(stages, (0.5, 0.5))
    return made, lambda **turned: (made.set(VoiceParameters(**turned)), made.stages[1].parameters)[1]


def test_voices_that_began_alike_are_turned_alike():
    made, turned = parameters_of({}, {})
    wanted = {"pitch_st": 0.1, "formant": 1.3, "mix": 0.7}
    assert turned(**wanted) == made.stages[0].parameters == made.parameters == VoiceParameters(**wanted)


def test_voices_keep_their_distance_when_they_are_turned():
    low = {"pitch_st": -4.0, "formant": 0.8, "mix": 0.5}
    made, turned = parameters_of(low, {"pitch_st": 3.0, "formant": 1.2, "mix": 1.0})
    assert made.stages[1].parameters == VoiceParameters(pitch_st=3.0, formant=1.2)
    other = turned(pitch_st=-3.5, formant=0.8, mix=0.5)
    assert made.stages[0].parameters == VoiceParameters(pitch_st=-3.5, formant=0.8, mix=0.5)
    assert (other.pitch_st, other.formant, other.mix) == (3.5, pytest.approx(1.2), 1.0)
    compared = turned(pitch_st=-3.5, formant=0.8, mix=0.0)
    assert compared.mix == made.stages[0].parameters.mix == 0.0, "one's own voice, and nothing else"
    assert turned(**low) == VoiceParameters(pitch_st=3.0, formant=1.2), "back as they began"
    assert turned(pitch_st=24.0, formant=2.0, mix=1.0).pitch_st == 24.0, "no further than it goes"


def test_voice_beside_one_that_began_unheard_is_turned_with_it():
    _, turned = parameters_of({"mix": 0.0}, {"mix": 0.8})
    assert turned(mix=0.4).mix == 0.4


def test_gains_glide_and_switches_to_and_from_a_mix_do_not_click():
    session, out = VoiceSession(make_stage(find_voice("natural-man"), RATE), VirtualClock()), []
    made = mix()
    for number, start in enumerate(range(0, len(X), 480)):
        if number == 15:
            session.switch(made)
        if number in (30, 40, 50):
            made.gains = ((number - 30) / 20, 1.0 - (number - 30) / 20)
        if number == 60:
            session.switch(make_stage(find_voice("radio"), RATE))
        out.append(session.process(X[start : start + 480]))
    plain = max(clicks(run(make_stage(find_voice(v), RATE), X), RATE) for v in ("natural-man", "whisper", "radio"))
    assert clicks(np.concatenate(out), RATE) <= plain


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="a gain from 0 to 1"):
        mix(gains=(0.5, 1.5))
    with pytest.raises(ConfigError, match="one rate"):
        VoiceMix([make_stage(find_voice("radio"), RATE), make_stage(find_voice("radio"), 2 * RATE)], (0.5, 0.5))


def test_a_client_that_leaves_makes_both_voices_leave():
    made, left = mix(), []
    for stage in made.stages:
        stage.leave = lambda stage=stage: left.append(stage)
    made.leave()
    assert tuple(left) == made.stages
