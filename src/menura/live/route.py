"""From a microphone through a process to a loudspeaker whose clock is its own."""

from collections.abc import Callable
from dataclasses import dataclass, field

from menura.audio.block import Samples
from menura.clock import monotonic_s
from menura.devices.port import InputPort, OutputPort
from menura.errors import ConfigError, FormatError
from menura.live.follower import Follower, FollowerStats
from menura.live.gaps import GapMeter
from menura.live.runner import OnError, Runner
from menura.live.watch import PortLife, PortWatch

__all__ = ["Route", "RouteStats"]

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
        playback_ms: From processing until it is heard, lately.
        latency_ms: Both, without the delay of the process itself.
        xruns: Times a device says it lost or lacked audio.
        lost_ms: Audio lost by the microphone, as far as its times tell.
        gaps: Times audio was lost by the microphone, or the output found nothing to play.
        output: Of the output alone.
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
    output: FollowerStats = field(default_factory=FollowerStats)


class Route(Runner[RouteStats]):
    """One thread that reads a microphone, processes, and writes to an output, at a steady level.

    When one of the devices is lost, the route ends. The first half second is silent: in it the level is set. The route
    owns the ports: when it ends, for whatever reason, they are closed. It runs once.

    Args:
        source: Not yet started.
        sink: Not yet started, at the source's rate.
        process: ``[n, channels]`` of the source to as many frames, of ``channels`` channels; called from the route's
            thread alone.
        channels: Of what ``process`` returns.
        on_error: Called from that thread, before the ports are closed, with what ended it.
        lost_after_s: Time without a callback after which a device is lost.

    Raises:
        ConfigError: The output has another rate.
    """

    def __init__(
        self,
        source: InputPort,
        sink: OutputPort,
        process: Callable[[Samples], Samples],
        *,
        channels: int = 1,
        on_error: OnError | None = None,
        lost_after_s: float = 1.0,
    ) -> None:
        if sink.rate != source.rate:
            raise ConfigError(f"a route has one rate: {source.rate} Hz comes and {sink.rate} Hz goes")
        super().__init__(PortWatch(source, lost_after_s), "menura-route", on_error)
        self.source = source
        self._sink = sink
        self._process = process
        self._follower = Follower(sink, channels, source.block)
        self._life = PortLife(sink, lost_after_s)
        self._losses = GapMeter(source.rate)
        self._frames = 0
        self._processing_ms = self._processing_max_ms = 0.0
        self._capture_ms = self._playback_ms = 0.0

    def _start_devices(self) -> None:
        self._follower.start()
        self.source.start(self._watch.signal)

    def _measure(self, *, running: bool) -> RouteStats:
        output = self._follower.stats()
        source = self.source.stats()
        return RouteStats(
            running=running,
            frames=self._frames,
            processing_ms=self._processing_ms,
            processing_max_ms=self._processing_max_ms,
            capture_ms=self._capture_ms,
            playback_ms=self._playback_ms,
            latency_ms=self._capture_ms + self._playback_ms,
            xruns=source.xruns_in + output.xruns,
            lost_ms=1000.0 * self._losses.lost_s,
            gaps=self._losses.gaps + output.gaps,
            output=output,
        )

    def _work(self) -> None:
        """Process what was captured, and see that the output lives."""
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
            self._follower.push(y, age_s + took_s)
            self._note(len(x), took_s, captured_s)
        fault = self._life.fault(monotonic_s())
        if fault is not None:
            raise fault

    def _note(self, frames: int, took_s: float, captured_s: float) -> None:
        weight = SMOOTHING if self._frames else 1.0
        took_ms = 1000.0 * took_s
        self._processing_ms += weight * (took_ms - self._processing_ms)
        self._processing_max_ms = max(self._processing_max_ms, took_ms)
        self._capture_ms += weight * (1000.0 * captured_s - self._capture_ms)
        self._playback_ms += weight * (self._follower.stats().latency_ms - self._playback_ms)
        self._frames += frames

    def _drain(self) -> None:
        """Let the output play what was written, within the time that takes."""
        sink, end_s = self._sink, monotonic_s() + DRAIN_S
        while sink.queued and sink.alive and monotonic_s() < end_s:
            self._watch.signal.acquire(timeout=0.01)
        sink.stop()

    def _close(self) -> None:
        self.source.close()
        self._follower.close()
