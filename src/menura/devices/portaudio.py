"""The machine's own sound devices, through PortAudio."""

import atexit
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Literal, TypeVar

from menura.audio.block import Samples
from menura.audio.format import check_rate
from menura.devices.exchange import Exchange, ExchangePort
from menura.devices.oneway import Intake, Outlet
from menura.devices.port import DeviceInfo, Signal
from menura.errors import ConfigError, DeviceError

__all__ = ["PortAudioDuplex", "Turn", "find_device", "list_devices", "open_duplex", "turn"]

Kind = Literal["input", "output"]
Opened = TypeVar("Opened")
UNAVAILABLE = "Audio device not available"
INSTALL = "install PortAudio (Debian, Ubuntu: apt-get install libportaudio2; Fedora: dnf install portaudio)"
INVALID_SAMPLE_RATE = -9997
"""paInvalidSampleRate of portaudio.h."""
LONGEST_DELAY_S = 5.0
"""A converter further away is a driver that does not tell its times."""

_open: set["PortAudioStream"] = set()


class Turn:
    """PortAudio lists, opens and closes devices for one thread at a time, and what it lists lasts to the next listing.

    Whoever runs threads gives a lock that the same thread may take again; :mod:`menura.live` does.
    """

    def __init__(self) -> None:
        self.lock: AbstractContextManager[Any] = nullcontext()

    def __enter__(self) -> None:
        self.lock.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.lock.__exit__(*error)


turn = Turn()
"""To be held from a listing to the opening of what was found in it."""


def _close_all() -> None:
    """The program ends: PortAudio hangs if it is to end while its streams run."""
    for stream in list(_open):
        stream.close()


def load() -> Any:
    """The sounddevice module.

    Raises:
        DeviceError: PortAudio is missing or does not start.
    """
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(f"{UNAVAILABLE}: {INSTALL}") from error
    except Exception as error:  # PortAudio is there and does not start
        raise DeviceError(f"{UNAVAILABLE}: {error}") from error
    return sounddevice


def list_devices(*, refresh: bool = False) -> list[DeviceInfo]:
    """List the sound devices of this machine.

    Args:
        refresh: Look again, for PortAudio sees only the devices there were when it started. This ends every PortAudio
            stream of the process; with a port of ours open it is left out.

    Raises:
        DeviceError: PortAudio is not installed, or does not work.
    """
    sd = load()
    try:
        with turn:
            if refresh and not _open:
                sd._terminate()
                sd._initialize()
            return _listed(sd)
    except sd.PortAudioError as error:
        raise DeviceError(f"{UNAVAILABLE}: {error.args[0]}") from error


def _listed(sd: Any) -> list[DeviceInfo]:
    apis = [api["name"] for api in sd.query_hostapis()]
    default_input, default_output = sd.default.device
    return [
        DeviceInfo(
            name=device["name"],
            index=index,
            host_api=apis[device["hostapi"]],
            inputs=device["max_input_channels"],
            outputs=device["max_output_channels"],
            default_rate=round(device["default_samplerate"]),
            is_default_input=index == _default(sd, "input", default_input),
            is_default_output=index == _default(sd, "output", default_output),
        )
        for index, device in enumerate(sd.query_devices())
    ]


def _default(sd: Any, kind: Kind, index: int) -> int:
    """The first host API that has a default device has the machine's, if PortAudio names none itself."""
    if index >= 0:
        return index
    return next((i for api in sd.query_hostapis() if (i := api[f"default_{kind}_device"]) >= 0), -1)


