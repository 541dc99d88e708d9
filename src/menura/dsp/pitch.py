"""Pitch tracking of a stream."""

from ctypes import c_double, c_int, c_int64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples
from menura.audio.format import check_rate
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError, FormatError

__all__ = ["TRACK", "PitchTracker", "check_pitch_range"]

TRACK = np.dtype([("position", np.float64), ("f0_hz", np.float64), ("strength", np.float64)])
"""A point of a pitch track: input position in frames, F0 in Hz (0: unvoiced), normalised correlation 0..1."""

_RANGE = [c_double, c_double, c_double]
_size = declare("mn_tracker_size", _RANGE, c_int64)
_init = declare("mn_tracker_init", [c_void_p, *_RANGE], c_int64)
_hop = declare("mn_tracker_hop", [c_void_p], c_int)
_reset = declare("mn_tracker_reset", [c_void_p])
_process = declare("mn_tracker_process", [c_void_p, c_void_p, c_int64, c_void_p], c_int64)


def check_pitch_range(rate: int, fmin_hz: float, fmax_hz: float) -> tuple[float, float]:
    """Return the lowest and the highest pitch if they can be tracked at this rate.

    Raises:
        ConfigError: ``fmin_hz`` is outside 40..400, or ``fmax_hz`` is not between 1.5 ``fmin_hz`` and the smaller of
            1200 Hz and an eighth of the rate.
    """
    if not 40.0 <= fmin_hz <= 400.0:
        raise ConfigError(f"fmin_hz must lie between 40 and 400 Hz, not {fmin_hz}")
    most = min(1200.0, rate / 8)
    if not 1.5 * fmin_hz <= fmax_hz <= most:
        raise ConfigError(f"fmax_hz must lie between 1.5 fmin_hz and {most:g} Hz, not {fmax_hz}")
    return float(fmin_hz), float(fmax_hz)


class PitchTracker:
    """F0 of a voice, every 2.5 ms, a fixed number of frames late.

    Args:
        rate: Sample rate, Hz.
        fmin_hz: Lowest pitch of the voice; down to 0.8 of it is tracked.
        fmax_hz: Highest pitch.

    Attributes:
        lag: A point comes out when this many frames beyond its position went in.
        hop: Frames between two points.

    Raises:
        ConfigError: The range cannot be tracked.

    Source:
        Talkin in *Speech Coding and Synthesis*, 1995, ch. 14: normalised cross-correlation, dynamic programming.

    >>> tracker = PitchTracker(48_000)
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(9600) / 48_000).astype(np.float32)
    >>> round(float(tracker.process(tone[:, None])["f0_hz"][-1]))
    220
    """

    def __init__(self, rate: int, *, fmin_hz: float = 75.0, fmax_hz: float = 600.0) -> None:
        self.rate = check_rate(rate)
        shape = (float(rate), *check_pitch_range(rate, fmin_hz, fmax_hz))
        self._memory: NDArray[np.uint8] = np.zeros(_size(*shape), np.uint8)
        self._state = pointer(self._memory)
        self.lag = int(_init(self._state, *shape))
        self.hop = int(_hop(self._state))

    def __reduce__(self) -> Any:
        raise TypeError("a PitchTracker cannot be copied or pickled: its state holds addresses")

    def process(self, x: Samples) -> NDArray[np.void]:
        """Track the next block.

        Shape:
            x: ``[n, channels]``; the mean of the channels is tracked.

        Returns:
            ``[points]`` of ``TRACK``: what became certain with this block, maybe nothing.
        """
        if x.ndim != 2 or not x.shape[1]:
            raise FormatError(f"expected [frames, channels], got {list(x.shape)}")
        mono = np.ascontiguousarray(x.mean(1) if x.shape[1] > 1 else x[:, 0], np.float32)
        points = np.zeros(len(mono) // self.hop + 2, TRACK)
        return points[: _process(self._state, pointer(mono), len(mono), pointer(points))]

    def reset(self) -> None:
        """Forget all audio."""
        _reset(self._state)
