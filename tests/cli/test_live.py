import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from menura import read_audio
from menura.cli import live
from menura.errors import DeviceError, ModelError
from menura.live.speaking import Devices, SpeakingStats
from menura.voices.builtin import find_voice
from menura.voices.voice import VoiceParameters
from tests.commands import fails, menura, program

STATS = SpeakingStats(True, 0.1, 0.05, 20.0, 28.0, 90.0, 138.0, 1, 2, -12.5, 0.04, False, 118.0)
AWAY = DeviceError("Audio device not available: it was unplugged")


class Scripted:
    """Stands for Speaking: runs, is lost, comes back, and then it is enough."""

    ended: threading.Event

    def __init__(self, session, devices, *, recorder, tell):
        self.recorder, self.tell, self.looks, self.names = recorder, tell, 0, ("Mic", "Out", "")
        self.running, self.error = False, None
        Scripted.last = self

    def start(self):
        self.running = True

    def stats(self):
        self.looks += 1
        if self.looks == 2:
            self.tell(AWAY)
        if self.looks == 4:
            self.tell(None)
            Scripted.ended.set()
        if self.recorder is not None:
            block = np.full((480, 1), 0.25, np.float32)
            self.recorder.push(block, -block)
        return replace(STATS, lost=self.looks in (2, 3))

    def stop(self):
        self.running = False


@pytest.fixture
def scripted(monkeypatch):
    real = live.until_interrupted

    class Known:
        def __enter__(self):
            self._inner = real()
            Scripted.ended = self._inner.__enter__()
            return Scripted.ended

        def __exit__(self, *error):
            return self._inner.__exit__(*error)

    monkeypatch.setattr(live, "until_interrupted", Known)
    monkeypatch.setattr(live, "reached", lambda devices: devices)
    monkeypatch.setattr(live, "Speaking", Scripted)
    for name, value in (("LOOK_S", 0.001), ("LINE_EVERY_S", 0.0)):
        monkeypatch.setattr(live, name, value)
    return Scripted


def test_a_lost_device_is_told_once_and_awaited(scripted, tmp_path: Path, capsys):
    target = tmp_path / "both.flac"
    live.speak(find_voice("robot"), VoiceParameters(), Devices(), target)
    out, err = capsys.readouterr()
    told = [line for line in err.splitlines() if line.startswith("menura: ")]
    assert told == [f"menura: {AWAY}; waiting for it to return", "menura: the devices are back"]
    assert not scripted.last.running
    assert (
        "in -20 out -26 dB  latency 138 ms = capture 20 + voice 28 + playback 90  xruns 1  gaps 2  clocks -12 ppm"
        in out
    )
    assert out.count("waiting for the device  xruns 1") == 2
    both, rate = read_audio(target)
    assert rate == 48_000
    assert len(both) == 480 * scripted.last.looks
    np.testing.assert_array_equal(np.unique(both, axis=0), [[0.25, -0.25]])


def test_a_fault_of_the_voice_ends_it_and_leaves_no_file(scripted, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Scripted, "start", lambda self: setattr(self, "error", ModelError("no such voice")))
    with pytest.raises(ModelError):
        live.speak(find_voice("robot"), VoiceParameters(), Devices(), tmp_path / "both.wav")
    assert list(tmp_path.iterdir()) == []


def test_failures_are_one_clear_line(tmp_path: Path):
    assert "Voice not found: nobody" in fails("live", "--voice", "nobody")
    missing = ("live", "-v", "robot", "-o", "no such", "--record", tmp_path / "x.wav")
    assert "Audio device not available: " in fails(*missing, run=program)
    assert "1 to 40 letters" in fails("virtual-mic", "create", "--name", "two words")
    assert list(tmp_path.iterdir()) == []
    assert menura("live").returncode == 2
    assert menura("live", "--voice", "robot", "--pitch", 99).returncode == 2
