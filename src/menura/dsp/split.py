"""A processor of one rate in a stream of any, which leaves what is above its band as clear as it was."""

from collections.abc import Callable

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.framed import Framed
from menura.errors import ConfigError

__all__ = ["Split"]

MAX_CHANNELS = 4
HALF_WIDTH_MS = 1.5
"""Of the resamplers: what they lose goes around them, at 16 kHz from 6.3 kHz."""


class Split:
    """Gives a function that only takes away the lower band, as frames of 10 ms at a rate of its own.

    What is above its band, and what the resamplers' short filters lose of it, is the signal less the lower band. It is
    turned down as far as the function turns down the top of its band, smoothly. So a function that changes nothing
    changes nothing, to the bit, at any rate; and all frequencies are equally late.

    Args:
        rate: Of the stream, Hz.
        inner: Of the function, Hz.
        channels: What the function takes, of which the first are the signal; and what it gives, which is the signal.
        delay: Frames at ``inner`` by which what the function gives lags.
        step: Every block's length is a multiple of this.

    Attributes:
        latency: Frames at ``rate``.

    Raises:
        ConfigError: There are more than 4 channels.
    """

    def __init__(self, rate: int, inner: int, channels: tuple[int, int], delay: int, step: int = 1) -> None:
        if channels[1] > MAX_CHANNELS:
            raise ConfigError(f"at most {MAX_CHANNELS} channels are cleaned together, not {channels[1]}: mix them down")
        self._channels = channels[1]
        self._whole = rate == inner
        # one channel more carries what is taken off above through the resampler, which aligns it
        given = channels[1] + (not self._whole)
        self._framed = Framed(rate, inner, (channels[0], given), delay, step=step, half_width_ms=HALF_WIDTH_MS)
        self._delay = delay
        self.step, self.frame, self.latency = step, self._framed.frame, self._framed.latency
        self._along = ((np.arange(self.frame) + 1.0) / self.frame).astype(np.float32)[:, None]
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._framed.reset()
        self._signal = silence(self.latency, self._channels)
        self._lower = silence(self._delay, self._channels)
        self._gain = np.float32(1.0)

    def run(self, x: Samples, function: Callable[[Samples], Samples]) -> Samples:
        """Process the next block.

        Args:
            x: ``[n, channels taken]``, finite.
            function: From a frame ``[frame, channels taken]`` to ``[frame, channels given]``.

        Raises:
            FormatError: ``n`` is no multiple of ``step``.
        """
        if self._whole:
            return self._framed.run(x, function)
        y = self._framed.run(x, lambda frame: self._less(frame, function))
        held = np.concatenate([self._signal, x[:, : self._channels]])
        self._signal = held[len(x) :].copy()
        signal = held[: len(x)]
        whole: Samples = signal + (y[:, :-1] - y[:, -1:] * signal)
        return whole

    def _less(self, frame: Samples, function: Callable[[Samples], Samples]) -> Samples:
        """What is to be added to the signal, and what share of the signal is to be taken off."""
        held = np.concatenate([self._lower, frame[:, : self._channels]])
        before, self._lower = held[: self.frame], held[self.frame :].copy()
        after = function(frame)
        last, self._gain = self._gain, _top_gain(before, after, self._gain)
        gain = last + (self._gain - last) * self._along
        return np.concatenate([after - gain * before, 1.0 - gain], axis=1)


def _top_gain(before: Samples, after: Samples, last: np.float32) -> np.float32:
    """How far the highest frequencies were turned down; as ``last`` where there are none."""
    power, left = _treble(before), _treble(after)
    return np.float32(min(1.0, (left / power) ** 0.5)) if power > 1e-12 else last


def _treble(x: Samples) -> float:
    """Power of the second differences, which weigh by the square of frequency, as speech falls."""
    flat = (x[2:] - 2.0 * x[1:-1] + x[:-2]).reshape(-1)
    return float(np.dot(flat, flat))
