"""Audio of changing rate and channels as audio of one rate and so many channels, without delay."""

import numpy as np

from menura.audio.block import Samples, remix, silence
from menura.dsp.resample import Resampler

__all__ = ["Fit"]


class Fit:
    """Converts block after block; what comes out begins where what went in began.

    A change of rate ends one conversion and begins another: the rest of the first comes before the second, nothing is
    lost between.

    Args:
        rate: Of what comes out, Hz.
        channels: Of what comes out; mono is copied to all, more are mixed to mono, anything else is refused.

    >>> fit = Fit(48_000, 2)
    >>> len(fit.push(silence(1600), 16_000)) + len(fit.flush()), fit.push(silence(10), 48_000).shape
    (4800, (10, 2))
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self._converter: Resampler | None = None
        self._skip = 0

    def push(self, x: Samples, rate: int) -> Samples:
        """The next block, ``[n, c]``, at its rate.

        Returns:
            ``[m, channels]``, all that is ready; the rest of it comes with the next, or with :meth:`flush`.

        Raises:
            FormatError: Its channels cannot be mapped.
        """
        x = remix(x, self.channels)
        if rate == self.rate:
            return x if self._converter is None else np.concatenate([self.flush(), x])
        rest = silence(0, self.channels)
        if self._converter is None or self._converter.rate_in != rate:
            rest = self.flush()
            self._converter = Resampler(rate, self.rate, self.channels)
            self._skip = self._converter.latency
        return np.concatenate([rest, self._trim(self._converter.process(x))])

    def _trim(self, y: Samples) -> Samples:
        skip = min(self._skip, len(y))
        self._skip -= skip
        return y[skip:]

    def flush(self) -> Samples:
        """What is still held; then be as new."""
        if self._converter is None:
            return silence(0, self.channels)
        y = self._trim(self._converter.flush())
        self._converter = None
        return y
