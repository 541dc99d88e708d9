"""``menura devices``: what can be recorded from and played to."""

import json
from dataclasses import asdict

from menura.cli.quiet import quiet_libraries
from menura.devices.port import DeviceInfo
from menura.devices.portaudio import list_devices

__all__ = ["show_devices"]


def show_devices(*, as_json: bool = False) -> None:
    """Print the devices of this machine.

    Raises:
        DeviceError: PortAudio is missing.
    """
    quiet_libraries()
    devices = list_devices()
    if as_json:
        print(json.dumps([asdict(device) for device in devices], indent=2))
        return
    if not devices:
        print("This machine has no audio devices.")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "index", "in", "out", "rate", "default", "system", box=None, header_style="bold")
    for column in table.columns[1:5]:
        column.justify = "right"
    for device in devices:
        channels = [str(count) if count else "" for count in (device.inputs, device.outputs)]
        table.add_row(
            Text(device.name), str(device.index), *channels, str(device.default_rate), _default(device), device.host_api
        )
    Console().print(table)


def _default(device: DeviceInfo) -> str:
    marks = [word for word, is_it in (("in", device.is_default_input), ("out", device.is_default_output)) if is_it]
    return ", ".join(marks)
