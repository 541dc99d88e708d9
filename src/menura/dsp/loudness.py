"""Loudness as listeners hear it: a meter, and a slow gain that brings a programme to one loudness."""

import math
from ctypes import c_int, c_int64, c_void_p

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, finite
from menura.audio.format import check_channels, check_rate
from menura.dsp.dynamics import Limiter
from menura.dsp.inplace import InPlace
from menura.dsp.native import declare, pointer
from menura.errors import ConfigError
from menura.units import db_to_gain

__all__ = ["SILENT_LUFS", "LoudnessMeter", "LoudnessNormalizer", "loudness_lufs"]

_sos = declare("mn_sos", [c_void_p, c_int64, c_int, c_void_p, c_int, c_void_p])

SILENT_LUFS = -120.0
"""What a meter says of silence, and before it has heard enough."""
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LUFS = -0.691
"""Makes a full-scale sine of 997 Hz in one channel −3.01 LUFS."""
STEPS_BLOCK, STEPS_SHORT = 4, 30
"""Steps of 100 ms in a gating block of 400 ms and in the short-term window of 3 s."""
BINS_PER_LU, BINS = 100, 100 * 90


def k_weighting(rate: int) -> NDArray[np.float64]:
    """Sections b0 b1 b2 a1 a2 of the K-weighting at any rate, ``[2, 5]``: a high shelf and a high-pass.

    Source:
        ITU-R BS.1770-4, annex 1, gives the coefficients at 48 kHz; corner, quality and gain by which they are found
        again at other rates are B. De Man's, Evaluation of implementations of the EBU R128 loudness measurement, 2018.
    """
    k, q, high = math.tan(math.pi * 1681.974450955533 / rate), 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    middle, unit = high**0.4996667741545416, 1.0 + k / q + k * k
    shelf = [
        (high + middle * k / q + k * k) / unit,
        2.0 * (k * k - high) / unit,
        (high - middle * k / q + k * k) / unit,
        2.0 * (k * k - 1.0) / unit,
        (1.0 - k / q + k * k) / unit,
    ]
    k, q = math.tan(math.pi * 38.13547087602444 / rate), 0.5003270373238773
    unit = 1.0 + k / q + k * k
    return np.array([shelf, [1.0, -2.0, 1.0, 2.0 * (k * k - 1.0) / unit, (1.0 - k / q + k * k) / unit]])


def _lufs(power: float) -> float:
    """Loudness of a K-weighted power, summed over channels."""
    return max(SILENT_LUFS, OFFSET_LUFS + 10.0 * math.log10(power)) if power > 0.0 else SILENT_LUFS


