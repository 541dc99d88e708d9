"""Packet-loss concealment: a gap in speech is filled with what the voice would have gone on saying."""

from ctypes import c_double, c_int, c_int64, c_uint32, c_void_p

import numpy as np

from menura.audio.block import Samples, finite, silence
from menura.audio.format import check_channels, check_rate
from menura.dsp.native import declare, pointer
from menura.dsp.period import blend, find_period
from menura.dsp.stage import read_only
from menura.errors import ConfigError
from menura.units import ms_to_frames

__all__ = ["Concealer"]

_conceal = declare(
    "mn_conceal",
    [
        c_void_p, c_int64, c_int, c_int, c_int, c_double, c_double, c_uint32, c_int64, c_int64,
        c_void_p, c_void_p, c_int64,
    ],
)  # fmt: skip

HISTORY_MS = 65.0
"""Three periods of 50 Hz and the filter's own memory."""
WINDOW_MS = 20.0
"""What must repeat: at least one period of the lowest voice."""
HOLD_MS, FADE_MS = 20.0, 80.0
END_MS = 5.0
MERGE_MS, MERGE_MOST_MS = 3.0, 8.0
"""Cross-fade into good audio; it grows by a quarter of the gap."""
UNVOICED, VOICED = 0.2, 0.6
"""Correlation up to which there is only noise, from which there is only repetition."""


def _share(score: float) -> float:
    t = min(1.0, max(0.0, (score - UNVOICED) / (VOICED - UNVOICED)))
    return t * t * (3.0 - 2.0 * t)


class Concealer:
    """Fills gaps in a stream, and joins the audio after a gap to the filling; adds no delay.

    Feed every block that is there through ``good`` and ask ``conceal`` for every one that is not. The filling goes on
    from the last frame without a seam, repeats the last pitch periods (noise of the same colour where there is no
    pitch), stays for 20 ms and is silent after 100. It is never louder than what it follows.

    Args:
        rate: Hz.
        channels: Of every block; all share one pitch period.
        seed: Of the noise.

    Source:
        Waveform substitution: Goodman et al., IEEE Trans. ASSP 34 (1986); ITU-T G.711 Appendix I (1999).
    """

    def __init__(self, rate: int, channels: int = 1, *, seed: int = 1) -> None:
        self.rate = check_rate(rate)
        self.channels = check_channels(channels)
        self._keep = ms_to_frames(HISTORY_MS, rate)
        self._hold, self._fade = ms_to_frames(HOLD_MS, rate), ms_to_frames(FADE_MS, rate)
        self._order = min(32, 8 + rate // 1000)
        self._first_seed = seed
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._history = silence(self._keep, self.channels)
        self._plan: Samples | None = None
        self._at = 0  # frames of the plan used
        self._merge = (0, 0)  # frames faded, of how many
        self._seed = self._first_seed
        self.lag = 0

    @property
    def history(self) -> Samples:
        """The last 65 ms given, filling included."""
        return read_only(self._history)

    @property
    def joining(self) -> bool:
        """Whether a gap is going on, or the cross-fade out of one."""
        return self._plan is not None

    @property
    def concealing(self) -> bool:
        """Whether the last frame given was a filling."""
        return self._plan is not None and not self._merge[1]

    @property
    def silent(self) -> bool:
        """Whether a gap has lasted so long that its filling is silence."""
        return self.concealing and self._at >= self._hold + self._fade

    @property
    def left(self) -> int:
        """Frames of filling until a gap, going on or beginning now, is silent."""
        return max(0, self._hold + self._fade - (self._at if self.concealing else 0))

    def seam(self) -> None:
        """The next good block does not follow the last one: cross-fade into it."""
        if not self.concealing:
            self._begin()

    def end(self) -> None:
        """The audio ends here: what ``conceal`` gives next fades within 5 ms, whatever the last frame was."""
        self.seam()
        assert self._plan is not None
        frames = ms_to_frames(END_MS, self.rate)
        t = (np.arange(frames, dtype=np.float32) + 1.0) / (frames + 1.0)
        fading = self._plan[self._at : self._at + frames]
        fading *= (np.cos(0.5 * np.pi * t) ** 2)[: len(fading), None]
        self._plan[self._at + frames :] = 0.0

    def conceal(self, frames: int) -> Samples:
        """What a gap is filled with, ``[frames, channels]``; a longer gap asks again."""
        if frames < 0:
            raise ConfigError(f"a gap has no negative length: {frames} frames")
        if not self.concealing:
            self._begin()
        y = self._next(frames)
        self._remember(y)
        return y

    def good(self, x: Samples) -> Samples:
        """The next block that is there, ``[n, channels]``; after a gap, its beginning is faded into."""
        y = finite(x)
        if self._plan is not None and len(y):
            y = self._join(y)
        self._remember(y)
        return y

    def bridge(self, frames: int, future: Samples) -> Samples:
        """Fill a gap whose other side is known already: from both sides, cross-faded.

        Args:
            future: What follows the gap, ``[n, channels]``; 40 ms of it are enough.
        """
        if len(future) < 2 * self._order or frames < 1:
            return self.conceal(frames)
        if not self.concealing:
            self._begin()
        back = self._extend(np.ascontiguousarray(finite(future)[: self._keep][::-1]), frames, self.lag)[::-1]
        t = ((np.arange(frames, dtype=np.float32) + 1.0) / (frames + 1.0))[:, None]
        y = blend(self._next(frames), back, t)
        self._plan, self._at, self._merge = None, 0, (0, 0)
        self._remember(y)
        return y

    def _begin(self) -> None:
        """Plan the filling of a gap that begins here."""
        frames = self._hold + self._fade
        self._plan = self._extend(self._history, frames) if self._history.any() else silence(frames, self.channels)
        self._at, self._merge = 0, (0, 0)

    def _extend(self, history: Samples, frames: int, lag: int = 0) -> Samples:
        window = ms_to_frames(WINDOW_MS, self.rate)
        if len(history) < window + lag + self.rate // 100:
            window = len(history) // 2
        lag, score = find_period(history, self.rate, window)
        self.lag = lag
        self._seed = (self._seed * 69069 + 1) & 0xFFFFFFFF
        work = np.empty(2 * len(history) + 32 + frames, np.float32)
        out = np.empty((frames, self.channels), np.float32)
        _conceal(
            pointer(history), len(history), self.channels, self._order, lag, _share(score), self.rate, self._seed,
            self._hold, self._fade, pointer(work), pointer(out), frames,
        )  # fmt: skip
        return out

    def _next(self, frames: int) -> Samples:
        """What follows of the plan, silence behind its end."""
        assert self._plan is not None
        y = silence(frames, self.channels)
        piece = self._plan[self._at : self._at + frames]
        y[: len(piece)] = piece
        self._at += frames
        return y

    def _join(self, x: Samples) -> Samples:
        done, length = self._merge
        if not length:
            length = ms_to_frames(min(MERGE_MOST_MS, MERGE_MS + 250.0 * self._at / self.rate), self.rate)
        n = min(len(x), length - done)
        t = ((done + np.arange(n, dtype=np.float32) + 1.0) / (length + 1.0))[:, None]
        y = x.copy()
        y[:n] = blend(self._next(n), x[:n], t)
        self._merge = (done + n, length)
        if done + n >= length:
            self._plan, self._at, self._merge = None, 0, (0, 0)
        return y

    def _remember(self, y: Samples) -> None:
        if len(y) >= self._keep:
            self._history = np.ascontiguousarray(y[-self._keep :])
        elif len(y):
            self._history = np.concatenate([self._history[len(y) :], y])
