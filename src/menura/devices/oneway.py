"""One side of a device's callback: what an input-only or an output-only port has inside."""

from typing import NamedTuple

from menura.audio.block import Samples, remix
from menura.devices.port import PortStats, Signal
from menura.dsp.fade import fade_in_curve
from menura.dsp.resample import Resampler
from menura.dsp.ring import Overflow, Ring
from menura.units import ms_to_frames

__all__ = ["Intake", "Outlet"]

RING_S = 1.0
"""Longest stall of the other thread that loses nothing."""
SMOOTHING = 0.05
"""Weight of the newest callback in the device's time: what it tells jitters by a block."""
JUMP_S = 0.1
"""A time further from what was expected is believed at once: the device has stood still."""
CUT_MS = 5.0
"""Fade-out of what is cut."""


class _Side:
    """What both directions have: the signal, the error, and the time at which frame 0 passed the converter."""

    def __init__(self, rate: int, device_rate: int, channels: int) -> None:
        self.rate = rate
        self.device_rate = device_rate
        self.channels = channels
        self.signal: Signal | None = None
        self.error: BaseException | None = None
        self._ring = Ring(int(RING_S * device_rate), channels, Overflow.DROP_NEWEST)
        self._origin_s: float | None = None
        self._device_s = 0.0
        self._callbacks = self._xruns = 0
        self.called_s = 0.0  # when the last callback came, by the device's clock

    def _note(self, index: int, at_s: float, device_s: float) -> None:
        """Frame ``index`` passes the converter at ``at_s``, ``device_s`` from the callback."""
        measured = at_s - index / self.device_rate
        origin = self._origin_s
        if origin is None or abs(measured - origin) > JUMP_S:
            self._origin_s, self._device_s = measured, device_s
        else:
            self._origin_s = origin + SMOOTHING * (measured - origin)
            self._device_s += SMOOTHING * (device_s - self._device_s)

    def wake(self) -> None:
        """Release the signal, if the other thread waits for it."""
        signal = self.signal
        if signal is not None and signal.locked():
            signal.release()

    def _at_rate(self, device_frames: int) -> int:
        return device_frames * self.rate // self.device_rate


class Intake(_Side):
    """The ring from an input's callback to the one thread that reads.

    Args:
        rate: Of ``read``, Hz.
        device_rate: Of the callback, Hz.
        device_channels: Of the callback.
        channels: Of ``read``.
    """

    def __init__(self, rate: int, device_rate: int, device_channels: int, channels: int) -> None:
        super().__init__(rate, device_rate, device_channels)
        self._wanted = channels
        self._convert = Resampler(device_rate, rate, channels)
        self._read = 0

    def run(self, captured: Samples, now_s: float, adc_s: float, lost: bool) -> bool:
        """One callback: take what was captured.

        Args:
            captured: ``[n, device_channels]``.
            now_s: By the device's clock.
            adc_s: When its first frame was captured.
            lost: The device has lost audio before it.

        Returns:
            Whether to go on; otherwise ``error`` says why not.
        """
        try:
            self.called_s = now_s
            self._note(self._ring.written, adc_s, now_s - adc_s)
            dropped = self._ring.write(captured)
            if dropped and self._origin_s is not None:
                self._origin_s += dropped / self.device_rate  # what comes later has a smaller index than its time
            self._callbacks += 1
            self._xruns += lost
            return True
        except BaseException as error:  # raised in a callback it would reach nobody
            self.error = error
            return False
        finally:
            self.wake()

    @property
    def next_s(self) -> float:
        """When the frame that is read next was captured, by the device's clock."""
        return (self._origin_s or 0.0) + (self._read - self._convert.latency) / self.rate

    def read(self) -> Samples:
        """Everything captured since, ``[n, channels]``."""
        x = self._convert.process(remix(self._ring.read(), self._wanted))
        self._read += len(x)
        return x

    def forget(self) -> None:
        """Drop what is under way, after a stop."""
        self._ring.clear()
        self._convert.reset()
        self._read = self._ring.written * self.rate // self.device_rate
        self._origin_s = None

    @property
    def latency_ms(self) -> float:
        """From capture until a frame can be read."""
        return 1000.0 * (self._device_s + self._convert.latency / self.rate)

    def stats(self) -> PortStats:
        """Counters so far."""
        return PortStats(self._callbacks, xruns_in=self._xruns, dropped_in=self._at_rate(self._ring.dropped))


class _Block(NamedTuple):
    """The last frames a callback has fed to the device: their first and last index, and when the first is heard."""

    start: int = 0
    stop: int = 0
    at_s: float = 0.0


class _Epoch(NamedTuple):
    """From frame ``start`` of the device on, what was written counts from ``base``."""

    start: int = 0
    base: int = 0


