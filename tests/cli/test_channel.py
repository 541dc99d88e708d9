"""``menura channel``: processes joined by a real nats-server."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from menura import make_stage, read_audio
from menura.dsp.stage import process_whole
from menura.voices.builtin import find_voice
from menura.voices.voice import VoiceParameters
from tests.broker import Broker
from tests.commands import fails

SPEECH = Path("tests/fixtures/speech/af_heart_u1.flac").resolve()


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


class Command(subprocess.Popen[str]):
    def __init__(self, broker: Broker, *arguments: object) -> None:
        command = [sys.executable, "-m", "menura", "channel", *map(str, arguments), "--url", broker.url]
        super().__init__(command, stderr=subprocess.PIPE, text=True)

    def listening(self) -> None:
        """Wait until it has subscribed."""
        assert self.stderr
        assert "listening" in self.stderr.readline()

    def end(self) -> str:
        _, said = self.communicate(timeout=60)
        assert self.returncode == 0, said
        return said


def test_file_goes_through_a_voice_to_a_file(broker: Broker, tmp_path: Path) -> None:
    recorder = Command(broker, "record", "changed", tmp_path / "out.wav")
    converter = Command(broker, "convert", "plain", "changed", "--voice", "robot", "--mix", "0.9")
    recorder.listening()
    converter.listening()
    Command(broker, "play", SPEECH, "plain", "--pace", "4").end()
    converter.end()
    said = recorder.end()
    x, rate = read_audio(SPEECH)
    y, _ = read_audio(tmp_path / "out.wav")
    stage = make_stage(find_voice("robot"), rate, parameters=VoiceParameters(mix=0.9))
    np.testing.assert_allclose(y, process_whole(stage, x), atol=2e-4)
    assert re.search(rf"out.wav: {len(x) / rate:.1f} s$", said.strip())


def test_running_convert_is_given_another_voice(broker: Broker) -> None:
    converter = Command(broker, "convert", "mine", "other", "--voice", "robot", "--orders", "orders")
    converter.listening()
    player = Command(broker, "play", SPEECH, "mine", "--loop", "--pace", "4")
    assert converter.stderr
    for arguments, says in (
        (["--voice", "nobody"], "Voice not found: nobody"),
        (["--voice", "helium"], "the voice is Helium"),
        (["--pitch", "-1"], "pitch_st -1, formant 1, mix 1"),
    ):
        Command(broker, "switch", "orders", *arguments).end()
        assert says in converter.stderr.readline()
    converter.send_signal(signal.SIGINT)
    converter.end()
    player.send_signal(signal.SIGTERM)
    player.end()


def test_recording_is_finished_by_an_interrupt(broker: Broker, tmp_path: Path) -> None:
    recorder = Command(broker, "record", "endless", tmp_path / "out.flac")
    recorder.listening()
    player = Command(broker, "play", SPEECH, "endless", "--loop", "--pace", "20")
    while not list(tmp_path.iterdir()):
        assert recorder.poll() is None
    recorder.send_signal(signal.SIGINT)
    assert "out.flac: " in recorder.end()
    player.send_signal(signal.SIGTERM)
    player.end()
    assert read_audio(tmp_path / "out.flac")[1] == 24_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("play", SPEECH, "a", "--url", "nats://127.0.0.1:9"), "nats://127.0.0.1:9 cannot be reached (Connection ref"),
        (("record", "a", "/nowhere/out.wav"), "/nowhere: no such folder"),
        (("play", "nowhere.wav", "a"), "nowhere.wav: no such file"),
        (("convert", "a", "a", "--voice", "robot"), "a voice would hear itself"),
    ],
)
def test_what_cannot_be_is_one_line(broker: Broker, arguments: tuple[object, ...], says: str) -> None:
    given = arguments if "--url" in arguments else (*arguments, "--url", broker.url)
    assert fails("channel", *given).startswith(f"menura: {says}")
