"""Gate, compressor, limiter, gain."""

from ctypes import c_double, c_int, c_int64, c_size_t, c_void_p
from typing import NamedTuple

import numpy as np

from menura.audio.block import Samples
from menura.dsp.glide import Glide, one_pole
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError
from menura.units import db_to_gain, ms_to_frames

__all__ = ["Compressor", "Gain", "Gate", "Limiter"]

_D, _I, _L, _P = c_double, c_int, c_int64, c_void_p
_gate_size = declare("mn_gate_size", [], c_size_t)
_gate = declare("mn_gate", [_P, _L, _I, _P, _D, _D, _D, _L, _D, _D, _D])
_compressor_size = declare("mn_compressor_size", [], c_size_t)
_compressor = declare("mn_compressor", [_P, _L, _I, _P, _D, _D, _D, _D, _D, _D])
_limiter_size = declare("mn_limiter_size", [_I, _I], c_size_t)
_limiter_init = declare("mn_limiter_init", [_P, _I, _I])
_limiter = declare("mn_limiter", [_P, _P, _L, _I, _P, _I, _D, _D])


class Gain(InPlace):
    """Linear gain in dB; a change glides over 10 ms."""

    def __init__(self, rate: int, channels: int = 1, *, gain_db: float = 0.0) -> None:
        super().__init__(rate, channels)
        self.gain_db = gain_db
        self._glide = Glide(db_to_gain(gain_db), rate)

    def reset(self) -> None:
        """Arrive at the set gain."""
        super().reset()
        self._glide.jump(db_to_gain(self.gain_db))

    def _run(self, y: Samples) -> None:
        y *= self._glide.curve(db_to_gain(self.gain_db), len(y))


class Gate(InPlace):
    """Noise gate with hysteresis and hold.

    Args:
        threshold_db: RMS level above which it opens, dBFS; it closes ``hysteresis_db`` below.
        floor_db: Gain when closed.
        hold_ms: How long it stays open after the level fell.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        threshold_db: float = -50.0,
        hysteresis_db: float = 6.0,
        floor_db: float = -60.0,
        hold_ms: float = 120.0,
    ) -> None:
        super().__init__(rate, channels)
        if hysteresis_db < 0 or hold_ms < 0:
            raise ConfigError("hysteresis_db and hold_ms cannot be negative")
        self._open, self._close = db_to_gain(threshold_db), db_to_gain(threshold_db - hysteresis_db)
        self._floor, self._hold = db_to_gain(floor_db), ms_to_frames(hold_ms, rate)
        self._detector, self._rise, self._fall = one_pole(5, rate), one_pole(1, rate), one_pole(30, rate)
        self.reset()

    def reset(self) -> None:
        """Closed, as at the start."""
        super().reset()
        self._state = np.zeros(_gate_size(), np.uint8)

    def _run(self, y: Samples) -> None:
        _gate(
            pointer(y), len(y), self.channels, pointer(self._state), self._detector, self._open, self._close,
            self._hold, self._rise, self._fall, self._floor,
        )  # fmt: skip


class _Curve(NamedTuple):
    threshold_db: float
    slope: float
    knee_db: float
    attack: float
    release: float
    makeup: float


class Compressor(InPlace):
    """Feed-forward compressor with a soft knee.

    Source:
        Giannoulis, Massberg and Reiss, J. Audio Eng. Soc. 60 (6), 2012.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        threshold_db: float = -20.0,
        ratio: float = 3.0,
        knee_db: float = 6.0,
        makeup_db: float = 0.0,
    ) -> None:
        super().__init__(rate, channels)
        if ratio < 1.0 or knee_db < 0.0:
            raise ConfigError(f"a compressor's ratio is at least 1 and its knee at least 0 dB: {ratio=} {knee_db=}")
        self._curve = _Curve(
            threshold_db, 1.0 - 1.0 / ratio, max(knee_db, 1e-3), one_pole(5, rate), one_pole(80, rate),
            db_to_gain(makeup_db),
        )  # fmt: skip
        self.reset()

    def reset(self) -> None:
        """Forget the level."""
        super().reset()
        self._state = np.zeros(_compressor_size(), np.uint8)

    def _run(self, y: Samples) -> None:
        _compressor(pointer(y), len(y), self.channels, pointer(self._state), *self._curve)


class Limiter(InPlace):
    """Look-ahead limiter: no sample leaves above ``ceiling_db``, and what is below passes unchanged.

    Args:
        lookahead_ms: Its latency.
        release_ms: Time constant of the gain's recovery.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        ceiling_db: float = -0.1,
        lookahead_ms: float = 1.5,
        release_ms: float = 60.0,
    ) -> None:
        super().__init__(rate, channels)
        if ceiling_db > 0.0:
            raise ConfigError(f"a limiter's ceiling is at most 0 dBFS, not {ceiling_db}")
        self.latency = max(1, ms_to_frames(lookahead_ms, rate))
        self._ceiling = db_to_gain(ceiling_db)
        self._release = one_pole(release_ms, rate)
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        super().reset()
        self._state = np.zeros(_limiter_size(self.latency, self.channels), np.uint8)
        _limiter_init(pointer(self._state), self.latency, self.channels)

    def _run(self, y: Samples) -> None:
        _limiter(
            pointer(y), pointer(y), len(y), self.channels, pointer(self._state), self.latency, self._ceiling,
            self._release,
        )  # fmt: skip
