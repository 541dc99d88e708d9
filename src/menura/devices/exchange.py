"""Both sides of a device's callback: what every port has inside."""

from typing import NamedTuple

from menura.audio.block import Samples, remix
from menura.devices.port import PortStats, Signal
from menura.dsp.resample import Resampler
from menura.dsp.ring import Overflow, Ring
from menura.units import frames_to_ms

__all__ = ["Exchange", "ExchangePort"]

RING_S = 1.0
"""Longest stall of the reading thread that loses nothing."""
SMOOTHING = 0.05
"""Weight of the newest callback in the device's delay: its times jitter by a block."""


class _Seen(NamedTuple):
    """What a callback left for the other thread: replaced as a whole, never changed."""

    window: int = -1
    headroom: int = 0
    device_s: float = 0.0
    lead: int = 0


class Exchange:
    """The rings between a device's callback and the one thread that reads and writes.

    Each ring has one writer and one reader and so needs no lock. The callback's side is :meth:`run`: it copies, counts
    and releases the signal, and never raises, waits or logs.

    Args:
        rate: Of ``read`` and ``write``, Hz.
        device_rate: Of the callback, Hz.
        channels: Output channels; the input is mono.
    """

    def __init__(self, rate: int, device_rate: int, channels: int) -> None:
        self.rate = rate
        self.device_rate = device_rate
        self.channels = channels
        self.signal: Signal | None = None
        self.error: BaseException | None = None
        capacity = int(RING_S * device_rate)
        self._captured = Ring(capacity, 1, Overflow.DROP_NEWEST)
        self._playing = Ring(capacity, channels, Overflow.DROP_NEWEST)
        self._from_device = Resampler(device_rate, rate)
        self._to_device = Resampler(rate, device_rate, channels)
        self._conversion_s = self._from_device.latency / rate + self._to_device.latency / device_rate
        self._seen = _Seen()
        self._window = 0
        self._shift = 0
        self._callbacks = self._xruns_in = self._xruns_out = self._padded = 0

    def run(self, captured: Samples, playing: Samples, device_s: float, lost_in: bool, lost_out: bool) -> bool:
        """One callback: take what the device captured, give it what to play.

        Args:
            captured: ``[n, 1]``.
            playing: ``[n, channels]``, to be filled.
            device_s: From the capture of the block's first frame to the playing of its first frame.
            lost_in: The device has lost captured audio.
            lost_out: The device has run out of audio.

        Returns:
            Whether to go on; otherwise ``error`` says why not.
        """
        try:
            # output before input: the other thread may see too few frames under way, never too many
            index_in, index_out = self._captured.written, self._playing.consumed
            given = self._playing.read_into(playing)
            if given < len(playing):
                playing[given:] = 0.0
                self._padded += len(playing) - given if self._playing.written else 0
            self._captured.write(captured)
            self._callbacks += 1
            self._xruns_in += lost_in
            self._xruns_out += lost_out
            self._note(device_s, index_in - index_out)
            return True
        except BaseException as error:  # raised in a callback it would reach nobody
            self.error = error
            playing[:] = 0.0
            return False
        finally:
            self.wake()

    def _note(self, device_s: float, lead: int) -> None:
        seen, left = self._seen, len(self._playing)
        headroom = min(left, seen.headroom) if seen.window == self._window else left
        weight = SMOOTHING if seen.window >= 0 else 1.0
        device_s = seen.device_s + weight * (device_s - seen.device_s)
        self._seen = _Seen(self._window, headroom, device_s, lead)

    def wake(self) -> None:
        """Release the signal, if the other thread waits for it."""
        signal = self.signal
        if signal is not None and signal.locked():
            signal.release()

    def read(self) -> Samples:
        """Everything captured since, at ``rate``."""
        return self._from_device.process(self._captured.read())

    def write(self, x: Samples) -> None:
        """Play a block next."""
        self._playing.write(self._to_device.process(remix(x, self.channels)))
        self._shift = self._playing.written - self._captured.consumed

    def forget(self) -> None:
        """Drop what is under way, after a stop."""
        self._captured.clear()
        self._playing.clear()
        self._from_device.reset()
        self._to_device.reset()
        self._seen = _Seen()

    @property
    def queued(self) -> int:
        """Frames at ``rate`` that wait in the output ring."""
        return self._at_rate(len(self._playing))

    @property
    def headroom(self) -> int:
        """Fewest frames at ``rate`` left after a callback since last asked."""
        self._window += 1
        return self._at_rate(self._seen.headroom)

    @property
    def latency_ms(self) -> float:
        """From capture to playing.

        Derivation: the captured frame ``i`` is written as frame ``i + shift``. A callback whose first captured frame is
        ``a`` and whose first played frame is ``b``, ``d`` seconds later, so plays frame ``a`` after
        ``d + (a + shift − b) / rate``; it notes ``d``, smoothed, and the lead ``a − b``.
        """
        seen = self._seen
        held_ms = frames_to_ms(seen.lead + self._shift, self.device_rate)
        return 1000.0 * (seen.device_s + self._conversion_s) + held_ms

    def stats(self) -> PortStats:
        """Counters so far."""
        return PortStats(
            self._callbacks,
            self._xruns_in,
            self._xruns_out,
            self._at_rate(self._captured.dropped),
            self._at_rate(self._playing.dropped),
            self._at_rate(self._padded),
        )

    def _at_rate(self, device_frames: int) -> int:
        return device_frames * self.rate // self.device_rate


class ExchangePort:
    """What every port has of its exchange."""

    _exchange: Exchange

    @property
    def error(self) -> BaseException | None:
        """What went wrong inside the callback."""
        return self._exchange.error

    @property
    def latency_ms(self) -> float:
        """From the microphone's converter to the loudspeaker's, by the times the device tells."""
        return self._exchange.latency_ms

    @property
    def queued(self) -> int:
        """Frames written and not yet given to the device."""
        return self._exchange.queued

    @property
    def headroom(self) -> int:
        """Fewest frames left after a callback since last asked."""
        return self._exchange.headroom

    def read(self) -> Samples:
        """Everything captured since."""
        return self._exchange.read()

    def write(self, x: Samples) -> None:
        """Play a block next."""
        self._exchange.write(x)

    def stats(self) -> PortStats:
        """Counters so far."""
        return self._exchange.stats()
