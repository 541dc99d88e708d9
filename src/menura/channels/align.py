"""Audio of several inputs, of the same times, sample by sample."""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from menura.audio.block import Samples, silence
from menura.audio.format import check_channels, check_rate
from menura.audio.stream import AudioStream
from menura.channels.making import Through
from menura.channels.options import Mismatch
from menura.channels.origin import Piece
from menura.channels.stages import Gaps, StreamStage
from menura.channels.timeline import RESTART_S, TOLERANCE_S
from menura.errors import ConfigError, StateError

__all__ = ["MAX_GAP_S", "Aligned", "Aligner", "InputStats"]


MAX_GAP_S = 60.0


class Aligned(NamedTuple):
    """One block of every input.

    Attributes:
        first: Number of its first frame; frame 0 is at time 0.
        blocks: ``[n, channels]`` of each, in the order in which the inputs joined.
    """

    first: int
    blocks: dict[str, Samples]


@dataclass(frozen=True, slots=True)
class InputStats:
    """Figures of one input, in frames at the rate of the output.

    Attributes:
        heard: That went into the output.
        gap: Silence where its timestamps say that nothing was.
        missing: Silence because it was late.
        late: That came too late, and were dropped.
        twice: That were there already, and were dropped.
        restarts: Times it began anew, more than a second back, and was put where it was before.
        waiting: That wait for other inputs.
        ended: Whether no more comes.
    """

    heard: int = 0
    gap: int = 0
    missing: int = 0
    late: int = 0
    twice: int = 0
    restarts: int = 0
    waiting: int = 0
    ended: bool = False


class _Track:
    """What one input has given and was not yet read."""

    def __init__(self, rate: int, channels: int, tolerance_s: float) -> None:
        self.ended = False
        self.end: int | None = None  # behind its last frame
        self.heard = self.gap = self.missing = self.late = self.twice = self.waiting = self.restarts = 0
        self._shift = 0  # of its times, since it began anew
        self._rate, self._channels = rate, channels
        self._tolerance = tolerance_s * rate
        self._stage = StreamStage(
            Through(rate, channels), gaps=Gaps.RESET, tolerance_s=tolerance_s, mismatch=Mismatch.CONVERT
        )
        self._blocks: deque[tuple[int, Samples]] = deque()

    def push(self, stream: AudioStream, position: int | None) -> None:
        for piece in self._stage.pieces(stream):
            self._append(piece, position)

    def close(self, position: int | None) -> None:
        for piece in self._stage.rest():
            self._append(piece, position)
        self.ended = True

    def _append(self, piece: Piece, position: int | None) -> None:
        x, first = piece.block, round(piece.start_s * self._rate) + self._shift
        if not len(x):
            return
        if self.end is not None:
            if self.end - first > RESTART_S * self._rate:
                now = self.end if position is None else max(self.end, position)
                self._shift += now - first
                self.restarts += 1
                first = now
            if abs(first - self.end) <= self._tolerance:
                first = self.end
            x, first, dropped = _behind(x, first, self.end)
            self.twice += dropped
        self.end = first + len(x) if self.end is None else max(self.end, first + len(x))
        if position is not None:
            x, first, dropped = _behind(x, first, position)
            self.late += dropped
        if len(x):
            self._blocks.append((first, x))
            self.waiting += len(x)

    @property
    def next(self) -> int | None:
        """First frame not yet read."""
        return self._blocks[0][0] if self._blocks else None

    @property
    def reach(self) -> float:
        """Behind its last frame; before everything if it gave none."""
        return -inf if self.end is None else self.end

    def read(self, first: int, end: int) -> Samples:
        """Frames ``first`` to ``end``, silence where there are none."""
        out = silence(end - first, self._channels)
        got = 0
        while self._blocks and self._blocks[0][0] < end:
            at, x = self._blocks.popleft()
            count = min(len(x), end - at)
            out[at - first : at - first + count] = x[:count]
            got += count
            if count < len(x):
                self._blocks.appendleft((at + count, x[count:]))
        self.heard += got
        self.waiting -= got
        if self.end is not None:
            known = max(0, min(end, self.end) - first)
            self.gap += max(0, known - got)
            self.missing += 0 if self.ended else end - first - max(known, got)
        return out

    def stats(self) -> InputStats:
        return InputStats(
            self.heard, self.gap, self.missing, self.late, self.twice, self.restarts, self.waiting, self.ended
        )


def _behind(x: Samples, first: int, position: int) -> tuple[Samples, int, int]:
    """What of a block lies at or behind a position, where that begins, and how many frames do not."""
    dropped = min(len(x), max(0, position - first))
    return x[dropped:], first + dropped, dropped


