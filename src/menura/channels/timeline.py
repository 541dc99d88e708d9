"""When the audio of a stream of AudioStreams is: by what their timestamps tell, and by their samples."""

from math import isfinite
from typing import NamedTuple

from menura.audio.stream import AudioStream
from menura.errors import ConfigError, FormatError

__all__ = ["RESTART_S", "TOLERANCE_S", "Placed", "Timeline"]

TOLERANCE_S = 0.005
"""Timestamps taken from a good clock wander by less, and a lost packet leaves more, 10 ms and above."""

RESTART_S = 1.0
"""Audio that lies further back than this is not there twice: its source has begun anew."""
MAX_TIME_S = 1e12
"""Beyond it doubles tell neighbouring samples no longer apart: no clock counts so far in seconds."""


class Placed(NamedTuple):
    """Where a stream lies.

    Attributes:
        start_s: Of its first frame.
        end_s: Of its last.
        gap_s: Above 0, nothing is there between what came before and this; below 0, this begins within it, or before;
            0, this continues it.
    """

    start_s: float
    end_s: float
    gap_s: float


class Timeline:
    """Places one stream after another.

    A stream continues the one before it if it begins, within ``tolerance_s``, where that one ended: by its own
    timestamp, or by the samples since the last gap. So timestamps may wander, may span more or less than the samples
    do, and may run by a clock that is not the samples'. A later stream that begins at exactly 0 tells no time, and
    continues. Time is never a sum of durations: it is the last gap's time plus a count of frames.

    >>> line = Timeline()
    >>> second = AudioStream(data=bytes(2 * 44_100), timestamp=(5.0, 6.0))
    >>> line.place(second).gap_s, line.take(second).end_s
    (0.0, 6.0)
    >>> line.place(second).gap_s
    -1.0
    """

    def __init__(self, tolerance_s: float = TOLERANCE_S) -> None:
        if not (isfinite(tolerance_s) and tolerance_s >= 0.0):
            raise ConfigError(f"tolerance_s is at least 0, not {tolerance_s}")
        self.tolerance_s = tolerance_s
        self.restart()

    def restart(self) -> None:
        """The next stream is the first."""
        self.begun = False
        self._anchor_s = self._told_s = 0.0
        self._frames, self._rate = 0, 1

    @property
    def end_s(self) -> float:
        """Where what was taken ends, by its samples."""
        return self._anchor_s + self._frames / self._rate

    def place(self, stream: AudioStream) -> Placed:
        """Where a stream lies, which is not yet taken.

        Raises:
            FormatError: Its timestamp is no time in seconds.
        """
        start_s, end_s = stream.timestamp
        if max(-start_s, end_s) > MAX_TIME_S:
            raise FormatError(f"a timestamp is in seconds, within ±{MAX_TIME_S:g}; the stream has {start_s}, {end_s}")
        if self.begun and start_s == 0.0:
            start_s = self.end_s
            end_s += start_s
        if end_s <= start_s:
            end_s = start_s + stream.frames / stream.sample_rate
        if not self.begun:
            return Placed(start_s, end_s, 0.0)
        by_samples, by_told = start_s - self.end_s, start_s - self._told_s
        gap_s = min(by_samples, by_told, key=abs)
        return Placed(start_s, end_s, 0.0 if abs(gap_s) <= self.tolerance_s else gap_s)

    def take(self, stream: AudioStream, placed: Placed | None = None) -> Placed:
        """Go on to the end of a stream, which lies where ``place`` says, or at ``placed``."""
        placed = placed or self.place(stream)
        if not self.begun or stream.sample_rate != self._rate or not self.counted(placed):
            near = self.begun and self.counted(placed)
            self._anchor_s = self.end_s if near else placed.start_s
            self._frames, self._rate = 0, stream.sample_rate
        self._frames += stream.frames
        self._told_s = placed.end_s
        self.begun = True
        return placed

    def counted(self, placed: Placed) -> bool:
        """Whether this begins where the samples before it end, within the tolerance."""
        return abs(placed.start_s - self.end_s) <= self.tolerance_s
