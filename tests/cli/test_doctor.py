import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from menura.cli import doctor
from menura.devices import portaudio
from menura.devices.port import DeviceInfo
from menura.errors import DeviceError
from menura.live import sound_server
from menura.server import app
from tests import commands

DEVICES = [DeviceInfo(f"card {n}", n, "ALSA", 1, 2, 48_000) for n in range(5)]


@pytest.fixture
def menura(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., "CompletedProcess[str]"]:
    def server(*_: str) -> str:
        raise DeviceError("no sound server runs for this user: start one")

    monkeypatch.setattr(portaudio, "list_devices", lambda: DEVICES)
    monkeypatch.setattr(sound_server, "pactl", server)
    lines = [
        "new>=1; python_version >= '9.9' and extra == 'vad'",
        "onnx>=1; extra == 'all'",
        "numpy>=1; extra == 'vad'",
        'not-there[x]>=2; extra == "vad"',
        "numpy>=1",
    ]
    monkeypatch.setattr(doctor, "requires", lambda _: lines)
    home = {"MENURA_HOME": str(tmp_path / "home")}
    return lambda *arguments: commands.menura("doctor", *arguments, environment=home)


def test_what_is_here_and_what_to_do_is_told(menura, tmp_path):
    done = menura("--json")
    assert done.returncode == 0, done.stderr
    told = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert told["loudspeakers"]["found"] == "card 0, card 1, card 2 and 2 more"
    assert told["library"]["found"] == f"15 voices; {tmp_path / 'home'}"
    assert (told["models"]["ok"], told["models"]["advice"]) == (False, "menura models pull: for RVC voices")
    if "virtual microphone" in told:
        assert told["virtual microphone"]["found"].endswith("start one")
    assert [name for name in told if name.startswith("extra")] == ["extra vad"]
    assert told["extra vad"]["advice"] == "pip install 'menura[vad]'"
    assert told["extra vad"]["found"].startswith("numpy ")
    assert "kernels" in menura().stdout
    assert not (tmp_path / "home").exists()


def test_what_nothing_goes_without_is_an_error(menura, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "PAGE", tmp_path)
    done = menura()
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("page"))
    assert line.split(maxsplit=3) == ["page", "!!", "not", "built" + line.partition("built")[2]]
    assert line.endswith("make page")
