"""Stages that are put in, taken out and replaced while audio runs, without a click."""

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.fade import fade_in_curve
from menura.dsp.ringing import Ringing, RingOut
from menura.dsp.stage import Stage
from menura.units import ms_to_frames

__all__ = ["Entry", "Rack"]

FADE_MS = 30.0
SETTLE_MS = 10.0
"""A new stage runs so long unheard, after its latency: filters and followers find to the signal."""
MAX_RINGING, GIVE_WAY_MS = 4, 100.0
"""So many stages ring out at a time: the oldest fades away for another."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be at one place of a rack.

    Attributes:
        key: What kind of thing it is: one of the same key that is there already is replaced at its place.
        mark: What it is made with: where one with the same key and mark runs, that one goes on.
        stage: New, of the rack's rate and channels; None passes everything through, without delay.
        stays: Where it is no longer wanted, it goes when nothing before it rings any more.
    """

    key: Hashable
    mark: Hashable
    stage: Stage | None
    stays: bool = False


class _Place:
    """One place: a stage, and maybe another fading in after it."""

    def __init__(self, entry: Entry, rate: int, channels: int) -> None:
        self.entry = entry
        self._rate, self._channels = rate, channels
        self._curve = fade_in_curve(ms_to_frames(FADE_MS, rate))
        self._stage: Stage | None = None
        self._next: Entry | None = None
        self._waiting: Entry | None = None
        self._at = 0
        self._lead = fade_in_curve(ms_to_frames(SETTLE_MS, rate))
        self._fed = 1.0  # the share of the input that went into what comes next when it began
        self.leaves = False
        """It is no longer wanted, and stays until nothing before it rings."""

    @property
    def busy(self) -> bool:
        """Whether it changes, or rings out."""
        return self._next is not None or self._waiting is not None or self.ring is not None

    @property
    def ring(self) -> RingOut | None:
        """What rings in it though it is no longer wanted."""
        return self._stage if isinstance(self._stage, RingOut) else None

    @property
    def rings(self) -> bool:
        """Whether something rings out in it, or will when its changes have begun."""
        waiting = self._waiting
        fades = waiting is not None and waiting.stage is None and isinstance(self.target, Ringing)
        return fades or self.ring is not None

    @property
    def target(self) -> Stage | None:
        """What is heard, or fading in."""
        following = self._next  # once: the audio thread may end it meanwhile
        return self._stage if following is None else following.stage

    def settle(self) -> None:
        """Be at what was wanted last."""
        if self.leaves:
            self.go()
        self._stage, self._next, self._waiting = self.entry.stage, None, None

    def want(self, entry: Entry) -> None:
        """Have another stage as soon as the change before it has ended."""
        self.entry = self._waiting = entry

    def go(self) -> None:
        """Be empty as soon as the change before it has ended, and nothing rings any more."""
        self.leaves = False
        self.want(Entry(None, None, None))

    def _begin(self) -> None:
        if self._next is None and self._waiting is not None:
            self._next, self._waiting = self._waiting, None
            stage, old = self._next.stage, self.ring.stage if self.ring else self._stage
            self._fed = 0.0
            if isinstance(stage, Ringing) and type(stage) is type(old):
                stage.take_over(old)
                self._fed = self.ring.fed if self.ring else 1.0
            if stage is None and isinstance(old, Ringing):
                self._stage, self._next = self.ring or RingOut(old, self._channels, fade_ms=FADE_MS), None
            self._at = 0 if stage is None else -stage.latency - ms_to_frames(SETTLE_MS, self._rate)

    def process(self, x: Samples) -> Samples:
        """The next block."""
        self._begin()
        old = self._stage.process(x) if self._stage else x
        if self._next is None:
            if self.ring and self.ring.over:
                self._stage = None
            return old
        new = self._next.stage.process(self._led_in(x)) if self._next.stage else x
        share = silence(len(x))
        where = np.arange(self._at, self._at + len(x))
        length = len(self._curve)
        share[where >= length] = 1.0
        fading = (where >= 0) & (where < length)
        share[fading] = self._curve[where[fading]]
        self._at += len(x)
        y: Samples = old + share * (new - old)
        if self._at >= length:
            self._stage, self._next = self._next.stage, None
        return y

    def _led_in(self, x: Samples) -> Samples:
        """Begun softly, while it is unheard: else what it repeats would begin with a click."""
        at = self._at + len(self._lead)
        if self._fed >= 1.0 or at >= len(self._lead):
            return x
        share = np.ones((len(x), 1), np.float32)
        part = self._lead[at : at + len(x)]
        share[: len(part)] = self._fed + (1.0 - self._fed) * part
        return share * x

    def finish(self, rest: Samples) -> Samples:
        """The rest of what comes before, and then what is still held; then be as new, at what was wanted last."""
        target = self.target
        if self._next is None:
            tail = rest if target is None else np.concatenate([target.process(rest), target.flush()])
        else:
            tail = self.process(rest)
            held = target.latency if target else 0
            if held:
                tail = np.concatenate([tail, self.process(silence(held, self._channels))])
        self.settle()
        if self._stage:
            self._stage.reset()
        return tail


