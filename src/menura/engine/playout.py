"""What is read from the packets held: the audio as sent, mended where some is missing, sped up or held back."""

from dataclasses import dataclass

from menura.audio.block import Samples, silence
from menura.dsp.conceal import Concealer
from menura.dsp.timescale import ALIKE, lengthen, shorten
from menura.engine.packets import Packets

__all__ = ["Counts", "Playout"]

SLACK_MS = 15.0
"""Deviation from the goal up to which nothing is cut or said twice."""
SCALE_MS = 30.0
"""A block in which any voice above 50 Hz repeats."""
BRIDGE_MOST_MS = 100.0
"""A hole so long is filled from both sides; in a longer one the fillings of either side are silent."""
HURRY_MS = 60.0
"""Delay in excess from which every fourth period may be cut out, below it every eighth."""
LEAST_ALIKE, LESS_ALIKE = 0.3, 0.02


@dataclass(slots=True)
class Counts:
    """What a jitter buffer counts; see :class:`menura.engine.jitter_config.JitterStats`."""

    received_packets: int = 0
    received_frames: int = 0
    played_frames: int = 0
    concealed_frames: int = 0
    silent_frames: int = 0
    accelerated_frames: int = 0
    expanded_frames: int = 0
    dropped_frames: int = 0
    late_frames: int = 0
    duplicate_frames: int = 0
    lost_frames: int = 0
    late: int = 0
    duplicate: int = 0
    concealments: int = 0
    underflows: int = 0
    overflows: int = 0


