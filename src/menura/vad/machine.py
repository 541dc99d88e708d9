"""The one debounce: probabilities in, states and events out. Time is counted in frames."""

from dataclasses import dataclass
from enum import StrEnum

from menura.errors import ConfigError
from menura.vad.config import VADState

__all__ = ["MOVES", "Machine", "SpeechEvent", "SpeechEventKind", "Timing"]

_SILENCE, _STARTING = VADState.SILENCE, VADState.SPEECH_STARTING
_SPEECH, _ENDING = VADState.SPEECH, VADState.SPEECH_ENDING

MOVES: dict[VADState, frozenset[VADState]] = {
    _SILENCE: frozenset({_STARTING}),
    _STARTING: frozenset({_SILENCE, _SPEECH}),
    _SPEECH: frozenset({_ENDING, _SILENCE}),
    _ENDING: frozenset({_SPEECH, _SILENCE}),
}
"""Every allowed move. Speech falls silent at once only where the longest utterance ends it."""


class SpeechEventKind(StrEnum):
    """What was found out about the stream."""

    START = "start"
    END = "end"
    CUT = "cut"  # ended by the longest utterance, not by silence


@dataclass(frozen=True, slots=True)
class SpeechEvent:
    """Start or end of an utterance.

    Attributes:
        kind: Which.
        position: Frame of the stream where speech began or stopped, the detector's lag taken off.
        decided: Frame of the stream with which that was known.
    """

    kind: SpeechEventKind
    position: int
    decided: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of the machine, in frames, and its two thresholds.

    Attributes:
        hop: From one probability to the next.
        lag: By which the detector trails.
        threshold: Probability from which speech may begin, or go on after a pause.
        release: Probability below which it pauses.
        start: Speech that confirms an utterance.
        shortest: Least speech in an utterance; beyond ``start``, it may pause for the difference in total.
        end: Silence that ends it.
        longest: Utterances are cut at this length; 0: never.

    Raises:
        ConfigError: The thresholds are the wrong way round, or the hop is no time at all.
    """

    hop: int
    lag: int = 0
    threshold: float = 0.5
    release: float = 0.35
    start: int = 0
    shortest: int = 0
    end: int = 0
    longest: int = 0

    def __post_init__(self) -> None:
        if self.hop < 1:
            raise ConfigError(f"a hop is at least 1 frame, not {self.hop}")
        if not 0.0 <= self.release <= self.threshold <= 1.0:
            raise ConfigError(
                f"thresholds must keep 0 <= release <= threshold <= 1: release {self.release}, "
                f"threshold {self.threshold}"
            )

    @property
    def to_confirm(self) -> int:
        """Most frames from the first of an utterance to its confirmation, whole hops."""
        speech = max(self.start, self.shortest, 1)
        return -(-speech // self.hop) * self.hop + self.pauses

    @property
    def pauses(self) -> int:
        """Frames without speech that an utterance may have before it is confirmed."""
        return max(0, self.shortest - self.start)


class Machine:
    """Turns the probabilities of a detector into states.

    Silence turns to ``SPEECH_STARTING`` with a probability at or above the threshold; that is confirmed as ``SPEECH``
    when it has lasted, or forgotten when a probability falls below the release. ``SPEECH`` turns to ``SPEECH_ENDING``
    below the release, back at or above the threshold, and to ``SILENCE`` after the hangover. With no debounce or no
    hangover the state between is passed through within one hop.

    Attributes:
        state: Where it is.
        frames: Taken so far, whole hops.
        segments: Utterances confirmed.
        moves: How often each move was made.

    >>> machine = Machine(Timing(hop=10, start=20, end=20))
    >>> [machine.step(p) and machine.state.value for p in (0.9, 0.9, 0.1, 0.1)]
    [None, 'speech', None, 'silence']
    """

    __slots__ = ("_began", "_end", "_hop", "_left", "_release", "_since", "_speech", "_spent", "_threshold", "frames",
                 "moves", "segments", "state", "timing")  # fmt: skip

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self._hop = timing.hop
        self._threshold = timing.threshold
        self._release = timing.release
        self.reset()

    def reset(self) -> None:
        """Be as new."""
        self.state = _SILENCE
        self.frames = 0
        self.segments = 0
        self.moves: dict[tuple[VADState, VADState], int] = {}
        self._spent = dict.fromkeys(VADState, 0)
        self._since = 0  # frame at which the state began
        self._began = 0  # frame at which the utterance did
        self._end = 0  # frame at which the last speech did
        self._speech = 0  # frames of speech in an utterance not yet confirmed
        self._left = 0  # frame at which an utterance is cut; 0: never

    def step(self, probability: float) -> SpeechEvent | None:
        """Take the probability of the next hop.

        Returns:
            What is now known, if anything: at most one event a hop.
        """
        self.frames += self._hop
        state = self.state
        if state is _SILENCE:
            if probability < self._threshold:
                return None
            return self._start(probability)
        if state is _SPEECH and probability >= self._release and not self._left:
            return None
        if state is _STARTING:
            return self._confirm(probability)
        return self._go_on(probability)

    def spent(self, state: VADState) -> int:
        """Frames so far in a state."""
        return self._spent[state] + (self.frames - self._since if state is self.state else 0)

    @property
    def utterance(self) -> int:
        """Frames of the utterance so far, from its first; 0 in silence."""
        return 0 if self.state is _SILENCE else self.frames - self._began

    def _move(self, state: VADState, at: int) -> None:
        move = (self.state, state)
        self.moves[move] = self.moves.get(move, 0) + 1
        self._spent[self.state] += at - self._since
        self._since = at
        self.state = state

    def _start(self, probability: float) -> SpeechEvent | None:
        self._began = self.frames - self._hop
        self._speech = 0
        self._move(_STARTING, self._began)
        return self._confirm(probability)

    def _confirm(self, probability: float) -> SpeechEvent | None:
        timing = self.timing
        if probability >= self._release:
            self._speech += self._hop
        if self._speech >= max(timing.start, timing.shortest):
            self.segments += 1
            self._left = self._began + timing.longest if timing.longest else 0
            self._move(_SPEECH, self.frames)
            return SpeechEvent(SpeechEventKind.START, max(0, self._began - timing.lag), self.frames)
        if self.frames - self._began - self._speech > timing.pauses:
            self._move(_SILENCE, self.frames)
        return None

    def _go_on(self, probability: float) -> SpeechEvent | None:
        if self._left and self.frames >= self._left:
            stopped = self._end if self.state is _ENDING else self.frames
            self._move(_SILENCE, self.frames)
            return self._event(SpeechEventKind.CUT, stopped)
        if self.state is _SPEECH and probability < self._release:
            self._end = self.frames - self._hop
            self._move(_ENDING, self._end)
        elif self.state is _ENDING and probability >= self._threshold:
            self._move(_SPEECH, self.frames - self._hop)
        if self.state is _ENDING and self.frames - self._end >= self.timing.end:
            self._move(_SILENCE, self.frames)
            return self._event(SpeechEventKind.END, self._end)
        return None

    def _event(self, kind: SpeechEventKind, position: int) -> SpeechEvent:
        return SpeechEvent(kind, max(0, position - self.timing.lag), self.frames)
