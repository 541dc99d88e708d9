import numpy as np
import pytest

from menura.audio.files import read_audio
from menura.clock import VirtualClock
from menura.live.session import VoiceSession
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.voice import VoiceParameters
from tests.listen import clicks, lag_frames

X, RATE = read_audio("tests/fixtures/speech/af_heart_u1.flac")


def session_of(voice: str) -> VoiceSession:
    return VoiceSession(make_stage(find_voice(voice), RATE), VirtualClock())


def run(session: VoiceSession, block: int = 480, at: dict[int, object] | None = None) -> np.ndarray:
    """Process the speech in blocks; at a block number, call what ``at`` holds."""
    out = []
    for number, start in enumerate(range(0, len(X), block)):
        if at and number in at:
            at[number]()  # type: ignore[operator]
        out.append(session.process(X[start : start + block]))
    return np.concatenate([*out, session.finish()])


def test_as_many_frames_come_out_as_went_in_then_the_latency() -> None:
    session = session_of("natural-man")
    for n in (0, 1, 480, 33, 4096):
        assert session.process(X[:n]).shape == (n, 1)
    assert len(session.finish()) == session.latency


def test_output_lags_by_the_latency_told() -> None:
    session = session_of("radio")
    session.set(VoiceParameters(mix=0.0))
    assert lag_frames(X, run(session)) == session.latency


@pytest.mark.parametrize("voices", [("natural-man", "natural-woman"), ("robot", "whisper"), ("helium", "giant")])
def test_switching_voices_does_not_click(voices: tuple[str, str]) -> None:
    session = session_of(voices[0])
    y = run(
        session,
        at={
            n: lambda n=n: session.switch(make_stage(find_voice(voices[n // 20 % 2]), RATE)) for n in range(20, 120, 20)
        },
    )
    plain = [run(session_of(voice)) for voice in voices]
    assert clicks(y, RATE) <= max(clicks(p, RATE) for p in plain)


def test_switch_arrives_at_what_the_new_voice_alone_gives() -> None:
    session = session_of("robot")
    y = run(session, at={10: lambda: session.switch(make_stage(find_voice("radio"), RATE))})
    alone = run(session_of("radio"))
    late = 3 * RATE // 2
    n = min(len(y), len(alone))
    assert session.latency == make_stage(find_voice("radio"), RATE).latency
    assert np.abs(y[late:n] - alone[late:n]).max() < 0.05


def test_many_switches_at_once_end_at_the_last_and_run_no_more_than_two_voices() -> None:
    session = session_of("robot")
    session.process(X[:480])
    for start in range(480, 680):
        session.switch(make_stage(find_voice(("giant", "cartoon")[start % 2]), RATE))
        session.process(X[start : start + 1])
    session.switch(make_stage(find_voice("helium"), RATE))
    running = [session.process(X[start : start + 240]) for start in range(680, 5000, 240)]
    assert session.stage.voice.id == "helium"
    assert all(len(y) == 240 for y in running)


def test_a_voice_keeps_what_it_was_built_with_where_settings_were_turned_before_it_was_given() -> None:
    session = session_of("robot")
    session.process(X[:480])
    own = VoiceParameters(pitch_st=-4.0)
    session.set(VoiceParameters(pitch_st=7.0))
    session.switch(make_stage(find_voice("giant"), RATE, parameters=own))
    for start in range(480, 4800, 480):
        session.process(X[start : start + 480])
    assert (session.stage.voice.id, session.stage.parameters) == ("giant", own)
    session.set(VoiceParameters(pitch_st=7.0))
    session.process(X[:480])
    assert session.stage.parameters == VoiceParameters(pitch_st=7.0)


def test_parameters_reach_a_voice_that_still_waits() -> None:
    session = session_of("robot")
    session.process(X[:480])
    session.switch(make_stage(find_voice("giant"), RATE))
    session.process(X[480:500])
    session.switch(make_stage(find_voice("helium"), RATE))
    session.set(VoiceParameters(pitch_st=4.0))
    for start in range(500, 5000, 240):
        session.process(X[start : start + 240])
    assert session.stage.voice.id == "helium"
    assert session.stage.parameters.pitch_st == 4.0


def test_parameters_turn_without_a_click() -> None:
    session = session_of("natural-woman")
    turns = [
        VoiceParameters(pitch_st=5),
        VoiceParameters(formant=0.8),
        VoiceParameters(mix=0.2),
        VoiceParameters(mix=1),
    ]
    y = run(session, at={15 * (n + 1): lambda p=p: session.set(p) for n, p in enumerate(turns)})
    assert clicks(y, RATE) <= clicks(run(session_of("natural-woman")), RATE)


def test_levels_are_rms() -> None:
    session = session_of("radio")
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)[:, None]
    session.process(tone)
    assert abs(session.stats().input_level - 0.5 / np.sqrt(2)) < 0.005
    assert session.stats().output_level > 0.01


def test_speaker_is_remembered_across_a_switch() -> None:
    session = session_of("natural-man")
    run_until = X[: 3 * RATE // 2]
    for start in range(0, len(run_until), 480):
        session.process(run_until[start : start + 480])
    known = session.stats().speaker_hz
    session.switch(make_stage(find_voice("natural-woman"), RATE))
    session.process(X[len(run_until) : len(run_until) + 480])
    assert known > 100
    assert abs(np.log2(session.stats().speaker_hz / known)) < 0.2
