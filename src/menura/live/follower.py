"""A stream on the output of another clock, at a steady level."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples, silence
from menura.devices.port import OutputPort
from menura.dsp.fade import crossfade, fade_in_curve
from menura.dsp.varispeed import Varispeed
from menura.units import frames_to_ms, ms_to_frames

__all__ = ["Follower", "FollowerStats"]

SETTLE_S = 0.5
"""Silence at the beginning, in which the two clocks are watched and the level is set."""
START_MS = 100.0
"""Written before all else, so that there is a level to watch."""
MARGIN_MS = 8.0
"""Kept beyond what the devices have been seen to need."""
WINDOW_S, WINDOWS = 1.0, 10
"""The level's dips are remembered for so many windows."""
DEEPEST_MS = 40.0
"""Deeper dips are stalls, for which to be ready all the time would cost more than they do."""
FALL_PER_S = 0.0002
"""How fast the wanted level falls when dips are forgotten: the pitch rises by as much, a third of a cent."""
SMOOTH_S = 1.0
"""Memory of the level: well above the pace of callbacks, well below that of the correction."""
PROPORTIONAL = 0.1
INTEGRAL = 0.25 * PROPORTIONAL**2
"""Critically damped: a clock that is off by δ moves the level by δ · 2 / (e · 0.1 s⁻¹), 2.2 ms at 300 ppm, for once."""
MOST = 0.004
"""Largest correction of speed: 7 cents."""
LIMIT_MS = 80.0
"""A level so far above the wanted one is cut at once."""
FADE_MS = 5.0


@dataclass(frozen=True, slots=True)
class FollowerStats:
    """What a follower has done.

    Attributes:
        level_ms: Audio on its way to the device, smoothed.
        target_ms: What it shall be.
        drift_ppm: How much faster the output's clock is found to run than the stream comes, negated: above 0 the stream
            is read faster.
        gaps: Times the device found nothing to play.
        padded: Frames of silence it played in these.
        dropped: Frames cut out because too many were on their way.
        xruns: Times the device says it ran out of audio.
        latency_ms: From :meth:`Follower.push` until a frame is heard.
    """

    level_ms: float = 0.0
    target_ms: float = 0.0
    drift_ppm: float = 0.0
    gaps: int = 0
    padded: int = 0
    dropped: int = 0
    xruns: int = 0
    latency_ms: float = 0.0


