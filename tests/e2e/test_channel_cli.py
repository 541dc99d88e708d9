"""``menura channel speak`` and ``listen``: a microphone on one machine, a loudspeaker on another."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.broker import Broker
from tests.hearing import RATE, parts
from tests.utterances import speech
from tests.virtual_audio import PROMPT, in_vain

pytestmark = pytest.mark.devices


def test_microphone_here_is_heard_there_and_ends_with_it(virtual_audio):
    """Best of three, for a busy machine."""
    x = speech(RATE, "am_michael")[: 3 * RATE]
    tries = []
    with Broker() as broker:
        for _ in range(3):
            found = parts(spoken_and_heard(virtual_audio, broker.url, x), x[:, 0], near=RATE // 10)
            tries.append((len(found), int(np.sum(found[:, 1] < 0.9))))
            if len(found) > 30 and tries[-1][1] <= len(found) / 10:
                return
    in_vain("parts, parts lost", tries)


def spoken_and_heard(audio, url, x):
    """What comes out there while it is said here."""

    def start(*arguments):
        command = [*PROMPT, sys.executable, "-m", "menura", "channel", *arguments, "--url", url]
        return subprocess.Popen(command, env=audio.env, stderr=subprocess.PIPE, text=True)

    listener = start("listen", "voice", "--device", "vc_speaker")
    assert "listening to voice" in listener.stderr.readline()
    recording = audio.record("vc_speaker.monitor")
    speaker = start("speak", "voice", "--device", "vc_mic")
    assert "speaking to voice" in speaker.stderr.readline()
    audio.play("vc_virtmic", np.concatenate([np.zeros((RATE // 2, 1), np.float32), x]))
    speaker.send_signal(signal.SIGINT)
    for process in (speaker, listener):
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    return recording.stop()[:, 0]
