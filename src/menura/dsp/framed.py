"""Frames of one length and one rate, cut from and joined to a stream of any rate and any block sizes."""

from collections.abc import Callable
from functools import lru_cache
from math import gcd

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.resample import HALF_WIDTH_MS, Resampler
from menura.errors import ConfigError, FormatError

__all__ = ["Framed"]

FRAME_HZ = 100
"""Frames a second: the libraries that clean speech all work on 10 ms."""
NEARLY = 0.05


@lru_cache(maxsize=64)
def _wait(rate: int, inner: int, step: int, ahead: int) -> int:
    """Most frames by which what whole frames have given can be short of what was taken, at any multiple of ``step``.

    ``ahead`` frames at ``inner`` are given beforehand.
    """
    taken = np.arange(0, rate + 1, gcd(step, rate), dtype=np.int64)  # after a second all remainders are as at 0
    frame = inner // FRAME_HZ
    given = (taken * inner // rate // frame * frame + ahead) * rate // inner
    return max(0, int((taken - given).max()))


class Framed:
    """Gives a function the 10 ms frames that it needs, at the one rate that it knows; n frames in, n frames out.

    Args:
        rate: Of the stream, Hz.
        inner: Of the function, Hz, a multiple of 100. Where it differs, the stream is resampled both ways.
        channels: What the function takes and what it gives.
        delay: Frames at ``inner`` by which what the function gives lags what it takes.
        step: Every block's length is a multiple of this. Blocks of whole 10 ms, where the stream is known to have no
            others, need no waiting: they save the 10 ms that blocks of any length cost.
        half_width_ms: Of the resamplers' filters.

    Attributes:
        latency: Frames at ``rate``: the waiting, the function's delay and both resamplers'. It is whole within 0.05
            frames, and delays by less than 1 ms, most of it waiting anyway, to be so.
    """

    def __init__(
        self,
        rate: int,
        inner: int,
        channels: tuple[int, int],
        delay: int,
        *,
        step: int = 1,
        half_width_ms: float = HALF_WIDTH_MS,
    ) -> None:
        if isinstance(step, bool) or not isinstance(step, int) or step < 1:
            raise ConfigError(f"step is a whole number of frames from 1, not {step!r}")
        self.step = step
        self.frame = inner // FRAME_HZ
        self._channels = channels
        self._into = Resampler(rate, inner, channels[0], half_width_ms=half_width_ms)
        self._back = Resampler(inner, rate, channels[1], half_width_ms=half_width_ms)
        exact = [(self._into.latency + delay + ahead) * rate / inner for ahead in range(inner // 1000)]
        off = [abs(value - round(value)) for value in exact]
        self._ahead = next((i for i, value in enumerate(off) if value <= NEARLY), int(np.argmin(off)))
        self._wait = _wait(rate, inner, step, self._ahead)
        self.latency = self._wait + round(exact[self._ahead]) + self._back.latency
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._into.reset()
        self._back.reset()
        self._cut = silence(0, self._channels[0])
        ahead = self._back.process(silence(self._ahead, self._channels[1]))
        self._ready = np.concatenate([silence(self._wait, self._channels[1]), ahead])

    def run(self, x: Samples, function: Callable[[Samples], Samples]) -> Samples:
        """Take the next block and give as many frames.

        Args:
            x: ``[n, channels taken]``, finite.
            function: From a frame ``[frame, channels taken]`` to ``[frame, channels given]``.

        Raises:
            FormatError: ``n`` is no multiple of ``step``.
        """
        if len(x) % self.step:
            raise FormatError(f"blocks here are multiples of {self.step} frames, not {len(x)}")
        inner = self._into.process(x)
        held = np.concatenate([self._cut, inner]) if len(self._cut) else inner
        whole = len(held) // self.frame * self.frame
        self._cut = held[whole:].copy()
        made = [function(held[at : at + self.frame]) for at in range(0, whole, self.frame)]
        given = self._back.process(np.concatenate(made)) if made else self._ready[:0]
        ready = np.concatenate([self._ready, given])
        self._ready = ready[len(x) :].copy()
        return ready[: len(x)]