class Follower:
    """Writes a stream to an output whose clock is not the stream's.

    The level is what was pushed and not yet played, as if the device played evenly rather than by blocks: it moves with
    the difference of the clocks, and by how late or early blocks come. A controller keeps it by reading the stream a
    little faster or slower. The wanted level is what the blocks take, plus how far the level has been seen to dip, plus
    a margin.

    One thread. It starts and closes the port.

    Args:
        port: Not yet started; its rate is the stream's.
        channels: Of the stream.
        block: Frames that come at once, about.
    """

    def __init__(self, port: OutputPort, channels: int = 1, block: int | None = None) -> None:
        self.port = port
        self._rate = rate = port.rate
        self._stream = Varispeed(rate, channels)
        self._least = float(port.block + (port.block if block is None else block) + Varispeed.look_ahead)
        self._settling = round(SETTLE_S * rate)
        self._fade = ms_to_frames(FADE_MS, rate)
        self._withheld = 0  # frames of the stream not to be played, to come down to the level
        self._starts = False  # the next block is faded in
        self._level = 0.0
        self._seen = 0  # frames the level was smoothed over, at most a second's
        self._target = 0.0
        self._trim = 0.0  # integral of the controller: speed − 1 that the clocks need
        self._low = np.inf
        self._window = 0
        self._dips: deque[float] = deque(maxlen=WINDOWS)
        self._padded = self._gap_frames = self._gaps = self._dropped = 0

    def start(self) -> None:
        """Start the device.

        Raises:
            DeviceError: It does not start; it is closed then.
        """
        try:
            self.port.write(silence(self.port.prefill + ms_to_frames(START_MS, self._rate)))
            self.port.start()
        except BaseException:
            self.port.close()
            raise

    def push(self, y: Samples, age_s: float = 0.0) -> None:
        """Play the next block of the stream.

        Args:
            y: ``[n, channels]``.
            age_s: How long ago it came: of the time since, its lateness is known to be ours.
        """
        if not len(y):
            return
        settling = self._settling > 0
        self._write(np.zeros_like(y) if settling else self._shaped(y))
        since_s = min(max(0.0, self.port.now_s - self.port.called_s), 0.1)
        level = self.port.queued + self._stream.held + (age_s - since_s) * self._rate
        if not self._withheld:
            self._observe(level, len(y))
        if not settling:
            if not self._withheld:
                self._steer(len(y))
                self._rescue(level)
            return
        self._settling -= len(y)
        if self._settling <= 0:
            self._align()

    def _write(self, y: Samples) -> None:
        self._stream.push(y)
        self.port.write(self._stream.read(round(1.05 * self._stream.held) + 1))

    def _shaped(self, y: Samples) -> Samples:
        """Without what is too much, with a fade where it begins."""
        if self._withheld:
            y, self._withheld = y[self._withheld :], max(0, self._withheld - len(y))
        excess = int(self._level - self._target)
        if excess > ms_to_frames(LIMIT_MS, self._rate) and len(y) > self._fade:
            cut = min(excess, len(y) - self._fade)
            y = np.concatenate([crossfade(y[: self._fade], y[cut : cut + self._fade]), y[cut + self._fade :]])
            self._level -= cut
            self._dropped += cut
        if self._starts and len(y):
            self._starts = False
            n = min(self._fade, len(y))
            y = np.concatenate([y[:n] * fade_in_curve(n), y[n:]])
        return y

    def _observe(self, level: float, frames: int) -> None:
        memory = SMOOTH_S * self._rate
        self._seen = int(min(memory, self._seen + frames))
        self._level += min(1.0, frames / self._seen) * (level - self._level)
        self._low = min(self._low, level)
        self._window += frames
        if self._window >= WINDOW_S * self._rate:
            self._note_dip()
        wanted = self._least + ms_to_frames(MARGIN_MS, self._rate) + max(self._dips, default=0.0)
        self._target = max(wanted, self._target - FALL_PER_S * frames)

    def _note_dip(self) -> None:
        self._dips.append(min(max(0.0, self._level - self._low), DEEPEST_MS * self._rate / 1000.0))
        self._low, self._window = np.inf, 0

    def _align(self) -> None:
        """Set the level, while all is still silence."""
        self._note_dip()
        self._target = 0.0
        self._observe(self._level, 0)
        missing = round(self._target - self._level)
        if missing > 0:
            self._write(silence(missing, self._stream.channels))
        self._withheld = max(0, -missing)
        self._level = self._target
        self._starts = True
        self._padded = self.port.stats().padded

    def _steer(self, frames: int) -> None:
        error_s = (self._level - self._target) / self._rate
        if abs(error_s) < 0.5 * LIMIT_MS / 1000.0:  # further away it is no clock's doing
            self._trim += INTEGRAL * error_s * frames / self._rate
            self._trim = min(MOST, max(-MOST, self._trim))
        self._stream.speed = 1.0 + min(MOST, max(-MOST, self._trim + PROPORTIONAL * error_s))

    def _rescue(self, level: float) -> None:
        """After a gap make it one, rather than many: what is missing for the next block is silence now."""
        padded = self.port.stats().padded
        if padded <= self._padded:
            return
        self._gaps += 1
        self._gap_frames += padded - self._padded
        self._padded = padded
        missing = round(self._target - level)
        if missing > 0:
            self.port.write(silence(missing))
            level += missing
            self._starts = True
        self._level = level

    def stats(self) -> FollowerStats:
        """Figures so far."""
        port, rate = self.port.stats(), self._rate
        device_ms = self.port.latency_ms - frames_to_ms(self.port.queued, rate)
        return FollowerStats(
            level_ms=1000.0 * self._level / rate,
            target_ms=1000.0 * self._target / rate,
            drift_ppm=1e6 * self._trim,
            gaps=self._gaps,
            padded=self._gap_frames,
            dropped=self._dropped + port.dropped_out,
            xruns=port.xruns_out,
            # what is written now waits, on average, for the next callback, a block's time after the last
            latency_ms=device_ms + 1000.0 * self._level / rate + frames_to_ms(self.port.block, rate),
        )

    def close(self) -> None:
        """Stop at once, and give the device back."""
        self.port.close()
