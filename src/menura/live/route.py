"""From a microphone through a process to loudspeakers whose clocks are their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from menura.audio.block import Samples
from menura.clock import monotonic_s
from menura.devices.port import InputPort, OutputPort
from menura.errors import ConfigError, DeviceError, FormatError
from menura.live.follower import Follower, FollowerStats
from menura.live.gaps import GapMeter
from menura.live.runner import OnError, Runner
from menura.live.watch import PortWatch
from menura.log import get_logger

__all__ = ["Route", "RouteStats"]

logger = get_logger(__name__)

SMOOTHING = 0.05
"""Weight of the newest block in ``processing_ms`` and in the latencies, which jump by a block."""
DRAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class RouteStats:
    """What a route has done.

    Attributes:
        running: Whether it runs.
        frames: Frames processed.
        processing_ms: Of a block, lately.
        processing_max_ms: Of the slowest block.
        capture_ms: From the microphone until processing, lately.
        playback_ms: From processing until it is heard on the first output, lately.
        latency_ms: Both, without the delay of the process itself.
        xruns: Times a device says it lost or lacked audio.
        lost_ms: Audio lost by the microphone, as far as its times tell.
        gaps: Times audio was lost by the microphone, or the first output found nothing to play.
        outputs: Of each output; one that was lost has its last figures.
    """

    running: bool = False
    frames: int = 0
    processing_ms: float = 0.0
    processing_max_ms: float = 0.0
    capture_ms: float = 0.0
    playback_ms: float = 0.0
    latency_ms: float = 0.0
    xruns: int = 0
    lost_ms: float = 0.0
    gaps: int = 0
    outputs: tuple[FollowerStats, ...] = ()


class Route(Runner[RouteStats]):
    """One thread that reads a microphone, processes, and writes to outputs, each at a steady level.

    The first output is the one that matters: when it is lost, or the microphone is, the route ends. Others, such as a
    monitor, come and go without harm. The first half second is silent: in it the levels are set. The route owns the
    ports: when it ends, for whatever reason, they are closed. It runs once.

    Args:
        source: Not yet started.
        sinks: Not yet started, at the source's rate.
        process: ``[n, channels]`` of the source to as many frames, of ``channels`` channels; called from the route's
            thread alone.
        channels: Of what ``process`` returns.
        on_error: Called from that thread, after the ports are closed, with what ended it.
        on_loss: Called from it with the index and the fault of an output that was lost without ending the route.
        lost_after_s: Time without a callback after which a device is lost.

    Raises:
        ConfigError: There is no output, or one has another rate.
    """

    def __init__(
        self,
        source: InputPort,
        sinks: Sequence[OutputPort],
        process: Callable[[Samples], Samples],
        *,
        channels: int = 1,
        on_error: OnError | None = None,
        on_loss: Callable[[int, Exception], None] | None = None,
        lost_after_s: float = 1.0,
    ) -> None:
        if not sinks or any(sink.rate != source.rate for sink in sinks):
            raise ConfigError("a route has at least one output, and one rate for all")
        super().__init__(PortWatch(source, lost_after_s), "menura-route", on_error)
        self.source = source
        self._sinks = tuple(sinks)
        self._process = process
        self._on_loss = on_loss
        self._followers = [Follower(sink, channels, source.block) for sink in sinks]
        self._alive: dict[int, _Life] = {k: _Life(lost_after_s) for k in range(len(sinks))}
        self._losses = GapMeter(source.rate)
        self._frames = 0
        self._processing_ms = self._processing_max_ms = 0.0
        self._capture_ms = self._playback_ms = 0.0

    def _start_devices(self) -> None:
        for follower in self._followers:
            follower.start()
        self.source.start(self._watch.signal)

    def _measure(self, *, running: bool) -> RouteStats:
        outputs = tuple(follower.stats() for follower in self._followers)
        source = self.source.stats()
        return RouteStats(
            running=running,
            frames=self._frames,
            processing_ms=self._processing_ms,
            processing_max_ms=self._processing_max_ms,
            capture_ms=self._capture_ms,
            playback_ms=self._playback_ms,
            latency_ms=self._capture_ms + self._playback_ms,
            xruns=source.xruns_in + outputs[0].xruns,
            lost_ms=1000.0 * self._losses.lost_s,
            gaps=self._losses.gaps + outputs[0].gaps,
            outputs=outputs,
        )

    def _work(self) -> None:
        """Process what was captured, and see that the outputs live."""
        source = self.source
        x = source.read()
        if len(x):
            start_s = monotonic_s()
            self._losses.note(len(x), source.next_s - len(x) / source.rate, source.stats())
            age_s = min(max(0.0, source.now_s - source.called_s), 0.1)
            captured_s = max(0.0, source.now_s - source.next_s)  # devices tell times that wander
            y = self._process(x)
            if len(y) != len(x):
                raise FormatError(f"the process made {len(y)} frames of {len(x)}: a live one keeps their number")
            took_s = monotonic_s() - start_s
            for k in tuple(self._alive):
                self._followers[k].push(y, age_s + took_s)
            self._note(len(x), took_s, captured_s)
        for k, life in tuple(self._alive.items()):
            fault = life.fault(self._sinks[k], monotonic_s())
            if fault is not None:
                self._lose(k, fault)

    def _note(self, frames: int, took_s: float, captured_s: float) -> None:
        weight = SMOOTHING if self._frames else 1.0
        took_ms = 1000.0 * took_s
        self._processing_ms += weight * (took_ms - self._processing_ms)
        self._processing_max_ms = max(self._processing_max_ms, took_ms)
        self._capture_ms += weight * (1000.0 * captured_s - self._capture_ms)
        self._playback_ms += weight * (self._followers[0].stats().latency_ms - self._playback_ms)
        self._frames += frames

    def _lose(self, k: int, fault: DeviceError) -> None:
        if k == 0:
            raise fault
        del self._alive[k]
        self._followers[k].close()
        logger.warning("output %d is lost: %s", k, fault)
        if self._on_loss is not None:
            self._on_loss(k, fault)

    def _drain(self) -> None:
        """Let the first output play what was written, within the time that takes."""
        sink, end_s = self._sinks[0], monotonic_s() + DRAIN_S
        while sink.queued and sink.alive and monotonic_s() < end_s:
            self._watch.signal.acquire(timeout=0.01)
        sink.stop()

    def _close(self) -> None:
        self.source.close()
        for follower in self._followers:
            follower.close()


class _Life:
    """Whether an output still calls."""

    def __init__(self, lost_after_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._callbacks = -1
        self._since_s = 0.0

    def fault(self, port: OutputPort, now_s: float) -> DeviceError | None:
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
