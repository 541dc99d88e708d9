"""What a sound device is to the rest of menura."""

from dataclasses import dataclass
from typing import Protocol

from menura.audio.block import Samples

__all__ = ["DeviceInfo", "DuplexPort", "InputPort", "OutputPort", "Port", "PortStats", "Signal"]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A sound device of this machine.

    ``index`` changes when devices come and go; ``name`` stays. ``inputs`` and ``outputs`` are channels,
    ``default_rate`` is in Hz.
    """

    name: str
    index: int
    host_api: str
    inputs: int
    outputs: int
    default_rate: int
    is_default_input: bool = False
    is_default_output: bool = False


@dataclass(frozen=True, slots=True)
class PortStats:
    """What a port has counted since it was opened.

    Attributes:
        callbacks: Blocks exchanged with the device.
        xruns_in: Times the device lost captured audio before we got it.
        xruns_out: Times the device ran out of audio before the callback came.
        dropped_in: Captured frames lost because nobody read them.
        dropped_out: Written frames lost because the output ring was full.
        padded: Frames of silence played because nothing was written in time, after the first audio.
    """

    callbacks: int = 0
    xruns_in: int = 0
    xruns_out: int = 0
    dropped_in: int = 0
    dropped_out: int = 0
    padded: int = 0


class Signal(Protocol):
    """A binary signal, as ``threading.Lock``: the waiting side acquires, the device's callback releases."""

    def locked(self) -> bool:
        """Whether nobody has released it since it was last acquired."""

    def release(self) -> None:
        """Let the waiting side go on; never blocks."""


class Port(Protocol):
    """What every port has. ``close`` ends it for good."""

    @property
    def rate(self) -> int:
        """Frames per second of what is read or written, Hz."""

    @property
    def block(self) -> int:
        """Frames that come or go with one callback, about."""

    @property
    def alive(self) -> bool:
        """Whether the device runs."""

    @property
    def error(self) -> BaseException | None:
        """What went wrong inside the callback, which then stopped."""

    @property
    def latency_ms(self) -> float:
        """What the port adds to the delay, as it is now: device, ring and rate conversion."""

    def start(self, signal: Signal | None = None) -> None:
        """Start the device; each callback releases ``signal``.

        Raises:
            DeviceError: The device does not start, or was closed.
        """

    def stop(self) -> None:
        """Stop the device once it has played what it holds; it can be started again."""

    def close(self) -> None:
        """Stop at once and give the device back. Twice is fine."""

    def stats(self) -> PortStats:
        """Counters so far."""


class InputPort(Port, Protocol):
    """A microphone. The callback and one other thread, to whom ``read`` belongs, may use it at the same time."""

    @property
    def channels(self) -> int:
        """Of what is read."""

    @property
    def now_s(self) -> float:
        """The device's clock."""

    @property
    def called_s(self) -> float:
        """When the last callback came, by the device's clock."""

    @property
    def next_s(self) -> float:
        """When the frame that is read next was captured, by the device's clock."""

    def read(self) -> Samples:
        """Everything captured since, ``[n, channels]``; ``n`` may be 0."""


class OutputPort(Port, Protocol):
    """A loudspeaker. The callback and one other thread, to whom all but ``start`` belongs, may use it together."""

    @property
    def channels(self) -> int:
        """Of the device."""

    @property
    def now_s(self) -> float:
        """The device's clock."""

    @property
    def called_s(self) -> float:
        """When the last callback came, by the device's clock."""

    @property
    def prefill(self) -> int:
        """Frames the device takes at once when it starts, about: what must be written before."""

    @property
    def queued(self) -> int:
        """Frames written and not yet given to the device."""

    @property
    def played(self) -> int:
        """Frames written that have been heard by now, by the times the device tells; those cut out do not count."""

    def write(self, x: Samples) -> None:
        """Play a block next, ``[n, 1]`` or ``[n, channels]``.

        Raises:
            FormatError: It has other channels.
        """

    def cut(self) -> None:
        """Drop what waits, fading out; before the next ``write``, ``settle`` must have told what was dropped."""

    def settle(self) -> int | None:
        """Frames the cut has dropped, once; 0 if there was none, None until the device's next callback."""


class DuplexPort(Protocol):
    """A mono input and an output on one clock.

    The device's callback and one other thread may use a port at the same time: ``read``, ``write``, ``queued`` and
    ``headroom`` belong to that thread. ``close`` ends it for good.
    """

    @property
    def rate(self) -> int:
        """Frames per second of ``read`` and ``write``, Hz."""

    @property
    def channels(self) -> int:
        """Output channels; the input is mono."""

    @property
    def block(self) -> int:
        """Frames that come and go with one callback, about."""

    @property
    def alive(self) -> bool:
        """Whether the device runs."""

    @property
    def error(self) -> BaseException | None:
        """What went wrong inside the callback, which then stopped."""

    @property
    def latency_ms(self) -> float:
        """From the microphone's converter to the loudspeaker's, as it is now: devices, rings and rate conversion."""

    @property
    def queued(self) -> int:
        """Frames written and not yet given to the device."""

    @property
    def headroom(self) -> int:
        """Fewest frames left in the output ring after any callback since ``headroom`` was last read.

        What is never used only delays; 0 if there was no callback.
        """

    def start(self, signal: Signal | None = None) -> None:
        """Start the device; each callback releases ``signal``.

        Raises:
            DeviceError: The device does not start, or was closed.
        """

    def stop(self) -> None:
        """Stop the device once it has played what it holds; it can be started again."""

    def close(self) -> None:
        """Stop at once and give the device back. Twice is fine."""

    def read(self) -> Samples:
        """Everything captured since, ``[n, 1]``; ``n`` may be 0."""

    def write(self, x: Samples) -> None:
        """Play a block next, ``[n, 1]`` or ``[n, channels]``.

        Raises:
            FormatError: It has other channels.
        """

    def stats(self) -> PortStats:
        """Counters so far."""
