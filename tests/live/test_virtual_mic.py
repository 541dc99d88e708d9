import pytest

from menura.errors import DeviceError
from menura.live import sound_server, virtual_mic
from menura.live.virtual_mic import create_virtual_microphone, remove_virtual_microphone


class Server:
    """A sound server, as pactl shows it."""

    def __init__(self, fail_on=None):
        self.modules, self.asked, self.fail_on = {}, 0, fail_on

    def __call__(self, command, *arguments):
        if command == "list":
            return "".join(f"{index}\t{name}\t{rest}\t\n" for index, (name, rest) in self.modules.items())
        if command == "load-module":
            if self.fail_on in arguments:
                raise DeviceError("the sound server refuses load-module")
            self.asked += 1
            self.modules[str(self.asked)] = (arguments[0], " ".join(arguments[1:]))
            return f"{self.asked}\n"
        del self.modules[arguments[0]]
        return ""


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(virtual_mic, "pactl", server)
    return server


def test_it_is_made_once_and_removed_whole(server):
    assert create_virtual_microphone("a")[1]
    assert not create_virtual_microphone("a")[1]
    assert [name for name, _ in server.modules.values()] == ["module-null-sink", "module-remap-source"]
    create_virtual_microphone("ab")
    assert remove_virtual_microphone("a")
    assert not remove_virtual_microphone("a")
    assert all("ab_" in rest for _, rest in server.modules.values()), "another's are left"
    assert len(server.modules) == 2


def test_half_of_one_is_completed(server):
    create_virtual_microphone("a")
    server.modules.pop("2")
    assert create_virtual_microphone("a")[1]
    assert len(server.modules) == 2


def test_nothing_is_left_when_the_server_refuses(server):
    server.fail_on = "module-remap-source"
    with pytest.raises(DeviceError, match="refuses"):
        create_virtual_microphone("a")
    assert server.modules == {}


def test_an_old_server_is_asked_without_what_it_does_not_know(server):
    server.fail_on = "norewinds=1"
    assert create_virtual_microphone("a")[1]
    assert len(server.modules) == 2


def test_elsewhere_than_on_linux_it_says_what_to_use(monkeypatch):
    for platform in ("win32", "darwin"):
        monkeypatch.setattr(sound_server.sys, "platform", platform)
        with pytest.raises(DeviceError, match=r"Linux only; on Windows install VB-CABLE, on macOS BlackHole"):
            create_virtual_microphone()


def test_a_missing_pactl_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DeviceError, match=r"pactl.* is missing: install it"):
        create_virtual_microphone()


def test_without_a_sound_server_it_says_what_to_start(monkeypatch):
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    with pytest.raises(DeviceError, match=r"no sound server runs .* start PulseAudio"):
        remove_virtual_microphone()