class Rack:
    """Stages in a row that may be changed at any moment.

    A stage that is replaced is crossfaded with the new one over 30 ms, after that one has run unheard for its latency;
    the others go on undisturbed: what rings in them rings on. So does what rings in one that is replaced by one of its
    kind, and in one that is no longer wanted until it is quiet: :class:`~menura.dsp.ringing.Ringing`. ``process`` and
    ``finish`` belong to one thread; :meth:`set` may be called from any and takes effect at the next block. Before any
    audio came it does so at once.

    Args:
        rate: Hz.
        channels: Of every block.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._channels = rate, channels
        self._places: list[_Place] = []
        self._wanted: deque[Sequence[Entry]] = deque(maxlen=1)
        self._fresh = True

    @property
    def latency(self) -> int:
        """Frames by which the output lags once all changes have ended."""
        wanted = self._wanted.copy() if self._fresh else ()  # the next block begins with them
        stages = [entry.stage for entry in wanted[0]] if wanted else [place.target for place in tuple(self._places)]
        return sum(stage.latency for stage in stages if stage)

    def set(self, entries: Sequence[Entry]) -> None:
        """Have these stages, in this order, and no others."""
        self._wanted.append(tuple(entries))

    def _change(self, entries: Sequence[Entry]) -> None:
        old, places = deque(self._places), list[_Place]()
        for entry in entries:
            if not any(place.entry.key == entry.key for place in old):
                place = _Place(Entry(entry.key, None, None), self._rate, self._channels)
                place.want(entry)
                places.append(place)
                continue
            while (place := old.popleft()).entry.key != entry.key:
                places.append(_leaving(place))
            place.leaves = False
            if place.entry.mark != entry.mark:
                place.want(entry)
            places.append(place)
        places += [_leaving(place) for place in old]
        self._places = places
        if self._fresh:
            self._settle()

    def _settle(self) -> None:
        for place in self._places:
            place.settle()
        self._drop()

    def _drop(self) -> None:
        self._places = [place for place in self._places if place.busy or place.entry.key is not None]

    def process(self, x: Samples) -> Samples:
        """The next block, ``[n, c]`` → ``[n, c]``."""
        if self._wanted:
            self._change(self._wanted.popleft())
        self._fresh = self._fresh and not len(x)
        for place in self._places:
            x = place.process(x)
        self._tidy()
        return x

    def _tidy(self) -> None:
        """After a block: what rings is counted, and what stayed only for it goes."""
        rings = False
        for place in self._places:
            if place.leaves and not rings:
                place.go()
            rings = rings or place.rings
        ringing = sorted((place.ring for place in self._places if place.ring), key=lambda ring: ring.age)
        for ring in ringing[MAX_RINGING:]:
            ring.end(GIVE_WAY_MS)
        self._drop()

    def finish(self, rest: Samples) -> Samples:
        """The rest of what comes before, then the ``latency`` frames still held; then be as new."""
        if self._wanted:
            self._change(self._wanted.popleft())
        for place in self._places:
            rest = place.finish(rest)
        self._drop()
        self._fresh = True
        return rest


def _leaving(place: _Place) -> _Place:
    if place.entry.stays:
        place.leaves = True
    elif place.entry.key is not None:
        place.go()
    return place
