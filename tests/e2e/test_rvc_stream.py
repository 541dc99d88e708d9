"""The example of an RVC callback in a sound card's stream, as it is used."""

import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.listen import median_f0
from tests.neural.rvc import FIXTURES
from tests.utterances import speech
from tests.virtual_audio import PROMPT, hear_ctrl_c

pytestmark = pytest.mark.devices
RATE = 48_000
EXAMPLE = Path(__file__).parents[2] / "examples" / "rvc_stream.py"


@contextmanager
def speaking(audio, *arguments):
    """The example, from its first block to Ctrl-C."""
    command = [*PROMPT, sys.executable, str(EXAMPLE), "-i", "vc_mic", "-o", "vc_speaker", *arguments]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=audio.env, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=hear_ctrl_c
        ) as process,
    ):
        try:
            line = " "
            while not line.startswith("speak; Ctrl-C ends"):
                line = process.stdout.readline()
                assert line, errors.seek(0) or errors.read()
            yield
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, errors.seek(0) or errors.read()
            assert process.stdout.read().splitlines()[-1] == "ended"
        finally:
            process.kill()


def heard(audio, said):
    """What comes out while this goes in, and in the second after it."""
    recording = audio.record("vc_speaker.monitor")
    audio.play("vc_virtmic", np.concatenate([said, np.zeros((RATE, 1), np.float32)]))
    return recording.stop()


def test_without_a_model_the_pitch_is_another(virtual_audio):
    said = speech(RATE, "am_michael")[: 2 * RATE]
    with speaking(virtual_audio, "--pitch", "7"):
        y = heard(virtual_audio, said)
    assert median_f0(y, RATE) == pytest.approx(median_f0(said, RATE) * 2 ** (7 / 12), rel=0.12)


@pytest.mark.parametrize("buffer", ["512", "11520"])
def test_with_a_model_it_speaks(virtual_audio, buffer):
    """One with random weights: of what it says it can only be told that it is heard. With short blocks of the card it
    computes in a thread of its own, with blocks as long as the model's in the card's call.
    """
    arguments = ("--hubert", str(FIXTURES / "hubert_tiny768"), "--f0", "tracker", "--index-rate", "0")
    arguments += ("--buffer", buffer)
    with speaking(virtual_audio, str(FIXTURES / "v2_48k_f0.pth"), *arguments):
        y = heard(virtual_audio, speech(RATE, "am_michael")[: 2 * RATE])
    assert np.sqrt(np.mean(y**2)) > 1e-3


def test_what_is_missing_is_one_line():
    done = subprocess.run([sys.executable, str(EXAMPLE), "/nowhere.pth"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "rvc_stream: Model loading failed: cannot read /nowhere.pth: No such file or directory\n"
