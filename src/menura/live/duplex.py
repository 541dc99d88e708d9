"""From this machine's microphone through a process to its loudspeaker."""

from collections.abc import Callable
from dataclasses import dataclass, field

from menura.audio.block import Samples, silence
from menura.clock import Clock, monotonic_s
from menura.devices.port import DuplexPort, PortStats
from menura.dsp.meter import rms
from menura.errors import FormatError
from menura.live.runner import OnError, Runner
from menura.live.watch import WAITS, PortWatch
from menura.units import db_to_gain

__all__ = ["DuplexRunner", "DuplexStats"]

PREFILL_BLOCKS = 2
"""Silence written ahead: one block for the device's next callback and one for a callback that comes early."""
LIMIT_BLOCKS = 8
"""More under way is delay that nobody asked for."""
TRIM_EVERY_S = 2.0
QUIET = db_to_gain(-50.0)
"""RMS below which frames can go without being missed."""
SMOOTHING = 0.05
"""Weight of the newest block in ``processing_ms``."""


@dataclass(frozen=True, slots=True)
class DuplexStats:
    """What a runner has done.

    Attributes:
        running: Whether it runs.
        frames: Frames processed.
        processing_ms: Of a block, lately.
        processing_max_ms: Of the slowest block.
        latency_ms: From microphone to loudspeaker, without the delay of the process itself.
        xruns: Times a device lost or lacked audio.
        dropped: Frames lost or left out because audio piled up.
        padded: Frames of silence played because processing was late.
        port: The port's own counters.
    """

    running: bool = False
    frames: int = 0
    processing_ms: float = 0.0
    processing_max_ms: float = 0.0
    latency_ms: float = 0.0
    xruns: int = 0
    dropped: int = 0
    padded: int = 0
    port: PortStats = field(default_factory=PortStats)


class DuplexRunner(Runner[DuplexStats]):
    """One thread that reads a port, processes, and writes.

    What is under way between the devices is constant as long as processing keeps up. A late block leaves a gap and as
    much more delay, which absorbs the next such block; what a couple of seconds did not need is dropped in the next
    pause, and beyond a limit at once. Both are counted.

    The runner owns the port: when it ends, for whatever reason, the port is closed. A runner runs once.

    Args:
        port: Not yet started.
        process: ``[n, 1]`` to ``[n, 1]`` or ``[n, channels]``; called from the runner's thread alone.
        on_error: Called from that thread, before the port is closed, with what ended it: whatever ``process`` raised,
            or the DeviceError of a lost device.
        prefill: Frames written ahead; two blocks by default.
        lost_after_s: Time without a callback after which the device is lost.
        clock: Measures ``processing_ms``.

    >>> from menura.devices.synthetic import SyntheticDuplex
    >>> with DuplexRunner(SyntheticDuplex(), lambda x: 0.5 * x) as runner:
    ...     runner.running
    True
    """

    def __init__(
        self,
        port: DuplexPort,
        process: Callable[[Samples], Samples],
        *,
        on_error: OnError | None = None,
        prefill: int | None = None,
        lost_after_s: float = 1.0,
        clock: Clock = monotonic_s,
    ) -> None:
        super().__init__(PortWatch(port, lost_after_s), "menura-audio", on_error)
        self.port = port
        self._process = process
        self._prefill = PREFILL_BLOCKS * port.block if prefill is None else prefill
        self._limit = self._prefill + (LIMIT_BLOCKS - PREFILL_BLOCKS) * port.block
        self._clock = clock
        self._frames = self._dropped = 0
        self._since_trim = self._spare = 0
        self._processing_ms = self._processing_max_ms = 0.0

    def _start_devices(self) -> None:
        self.port.write(silence(self._prefill))
        self.port.start(self._watch.signal)

    @property
    def latency_ms(self) -> float:
        """From microphone to loudspeaker, as measured; without the delay of the process itself."""
        return self.stats().latency_ms

    def _measure(self, *, running: bool) -> DuplexStats:
        port = self.port.stats()
        return DuplexStats(
            running=running,
            frames=self._frames,
            processing_ms=self._processing_ms,
            processing_max_ms=self._processing_max_ms,
            latency_ms=self.port.latency_ms,
            xruns=port.xruns_in + port.xruns_out,
            dropped=self._dropped + port.dropped_in + port.dropped_out,
            padded=port.padded,
            port=port,
        )

    def _work(self) -> None:
        """Process what was captured."""
        x = self._trim(self.port.read())
        if not len(x):
            return
        start_s = self._clock()
        y = self._process(x)
        took_ms = 1000.0 * (self._clock() - start_s)
        if len(y) != len(x):
            raise FormatError(f"the process made {len(y)} frames of {len(x)}: a live one keeps their number")
        self.port.write(y)
        weight = SMOOTHING if self._frames else 1.0
        self._processing_ms += weight * (took_ms - self._processing_ms)
        self._processing_max_ms = max(self._processing_max_ms, took_ms)
        self._frames += len(x)

    def _trim(self, x: Samples) -> Samples:
        """Leave out frames that are only delay."""
        under_way = len(x) + self.port.queued
        self._since_trim += len(x)
        if self._since_trim >= TRIM_EVERY_S * self.port.rate:
            self._since_trim = 0
            self._spare = min(self.port.headroom - self.port.block, under_way - self._prefill)
        excess = 0
        if under_way > self._limit:
            excess = under_way - self._prefill
        elif self._spare > 0 and rms(x) < QUIET:
            excess = self._spare
        excess = min(excess, len(x))
        if excess > 0:
            self._spare = max(0, self._spare - excess)
            self._dropped += excess
        return x[max(0, excess) :]

    def _drain(self) -> None:
        """Let the device play what was written, within the time that takes, and stop it."""
        for _ in range(WAITS * (2 + self.port.queued // self.port.block)):
            if not self.port.queued or not self.port.alive:
                break
            self._watch.signal.acquire(timeout=self.port.block / self.port.rate)
        self.port.stop()

    def _close(self) -> None:
        self.port.close()
