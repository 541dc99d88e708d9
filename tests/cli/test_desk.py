"""Keys while somebody speaks."""

import os
import pty
import termios
import time

import numpy as np
import pytest

from menura.cli import desk as module
from menura.cli.desk import Desk
from menura.cli.keys import Keys
from menura.errors import ModelError
from menura.live.session import VoiceSession
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.voice import VoiceParameters
from tests.speech import speech

RATE = 24_000
VOICES = ["natural-woman", "robot", "whisper"]
X = speech("am_michael_u1", RATE)[: 2 * RATE]


@pytest.fixture
def desk():
    voice = find_voice("natural-woman")
    made = Desk(VoiceSession(make_stage(voice, RATE)), voice, VoiceParameters(), VOICES)
    yield made
    made.close()


def until(desk: Desk, true) -> None:
    end_s = time.monotonic() + 60.0
    while not true(desk):
        assert time.monotonic() < end_s
        desk.look()
        time.sleep(0.005)


def spoken(desk: Desk) -> np.ndarray:
    return desk._session.process(X)


def test_voices_follow_one_another_both_ways(desk: Desk) -> None:
    spoken(desk)
    for key, name in (
        ("n", "Robot"),
        ("n", "Whisper"),
        ("n", "Natural Woman"),
        ("p", "Whisper"),
        ("pp", "Natural Woman"),
    ):
        desk.press(key)
        until(desk, lambda desk, name=name: desk.name == name)
        spoken(desk)
        assert desk._session.stage.voice.name == name


def test_pitch_is_turned_within_its_range_and_stays_with_the_next_voice(desk: Desk) -> None:
    desk.press("++-")
    assert desk.parameters.pitch_st == 1.0
    desk.press("+" * 50)
    assert desk.parameters.pitch_st == 24.0
    desk.press("-" * 20)
    desk.press("n")
    until(desk, lambda desk: desk.name == "Robot")
    spoken(desk)
    assert desk._session.stage.parameters == VoiceParameters(pitch_st=4.0)


def test_own_voice_and_silence_come_and_go(desk: Desk) -> None:
    spoken(desk)
    desk.press("b")
    y = np.concatenate([spoken(desk), spoken(desk)])[len(X) :]
    late = desk._session.latency
    assert np.abs(y[late + RATE // 2 :] - X[RATE // 2 : len(X) - late]).max() < 0.05
    desk.press("bm")
    assert (desk.own, desk.muted) == (False, True)
    spoken(desk)
    assert np.abs(spoken(desk)).max() < 1e-3
    desk.press("m")
    spoken(desk)
    assert np.abs(spoken(desk)).max() > 0.05


def test_a_voice_that_cannot_be_had_is_told_and_the_one_before_stays(desk: Desk, monkeypatch) -> None:
    def fail(*_arguments, **_settings):
        raise ModelError("hubert_base.pt is missing")

    monkeypatch.setattr(module, "make_stage", fail)
    desk.press("n")
    until(desk, lambda desk: desk.trouble)
    assert desk.trouble == "hubert_base.pt is missing"
    assert desk.name == "Natural Woman"
    monkeypatch.undo()
    desk.press("n")
    until(desk, lambda desk: desk.name == "Robot")
    assert not desk.trouble


def test_q_ends_it_and_other_keys_do_nothing(desk: Desk) -> None:
    desk.press("xyz\x1b[A ")
    assert (desk.name, desk.parameters, desk.own, desk.muted, desk.ended) == (
        "Natural Woman", VoiceParameters(), False, False, False,
    )  # fmt: skip
    desk.press("q")
    assert desk.ended


def test_keys_are_read_one_by_one_and_the_terminal_is_as_it_was() -> None:
    other, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    with Keys(terminal) as keys:
        assert keys.there
        assert keys.pressed() == ""
        os.write(other, "nn+\u00e9".encode())
        got = ""
        while len(got) < 4:
            got += keys.pressed()
        assert got == "nn+\u00e9"
    assert termios.tcgetattr(terminal) == before
    os.close(other)
    os.close(terminal)


def test_where_there_is_no_terminal_nothing_is_pressed() -> None:
    with Keys() as keys:
        assert not keys.there
        assert keys.pressed() == ""
