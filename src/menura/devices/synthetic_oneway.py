"""One-way ports without hardware, which run when they are told to."""

import numpy as np

from menura.audio.block import Samples, as_block, silence
from menura.devices.oneway import Intake, Outlet
from menura.devices.port import PortStats
from menura.devices.synthetic import SyntheticPort

__all__ = ["SyntheticInput", "SyntheticOutput"]


class _Synthetic(SyntheticPort):
    """What both directions tell of themselves alike."""

    _side: Intake | Outlet

    def __init__(self, rate: int, block: int, device_rate: int | None, device_s: float) -> None:
        super().__init__(rate, block, device_rate, device_s)
        self.now_s = 0.0

    @property
    def error(self) -> BaseException | None:
        """What went wrong inside the callback."""
        return self._side.error

    @property
    def latency_ms(self) -> float:
        """What the port adds to the delay."""
        return self._side.latency_ms

    @property
    def called_s(self) -> float:
        """When the last callback came."""
        return self._side.called_s

    def stats(self) -> PortStats:
        """Counters so far."""
        return self._side.stats()


class SyntheticInput(_Synthetic):
    """An :class:`~menura.devices.port.InputPort` for tests and for machines without sound.

    :meth:`feed` says what the microphone will hear, :meth:`pump` lets so many frames pass.

    Args:
        rate: Hz.
        block: Frames of a callback.
        channels: Of what is read and of the device.
        device_rate: Hz, if it differs from ``rate``.
        device_s: From capture of a block's last frame to the callback.

    >>> port = SyntheticInput(block=4)
    >>> port.start()
    >>> port.feed(np.ones((4, 1), np.float32))
    >>> port.pump(8)
    >>> port.read()[:, 0].tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        rate: int = 48_000,
        block: int = 480,
        channels: int = 1,
        *,
        device_rate: int | None = None,
        device_s: float = 0.0,
    ) -> None:
        super().__init__(rate, block, device_rate, device_s)
        self.channels = channels
        self._side = self._intake = Intake(rate, self.device_rate, channels, channels)
        self._fed = silence(0, channels)

    def feed(self, x: Samples) -> None:
        """Append to what the microphone will hear, at the device's rate; after it comes silence."""
        self._fed = np.concatenate([self._fed, as_block(x, self.channels)])

    def pump(self, frames: int, *, lost: bool = False) -> None:
        """Let the device run for so many of its frames.

        Raises:
            StateError: It does not run.
        """
        for n in self._steps(frames):
            captured = self._fed[:n]
            self._fed = self._fed[n:]
            captured = np.concatenate([captured, silence(n - len(captured), self.channels)])
            adc_s = self.now_s - self._device_s
            self.now_s += n / self.device_rate
            self.alive = self.alive and self._intake.run(captured, self.now_s, adc_s, lost)

    @property
    def next_s(self) -> float:
        """When the frame that is read next was captured."""
        return self._intake.next_s

    def read(self) -> Samples:
        """Everything captured since."""
        return self._intake.read()


class SyntheticOutput(_Synthetic):
    """An :class:`~menura.devices.port.OutputPort` for tests and for machines without sound.

    :meth:`pump` lets so many frames pass; ``given`` is what the device got, ``heard`` how much of it has been heard.

    Args:
        rate: Hz.
        block: Frames of a callback.
        channels: Of the device.
        device_rate: Hz, if it differs from ``rate``.
        device_s: From the callback to the hearing of its first frame.

    >>> port = SyntheticOutput(block=4)
    >>> port.write(np.ones((4, 1), np.float32))
    >>> port.start()
    >>> port.pump(8)
    >>> port.given[:, 0].tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        rate: int = 48_000,
        block: int = 480,
        channels: int = 1,
        *,
        device_rate: int | None = None,
        device_s: float = 0.0,
    ) -> None:
        super().__init__(rate, block, device_rate, device_s)
        self.channels = channels
        self.prefill = 0
        self._side = self._outlet = Outlet(rate, self.device_rate, channels)
        self._given: list[Samples] = []

    def pump(self, frames: int, *, lost: bool = False) -> None:
        """Let the device run for so many of its frames.

        Raises:
            StateError: It does not run.
        """
        for n in self._steps(frames):
            playing = np.full((n, self.channels), np.nan, np.float32)
            running = self._outlet.run(playing, self.now_s, self.now_s + self._device_s, lost)
            self._given.append(playing)
            self.now_s += n / self.device_rate
            self.alive = self.alive and running

    @property
    def given(self) -> Samples:
        """Everything the device got, ``[n, channels]`` at its rate."""
        return np.concatenate([silence(0, self.channels), *self._given])

    @property
    def heard(self) -> Samples:
        """What of it has been heard by now."""
        given = self.given
        return given[: max(0, len(given) - round(self._device_s * self.device_rate))]

    @property
    def queued(self) -> int:
        """Frames written and not yet given to the device."""
        return self._outlet.queued

    @property
    def played(self) -> int:
        """Frames written that have been heard by now; those cut out do not count."""
        return self._outlet.played(self.now_s)

    def write(self, x: Samples) -> None:
        """Play a block next."""
        self._outlet.write(x)

    def cut(self) -> None:
        """Drop what waits, fading out."""
        self._outlet.cut()

    def settle(self) -> int | None:
        """Frames the cut has dropped, once; 0 if there was none, None until the device's next callback."""
        return self._outlet.settle()
