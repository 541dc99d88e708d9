"""Ports without hardware, which run when they are told to: what all have, and one of both directions."""

import numpy as np

from menura.audio.block import Samples, as_block, silence
from menura.clock import VirtualClock
from menura.devices.exchange import Exchange, ExchangePort
from menura.devices.oneway import Intake, Outlet
from menura.devices.port import Signal
from menura.errors import DeviceError, StateError

__all__ = ["SyntheticDuplex", "SyntheticPort"]


class SyntheticPort:
    """The life of a port without hardware, whatever its direction.

    Args:
        rate: Hz.
        block: Frames of a callback.
        device_rate: Hz, if it differs from ``rate``.
        device_s: Delay that the device tells.
    """

    _side: Exchange | Intake | Outlet

    def __init__(self, rate: int, block: int, device_rate: int | None, device_s: float) -> None:
        self.rate, self.block = rate, block
        self.device_rate = rate if device_rate is None else device_rate
        self.alive = self.closed = False
        self._device_s = device_s

    def _steps(self, frames: int) -> list[int]:
        """So many of the device's frames, callback by callback."""
        if not self.alive:
            raise StateError("the device does not run")
        block = round(self.block * self.device_rate / self.rate)
        return [min(block, frames - at) for at in range(0, frames, block)]

    def unplug(self) -> None:
        """Stop as a lost device does."""
        self.alive = False
        self._side.wake()

    def start(self, signal: Signal | None = None) -> None:
        """Let it run.

        Raises:
            DeviceError: It was closed.
        """
        if self.closed:
            raise DeviceError("Audio device not available: the port was closed")
        self._side.signal = signal
        self.alive = True

    def stop(self) -> None:
        """Stop; what is under way is lost."""
        self.alive = False
        self._side.forget()

    def close(self) -> None:
        """Stop for good."""
        self.alive = False
        self.closed = True


class SyntheticDuplex(SyntheticPort, ExchangePort):
    """A :class:`~menura.devices.port.DuplexPort` for tests and for machines without sound.

    Nothing happens by itself: :meth:`feed` says what the microphone will hear, :meth:`pump` lets so many frames pass
    through the device, and ``played`` is what came out.

    Args:
        rate: Hz.
        block: Frames of a callback.
        channels: Of the output.
        device_rate: Hz, if it differs from ``rate``.
        device_s: From capture to playing, as the device tells.
        clock: Advanced by what is pumped.

    >>> port = SyntheticDuplex(block=4)
    >>> port.start()
    >>> port.feed(np.ones((4, 1), np.float32))
    >>> port.pump(4)
    >>> port.write(port.read() / 2)
    >>> port.pump(4)
    >>> port.played[:, 0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5]
    """

    def __init__(
        self,
        rate: int = 48_000,
        block: int = 480,
        channels: int = 1,
        *,
        device_rate: int | None = None,
        device_s: float = 0.0,
        clock: VirtualClock | None = None,
    ) -> None:
        super().__init__(rate, block, device_rate, device_s)
        self.channels = channels
        self._clock = clock
        self._side = self._exchange = Exchange(rate, self.device_rate, channels)
        self._fed = silence(0)
        self._played: list[Samples] = []

    def feed(self, x: Samples) -> None:
        """Append to what the microphone will hear, ``[n, 1]`` at the device's rate; after it comes silence."""
        self._fed = np.concatenate([self._fed, as_block(x, 1)])

    def pump(self, frames: int, *, lost_in: bool = False, lost_out: bool = False) -> None:
        """Let the device run for so many frames, whole blocks and a rest; the flags say what it has lost.

        Raises:
            StateError: It does not run.
        """
        for n in self._steps(frames):
            if not self.alive:
                return
            captured = self._fed[:n]
            self._fed = self._fed[n:]
            if len(captured) < n:
                captured = np.concatenate([captured, silence(n - len(captured))])
            playing = np.full((n, self.channels), np.nan, np.float32)
            self.alive = self._exchange.run(captured, playing, self._device_s, lost_in, lost_out)
            self._played.append(playing)
            if self._clock is not None:
                self._clock.advance(n / self.device_rate)

    @property
    def played(self) -> Samples:
        """Everything the loudspeaker has played, ``[n, channels]`` at the device's rate."""
        return np.concatenate([silence(0, self.channels), *self._played])
