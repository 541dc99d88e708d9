"""A microphone alone, or a loudspeaker alone, through PortAudio."""

from typing import Any

from menura.audio.block import Samples
from menura.audio.format import check_channels, check_rate
from menura.devices.oneway import Intake, Outlet
from menura.devices.port import DeviceInfo, PortStats
from menura.devices.portaudio import (
    LONGEST_DELAY_S,
    PortAudioStream,
    find_device,
    first_rate,
    found_and_opened,
    load,
)
from menura.errors import ConfigError

__all__ = ["PortAudioInput", "PortAudioOutput", "open_input", "open_output"]


def open_input(
    device: str | int | None = None,
    *,
    rate: int = 48_000,
    channels: int = 1,
    block: int | None = None,
    latency_s: float = 0.04,
    refresh: bool = False,
) -> "PortAudioInput":
    """Open a microphone, not yet started.

    A device that cannot run at ``rate`` is opened at its own, and what comes is converted; likewise channels.

    Args:
        device: Name, part of a name or index; None for the default.
        rate: Of what is read, Hz.
        channels: Of what is read.
        block: Frames of a callback; 10 ms by default.
        latency_s: What the device may buffer: less risks gaps.
        refresh: Look at once for devices that came since PortAudio started; otherwise it is done where the device is
            not found or does not open.

    Raises:
        DeviceError: The device is missing, in use, or cannot run; the text starts with "Audio device not available".
        ConfigError: An argument is out of range.
    """
    form = _form(rate, channels, block, latency_s)

    def make(devices: list[DeviceInfo]) -> PortAudioInput:
        found, sd = find_device(device, "input", devices), load()
        rates = (rate, found.default_rate, 48_000, 44_100)
        return first_rate(sd, rates, lambda at: PortAudioInput(sd, found, form, at), repr(found.name))

    return found_and_opened(make, refresh=refresh)


def open_output(
    device: str | int | None = None,
    *,
    rate: int = 48_000,
    channels: int = 1,
    block: int | None = None,
    latency_s: float = 0.04,
    refresh: bool = False,
) -> "PortAudioOutput":
    """Open a loudspeaker, not yet started.

    A device that cannot run at ``rate`` is opened at its own, and what is written is converted; mono plays on both
    sides of a stereo device.

    Args:
        device: Name, part of a name or index; None for the default.
        rate: Of what is written, Hz.
        channels: Of what is written.
        block: Frames of a callback; 10 ms by default.
        latency_s: What the device may buffer: less risks gaps.
        refresh: Look at once for devices that came since PortAudio started; otherwise it is done where the device is
            not found or does not open.

    Raises:
        DeviceError: The device is missing, in use, or cannot run; the text starts with "Audio device not available".
        ConfigError: An argument is out of range.
    """
    form = _form(rate, channels, block, latency_s)

    def make(devices: list[DeviceInfo]) -> PortAudioOutput:
        found, sd = find_device(device, "output", devices), load()
        rates = (rate, found.default_rate, 48_000, 44_100)
        return first_rate(sd, rates, lambda at: PortAudioOutput(sd, found, form, at), repr(found.name))

    return found_and_opened(make, refresh=refresh)


Form = tuple[int, int, int, float]
"""Rate, channels, frames of a callback, device's buffer in seconds."""


def _form(rate: int, channels: int, block: int | None, latency_s: float) -> Form:
    check_rate(rate)
    check_channels(channels)
    frames = rate // 100 if block is None else block
    if frames < 1 or not 0.0 < latency_s <= 2.0:
        raise ConfigError(f"block must be at least 1 frame and latency_s in 0…2, not {block} and {latency_s}")
    return rate, channels, frames, latency_s


def _device_channels(wanted: int, have: int) -> int:
    """Channels to open: those wanted, or what they can be mapped to."""
    if wanted <= have:
        return wanted if wanted > 1 else min(2, have)
    return 1


def _options(device: DeviceInfo, form: Form, device_rate: int) -> dict[str, Any]:
    rate, _, block, latency_s = form
    return {
        "samplerate": device_rate,
        "blocksize": round(block * device_rate / rate),
        "device": device.index,
        "dtype": "float32",
        "latency": latency_s,
    }


class _OneWay(PortAudioStream):
    """What both directions tell of themselves alike."""

    _side: Intake | Outlet

    @property
    def error(self) -> BaseException | None:
        """What went wrong inside the callback."""
        return self._side.error

    @property
    def called_s(self) -> float:
        """When the last callback came, by the device's clock."""
        return self._side.called_s

    def stats(self) -> PortStats:
        """Counters so far."""
        return self._side.stats()


class PortAudioInput(_OneWay):
    """An :class:`~menura.devices.port.InputPort` on a real device; made by :func:`open_input`."""

    def __init__(self, sd: Any, device: DeviceInfo, form: Form, device_rate: int) -> None:
        self.input = device
        self.rate, self.channels, self.block, _ = form
        self.device_rate = device_rate
        opened = self.channels if self.channels <= device.inputs else 1
        self._side = self._intake = Intake(self.rate, device_rate, opened, self.channels)
        stream = sd.InputStream(
            channels=opened,
            callback=self._callback,
            finished_callback=self._finished,
            **_options(device, form, device_rate),
        )
        super().__init__(sd, stream, repr(device.name))

    def _callback(self, captured: Samples, _: int, time: Any, status: Any) -> None:
        now_s, adc_s = time.currentTime, time.inputBufferAdcTime
        if not (adc_s and 0.0 <= now_s - adc_s < LONGEST_DELAY_S):
            adc_s = now_s - self._declared_s
        if not self._intake.run(captured, now_s, adc_s, bool(status.input_overflow)):
            raise self._abort

    @property
    def latency_ms(self) -> float:
        """From the microphone's converter until a frame can be read."""
        return self._intake.latency_ms

    @property
    def next_s(self) -> float:
        """When the frame that is read next was captured, by the device's clock."""
        return self._intake.next_s

    def read(self) -> Samples:
        """Everything captured since."""
        return self._intake.read()


class PortAudioOutput(_OneWay):
    """An :class:`~menura.devices.port.OutputPort` on a real device; made by :func:`open_output`."""

    def __init__(self, sd: Any, device: DeviceInfo, form: Form, device_rate: int) -> None:
        self.output = device
        self.rate, wanted, self.block, _ = form
        self.device_rate = device_rate
        self.channels = _device_channels(wanted, device.outputs)
        self._side = self._outlet = Outlet(self.rate, device_rate, self.channels)
        stream = sd.OutputStream(
            channels=self.channels,
            callback=self._callback,
            finished_callback=self._finished,
            **_options(device, form, device_rate),
        )
        super().__init__(sd, stream, repr(device.name))
        # measured on PulseAudio's ALSA plugin: one and a half times what it declares, in callbacks without a pause
        self.prefill = round(1.5 * self._declared_s * self.rate) + self.block

    def _callback(self, playing: Samples, _: int, time: Any, status: Any) -> None:
        now_s, dac_s = time.currentTime, time.outputBufferDacTime
        if not 0.0 <= dac_s - now_s < LONGEST_DELAY_S:
            dac_s = now_s + self._declared_s
        if not self._outlet.run(playing, now_s, dac_s, bool(status.output_underflow)):
            raise self._abort

    @property
    def latency_ms(self) -> float:
        """From writing a frame now until it leaves the loudspeaker's converter."""
        return self._outlet.latency_ms

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
