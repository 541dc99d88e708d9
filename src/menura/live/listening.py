"""What a microphone needs, tells and has done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from menura.audio.block import Samples
from menura.devices.port import InputPort

__all__ = ["MicrophoneListener", "MicrophoneStats", "Reconnect"]


class MicrophoneListener(Protocol):
    """What the microphone's thread calls; none of these may wait, and only ``turn_over`` may call out."""

    def heard(self, x: Samples) -> None:
        """The next block, ``[n, channels]``."""

    def broke(self) -> None:
        """What comes next does not follow what came before: after a pause, or a lost device."""

    def failed(self, error: Exception) -> None:
        """Something is wrong with the device."""

    def turn_over(self) -> None:
        """Now is the time to call out."""

    def ended(self) -> None:
        """The microphone was given back; called once."""


Reconnect = Callable[[str | int | None, bool], InputPort]
"""Opens the device of this name, index or None, looking for new ones if asked to."""


@dataclass(frozen=True, slots=True)
class MicrophoneStats:
    """What a microphone has done.

    Attributes:
        name: Of the device.
        lost: Whether it is lost and awaited.
        reopened: Times it was opened again.
        xruns: Times the device says it lost audio.
        gaps: Times audio was lost, by what the device says and by its times.
        lost_ms: Audio lost in these, as far as the device's times tell.
        latency_ms: From the microphone until its audio is here.
    """

    name: str = ""
    lost: bool = False
    reopened: int = 0
    xruns: int = 0
    gaps: int = 0
    lost_ms: float = 0.0
    latency_ms: float = 0.0
