"""This machine's microphone through a voice to its devices, on one clock or on several."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from menura.audio.block import Samples
from menura.clock import monotonic_s
from menura.devices.port import DeviceInfo, OutputPort
from menura.devices.portaudio import Kind, find_device, list_devices, open_duplex, turn
from menura.devices.portaudio_oneway import open_input, open_output
from menura.errors import DeviceError
from menura.live.absence import retry_after_s
from menura.live.duplex import DuplexRunner
from menura.live.ending import let_end, stop_at_exit
from menura.live.monitor import Monitor
from menura.live.recorder import Recorder
from menura.live.route import Route
from menura.live.runner import JOIN_S
from menura.live.session import VoiceSession
from menura.live.sound_server import leading_to
from menura.live.speaking_stats import Devices, Name, ServerDevice, SpeakingStats, have_one_clock
from menura.log import get_logger

__all__ = ["Devices", "Speaking", "SpeakingStats", "have_one_clock"]

logger = get_logger(__name__)

HANGS = "Audio device not available: it hangs since it was last used"


class Speaking:
    """Microphone, voice, outputs, from :meth:`start` to :meth:`stop`.

    Devices that are lost are awaited, at growing intervals and by their names, until audio flows again. A voice that
    fails ends it: then ``error`` says why, and it is to be stopped.

    Args:
        session: The voice; used by the audio thread alone while this runs.
        devices: Which.
        recorder: Gets what was said and what was made of it.
        tell: Told of the loss of a device, a DeviceError; with None that audio flows again; of what ended it, any other
            error. Called from threads of this, one of which is the audio's: it may not wait.
    """

    def __init__(
        self,
        session: VoiceSession,
        devices: Devices | None = None,
        *,
        recorder: Recorder | None = None,
        tell: Callable[[Exception | None], None] | None = None,
    ) -> None:
        self.session = session
        self.devices = devices or Devices()
        self._recorder, self._tell_outside = recorder, tell
        self._control = threading.RLock()  # held while devices open and close
        self._lock = threading.Lock()  # of the runner and what runners before it have counted
        self._runner: Route | DuplexRunner | None = None
        self._monitor: Monitor | None = None
        self._caretaker: threading.Thread | None = None
        self._ended, self._trouble = threading.Event(), threading.Event()
        self._inside = threading.local()  # whether this thread is told something
        self._found: dict[str, DeviceInfo] = {}
        self._names = ("", "", "")
        self._error: Exception | None = None
        self._lost = False
        self._xruns = self._gaps = self._reopened = 0

    @property
    def names(self) -> tuple[str, str, str]:
        """Of microphone, output and monitor, as found."""
        return self._names

    @property
    def error(self) -> Exception | None:
        """What ended it; the loss of a device does not."""
        return self._error

    def start(self) -> None:
        """Open the devices and begin; nothing if that was done.

        Raises:
            DeviceError: One is missing, in use, or does not start.
        """
        self._join(ended=True)
        if not self._control.acquire(timeout=JOIN_S):
            raise DeviceError(HANGS)
        try:
            self._start()
        finally:
            self._control.release()

    def _start(self) -> None:
        if self._caretaker is not None:
            if self._ended.is_set():
                raise DeviceError(HANGS)
            return
        self._ended, self._trouble = threading.Event(), threading.Event()
        self._error, self._lost, self._found = None, False, {}
        try:
            self._begin(refresh=False)
        except DeviceError:
            self._begin(refresh=True)  # it may have come since PortAudio started
        self._caretaker = threading.Thread(target=self._care, name="menura-devices", daemon=True)
        self._caretaker.start()
        stop_at_exit(self, self.stop)

    def stop(self) -> None:
        """Play what was said until now, and give the devices back; nothing if that was done.

        From within ``tell`` it only begins to.
        """
        self._ended.set()
        self._trouble.set()
        self._join()

    def _join(self, *, ended: bool = False) -> None:
        """Wait until the devices are given back; if ``ended``, only where that is under way."""
        if getattr(self._inside, "told", False) or (ended and not self._ended.is_set()):
            return
        if self._control.acquire(timeout=JOIN_S):  # held for ever by who opens a device of a sound server that hangs
            caretaker = self._caretaker
            self._control.release()
            if caretaker is None:
                return
            caretaker.join(JOIN_S)
            if not caretaker.is_alive():
                return
        logger.error("the devices are not given back within %.0f s: one hangs", JOIN_S)

    # --- opening and closing; with control

    def _begin(self, *, refresh: bool) -> None:
        """Open all devices, and run."""
        first = not self._found
        self._release()
        try:
            with turn, ExitStack() as opened:
                found = list_devices(refresh=refresh)
                source = self._find("input", "input", self.devices.input, found)
                sink = self._find("output", "output", self.devices.output, found)
                self._names = (source.name, sink.name, self._add_monitor(found, needed=first))
                one_clock = self.devices.one_clock
                one_clock = have_one_clock(source, sink) if one_clock is None else one_clock
                with leading_to(self.devices.input, self.devices.output):
                    runner = self._duplex(source, sink) if one_clock else self._separate(source, sink, opened)
                opened.pop_all()
            runner.start()
        except BaseException:
            if first:
                self._found = {}
            self._release()
            raise
        with self._lock:
            self._runner = runner

    def _find(self, role: str, kind: Kind, wanted: Name, devices: list[DeviceInfo]) -> DeviceInfo:
        """As asked for; once found, by name where it was asked for by index: those change when devices come and go."""
        known = self._found.get(role)
        if known is not None and isinstance(wanted, int):
            wanted = known.index if known in devices else known.name
        if isinstance(wanted, ServerDevice):
            found = replace(find_device(wanted.door, kind, devices), name=wanted.name)
        else:
            found = find_device(wanted, kind, devices)
        self._found[role] = found
        return found

    def _add_monitor(self, devices: list[DeviceInfo], *, needed: bool) -> str:
        """Open the monitor, if there shall be one, and return its name; one that came to be lost is awaited."""
        if self.devices.monitor is None:
            return ""
        if needed:
            self._find("monitor", "output", self.devices.monitor, devices)
        self._monitor = Monitor(self._open_monitor, self._lose_monitor)
        try:
            self._monitor.open()
        except DeviceError:
            if needed:
                raise
            self._trouble.set()
        return self._found["monitor"].name

    def _open_monitor(self) -> OutputPort:
        info = self._find("monitor", "output", self.devices.monitor, list_devices())
        with leading_to(sink=self.devices.monitor):
            return open_output(info.index, rate=self.session.rate)

    def _separate(self, source: DeviceInfo, sink: DeviceInfo, opened: ExitStack) -> Route:
        microphone = open_input(source.index, rate=self.session.rate)
        opened.callback(microphone.close)
        output = open_output(sink.index, rate=self.session.rate)
        opened.callback(output.close)
        return Route(microphone, output, self._process, on_error=self._failed)

    def _duplex(self, source: DeviceInfo, sink: DeviceInfo) -> DuplexRunner:
        return DuplexRunner(
            open_duplex(source.index, sink.index, rate=self.session.rate), self._process, on_error=self._failed
        )

    def _release(self) -> None:
        """Close all devices."""
        runner = self._runner
        if runner is not None:
            runner.stop()
            with self._lock:
                self._runner = None
                self._xruns += runner.stats().xruns
                self._gaps += _gaps(runner)
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.close()

    # --- losses

    def _process(self, x: Samples) -> Samples:
        if self._lost:
            self._lost = False
            self._reopened += 1
            self._tell(None)
        y = self.session.process(x)
        if self._recorder is not None:
            self._recorder.push(x, y)
        monitor = self._monitor
        if monitor is not None:
            monitor.push(y)
        return y

    def _failed(self, error: Exception) -> None:
        """What ended the runner; from its thread."""
        if not isinstance(error, DeviceError):
            self._error = error
            self._tell(error)
        elif not self._ended.is_set():
            if not self._lost:
                self._lost = True
                self._tell(error)
            self._trouble.set()

    def _lose_monitor(self, error: DeviceError) -> None:
        self._tell(error)
        self._trouble.set()

    def _tell(self, error: Exception | None) -> None:
        if self._tell_outside is None:
            return
        self._inside.told = True
        try:
            self._tell_outside(error)
        except Exception:
            logger.exception("who is told of devices has failed; it was told: %r", error)
        finally:
            self._inside.told = False

    def _care(self) -> None:
        """Wait for trouble, and mend it."""
        while not self._ended.is_set():
            self._trouble.wait()
            self._trouble.clear()
            since_s = monotonic_s()
            while not (self._whole or self._ended.wait(retry_after_s(monotonic_s() - since_s))):
                self._mend()
        with self._control:
            self._release()
            self._caretaker = None
        let_end(self)

    @property
    def _whole(self) -> bool:
        runner, monitor = self._runner, self._monitor
        if self._error is not None:
            return True  # nothing that could be mended
        return runner is not None and runner.running and (monitor is None or monitor.playing)

    def _mend(self) -> None:
        try:
            with self._control:
                runner, monitor = self._runner, self._monitor
                if self._ended.is_set():
                    return
                if runner is None or not runner.running:
                    self._begin(refresh=True)
                elif monitor is not None and not monitor.playing:
                    monitor.open()
                    self._tell(None)
        except DeviceError as error:
            logger.debug("devices are not back: %s", error)
        except Exception as error:
            self._error = error
            self._tell(error)

    def stats(self) -> SpeakingStats:
        """Figures now."""
        session = self.session.stats()
        capture_ms = playback_ms = drift_ppm = processing_ms = 0.0
        with self._lock:
            runner, xruns, gaps = self._runner, self._xruns, self._gaps
        if runner is not None:
            stats = runner.stats()
            xruns, gaps = xruns + stats.xruns, gaps + _gaps(runner)
            playback_ms, processing_ms = stats.latency_ms, stats.processing_ms
        if isinstance(runner, Route):
            route = runner.stats()
            capture_ms, playback_ms = route.capture_ms, route.playback_ms
            drift_ppm = route.output.drift_ppm
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
            lost=self._lost,
            reopened=self._reopened,
        )


def _gaps(runner: Route | DuplexRunner) -> int:
    if isinstance(runner, Route):
        return runner.stats().gaps
    stats = runner.stats()
    return int(bool(stats.padded)) + int(bool(stats.port.dropped_in))
