"""Making and removing virtual microphones on Linux, through ``pactl``."""

import os
import shutil
import subprocess
import sys

from menura.devices.port import DeviceInfo
from menura.devices.portaudio import find_device, list_devices
from menura.devices.virtual import STEADY, VirtualMicrophone, loaded_modules
from menura.errors import DeviceError

__all__ = ["create_virtual_microphone", "find_output", "remove_virtual_microphone"]

TIMEOUT_S = 10.0
INSTALL = "install it (Debian, Ubuntu: apt-get install pulseaudio-utils; Fedora: dnf install pulseaudio-utils)"


def create_virtual_microphone(name: str = "menura") -> tuple[VirtualMicrophone, bool]:
    """Make a virtual microphone, or complete the one that is there.

    Returns:
        Its names, and whether anything had to be made.

    Raises:
        ConfigError: The name cannot be one.
        DeviceError: This is not Linux, ``pactl`` is missing, or the sound server does not answer or refuses.
    """
    wanted = VirtualMicrophone(name)
    have = _loaded()
    made: list[str] = []
    try:
        for module, key, arguments in wanted.modules:
            if not _indexes(have, module, key):
                made.append(_load(module, arguments))
    except DeviceError:
        for index in reversed(made):
            _pactl("unload-module", index)
        raise
    return wanted, bool(made)


def remove_virtual_microphone(name: str = "menura") -> bool:
    """Remove a virtual microphone; programs that record from it are moved to another, or end.

    Returns:
        Whether there was one.

    Raises:
        ConfigError: The name cannot be one.
        DeviceError: This is not Linux, ``pactl`` is missing, or the sound server does not answer.
    """
    wanted = VirtualMicrophone(name)
    have = _loaded()
    indexes = [index for module, key, _ in reversed(wanted.modules) for index in _indexes(have, module, key)]
    for index in indexes:
        _pactl("unload-module", index)
    return bool(indexes)


def find_output(wanted: str | int | None) -> str | int | None:
    """A device to open for an output that PortAudio may not know: it has no names for what a sound server offers.

    PortAudio sees PulseAudio and PipeWire as one device, ``pulse`` or ``default``. A sink of the server's is reached
    through that, with ``PULSE_SINK`` set for this process; its other outputs through the same device then go there too.

    Args:
        wanted: Name of a device, or of a sink of the sound server, or an index, or None.

    Returns:
        ``wanted``, or the name of the device that leads to the sink.

    Raises:
        DeviceError: No output is named so; the text lists those there are.
    """
    if not isinstance(wanted, str) or _is_output(wanted, list_devices()):
        return wanted
    devices = list_devices(refresh=True)  # it may have come since PortAudio started
    if _is_output(wanted, devices):
        return wanted
    names = [device.name for device in devices if device.outputs]
    door = next((name for name in ("pulse", "default", "pipewire") if name in names), None)
    if door is None or wanted not in _sinks():
        find_device(wanted, "output", devices)
    os.environ["PULSE_SINK"] = wanted
    return door


def _is_output(wanted: str, devices: list[DeviceInfo]) -> bool:
    try:
        return bool(find_device(wanted, "output", devices))
    except DeviceError:
        return False


def _sinks() -> list[str]:
    try:
        return [line.split("\t")[1] for line in _pactl("list", "short", "sinks").splitlines() if "\t" in line]
    except DeviceError:
        return []


def _load(module: str, arguments: tuple[str, ...]) -> str:
    """Load a module; returns its index."""
    try:
        return _pactl("load-module", module, *arguments).strip()
    except DeviceError:
        if STEADY not in arguments:
            raise
        return _pactl("load-module", module, *(argument for argument in arguments if argument != STEADY)).strip()


def _loaded() -> list[tuple[str, str, str]]:
    return loaded_modules(_pactl("list", "short", "modules"))


def _indexes(have: list[tuple[str, str, str]], module: str, key: str) -> list[str]:
    return [index for index, name, arguments in have if name == module and key in arguments.split()]


def _pactl(*arguments: str) -> str:
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