class LoudnessMeter:
    """Momentary, short-term and integrated loudness of a stream, renewed every 100 ms, however it is cut.

    Memory is bounded: blocks of the integrated loudness are kept as sums per 0.01 LU.

    Args:
        channels: Mono, left and right, or others that all weigh 1.

    Attributes:
        steps: Steps of 100 ms measured.

    Source:
        ITU-R BS.1770-4; EBU Tech 3341 for the windows.

    >>> meter = LoudnessMeter(48_000)
    >>> meter.push(np.sin(2 * np.pi * 997 * np.arange(96_000)[:, None] / 48_000).astype(np.float32))
    >>> round(meter.integrated, 1), round(meter.momentary, 1)
    (-3.0, -3.0)
    """

    def __init__(self, rate: int, channels: int = 1) -> None:
        self._channels = check_channels(channels)
        self._sections = k_weighting(check_rate(rate))
        self._step = np.zeros((round(rate / 10), channels), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self.steps = 0
        self._filled = 0
        self._filter = np.zeros((len(self._sections), self._channels, 2))
        self._powers = np.zeros(STEPS_SHORT)
        self._sums, self._counts = np.zeros(BINS), np.zeros(BINS, np.int64)

    def push(self, x: Samples) -> None:
        """Measure the next block, ``[n, channels]``."""
        x = finite(x)
        at = 0
        while at < len(x):
            span = min(len(x) - at, len(self._step) - self._filled)
            # filtered in the place where a step is summed up, which is the same however the step came
            part = self._step[self._filled : self._filled + span]
            part[:] = x[at : at + span]
            _sos(
                pointer(part), span, self._channels, pointer(self._sections), len(self._sections),
                pointer(self._filter),
            )  # fmt: skip
            self._filled += span
            at += span
            if self._filled == len(self._step):
                self._complete()

    def _complete(self) -> None:
        flat = self._step.reshape(-1).astype(np.float64)
        self._powers[self.steps % STEPS_SHORT] = np.dot(flat, flat) / len(self._step)
        self._filled = 0
        self.steps += 1
        if self.steps >= STEPS_BLOCK:
            power = self._power(STEPS_BLOCK)
            place = int((_lufs(power) - ABSOLUTE_GATE_LUFS) * BINS_PER_LU)
            if _lufs(power) > ABSOLUTE_GATE_LUFS:
                place = min(place, BINS - 1)
                self._sums[place] += power
                self._counts[place] += 1

    def _power(self, steps: int) -> float:
        """Mean over the last steps."""
        last = np.arange(self.steps - steps, self.steps) % STEPS_SHORT
        return float(self._powers[last].mean())

    @property
    def momentary(self) -> float:
        """Loudness of the last 400 ms, LUFS."""
        return _lufs(self._power(STEPS_BLOCK)) if self.steps >= STEPS_BLOCK else SILENT_LUFS

    @property
    def short_term(self) -> float:
        """Loudness of the last 3 s, LUFS."""
        return _lufs(self._power(STEPS_SHORT)) if self.steps >= STEPS_SHORT else SILENT_LUFS

    @property
    def integrated(self) -> float:
        """Loudness of all since the start without its pauses, LUFS: gated at −70 LUFS, then 10 LU below the mean."""
        if not self._counts.any():
            return SILENT_LUFS
        gate = _lufs(float(self._sums.sum() / self._counts.sum())) + RELATIVE_GATE_LU
        first = max(0, math.ceil((gate - ABSOLUTE_GATE_LUFS) * BINS_PER_LU))
        return _lufs(float(self._sums[first:].sum() / max(1, self._counts[first:].sum())))


def loudness_lufs(x: Samples, rate: int) -> float:
    """Integrated loudness of a whole recording, ``[n, channels]``, LUFS; −120 for what is silent or below 400 ms."""
    meter = LoudnessMeter(rate, x.shape[1])
    meter.push(x)
    return meter.integrated


WINDOW = 100
"""Blocks, 100 ms apart, whose loudness is the programme's: its last 10 s without pauses."""
PATIENCE = 300
"""Blocks in a row, 30 s, that are all too quiet for the programme before they are taken for a new one."""
FALL = 3.0
"""How much faster the gain falls than it rises."""
CEILING_DB = -1.0


class LoudnessNormalizer(InPlace):
    """Brings a programme to one loudness with a slow gain, and keeps its peaks at or below −1 dBFS.

    The gain follows the loudness of the last 10 s that were no pause (400 ms blocks, gated as the meter's), so that the
    dynamics of speech stay. It moves only while the programme sounds. Take it for what has a level of its own that
    should be another: a provider's voice, a file, a call's far end, the end of a chain. For a person whose distance
    from the microphone changes take :class:`~menura.dsp.autogain.AutoGain`, which knows speech from noise and follows
    in a second or two.

    Args:
        target_lufs: −40 to −10; may be set while audio runs.
        max_gain_db: Most it is turned up, 0 to 40. What even so stays more than 10 LU below the target is a pause.
        max_cut_db: Most it is turned down, 0 to 60.
        pace_db_s: How fast the gain rises, 0.1 to 30; it falls three times as fast.

    Attributes:
        gain_db: Gain at the end of the last block.
        meter: Loudness of what comes in.

    Source:
        ITU-R BS.1770-4.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        target_lufs: float = -20.0,
        max_gain_db: float = 20.0,
        max_cut_db: float = 30.0,
        pace_db_s: float = 3.0,
    ) -> None:
        super().__init__(rate, channels)
        if not (0.0 <= max_gain_db <= 40.0 and 0.0 <= max_cut_db <= 60.0 and 0.1 <= pace_db_s <= 30.0):
            raise ConfigError(f"normaliser: {max_gain_db=} is 0 to 40, {max_cut_db=} 0 to 60, {pace_db_s=} 0.1 to 30")
        self.target_lufs = target_lufs
        self._most, self._least, self._pace = max_gain_db, -max_cut_db, pace_db_s
        self._limiter = Limiter(rate, channels, ceiling_db=CEILING_DB)
        self.latency = self._limiter.latency
        self.meter = LoudnessMeter(rate, channels)
        self._hop = round(rate / 10)
        self._along = ((np.arange(self._hop) + 1.0) / self._hop).astype(np.float32)[:, None]
        self.reset()

    @property
    def target_lufs(self) -> float:
        """Loudness it goes to, LUFS."""
        return self._target

    @target_lufs.setter
    def target_lufs(self, target_lufs: float) -> None:
        if not -40.0 <= target_lufs <= -10.0:
            raise ConfigError(f"normaliser: target_lufs is −40 to −10, not {target_lufs}")
        self._target = float(target_lufs)

    def reset(self) -> None:
        """Forget all audio and the gain."""
        super().reset()
        self.meter.reset()
        self._limiter.reset()
        self._programme = np.zeros(WINDOW)
        self._heard = self._quiet = 0
        self._loudness = SILENT_LUFS
        self._from_db = self.gain_db = 0.0

    def _run(self, y: Samples) -> None:
        at = 0
        while at < len(y):
            place = (self._at + at) % self._hop
            part = y[at : at + min(len(y) - at, self._hop - place)]
            self.meter.push(part)
            start, end = db_to_gain(self._from_db), db_to_gain(self.gain_db)
            if start != end:
                part *= np.float32(start) + np.float32(end - start) * self._along[place : place + len(part)]
            elif end != 1.0:
                part *= np.float32(end)
            at += len(part)
            if place + len(part) == self._hop:
                self._from_db = self.gain_db
                self._decide()
        y[:] = self._limiter.process(y)

    def _decide(self) -> None:
        """Hear the block that is complete; move the gain if it belongs to the programme."""
        block = self.meter.momentary
        floor = max(ABSOLUTE_GATE_LUFS, self._target - self._most + RELATIVE_GATE_LU)
        if block <= floor:
            return
        if block < self._loudness + RELATIVE_GATE_LU:
            self._quiet += 1
            if self._quiet < PATIENCE:
                return
            self._heard = 0
        self._quiet = 0
        self._programme[self._heard % WINDOW] = 10.0 ** (block / 10.0)
        self._heard += 1
        powers = self._programme[: min(self._heard, WINDOW)]
        gated = powers[powers >= powers.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)]
        self._loudness = 10.0 * math.log10(float(gated.mean()))
        wanted = min(max(self._target - self._loudness, self._least), self._most)
        rise = self._pace / 10.0
        self.gain_db = min(max(wanted, self.gain_db - FALL * rise), self.gain_db + rise)
