"""Streaming sample-rate conversion with a short, stated delay and a constant cadence."""

from ctypes import c_int, c_int64, c_void_p
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, finite, silence
from menura.audio.format import check_channels, check_rate
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError

__all__ = ["Resampler"]

_resample = declare(
    "mn_resample",
    [c_void_p, c_int64, c_int, c_void_p, c_int, c_int, c_int64, c_int64, c_int64, c_int64, c_int64, c_void_p],
)

HALF_WIDTH_MS = 4.0
"""Half the filter's length; the declared latency is this plus at most two frames."""
MAX_HALF_WIDTH = 64
"""Input frames at the lower rate: beyond, a longer filter buys nothing one hears."""
KAISER_BETA = 8.0
"""Stop band about −80 dB (Kaiser 1974)."""
MAX_ROWS = 1024


@lru_cache(maxsize=32)
def _table(up: int, down: int, half: int, rows: int) -> NDArray[np.float32]:
    """Windowed sinc at ``rows`` + 1 sub-sample phases, ``[rows + 1, 2 · half]``, each row summing to 1."""
    cutoff = min(1.0, up / down)
    taps = 2 * half
    # tap t of row p lies (t − half + 1) − p / rows input frames from the output's instant
    distance = (np.arange(taps) - half + 1)[None, :] - (np.arange(rows + 1) / rows)[:, None]
    # the pass band ends where the Kaiser window's transition (β = 8: 10.2 π / taps) just fits below the lower Nyquist
    edge = cutoff * (1.0 - 5.1 / (taps * cutoff))
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1.0 - (distance / half) ** 2, 0.0, 1.0))) / np.i0(KAISER_BETA)
    table = edge * np.sinc(edge * distance) * window
    return np.ascontiguousarray(table / table.sum(axis=1, keepdims=True), np.float32)


class Resampler:
    """Stage that converts from one rate to another.

    After ``n`` frames in, exactly ``floor(n · rate_out / rate_in)`` are out: 20 ms in give 20 ms out, always. The delay
    is at most 5 ms.

    Args:
        rate_in: Hz.
        rate_out: Hz.
        channels: Of every block.
        half_width_ms: Half the filter's length, most of the delay, 0.5 to 20. A shorter filter falls off earlier below
            the lower Nyquist frequency, at 1.5 ms and 16 kHz from 6.3 kHz: for what is complemented with the rest.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int = 1, *, half_width_ms: float = HALF_WIDTH_MS) -> None:
        self.rate_in = check_rate(rate_in)
        self.rate_out = check_rate(rate_out)
        self.channels = check_channels(channels)
        divisor = gcd(rate_in, rate_out)
        self._up, self._down = rate_out // divisor, rate_in // divisor
        self._bypass = self._up == self._down
        if not 0.5 <= half_width_ms <= 20.0:
            raise ConfigError(f"a resampler's half_width_ms is 0.5 to 20, not {half_width_ms}")
        lower = min(rate_in, rate_out)
        widest = int(half_width_ms * rate_in / 1000.0)
        self._half = min(widest, MAX_HALF_WIDTH * rate_in // lower)
        self._rows = min(self._up, MAX_ROWS)
        self._table = _table(self._up, self._down, self._half, self._rows)
        # output k is computed for position k − latency, and may need half frames beyond it
        self.latency = 0 if self._bypass else -(-(self._half + 1) * self._up // self._down) + 1
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        lead = self._half + -(-self.latency * self._down // self._up) + 1
        self._held = silence(lead, self.channels)
        self._origin = -lead
        self._read = 0
        self._made = 0

    def process(self, x: Samples) -> Samples:
        """Convert the next block, ``[n, channels]``."""
        x = finite(x)
        if self._bypass:
            return x
        self._read += len(x)
        return self._make(x, self._read * self._up // self._down - self._made)

    def _make(self, x: Samples, count: int) -> Samples:
        held = np.concatenate([self._held, x]) if len(x) else self._held
        y = np.empty((count, self.channels), np.float32)
        # positions are kept non-negative for C's division: both sides are moved by a whole number of ratios
        first = self._made - self.latency
        turns = self.latency // self._up + 1
        _resample(
            pointer(held), self._origin + turns * self._down, self.channels, pointer(self._table), 2 * self._half,
            self._rows, self._up, self._down, self._half - 1, first + turns * self._up, count, pointer(y),
        )  # fmt: skip
        self._made += count
        needed = (self._made - self.latency) * self._down // self._up - self._half
        drop = max(0, min(needed - self._origin, len(held)))
        self._held = held[drop:]
        self._origin += drop
        return y

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held, and be as new."""
        y = silence(0, self.channels)
        if not self._bypass:
            y = self._make(silence(2 * self._half + 2 + self._down // self._up, self.channels), self.latency)
        self.reset()
        return y
