"""``menura devices``: what can be recorded from and played to."""

from collections.abc import Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import Any

from menura.cli.quiet import quiet_libraries
from menura.cli.tables import Columns, show_records
from menura.devices.portaudio import list_devices
from menura.live.sound_server import server_devices

__all__ = ["show_devices"]


def show_devices(*, as_json: bool = False) -> None:
    """Print the devices of this machine.

    Raises:
        DeviceError: PortAudio is missing.
    """
    quiet_libraries()
    columns: Columns = {
        "name": itemgetter("name"),
        "index": lambda device: str(device["index"]) if device["index"] >= 0 else "",
        "in": lambda device: str(device["inputs"] or ""),
        "out": lambda device: str(device["outputs"] or ""),
        "rate": lambda device: str(device["default_rate"] or ""),
        "default": _default,
        "system": itemgetter("host_api"),
    }
    found = list_devices()
    known = {device.name for device in found}
    devices = [asdict(device) for device in [*found, *(one for one in server_devices() if one.name not in known)]]
    nothing = "This machine has no audio devices."
    show_records(devices, columns, as_json=as_json, right=("index", "in", "out", "rate"), none=nothing)


def _default(device: Mapping[str, Any]) -> str:
    return ", ".join(word for word, key in (("in", "input"), ("out", "output")) if device[f"is_default_{key}"])