class Aligner:
    """Takes streams of several inputs, of any rate, cut and begun anywhere, and gives blocks of the same times.

    A block is given when every input that has not ended has all of it, or when ``max_wait_s`` has passed since the
    first of them had: what is missing then is silence, and what comes of it later is dropped. Blocks are of one length,
    but for the last, and follow one another from the first frame of the earliest input on; where for longer than
    ``max_gap_s`` no input has anything, that time is skipped.

    Args:
        rate: Of the output, Hz.
        channels: Of the output.
        block: Frames given at a time.
        max_wait_s: None waits for ever, which gives the same output however the inputs arrive.
        max_gap_s: Longest common silence that is given as such.
        tolerance_s: An input's timestamps may wander by so much without a gap.

    Raises:
        ConfigError: A setting has a value it cannot have.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        block: int | None = None,
        max_wait_s: float | None = None,
        max_gap_s: float = MAX_GAP_S,
        tolerance_s: float = TOLERANCE_S,
    ) -> None:
        self.rate, self.channels = check_rate(rate), check_channels(channels)
        self.block = rate // 50 if block is None else block
        if self.block < 1 or (max_wait_s is not None and max_wait_s < 0.0) or max_gap_s < 0.0:
            raise ConfigError(f"needs block >= 1, max_wait_s >= 0, max_gap_s >= 0: {block=} {max_wait_s=} {max_gap_s=}")
        self.max_wait_s = max_wait_s
        self._max_gap = max_gap_s * rate
        self._tolerance_s = tolerance_s
        self._tracks: dict[str, _Track] = {}
        self._position: int | None = None
        self._marks: deque[tuple[int, float]] = deque()  # how far the foremost input reached, and when
        self.skips = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names, in the order in which they joined."""
        return tuple(self._tracks)

    @property
    def ended(self) -> bool:
        """Whether every input has ended and all of it was given."""
        return all(track.ended and track.next is None for track in self._tracks.values())

    def add(self, name: str) -> None:
        """Wait for another input from now on, or again for one that had ended.

        Raises:
            StateError: There is one of this name.
        """
        track = self._tracks.get(name)
        if track is None:
            self._tracks[name] = _Track(self.rate, self.channels, self._tolerance_s)
        elif track.ended:
            track.ended = False
        else:
            raise StateError(f"there is an input {name!r} already")

    def remove(self, name: str) -> None:
        """Forget an input and what it gave.

        Raises:
            StateError: There is none of this name.
        """
        self._track(name)
        del self._tracks[name]
        reach = max((track.reach for track in self._tracks.values()), default=-inf)
        self._marks = deque(mark for mark in self._marks if mark[0] <= reach)  # nobody is waited for on its account

    def push(self, name: str, stream: AudioStream, now_s: float = 0.0) -> None:
        """Take a stream of an input.

        Args:
            name: Of the input.
            stream: Of any rate; its channels are mapped as :func:`~menura.audio.block.remix` does.
            now_s: When it came, for ``max_wait_s``.

        Raises:
            StateError: There is no such input, or it has ended.
            FormatError: Its channels cannot be mapped.
        """
        track = self._track(name)
        if track.ended:
            raise StateError(f"the input {name!r} has ended")
        track.push(stream, self._position)
        self._mark(track, now_s)

    def end(self, name: str, now_s: float = 0.0) -> None:
        """No more comes of an input; nobody waits for it any longer."""
        track = self._track(name)
        if not track.ended:
            track.close(self._position)
            self._mark(track, now_s)

    def _track(self, name: str) -> _Track:
        try:
            return self._tracks[name]
        except KeyError:
            raise StateError(f"there is no input {name!r}; there are {', '.join(self._tracks) or 'none'}") from None

    def _mark(self, track: _Track, now_s: float) -> None:
        if track.end is not None and (not self._marks or track.end > self._marks[-1][0]):
            self._marks.append((track.end, now_s))

    def ahead_s(self, name: str) -> float:
        """How far an input reaches beyond what was given."""
        end, start = self._track(name).end, self._start()
        return 0.0 if end is None or start is None else max(0.0, (end - start) / self.rate)

    def deadline_s(self) -> float | None:
        """When the next block is given though an input is late; None while there is nothing to give."""
        start = self._start()
        if self.max_wait_s is None or start is None:
            return None
        return next((at_s + self.max_wait_s for end, at_s in self._marks if end >= start + self.block), None)

    def _start(self) -> int | None:
        """First frame of the next block."""
        if self._position is not None:
            return self._position
        return min((track.next for track in self._tracks.values() if track.next is not None), default=None)

    def _ready(self, start: int, now_s: float) -> bool:
        """Whether the block that begins there is complete or due."""
        least = min((track.reach for track in self._tracks.values() if not track.ended), default=inf)
        due_s = self.deadline_s()
        return least >= start + self.block or (due_s is not None and now_s >= due_s)

    def pull(self, now_s: float = 0.0) -> Aligned | None:
        """The next block, if it is complete or due; call it until it gives None."""
        start = self._start()
        if start is None or not self._ready(start, now_s):
            return None
        firsts = [track.next for track in self._tracks.values() if track.next is not None]
        if firsts and min(firsts) - start > self._max_gap:
            self._position = min(firsts)
            self.skips += 1
            return self.pull(now_s)
        end = start + self.block
        if all(track.ended for track in self._tracks.values()):
            end = min(end, round(max(track.reach for track in self._tracks.values()))) if firsts else start
        if end <= start:
            return None
        self._position = end
        while self._marks and self._marks[0][0] <= end:
            self._marks.popleft()
        return Aligned(start, {name: track.read(start, end) for name, track in self._tracks.items()})

    def stats(self) -> dict[str, InputStats]:
        """Figures of every input there is."""
        return {name: track.stats() for name, track in self._tracks.copy().items()}
