import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from menura.cli import capture, devices
from menura.cli.meters import bar
from menura.devices.port import DeviceInfo
from menura.errors import DeviceError, FileError
from menura.live import capture_manager
from tests.commands import fails, menura, program
from tests.live.capturing import SyntheticInput

FOUND = [
    DeviceInfo("Built-in [analog] Microphone", 0, "ALSA", 2, 0, 44_100, is_default_input=True),
    DeviceInfo("Speakers", 2, "ALSA", 0, 2, 48_000, is_default_output=True),
]


def test_devices_are_listed_with_all_that_chooses_them(monkeypatch, capsys):
    monkeypatch.setattr(devices, "list_devices", lambda: FOUND)
    at_the_server = [DeviceInfo("menura_voice", -1, "sound server", 0, 2, 48_000), replace(FOUND[1], index=-1)]
    monkeypatch.setattr(devices, "server_devices", lambda: at_the_server)
    devices.show_devices()
    head, first, second, third = capsys.readouterr().out.splitlines()
    assert third.split() == ["menura_voice", "2", "48000", "sound", "server"]
    assert head.split() == ["name", "index", "in", "out", "rate", "default", "system"]
    assert first.split() == ["Built-in", "[analog]", "Microphone", "0", "2", "44100", "in", "ALSA"]
    assert second.split() == ["Speakers", "2", "2", "48000", "out", "ALSA"]


def test_devices_as_json_are_for_programs(monkeypatch, capsys):
    monkeypatch.setattr(devices, "list_devices", lambda: FOUND)
    monkeypatch.setattr(devices, "server_devices", list)
    devices.show_devices(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [device["name"] for device in told] == ["Built-in [analog] Microphone", "Speakers"]
    assert told[0]["is_default_input"] is True
    assert told[1]["outputs"] == 2


def test_a_machine_without_devices_says_so(monkeypatch, capsys):
    monkeypatch.setattr(devices, "list_devices", list)
    monkeypatch.setattr(devices, "server_devices", list)
    devices.show_devices()
    assert capsys.readouterr().out == "This machine has no audio devices.\n"


class Speaking(SyntheticInput):
    """A microphone that hears ten blocks of one level whenever it is read."""

    LEVEL = 0.25

    def read(self):
        if self.alive:
            self.feed(np.full((10 * self.block, self.channels), self.LEVEL, np.float32))
            self.pump(10 * self.block)
        return super().read()


def opens(device, *, rate, channels, block, **form):
    return Speaking(rate, block, channels)


@pytest.fixture
def microphone(monkeypatch):
    known = capture_manager.AudioCaptureManager.__init__.__kwdefaults__
    monkeypatch.setattr(capture_manager.AudioCaptureManager.__init__, "__kwdefaults__", known | {"open_port": opens})


def test_so_many_seconds_are_exactly_so_many_frames(microphone, tmp_path: Path, capsys):
    from menura import read_audio

    target = tmp_path / "take.flac"
    capture.capture_to_file(target, None, rate=16_000, channels=2, seconds=0.51)
    x, rate = read_audio(target)
    assert (x.shape, rate) == ((8160, 2), 16_000)
    assert np.all(x == 0.25)
    assert capsys.readouterr().err == f"{target}: 0.5 s\n"


def test_without_speech_nothing_is_written(microphone, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(Speaking, "LEVEL", 0.001)
    target = tmp_path / "take.wav"
    target.write_text("as before")
    with pytest.raises(DeviceError, match=r"no speech was heard: .*take.wav was not written"):
        capture.capture_to_file(target, None, seconds=1.0, vad=True)
    assert target.read_text() == "as before"
    assert len(list(tmp_path.iterdir())) == 1


def test_so_many_seconds_end_though_the_microphone_stays_away(monkeypatch, tmp_path: Path, capsys):
    from menura import read_audio

    opened = []

    def once(device, *, rate, channels, block, **form):
        opened.append(device)
        if len(opened) > 2:
            raise DeviceError("Audio device not available: it is away")
        return Leaving(rate, block, channels)

    known = capture_manager.AudioCaptureManager.__init__.__kwdefaults__
    monkeypatch.setattr(capture_manager.AudioCaptureManager.__init__, "__kwdefaults__", known | {"open_port": once})
    monkeypatch.setattr(capture, "PATIENCE_S", 0.0)
    target = tmp_path / "take.wav"
    capture.capture_to_file(target, None, rate=16_000, seconds=0.5)
    assert len(read_audio(target)[0]) == 3200
    assert "menura: Audio device not available: " in capsys.readouterr().err


class Leaving(Speaking):
    """One that is unplugged after ten blocks."""

    def read(self):
        x = super().read()
        self.unplug()
        return x


def test_a_disk_that_is_full_ends_it(microphone, monkeypatch, tmp_path: Path):
    def full(self, x):
        raise FileError("take.wav: cannot be written (no space)")

    monkeypatch.setattr(capture.AudioWriter, "write", full)
    with pytest.raises(FileError, match="no space"):
        capture.capture_to_file(tmp_path / "take.wav", None)
    assert list(tmp_path.iterdir()) == []


def test_failures_are_one_clear_line(tmp_path: Path):
    assert "cannot write this format" in fails("capture", tmp_path / "x.xyz")
    assert "Audio device not available: " in fails(
        "capture", tmp_path / "x.wav", "--input", "no such thing", run=program
    )
    assert list(tmp_path.iterdir()) == []
    assert menura("capture", tmp_path / "x.wav", "--channels", 3).returncode == 2


@pytest.mark.parametrize(("level", "shown"), [(0.0, "░░░░  -∞  dB"), (1.0, "████    0 dB"), (2.0, "████    6 dB")])
def test_a_level_is_a_bar(level, shown):
    assert bar(level, 4) == shown
