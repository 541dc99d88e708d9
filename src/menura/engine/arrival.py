"""When packets come: the delay a network adds beyond its least, and how far two clocks run apart.

All times are frames on the reader's clock: what the reader has asked for so far, refined between two reads by a clock.
The *lag* of a packet is the reader's time at its arrival less the sender's time at its first frame. The *base* is the
least lag of the last seconds, which moves as the clocks drift; what a lag lies above the base, plus the wait for the
read after it, is the *excess* that a buffer must hide.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrivals"]

BIN_MS = 2.0
SLOW_S, FAST_S = 12.0, 1.2
"""Memory of the two distributions: the usual, and what has just begun."""
FAST_QUANTILE = 0.9
EASY = 0.18
"""What delay costs while a conversation hardly notices it, against beyond: 0.024 to 0.134 (ITU-T G.107, 7.4)."""
BASE_BLOCKS, BASE_S = 16, 0.5
DRIFT_BLOCKS, DRIFT_S = 45, 2.0
DRIFT_MOST = 2000e-6
DRIFT_TRUST_S = 10.0
"""Time over which an estimate of drift is believed half."""
GAP_MS, TRIAL_MS, NEAR_MS, SHIFT_MS = 50.0, 300.0, 15.0, 30.0
JITTER_GAIN = 1.0 / 16.0
"""RFC 3550, 6.4.1."""


class _Excess:
    """A distribution of excesses that forgets exponentially."""

    def __init__(self, bins: int, memory: float, easy: float) -> None:
        self._counts = np.zeros(bins)
        edges = np.arange(1.0, bins + 1.0)
        self._costs = edges - (1.0 - EASY) * np.minimum(edges, easy)
        self._memory = memory
        self._weight = 1.0  # of a new frame: it grows, rather than that all the old ones shrink
        self._total = 0.0

    def add(self, place: int, frames: int) -> None:
        self._weight *= 1.0 + frames / self._memory
        mass = self._weight * frames
        self._counts[min(max(place, 0), len(self._counts) - 1)] += mass
        self._total += mass
        if self._weight > 1e12:
            self._counts /= self._weight
            self._total /= self._weight
            self._weight = 1.0

    def quantile(self, share: float) -> int:
        """Upper edge of the bin that reaches the share, in bins."""
        return int(self._counts.cumsum().searchsorted(share * self._total)) + 1 if self._total else 0

    def cheapest(self, least: float, price: float) -> int:
        """Upper edge of the bin, at the least share or later, where delay and lateness together cost least."""
        reached = self._counts.cumsum()
        start = int(reached.searchsorted(least * self._total))
        late = (self._total - reached[start:]) / max(self._total, 1e-30)
        return start + 1 + int((self._costs[start:] + price * late).argmin()) if self._total else 0


@dataclass(slots=True)
class _Trial:
    """After a pause in arrival: did the network hold the audio back, or did the sender send none?"""

    began: float
    least: float
    frames: int
    waits: list[tuple[float, float, int]]  # lag, wait, frames


class Arrivals:
    """Statistics of arrival.

    Attributes:
        excess: What so much of the audio stays below that more would not be worth the delay, frames; it follows a
            burst within a second.
        drift: By how much the reader's clock runs faster, as a ratio, drawn towards 0 while little is known.
        slope: The same as it was found.
        jitter: Mean deviation of the time between arrivals, frames (RFC 3550, 6.4.1).

    Args:
        rate: Hz.
        longest: Frames; an excess beyond is no jitter and is not counted.
        quantile: Least share of the audio that shall be in time.
        late_price: Delay, frames, that is worth having all of the audio in time rather than none.
        easy: Delay, frames, up to which delay costs little.
    """

    def __init__(self, rate: int, longest: int, quantile: float, late_price: float, easy: float) -> None:
        self._rate = rate
        self._longest = longest
        self._quantile = quantile
        self._bin = BIN_MS * rate / 1000.0
        self._price = late_price / self._bin
        bins = int(longest / self._bin) + 2
        self._slow = _Excess(bins, SLOW_S * rate, easy / self._bin)
        self._fast = _Excess(bins, FAST_S * rate, easy / self._bin)
        self.excess = 0.0
        self.drift = self.slope = 0.0
        self.jitter = 0.0
        self._known: deque[tuple[float, float]] = deque(maxlen=BASE_BLOCKS)  # time and lag of each block's least
        self._block: tuple[float, float] | None = None
        self._block_end = 0.0
        self._sparse: deque[tuple[float, float, int]] = deque(maxlen=DRIFT_BLOCKS)
        self._second: tuple[float, float] | None = None
        self._second_end = 0.0
        self._epoch = 0
        self._floor = (0.0, 0.0)  # least of the known blocks, and the time at which it holds
        self._last: tuple[float, float, int] | None = None  # arrival, lag, frames of the last packet
        self._trial: _Trial | None = None

    @property
    def known(self) -> bool:
        """Whether anything has arrived."""
        return self._last is not None

    def base(self, now: float) -> float:
        """Least lag to be expected at a time."""
        if self._trial is not None:
            return self._trial.least
        return self._base(now)

    def _base(self, now: float) -> float:
        if self._block is None:
            return 0.0
        least = self._block[1] + self.drift * (now - self._block[0])
        return min(least, self._floor[1] + self.drift * (now - self._floor[0])) if self._known else least

    def note(self, now: float, start: int, frames: int, wait: float, *, timed: bool) -> None:
        """A packet has come.

        Args:
            now: Reader's time.
            start: Sender's time of its first frame.
            frames: Its length.
            wait: Frames until the next read is due.
            timed: Whether ``start`` counts the sender's pauses, so that none needs to be guessed.
        """
        lag = now - start
        if self._last is not None:
            self.jitter += (abs(lag - self._last[1]) - self.jitter) * JITTER_GAIN
            gap = now - self._last[0] - max(frames, self._last[2])
            if not timed and self._trial is None and gap > GAP_MS * self._rate / 1000.0:
                self._trial = _Trial(now, lag, 0, [])
        self._last = (now, lag, frames)
        if self._trial is not None:
            self._try(self._trial, now, lag, frames, wait)
        else:
            self._learn(now, lag)
            self._count(lag - self._base(now), wait, frames)

    def paused(self) -> None:
        """The sender has said that it pauses: the next packet begins anew."""
        self._restart()

    def _restart(self) -> None:
        self._close_second()
        self._epoch += 1
        self._known.clear()
        self._block = self._second = self._last = self._trial = None

    def _count(self, excess: float, wait: float, frames: int) -> None:
        if excess <= self._longest:
            place = int((max(0.0, excess) + wait) / self._bin)
            self._slow.add(place, frames)
            self._fast.add(place, frames)
            self.excess = self._bin * max(
                self._slow.cheapest(self._quantile, self._price), self._fast.quantile(FAST_QUANTILE)
            )

    def _try(self, trial: _Trial, now: float, lag: float, frames: int, wait: float) -> None:
        """Collect until the lag is back near the base (a stall) or has had the time to be (a pause, by its shift)."""
        ms = self._rate / 1000.0
        trial.least = min(trial.least, lag)
        trial.frames += frames
        trial.waits.append((lag, wait, frames))
        base = self._base(now)
        back = trial.least <= base + NEAR_MS * ms
        if not back and now - trial.began < TRIAL_MS * ms and trial.frames < TRIAL_MS * ms:
            return
        last = self._last
        if trial.least > base + SHIFT_MS * ms:
            self._restart()
            base = trial.least
        self._trial = None
        self._last = last
        self._learn(now, trial.least)
        for its_lag, its_wait, its_frames in trial.waits:
            self._count(its_lag - min(base, trial.least), its_wait, its_frames)

    def _learn(self, now: float, lag: float) -> None:
        if self._block is None or now >= self._block_end:
            if self._block is not None:
                self._known.append(self._block)
                self._floor = (now, min(at_lag + self.drift * (now - at) for at, at_lag in self._known))
            self._block, self._block_end = (now, lag), now + BASE_S * self._rate
        elif lag < self._block[1]:
            self._block = (now, lag)
        if self._second is None or now >= self._second_end:
            self._close_second()
            self._second, self._second_end = (now, lag), now + DRIFT_S * self._rate
        elif lag < self._second[1]:
            self._second = (now, lag)

    def _close_second(self) -> None:
        if self._second is None:
            return
        self._sparse.append((*self._second, self._epoch))
        self._second = None
        self._estimate(np.array(self._sparse))

    def _estimate(self, points: NDArray[np.float64]) -> None:
        """Slope of the least lags: the median over pairs far apart (Theil and Sen), which outliers do not move."""
        at, lag, epoch = points.T
        apart = (at[None, :] - at[:, None]) / self._rate
        pairs = (apart >= 0.4 * apart.max()) & (apart >= 2.0) & (epoch[None, :] == epoch[:, None])
        if not pairs.any():
            return
        slopes = ((lag[None, :] - lag[:, None]) / self._rate)[pairs] / apart[pairs]
        span = float(apart[pairs].max())
        trust = span**2 / (span**2 + DRIFT_TRUST_S**2)
        self.slope = float(np.median(slopes))
        self.drift = min(DRIFT_MOST, max(-DRIFT_MOST, trust * self.slope))
