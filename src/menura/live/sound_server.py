"""The devices of a sound server, PulseAudio or PipeWire, by their own names: PortAudio sees them as one.

A device of the server is opened through that one, its door, with the server's own variable saying which is meant.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from menura.devices.port import DeviceInfo
from menura.devices.portaudio import Kind, find_device, list_devices, turn
from menura.errors import DeviceError
from menura.live.speaking_stats import Devices, Name, ServerDevice

__all__ = ["leading_to", "pactl", "reached", "server_devices"]

TIMEOUT_S = 10.0
INSTALL = "install it (Debian, Ubuntu: apt-get install pulseaudio-utils; Fedora: dnf install pulseaudio-utils)"
DOORS = ("pulse", "default", "pipewire")
SYSTEM = "sound server"
LISTS: dict[Kind, str] = {"input": "sources", "output": "sinks"}
VARIABLES: dict[Kind, str] = {"input": "PULSE_SOURCE", "output": "PULSE_SINK"}
FORM = re.compile(r"(\d+)ch (\d+)Hz")


def pactl(*arguments: str) -> str:
    """Ask the sound server; returns what it answers.

    Raises:
        DeviceError: This is not Linux, ``pactl`` is missing, or the server does not answer or refuses.
    """
    if not sys.platform.startswith("linux"):
        raise DeviceError(
            "virtual microphones are made here on Linux only; on Windows install VB-CABLE, on macOS BlackHole, "
            "and give its name to menura live --output"
        )
    program = shutil.which("pactl")
    if program is None:
        raise DeviceError(f"pactl, which speaks to PulseAudio and PipeWire, is missing: {INSTALL}")
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"the sound server does not answer to pactl: {error}") from error
    if done.returncode:
        if "pa_context_connect" in done.stderr:
            raise DeviceError("no sound server runs for this user: start PulseAudio (pulseaudio --start) or PipeWire")
        reason = done.stderr.strip().splitlines() or ["it says nothing"]
        raise DeviceError(f"the sound server refuses {' '.join(arguments[:2])}: {reason[-1]}")
    return done.stdout


def server_devices() -> list[DeviceInfo]:
    """Microphones and loudspeakers of the sound server; none where there is no server. Their index is −1."""
    try:
        return [device for kind in LISTS for device in _listed(kind) if not device.name.endswith(".monitor")]
    except DeviceError:
        return []


def _listed(kind: Kind) -> list[DeviceInfo]:
    found = []
    for line in pactl("list", "short", LISTS[kind]).splitlines():
        _, name, _, form, *_ = [*line.split("\t"), "", "", "", ""]
        channels, rate = map(int, told.groups()) if (told := FORM.search(form)) else (0, 0)
        inputs, outputs = (channels, 0) if kind == "input" else (0, channels)
        found.append(DeviceInfo(name, -1, SYSTEM, inputs, outputs, rate))
    return found


def reached(devices: Devices) -> Devices:
    """The same devices; those that only the sound server knows by these names as :class:`ServerDevice`.

    Raises:
        DeviceError: There is none of this name; the text lists those there are.
    """
    return replace(
        devices,
        input=_reached(devices.input, "input"),
        output=_reached(devices.output, "output"),
        monitor=_reached(devices.monitor, "output"),
    )


def _reached(wanted: Name, kind: Kind) -> Name:
    if not isinstance(wanted, str) or _has(wanted, kind, list_devices()):
        return wanted
    known = list_devices(refresh=True)  # it may have come since PortAudio started
    if _has(wanted, kind, known):
        return wanted
    names = [device.name for device in known if (device.inputs if kind == "input" else device.outputs)]
    door = next((name for name in DOORS if name in names), None)
    if door is None or wanted not in _names(kind):
        find_device(wanted, kind, known)
        return wanted
    return ServerDevice(door, wanted)


def _has(wanted: str, kind: Kind, devices: list[DeviceInfo]) -> bool:
    try:
        return bool(find_device(wanted, kind, devices))
    except DeviceError:
        return False


def _names(kind: Kind) -> list[str]:
    try:
        return [device.name for device in _listed(kind)]
    except DeviceError:
        return []


@contextmanager
def leading_to(source: Name = None, sink: Name = None) -> Iterator[None]:
    """What is opened in here through a door of the sound server leads to these devices, where they are the server's.

    The variables are the process's: PortAudio's turn is held, so that nobody else opens anything meanwhile.
    """
    wanted = {VARIABLES["input"]: source, VARIABLES["output"]: sink}
    with turn:
        before = {variable: os.environ.get(variable) for variable in wanted}
        for variable, device in wanted.items():
            if isinstance(device, ServerDevice):
                os.environ[variable] = device.name
        try:
            yield
        finally:
            for variable, value in before.items():
                if value is None:
                    os.environ.pop(variable, None)
                else:
                    os.environ[variable] = value