class Outlet(_Side):
    """The ring from the one thread that writes to an output's callback.

    Args:
        rate: Of ``write``, Hz.
        device_rate: Of the callback, Hz.
        device_channels: Of the callback.
    """

    def __init__(self, rate: int, device_rate: int, device_channels: int) -> None:
        super().__init__(rate, device_rate, device_channels)
        self._convert = Resampler(rate, device_rate, device_channels)
        self._fall = fade_in_curve(ms_to_frames(CUT_MS, device_rate))[::-1].copy()
        self._fed = 0  # frames the device got, silence in between not counted
        self._block = _Block()
        self._padded = 0
        self._written = self._played = 0  # at rate
        self._epochs = (_Epoch(), _Epoch())
        self._cut_at: int | None = None  # the ring is to be skipped to here; set by the thread, cleared by the callback
        self._cut_end = 0
        self._cutting = False

    def run(self, playing: Samples, now_s: float, dac_s: float, lost: bool) -> bool:
        """One callback: give the device what to play.

        Args:
            playing: ``[n, device_channels]``, to be filled.
            now_s: By the device's clock.
            dac_s: When its first frame will be heard.
            lost: The device has run out of audio before it.

        Returns:
            Whether to go on; otherwise ``error`` says why not.
        """
        try:
            self.called_s = now_s
            start = self._fed
            given = self._cut(playing)
            given += self._ring.read_into(playing[given:])
            self._note(start, dac_s, dac_s - now_s)
            if given:
                self._fed = start + given
                self._block = _Block(start, start + given, (self._origin_s or 0.0) + start / self.device_rate)
            if given < len(playing):
                playing[given:] = 0.0
                if self._origin_s is not None:
                    self._origin_s += (len(playing) - given) / self.device_rate
                self._padded += len(playing) - given if self._ring.written else 0
            self._callbacks += 1
            self._xruns += lost
            return True
        except BaseException as error:  # raised in a callback it would reach nobody
            self.error = error
            playing[:] = 0.0
            return False
        finally:
            self.wake()

    def _cut(self, playing: Samples) -> int:
        """Fade out and skip to where the thread says; returns the frames of the fade."""
        end = self._cut_at
        if end is None:
            return 0
        n = min(end - self._ring.consumed, len(self._fall), len(playing))
        if n > 0:
            self._ring.read_into(playing[:n])
            playing[:n] *= self._fall if n == len(self._fall) else fade_in_curve(n)[::-1]
        self._ring.skip(end - self._ring.consumed)
        self._cut_end = self._fed + n
        self._cut_at = None
        return n

    def write(self, x: Samples) -> None:
        """Play a block next."""
        self._written += len(x)
        self._ring.write(self._convert.process(remix(x, self.channels)))

    def cut(self) -> None:
        """Drop what waits, at the next callback, with a fade-out; nothing may be written until it has settled."""
        if not self._cutting:
            self._cutting = True
            self._convert.reset()
            self._cut_at = self._ring.written

    def settle(self) -> int | None:
        """Frames that the last cut has dropped, once; 0 if there was none, None while the callback has yet to come."""
        if not self._cutting:
            return 0
        if self._cut_at is not None:
            return None
        kept = min(self._written, self._index(self._epochs[1], self._cut_end))
        dropped, self._written = self._written - kept, kept
        self._epochs = (self._epochs[1], _Epoch(self._cut_end, kept))
        self._cutting = False
        return dropped

    def _index(self, epoch: _Epoch, fed: int) -> int:
        """Frames written that the device has got with its first ``fed``."""
        return epoch.base + self._at_rate(max(0, fed - epoch.start - self._convert.latency))

    def played(self, now_s: float) -> int:
        """Frames written that have been heard at ``now_s``, less those that a cut has dropped."""
        block = self._block
        fed = min(block.stop, block.start + int((now_s - block.at_s) * self.device_rate))
        old, new = self._epochs
        heard = self._index(new if fed >= new.start else old, fed)
        self._played = max(self._played, min(heard, self._written))
        return self._played

    def forget(self) -> None:
        """Drop what is under way, after a stop: what was written counts as far as the device got it."""
        self._ring.clear()
        kept = min(self._written, self._index(self._epochs[1], self._fed))
        self._convert.reset()
        self._epochs = (self._epochs[1], _Epoch(self._fed, kept))
        self._written = kept
        self._origin_s = None
        self._cutting, self._cut_at = False, None

    @property
    def queued(self) -> int:
        """Frames at ``rate`` that wait in the ring."""
        return self._at_rate(len(self._ring))

    @property
    def latency_ms(self) -> float:
        """From writing a frame now until it is heard."""
        held = (len(self._ring) + self._convert.latency) / self.device_rate
        return 1000.0 * (self._device_s + held)

    def stats(self) -> PortStats:
        """Counters so far."""
        return PortStats(
            self._callbacks,
            xruns_out=self._xruns,
            dropped_out=self._at_rate(self._ring.dropped),
            padded=self._at_rate(self._padded),
        )
