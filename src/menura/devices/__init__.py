"""Sound devices as ports: a callback and one thread of ours exchange audio through rings, and nothing here waits.

A :class:`~menura.devices.port.DuplexPort` is a microphone and a loudspeaker that run on one clock; an
:class:`~menura.devices.port.InputPort` or an :class:`~menura.devices.port.OutputPort` is one of them alone.
:func:`~menura.devices.portaudio.open_duplex`, :func:`~menura.devices.portaudio_oneway.open_input` and
:func:`~menura.devices.portaudio_oneway.open_output` open real ones; the synthetic ones need no hardware. What runs
them is :mod:`menura.live`: ``duplex``, ``route``, ``microphone``, ``capture``, ``player``.
"""

from menura.devices.port import DeviceInfo, DuplexPort, InputPort, OutputPort, PortStats, Signal
from menura.devices.portaudio import find_device, list_devices, open_duplex
from menura.devices.portaudio_oneway import open_input, open_output
from menura.devices.synthetic import SyntheticDuplex
from menura.devices.synthetic_oneway import SyntheticInput, SyntheticOutput

__all__ = [
    "DeviceInfo",
    "DuplexPort",
    "InputPort",
    "OutputPort",
    "PortStats",
    "Signal",
    "SyntheticDuplex",
    "SyntheticInput",
    "SyntheticOutput",
    "find_device",
    "list_devices",
    "open_duplex",
    "open_input",
    "open_output",
]
