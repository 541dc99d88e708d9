"""Live pitch and formant shifting, the two independent of each other."""

from ctypes import POINTER, Structure, c_double, c_int, c_int64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples
from menura.audio.format import check_channels, check_rate
from menura.dsp.native import declare, pointer
from menura.dsp.pitch import TRACK, check_pitch_range
from menura.errors import ConfigError, FormatError

__all__ = ["PitchShift"]

_TRACK_MOST = 512


class _Settings(Structure):
    _fields_ = [(name, c_double) for name in ("pitch_st", "formant", "target_hz", "formant_follow", "intonation")]


_SHAPE = [c_double, c_int, c_double, c_double]
_size = declare("mn_shift_size", _SHAPE, c_int64)
_init = declare("mn_shift_init", [c_void_p, *_SHAPE], c_int64)
_reset = declare("mn_shift_reset", [c_void_p])
_process = declare("mn_shift_process", [c_void_p, c_void_p, c_void_p, c_int64])
_settings = declare("mn_shift_set", [c_void_p], POINTER(_Settings))
_seed = declare("mn_shift_seed", [c_void_p, c_double, c_int])
_speaker = declare("mn_shift_speaker", [c_void_p], c_double)
_track = declare("mn_shift_track", [c_void_p, c_void_p, c_int], c_int)
_f0 = declare("mn_shift_f0", [c_void_p], c_double)


class _Setting:
    """A number of ``_Settings`` with its bounds, settable at any time between two blocks."""

    def __init__(self, low: float, high: float, doc: str) -> None:
        self.low, self.high, self.__doc__ = low, high, doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, shift: "PitchShift", owner: type) -> float:
        return float(getattr(shift.settings, self.name))

    def __set__(self, shift: "PitchShift", value: float) -> None:
        if not self.low <= value <= self.high:  # also catches NaN
            raise ConfigError(f"{self.name} must lie between {self.low:g} and {self.high:g}, not {value}")
        setattr(shift.settings, self.name, float(value))


class PitchShift:
    """Shift pitch and formants of a voice, by pitch-synchronous overlap-add with a fixed delay.

    The delay is two periods of the lowest voice, so ``fmin_hz`` should be that of the speaker: a voice below 0.8 of it
    is tracked an octave too high or left as it is. With nothing to change, the output equals the input. Every setting
    can be changed between two blocks without a click.

    Args:
        rate: Sample rate, Hz.
        channels: Marks are found on the mean of all channels and used for each, so a stereo image is kept.
        pitch_st: Pitch shift, semitones, −24..24.
        formant: Factor on the formant frequencies, 0.5..2; 1 keeps the vocal tract as it is.
        fmin_hz: Lowest pitch tracked, Hz; the latency is 2 / ``fmin_hz``.
        fmax_hz: Highest pitch tracked, Hz.

    Shape:
        ``[n, channels]`` in, ``[n, channels]`` out, float32.

    Raises:
        ConfigError: A setting, the rate or the number of channels is out of its range.
        FormatError: A block has another shape.

    Source:
        Moulines and Charpentier, Speech Communication 9, 1990 (overlap-add); Talkin in *Speech Coding and Synthesis*,
        1995 (correlation and dynamic programming).

    >>> shift = PitchShift(48_000, pitch_st=4)
    >>> shift.process(np.zeros((480, 1), np.float32)).shape, shift.latency
    ((480, 1), 1280)
    """

    pitch_st = _Setting(-24.0, 24.0, "Pitch shift, semitones, on top of what ``target_hz`` asks.")
    formant = _Setting(0.5, 2.0, "Factor on the formant frequencies.")
    target_hz = _Setting(0.0, 1000.0, "Median pitch to bring the speaker to, Hz; 0 leaves the register alone.")
    formant_follow = _Setting(-1.0, 1.0, "Power of (target / speaker) by which formants follow the register; 0: not.")
    intonation = _Setting(0.0, 3.0, "Factor on log-F0 movement about the speaker's median: 1 natural, 0 monotone.")

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        pitch_st: float = 0.0,
        formant: float = 1.0,
        fmin_hz: float = 75.0,
        fmax_hz: float = 600.0,
    ) -> None:
        self.rate_in = self.rate_out = check_rate(rate)
        self.channels = check_channels(channels)
        self.fmin_hz, self.fmax_hz = check_pitch_range(rate, fmin_hz, fmax_hz)
        shape = (float(rate), channels, self.fmin_hz, self.fmax_hz)
        self._memory: NDArray[np.uint8] = np.zeros(_size(*shape), np.uint8)
        self._state = pointer(self._memory)
        self.latency = int(_init(self._state, *shape))
        self.settings = _settings(self._state).contents
        self.pitch_st, self.formant = pitch_st, formant

    def __reduce__(self) -> Any:
        raise TypeError("a PitchShift cannot be copied or pickled: its state holds addresses")

    @property
    def f0_hz(self) -> float:
        """F0 of the input now, Hz; 0 where unvoiced."""
        return float(_f0(self._state))

    @property
    def speaker_hz(self) -> float:
        """Running median F0 of the speaker, Hz; 0 while nothing voiced was heard."""
        return float(_speaker(self._state))

    def seed_speaker(self, hz: float) -> None:
        """Tell what is known of the speaker's median F0 (0: nothing), as after a change of voice in mid-speech.

        The seed outlives ``reset`` and ``flush``.
        """
        if not (hz == 0.0 or 40.0 <= hz <= 1000.0):
            raise ConfigError(f"speaker pitch must be 0 or lie between 40 and 1000 Hz, not {hz}")
        _seed(self._state, float(hz), 1)

    def track(self) -> NDArray[np.void]:
        """Pitch marks since the last call, oldest first; after a pause the newest 512.

        Shape:
            ``[marks]`` of ``TRACK``; positions in input frames.
        """
        points = np.zeros(_TRACK_MOST, TRACK)
        return points[: _track(self._state, pointer(points), _TRACK_MOST)]

    def process(self, x: Samples) -> Samples:
        """Shift the next block, ``[n, channels]``; the first ``latency`` frames out are silence."""
        if x.ndim != 2 or x.shape[1] != self.channels:
            raise FormatError(f"expected [frames, {self.channels}], got {list(x.shape)}")
        x = np.ascontiguousarray(x, np.float32)
        out = np.empty_like(x)
        _process(self._state, pointer(x), pointer(out), len(x))
        return out

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held; then be as new."""
        tail = self.process(np.zeros((self.latency, self.channels), np.float32))
        self.reset()
        return tail

    def reset(self) -> None:
        """Forget all audio and what was learnt of the speaker; settings and seed stay."""
        _reset(self._state)
