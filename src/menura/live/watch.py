"""Waiting for a device's callbacks, and noticing when they end."""

import math
import threading
from contextlib import suppress

from menura.devices.port import Port
from menura.errors import DeviceError

__all__ = ["WAITS", "PortLife", "PortWatch"]

WAITS = 4
"""So many waits in a row without a callback, or more, make a lost device; one may be a process that was suspended."""
LONGEST_WAIT_S = 0.25
"""So that whoever waits also sees, soon enough, that it shall end."""


class _Wake:
    """A lock that the device's callback and others may release at the same moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.acquire, self.locked = self._lock.acquire, self._lock.locked

    def release(self) -> None:
        with suppress(RuntimeError):  # the other was first
            self._lock.release()


class PortWatch:
    """What the thread of a port waits on.

    Attributes:
        signal: To be given to ``port.start``.

    Args:
        port: Whose callbacks are awaited.
        lost_after_s: Time without a callback after which the device is lost.
    """

    def __init__(self, port: Port, lost_after_s: float = 1.0) -> None:
        self.signal = _Wake()
        self._port = port
        self._lost_after_s = lost_after_s
        self._limit = max(WAITS, math.ceil(lost_after_s / LONGEST_WAIT_S))
        self._waits = 0
        self._callbacks = -1

    def wake(self) -> None:
        """Let :meth:`wait` return now. Any thread."""
        self.signal.release()

    def wait(self) -> None:
        """Return at the next callback, or earlier.

        Raises:
            DeviceError: The device is lost, or its callback failed.
        """
        self.signal.acquire(timeout=self._lost_after_s / self._limit)
        now = self._port.stats().callbacks
        self._waits = self._waits + 1 if now == self._callbacks else 0
        self._callbacks = now
        if self._port.error is not None:
            raise DeviceError("Audio device not available: its callback failed") from self._port.error
        if not self._port.alive:
            raise DeviceError("Audio device not available: it has stopped or was unplugged")
        if self._waits >= self._limit:
            raise DeviceError(f"Audio device not available: silent for {self._lost_after_s:g} s")


class PortLife:
    """Whether a port on which nobody waits still calls.

    Args:
        port: Which.
        lost_after_s: Time without a callback after which the device is lost.
    """

    def __init__(self, port: Port, lost_after_s: float = 1.0) -> None:
        self._port = port
        self._lost_after_s = lost_after_s
        self._callbacks = -1
        self._since_s = 0.0

    def fault(self, now_s: float) -> DeviceError | None:
        """What is wrong with it, if anything; to be asked again and again."""
        port = self._port
        if port.error is not None:
            return DeviceError("Audio device not available: its callback failed")
        if not port.alive:
            return DeviceError("Audio device not available: it has stopped or was unplugged")
        callbacks = port.stats().callbacks
        if callbacks != self._callbacks:
            self._callbacks, self._since_s = callbacks, now_s
        elif now_s - self._since_s > self._lost_after_s:
            return DeviceError(f"Audio device not available: silent for {self._lost_after_s:g} s")
        return None