def find_device(wanted: str | int | None, kind: Kind, devices: list[DeviceInfo] | None = None) -> DeviceInfo:
    """Find a device that can record or play.

    Args:
        wanted: Its name or a part that only one has (names survive hot-plug), its index, or None for the default.
        kind: ``"input"`` or ``"output"``.
        devices: Where to look; the machine's by default.

    Raises:
        DeviceError: There is none, or more than one; the text lists those there are.
    """
    usable = [d for d in (list_devices() if devices is None else devices) if _channels(d, kind)]
    if wanted is None:
        default = [d for d in usable if (d.is_default_input if kind == "input" else d.is_default_output)]
        found, what = default or usable[:1], f"this machine has no audio {kind}"
    elif isinstance(wanted, int):
        found, what = [d for d in usable if d.index == wanted], f"no {kind} has the index {wanted}"
    else:
        found, what = _by_name(wanted, usable), f"no {kind} is named {wanted!r}"
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{wanted!r} fits {len(found)} {kind}s"
    names = ", ".join(f"{d.name!r} [{d.index}]" for d in found or usable)
    raise DeviceError(f"{UNAVAILABLE}: {what}{'; there are ' + names if names else ''}")


def _channels(device: DeviceInfo, kind: Kind) -> int:
    return device.inputs if kind == "input" else device.outputs


def _by_name(wanted: str, usable: list[DeviceInfo]) -> list[DeviceInfo]:
    """Exact names before parts of names, and of one device under several host APIs the first."""
    key = wanted.casefold()
    found = [d for d in usable if d.name.casefold() == key]
    found = found or [d for d in usable if key in d.name.casefold()]
    first: dict[str, DeviceInfo] = {}
    for device in found:
        same = first.setdefault(device.name, device)
        if same.host_api == device.host_api and same is not device:
            return found
    return list(first.values())


def open_duplex(
    input: str | int | None = None,  # noqa: A002
    output: str | int | None = None,
    *,
    rate: int = 48_000,
    block: int = 480,
    latency_s: float = 0.04,
    refresh: bool = False,
) -> "PortAudioDuplex":
    """Open a microphone and a loudspeaker as one port, not yet started.

    A device that cannot run at ``rate`` is opened at its own, and what comes and goes is converted.

    Args:
        input: Name, part of a name or index; None for the default.
        output: Likewise.
        rate: Of what is read and written, Hz.
        block: Frames of a callback.
        latency_s: What each device may buffer: less risks gaps.
        refresh: Look at once for devices that came since PortAudio started, see :func:`list_devices`; otherwise it
            is done where a device is not found or does not open.

    Raises:
        DeviceError: A device is missing, in use, or cannot run; its text starts with "Audio device not available".
        ConfigError: An argument is out of range.
    """
    check_rate(rate)
    if block < 1 or not 0.0 < latency_s <= 2.0:
        raise ConfigError(f"block must be at least 1 frame and latency_s in 0…2, not {block} and {latency_s}")

    def make(devices: list[DeviceInfo]) -> PortAudioDuplex:
        source, sink = find_device(input, "input", devices), find_device(output, "output", devices)
        sd = load()
        return first_rate(
            sd,
            (rate, sink.default_rate, source.default_rate, 48_000, 44_100),
            lambda device_rate: PortAudioDuplex(sd, source, sink, rate, device_rate, block, latency_s),
            f"{source.name!r} with {sink.name!r}",
        )

    return found_and_opened(make, refresh=refresh)


def found_and_opened(make: Callable[[list[DeviceInfo]], Opened], *, refresh: bool) -> Opened:
    """What ``make`` opens of the devices there are; where it fails, of those that have come since PortAudio started.

    Raises:
        DeviceError: It fails of these too.
    """
    with turn:
        try:
            return make(list_devices(refresh=refresh))
        except DeviceError:
            if refresh or _open:
                raise
        return make(list_devices(refresh=True))


def first_rate(sd: Any, rates: tuple[int, ...], make: Callable[[int], Opened], name: str) -> Opened:
    """What ``make`` opens at the first of these rates that the device can run at.

    Raises:
        DeviceError: None does.
    """
    reason: Exception | None = None
    for rate in dict.fromkeys(rates):
        try:
            return make(rate)
        except (sd.PortAudioError, ValueError) as error:
            reason = error
            if INVALID_SAMPLE_RATE not in error.args:
                break
    hint = "is it connected, not in use, and meant for this direction?"
    raise DeviceError(f"{UNAVAILABLE}: {name} does not open ({_told(reason)}): {hint}") from reason


