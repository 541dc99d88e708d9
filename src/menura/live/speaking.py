"""This machine's microphone through a voice to its devices, on one clock or on several."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from menura.audio.block import Samples
from menura.devices.port import DeviceInfo, InputPort, OutputPort
from menura.devices.portaudio import find_device, list_devices, open_duplex
from menura.devices.portaudio_oneway import open_input, open_output
from menura.live.duplex import DuplexRunner
from menura.live.follower import Follower
from menura.live.recorder import Recorder
from menura.live.route import Route
from menura.live.session import VoiceSession

__all__ = ["Devices", "Speaking", "SpeakingStats", "have_one_clock"]

Name = str | int | None


@dataclass(frozen=True, slots=True)
class Devices:
    """Which devices, by name, part of a name or index; None is the default, but for the monitor, where it is none.

    Attributes:
        input: The microphone.
        output: Where the voice goes.
        monitor: Where it goes besides, for the speaker to hear.
        one_clock: Whether the microphone and the output are one device with one clock; None finds out.
    """

    input: Name = None
    output: Name = None
    monitor: Name = None
    one_clock: bool | None = None


@dataclass(frozen=True, slots=True)
class SpeakingStats:
    """How it goes.

    Attributes:
        running: Whether audio flows.
        input_level: RMS, 0…1.
        output_level: RMS, 0…1.
        capture_ms: From the microphone to the voice; with one clock, that and ``playback_ms`` are told together.
        voice_ms: The voice's own delay.
        playback_ms: From the voice to the loudspeaker.
        latency_ms: All three.
        xruns: Times a device says it lost or lacked audio.
        gaps: Times audio was lost, or came too late.
        drift_ppm: By how much the output's clock had to be followed.
        load: Share of the time that the voice takes.
        one_clock: Whether the devices run on one.
        speaker_hz: Median pitch of the speaker; 0 while unknown.
    """

    running: bool
    input_level: float
    output_level: float
    capture_ms: float
    voice_ms: float
    playback_ms: float
    latency_ms: float
    xruns: int
    gaps: int
    drift_ppm: float
    load: float
    one_clock: bool
    speaker_hz: float


def have_one_clock(source: DeviceInfo, sink: DeviceInfo) -> bool:
    """Whether a microphone and a loudspeaker are one piece of hardware.

    ALSA's names that are no hardware (``default``, ``pulse``) are doors to a sound server, behind which each direction
    has a device, and a clock, of its own.
    """
    return source.index == sink.index and (source.host_api != "ALSA" or "(hw:" in source.name)


class Speaking:
    """Microphone, voice, outputs.

    Args:
        session: The voice; used by the audio thread alone while this runs.
        devices: Which.
        recorder: Gets what was said and what was made of it.
        on_loss: Told of a monitor that was lost; called from the audio thread.
    """

    def __init__(
        self,
        session: VoiceSession,
        devices: Devices | None = None,
        *,
        recorder: Recorder | None = None,
        on_loss: Callable[[Exception], None] | None = None,
    ) -> None:
        self.session = session
        self.devices = devices or Devices()
        self._recorder, self._on_loss = recorder, on_loss
        self._runner: Route | DuplexRunner | None = None
        self._monitor: Follower | None = None
        self._names = ("", "", "")
        self._xruns = self._gaps = 0  # of runners that have ended

    @property
    def names(self) -> tuple[str, str, str]:
        """Of microphone, output and monitor, as found."""
        return self._names

    @property
    def error(self) -> Exception | None:
        """What ended it."""
        return None if self._runner is None else self._runner.error

    def start(self, *, refresh: bool = False) -> None:
        """Open the devices and begin; after a loss, again.

        Args:
            refresh: Look for devices that came since PortAudio started.

        Raises:
            DeviceError: One is missing, in use, or does not start.
        """
        self.stop()
        found = list_devices(refresh=refresh)
        source = find_device(self.devices.input, "input", found)
        sink = find_device(self.devices.output, "output", found)
        monitor = None if self.devices.monitor is None else find_device(self.devices.monitor, "output", found)
        self._names = (source.name, sink.name, "" if monitor is None else monitor.name)
        one_clock = self.devices.one_clock
        one_clock = have_one_clock(source, sink) if one_clock is None else one_clock
        runner = self._duplex(source, sink, monitor) if one_clock else self._separate(source, sink, monitor)
        try:
            runner.start()
        except BaseException:
            self.stop()
            raise
        self._runner = runner

    def _open(self, opened: ExitStack, open_port: Callable[..., Any], info: DeviceInfo) -> Any:
        port = open_port(info.index, rate=self.session.rate)
        opened.callback(port.close)
        return port

    def _separate(self, source: DeviceInfo, sink: DeviceInfo, monitor: DeviceInfo | None) -> Route:
        with ExitStack() as opened:
            microphone: InputPort = self._open(opened, open_input, source)
            sinks: list[OutputPort] = [self._open(opened, open_output, info) for info in (sink, monitor) if info]
            opened.pop_all()
        return Route(microphone, sinks, self._process, on_loss=self._lost)

    def _duplex(self, source: DeviceInfo, sink: DeviceInfo, monitor: DeviceInfo | None) -> DuplexRunner:
        with ExitStack() as opened:
            if monitor is not None:
                self._monitor = Follower(self._open(opened, open_output, monitor))
                self._monitor.start()
            port = open_duplex(source.index, sink.index, rate=self.session.rate)
            opened.pop_all()
        return DuplexRunner(port, self._process)

    def _lost(self, index: int, error: Exception) -> None:
        if self._on_loss is not None:
            self._on_loss(error)

    def _process(self, x: Samples) -> Samples:
        y = self.session.process(x)
        if self._recorder is not None:
            self._recorder.push(x, y)
        if self._monitor is not None:
            self._monitor.push(y)
        return y

    def stop(self) -> None:
        """Give the devices back."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop()
            stats = runner.stats()
            self._xruns += stats.xruns
            self._gaps += _gaps(runner)
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def stats(self) -> SpeakingStats:
        """Figures now."""
        session, runner = self.session.stats(), self._runner
        capture_ms = playback_ms = drift_ppm = processing_ms = 0.0
        xruns, gaps = self._xruns, self._gaps
        if runner is not None:
            stats = runner.stats()
            xruns, gaps = xruns + stats.xruns, gaps + _gaps(runner)
            playback_ms, processing_ms = stats.latency_ms, stats.processing_ms
        if isinstance(runner, Route):
            route = runner.stats()
            capture_ms, playback_ms = route.capture_ms, route.playback_ms
            drift_ppm = route.outputs[0].drift_ppm
        return SpeakingStats(
            running=runner is not None and runner.running,
            input_level=session.input_level,
            output_level=session.output_level,
            capture_ms=capture_ms,
            voice_ms=session.latency_ms,
            playback_ms=playback_ms,
            latency_ms=capture_ms + session.latency_ms + playback_ms,
            xruns=xruns,
            gaps=gaps,
            drift_ppm=drift_ppm,
            load=processing_ms / 10.0,  # devices are opened with callbacks of 10 ms
            one_clock=isinstance(runner, DuplexRunner),
            speaker_hz=session.speaker_hz,
        )


def _gaps(runner: Route | DuplexRunner) -> int:
    if isinstance(runner, Route):
        return runner.stats().gaps
    stats = runner.stats()
    return int(bool(stats.padded)) + int(bool(stats.port.dropped_in))
