"""The example of the whole way, as it is used: a person at a virtual microphone talks with a real Realtime server."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.client.speech_server import ANSWER_MS, speech_server
from tests.listen import median_f0
from tests.utterances import speech
from tests.virtual_audio import PROMPT, hear_ctrl_c

pytestmark = pytest.mark.devices
RATE, HEARD_RATE = 48_000, 16_000
EXAMPLE = Path(__file__).parents[2] / "examples" / "conversation.py"


class Conversation:
    """The example, until it is told to end."""

    def __init__(self, audio, *arguments):
        command = [*PROMPT, sys.executable, str(EXAMPLE), *arguments]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            env=audio.env,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            bufsize=1,
            preexec_fn=hear_ctrl_c,
        )
        self.lines = []

    def until(self, text):
        while text not in "".join(self.lines[-1:]):
            self.lines.append(self.process.stdout.readline().strip())
            assert self.lines[-1], self.complaints()

    def complaints(self):
        self.errors.seek(0)
        return self.errors.read()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, self.complaints()

    def close(self):
        with self.process, self.errors:
            self.process.kill()


@pytest.fixture
def converse(virtual_audio, tmp_path):
    """Starts one with a provider that keeps what it hears."""
    programs = []
    with speech_server(1, str(tmp_path / "heard.raw")) as url:

        def start(*arguments):
            programs.append(Conversation(virtual_audio, "--url", url, "-i", "vc_mic", "-o", "vc_speaker", *arguments))
            return programs[-1]

        yield start
        for program in programs:
            program.close()


def test_the_provider_hears_another_voice_and_its_answer_is_heard_in_another(virtual_audio, converse, tmp_path):
    said = speech(RATE, "am_michael")[: 3 * RATE]
    program = converse("--voice-up", "natural-woman", "--voice-down", "whisper")
    program.until("speak; Ctrl-C ends")
    recording = virtual_audio.record("vc_speaker.monitor")
    virtual_audio.play("vc_virtmic", np.concatenate([said, np.zeros((RATE, 1), np.float32)]))
    program.until("answer …")
    program.until("answer heard to its end")
    answer = recording.stop()
    program.end()
    heard = np.frombuffer((tmp_path / "heard.raw").read_bytes(), "<i2")[:, None] / np.float32(32768)
    own_hz, heard_hz = median_f0(said, RATE), median_f0(heard, HEARD_RATE)
    assert heard_hz > 1.4 * own_hz
    assert len(heard) / HEARD_RATE > 2.5
    assert "you speak" in program.lines
    loud = np.flatnonzero(np.abs(answer[:, 0]) > 0.01)
    tone = answer[loud[0] : loud[-1], 0]
    assert 0.9 * ANSWER_MS < 1000.0 * len(tone) / RATE < 1.2 * ANSWER_MS
    power = np.abs(np.fft.rfft(tone)) ** 2
    assert power.max() < 0.1 * power.sum()  # a tone was said, and is whispered


def test_without_a_provider_it_ends_with_one_line(virtual_audio):
    program = Conversation(virtual_audio, "--url", "ws://127.0.0.1:1/v1", "-i", "vc_mic", "-o", "vc_speaker")
    program.until("error: ")
    assert program.process.wait(30) == 1
    assert "Traceback" not in program.complaints()
    program.close()
