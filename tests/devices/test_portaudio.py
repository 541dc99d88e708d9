import builtins

import pytest

from menura.devices import portaudio
from menura.devices.port import DeviceInfo
from menura.devices.portaudio import find_device, list_devices
from menura.errors import DeviceError

DEVICES = [
    DeviceInfo("Built-in Microphone", 0, "MME", 2, 0, 44_100),
    DeviceInfo("USB Microphone", 1, "MME", 1, 0, 48_000, is_default_input=True),
    DeviceInfo("Speakers", 2, "MME", 0, 2, 48_000, is_default_output=True),
    DeviceInfo("Speakers", 3, "WASAPI", 0, 2, 48_000),
]


@pytest.mark.parametrize(
    ("wanted", "kind", "index"),
    [
        (None, "input", 1),
        (None, "output", 2),
        ("usb", "input", 1),
        ("USB Microphone", "input", 1),
        (0, "input", 0),
        ("speakers", "output", 2),
    ],
)
def test_find_device_by_name_part_index_or_default(wanted, kind, index):
    assert find_device(wanted, kind, DEVICES).index == index


@pytest.mark.parametrize(
    ("wanted", "kind", "text"),
    [
        ("microphone", "input", "'microphone' fits 2 inputs; there are 'Built-in Microphone' .0., 'USB"),
        ("nothing", "input", "no input is named 'nothing'; there are 'Built-in Microphone' .0., 'USB"),
        (2, "input", "no input has the index 2"),
    ],
)
def test_find_device_lists_what_there_is_when_it_fails(wanted, kind, text):
    with pytest.raises(DeviceError, match=f"^Audio device not available: {text}"):
        find_device(wanted, kind, DEVICES)


def test_find_device_says_so_when_there_is_no_device_at_all():
    with pytest.raises(DeviceError, match=r"^Audio device not available: this machine has no audio output$"):
        find_device(None, "output", [])


def test_missing_portaudio_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DeviceError, match=r"^Audio device not available: install PortAudio .*libportaudio2"):
        list_devices()


@pytest.fixture
def listings(monkeypatch):
    """A machine whose loudspeaker came after PortAudio had started."""
    asked = []

    def listed(*, refresh=False):
        asked.append(refresh)
        return DEVICES if refresh else []

    monkeypatch.setattr(portaudio, "list_devices", listed)
    monkeypatch.setattr(portaudio, "_open", set())
    return asked


def first(devices):
    return find_device(0, "input", devices)


def test_a_device_that_came_since_portaudio_started_is_opened(listings):
    assert portaudio.found_and_opened(first, refresh=False).index == 0
    assert listings == [False, True]


def test_devices_are_not_looked_for_twice_nor_under_open_ones(listings):
    with pytest.raises(DeviceError):
        portaudio.found_and_opened(lambda devices: find_device("nothing", "input", devices), refresh=True)
    assert listings == [True]
    portaudio._open.add(object())
    with pytest.raises(DeviceError):
        portaudio.found_and_opened(first, refresh=False)
    assert listings == [True, False]