class Playout:
    """Gives the sender's audio in the sender's time, always as much as asked.

    Reads carry a *goal*: the position that should be reached at their end. What the position is behind it is delay in
    excess, what it is ahead is delay that lacks.

    Args:
        rate: Hz.
        channels: Of every block.
        catch_up: Whether excess is worked off.
        resumed: Positions before which a hole is the sender's pause, and no loss; emptied as they are passed.

    Attributes:
        filling: Whether it waits until the goal is reached: at the start and after silence.
        ended: Whether the sender has said that nothing follows what is held.
    """

    def __init__(self, rate: int, channels: int, *, catch_up: bool, resumed: set[int]) -> None:
        ms = rate / 1000.0
        self._rate, self._catch_up, self._resumed = rate, catch_up, resumed
        self._slack, self._hurried = SLACK_MS * ms, HURRY_MS * ms
        self._scale, self._bridge = round(SCALE_MS * ms), round(BRIDGE_MOST_MS * ms)
        self._concealer = Concealer(rate, channels)
        self._ready = silence(0, channels)  # made, and not yet asked for
        self._rest = 0  # frames to be played before the next change of length
        self._alike = ALIKE
        self.packets = Packets(channels)
        self.counts = Counts()
        self.filling, self.ended = True, False

    @property
    def held(self) -> int:
        """Frames held."""
        return self.packets.held + len(self._ready)

    @property
    def position(self) -> int:
        """Of the next frame to be read."""
        return self.packets.head - len(self._ready)

    def excess(self, need: int, goal: float) -> float:
        """Delay beyond the goal of a read of ``need`` frames, as far as it is to be worked off."""
        excess = goal - self.position - need
        return excess if self._catch_up else min(0.0, excess)

    def next(self, need: int, goal: float) -> Samples:
        """The next block, 1 to ``need`` frames, ``[n, channels]``."""
        if not len(self._ready):
            if self.filling and (wait := self._wait(need, goal)):
                self.counts.silent_frames += wait
                return self._concealer.conceal(wait)
            hole = self.packets.hole
            if hole is None:
                return self._empty(need)
            self._ready = self._missing(need, hole, goal) if hole else self._play(need, goal)
            self._rest -= len(self._ready)
        block, self._ready = self._ready[:need], self._ready[need:]
        return block

    def rest(self) -> Samples | None:
        """A block of what is held, gaps beyond 100 ms left out; ``None`` when nothing is."""
        if not self.held:
            return None
        self.filling = False
        hole = self.packets.hole
        if hole and not len(self._ready) and hole > self._bridge:
            self._pass(hole - self._bridge)
        return self.next(self._scale, self.position + self._scale)

    def room(self, frames: int) -> None:
        """Drop so many of the oldest frames held; what follows is faded into."""
        self.packets.drop(frames)
        self._concealer.seam()

    def clear(self) -> int:
        """Drop all and fade out; returns how many frames."""
        gone = self.packets.clear() + len(self._ready)
        self._ready = self._ready[:0]
        self._pause()
        return gone

    def restart(self) -> None:
        """Be silent, with nothing to fade out."""
        self._concealer.reset()
        self.filling, self._rest = True, 0

    def _wait(self, need: int, goal: float) -> int:
        """Frames of silence before the audio held may begin, up to ``need``; 0 where it begins now."""
        if not self.packets.held:
            return need
        missing = 0 if self.ended else round(self.position + need - goal)
        if missing <= need:
            self.filling = False
            self._concealer.seam()  # fade in
        return min(need, max(0, missing))

    def _empty(self, need: int) -> Samples:
        """Nothing is held: the audio has ended, or comes late."""
        if self.ended:
            self._pause()
            self.counts.silent_frames += need
            return self._concealer.conceal(need)
        if not self._concealer.concealing:
            self.counts.underflows += 1
        y = self._conceal(need)
        self.filling = self._concealer.silent
        return y

    def _conceal(self, frames: int) -> Samples:
        if not self._concealer.concealing:
            self.counts.concealments += 1
        said = min(frames, self._concealer.left)
        self.counts.concealed_frames += said
        self.counts.silent_frames += frames - said
        return self._concealer.conceal(frames)

    def _pause(self) -> None:
        self._concealer.end()
        self.filling = True

    def _missing(self, need: int, hole: int, goal: float) -> Samples:
        """Audio is held, but not what comes next. Time lost already by waiting for it is not lost twice."""
        excess = self.excess(need, goal)
        if excess > self._slack:
            cut = min(hole, round(excess))
            self._pass(cut)
            if cut == hole:
                self._concealer.seam()
                return self._play(need, goal)
            hole -= cut
        future = self.packets.peek(2 * self._scale, beyond_hole=True)
        if hole <= self._bridge and not self._concealer.concealing and 3 * len(future) >= 2 * self._scale:
            self.counts.concealments += 1
            self.counts.concealed_frames += hole
            self._pass(hole)
            return self._concealer.bridge(hole, future)
        frames = min(need, hole)
        self._pass(frames)
        return self._conceal(frames)

    def _pass(self, frames: int) -> None:
        end = self.packets.head + (self.packets.hole or 0)
        if end not in self._resumed:
            self.counts.lost_frames += frames
        self.packets.skip(frames)
        if self.packets.head == end:
            self._resumed.discard(end)

    def _play(self, need: int, goal: float) -> Samples:
        """Audio as it was sent, or a period shorter or longer where the delay is wrong."""
        if self._rest <= 0 and not self._concealer.joining:
            excess, ready = self.excess(need, goal), self.packets.ready
            if excess > self._slack and ready >= self._scale:
                return self._hurry(max(need, self._scale), excess)
            if excess < -self._slack and ready >= self._scale // 3:
                return self._linger(max(need, self._scale // 3))
        return self._concealer.good(self.packets.take(need))

    def _hurry(self, frames: int, excess: float) -> Samples:
        scaled = shorten(self.packets.take(frames), self._rate, int(excess), alike=self._alike)
        self.counts.accelerated_frames += scaled.change
        self._paced(scaled.change, 3 if excess > self._hurried else 7)
        return self._concealer.good(scaled.samples)

    def _linger(self, frames: int) -> Samples:
        scaled = lengthen(self.packets.take(frames), self._rate, self._concealer.history, alike=self._alike)
        self.counts.expanded_frames += scaled.change
        self._paced(scaled.change, 3)
        return self._concealer.good(scaled.samples)

    def _paced(self, change: int, times: int) -> None:
        """After a change, leave ``times`` as much alone; the longer none was found, the less alike need it be."""
        self._alike = ALIKE if change else max(LEAST_ALIKE, self._alike - LESS_ALIKE)
        self._rest = times * change if change else self._scale
