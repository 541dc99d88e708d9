"""The example with three processes: a microphone, a converter and a loudspeaker over a real broker."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.voice import VoiceParameters
from tests.broker import Broker
from tests.listen import median_f0
from tests.speech import FOLDER

EXAMPLE = Path(__file__).parents[2] / "examples" / "channels_three_processes.py"
SPEECH = FOLDER / "am_michael_u1.flac"
LONG_S = 60.0


class Part:
    """One process of the three."""

    def __init__(self, name: str, url: str, *arguments: str, begins: str) -> None:
        command = [sys.executable, "-W", "error", str(EXAMPLE), name, "--url", url, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith(begins), line

    def end(self) -> str:
        """Wait for its end; what it said."""
        said, _ = self._process.communicate(timeout=LONG_S)
        assert self._process.returncode == 0, said
        return said

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def test_a_voice_goes_through_three_processes_whole_and_changed(tmp_path) -> None:
    x, rate = soundfile.read(SPEECH, dtype="float32", always_2d=True)
    target = tmp_path / "heard.wav"
    parts = []
    with Broker() as broker:
        try:
            parts.append(Part("speak", broker.url, "--file", str(target), begins="listening"))
            parts.append(Part("convert", broker.url, "--voice", "natural-woman", "--pitch", "2", begins="converting"))
            parts.append(Part("mic", broker.url, "--file", str(SPEECH), begins="speaking"))
            heard, converted, said = (part.end() for part in parts)
        finally:
            for part in parts:
                part.close()
    y, rate_out = soundfile.read(target, dtype="float32", always_2d=True)
    assert rate_out == rate
    found = re.search(r"frames=(\d+), filled=(\d+), dropped=(\d+), jumps=(\d+)", heard)
    assert found, heard
    _, filled, dropped, jumps = map(int, found.groups())
    assert (filled, dropped, jumps) == (0, 0, 0), "gap-free"
    assert "filled_frames=0" in converted and "resets=0" in converted, converted
    assert len(y) == len(x), "length kept"
    assert median_f0(y, rate) > 1.5 * median_f0(x, rate)
    stage = make_stage(find_voice("natural-woman"), rate, 1, parameters=VoiceParameters(pitch_st=2.0))
    whole = np.concatenate([stage.process(x), stage.flush()])[stage.latency :]
    assert np.abs(y - whole).max() < 1e-4, "what one process makes of the file in one piece"
    delay = re.search(r"median ([\d.]+) ms, p99 ([\d.]+) ms", heard)
    assert delay, heard
    assert float(delay[1]) > 20.0, "a stream cannot come before its last frame was said"
    assert "dropped=0, expired=0" in said, said
