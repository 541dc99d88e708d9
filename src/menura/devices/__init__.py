"""Sound devices as ports: a callback and one thread of ours exchange audio through rings, and nothing here waits.

A :class:`~menura.devices.port.DuplexPort` is a microphone and a loudspeaker that run on one clock.
:func:`~menura.devices.portaudio.open_duplex` opens real ones;
:class:`~menura.devices.synthetic.SyntheticDuplex` needs no hardware. What runs a port is
:class:`menura.live.duplex.DuplexRunner`.
"""

from menura.devices.port import DeviceInfo, DuplexPort, PortStats, Signal
from menura.devices.portaudio import find_device, list_devices, open_duplex
from menura.devices.synthetic import SyntheticDuplex

__all__ = [
    "DeviceInfo",
    "DuplexPort",
    "PortStats",
    "Signal",
    "SyntheticDuplex",
    "find_device",
    "list_devices",
    "open_duplex",
]
