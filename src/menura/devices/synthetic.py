"""A port without hardware, which runs when it is told to."""

import numpy as np

from menura.audio.block import Samples, as_block, silence
from menura.clock import VirtualClock
from menura.devices.exchange import Exchange, ExchangePort
from menura.devices.port import Signal
from menura.errors import DeviceError, StateError

__all__ = ["SyntheticDuplex"]


class SyntheticDuplex(ExchangePort):
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
        self.rate, self.block, self.channels = rate, block, channels
        self.device_rate = rate if device_rate is None else device_rate
        self.alive = False
        self.closed = False
        self._device_s = device_s
        self._clock = clock
        self._exchange = Exchange(rate, self.device_rate, channels)
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
        if not self.alive:
            raise StateError("the device does not run")
        while frames > 0 and self.alive:
            n = min(frames, round(self.block * self.device_rate / self.rate))
            captured = self._fed[:n]
            self._fed = self._fed[n:]
            if len(captured) < n:
                captured = np.concatenate([captured, silence(n - len(captured))])
            playing = np.full((n, self.channels), np.nan, np.float32)
            self.alive = self._exchange.run(captured, playing, self._device_s, lost_in, lost_out)
            self._played.append(playing)
            if self._clock is not None:
                self._clock.advance(n / self.device_rate)
            frames -= n

    def unplug(self) -> None:
        """Stop as a lost device does."""
        self.alive = False
        self._exchange.wake()

    @property
    def played(self) -> Samples:
        """Everything the loudspeaker has played, ``[n, channels]`` at the device's rate."""
        return np.concatenate([silence(0, self.channels), *self._played])

    def start(self, signal: Signal | None = None) -> None:
        """Let it run.

        Raises:
            DeviceError: It was closed.
        """
        if self.closed:
            raise DeviceError("Audio device not available: the port was closed")
        self._exchange.signal = signal
        self.alive = True

    def stop(self) -> None:
        """Stop; what is under way is lost."""
        self.alive = False
        self._exchange.forget()

    def close(self) -> None:
        """Stop for good."""
        self.alive = False
        self.closed = True