def _told(reason: Exception | None) -> str:
    """What the sound system itself says, where PortAudio does not know what it means."""
    arguments = reason.args if reason else ()
    host = arguments[2] if len(arguments) > 2 else None
    text = host[2] if isinstance(host, tuple) and len(host) > 2 and host[2] else (arguments or ("",))[0]
    return " ".join(str(text).split())


class PortAudioStream:
    """A stream of PortAudio from its opening to its end, whatever its direction.

    Args:
        sd: The sounddevice module.
        stream: Opened, not started.
        name: Of the device, for errors.
    """

    _side: Intake | Outlet | Exchange

    def __init__(self, sd: Any, stream: Any, name: str) -> None:
        self._stream, self._name = stream, name
        self._abort = sd.CallbackAbort
        self._fault = sd.PortAudioError
        self._running = self._closed = False
        self._now_s = 0.0
        latency = stream.latency
        self._declared_s = float(sum(latency) if isinstance(latency, tuple) else latency)
        if not _open:
            atexit.unregister(_close_all)
            atexit.register(_close_all)  # the last to be registered is called first: before PortAudio's own
        _open.add(self)

    def _finished(self) -> None:
        self._running = False
        self._side.wake()

    @property
    def alive(self) -> bool:
        """Whether the device runs."""
        return self._running and bool(self._stream.active)

    @property
    def now_s(self) -> float:
        """The device's clock; it stands still when the port is closed, which may be in another thread."""
        with suppress(self._fault):
            self._now_s = float(self._stream.time)
        return self._now_s

    def start(self, signal: Signal | None = None) -> None:
        """Start the device.

        Raises:
            DeviceError: It does not start.
        """
        if self._closed:
            raise DeviceError(f"{UNAVAILABLE}: the port was closed")
        self._side.signal = signal
        self._running = True
        try:
            self._stream.start()
        except self._fault as error:
            self._running = False
            raise DeviceError(f"{UNAVAILABLE}: {self._name} does not start: {_told(error)}") from error

    def stop(self) -> None:
        """Play what the device holds, and stop."""
        if not self._closed:
            self._running = False
            self._stream.stop()
            self._side.forget()

    def close(self) -> None:
        """Stop at once and give the device back."""
        if not self._closed:
            self._closed = True
            self._running = False
            self._stream.abort()
            with turn:
                self._stream.close()
                _open.discard(self)


class PortAudioDuplex(PortAudioStream, ExchangePort):
    """A :class:`~menura.devices.port.DuplexPort` on real devices; made by :func:`open_duplex`."""

    def __init__(
        self,
        sd: Any,
        source: DeviceInfo,
        sink: DeviceInfo,
        rate: int,
        device_rate: int,
        block: int,
        latency_s: float,
    ) -> None:
        self.input, self.output = source, sink
        self.rate, self.device_rate, self.block = rate, device_rate, block
        self.channels = min(2, sink.outputs)
        self._side = self._exchange = Exchange(rate, device_rate, self.channels)
        stream = sd.Stream(
            samplerate=device_rate,
            blocksize=round(block * device_rate / rate),
            device=(source.index, sink.index),
            channels=(1, self.channels),
            dtype="float32",
            latency=latency_s,
            callback=self._callback,
            finished_callback=self._finished,
        )
        super().__init__(sd, stream, f"{source.name!r} with {sink.name!r}")

    def _callback(self, captured: Samples, playing: Samples, _: int, time: Any, status: Any) -> None:
        device_s = time.outputBufferDacTime - time.inputBufferAdcTime
        if not (time.inputBufferAdcTime and 0.0 < device_s < LONGEST_DELAY_S):
            device_s = self._declared_s
        if not self._exchange.run(
            captured, playing, device_s, bool(status.input_overflow), bool(status.output_underflow)
        ):
            raise self._abort
