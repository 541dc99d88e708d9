"""Waiting for a device's callbacks, and noticing when they end."""

import threading

from menura.devices.port import Port
from menura.errors import DeviceError

__all__ = ["WAITS", "PortWatch"]

WAITS = 4
"""So many waits in a row without a callback make a lost device; one alone may be a process that was suspended."""


class PortWatch:
    """What the thread of a port waits on.

    Attributes:
        signal: To be given to ``port.start``.

    Args:
        port: Whose callbacks are awaited.
        lost_after_s: Time without a callback after which the device is lost.
    """

    def __init__(self, port: Port, lost_after_s: float = 1.0) -> None:
        self.signal = threading.Lock()
        self.signal.acquire()
        self._port = port
        self._wait_s = lost_after_s / WAITS
        self._waits = 0
        self._callbacks = -1

    def wait(self) -> None:
        """Return at the next callback, or earlier.

        Raises:
            DeviceError: The device is lost, or its callback failed.
        """
        self.signal.acquire(timeout=self._wait_s)
        now = self._port.stats().callbacks
        self._waits = self._waits + 1 if now == self._callbacks else 0
        self._callbacks = now
        if self._port.error is not None:
            raise DeviceError("Audio device not available: its callback failed") from self._port.error
        if not self._port.alive:
            raise DeviceError("Audio device not available: it has stopped or was unplugged")
        if self._waits >= WAITS:
            raise DeviceError(f"Audio device not available: silent for {WAITS * self._wait_s:g} s")
