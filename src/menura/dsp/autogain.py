"""Automatic gain: quiet speech becomes loud enough within seconds, pauses stay quiet."""

import numpy as np

from menura.audio.block import Samples
from menura.dsp.dynamics import Limiter
from menura.dsp.framer import Framer
from menura.dsp.inplace import InPlace
from menura.dsp.meter import peak
from menura.dsp.resample import Resampler
from menura.errors import ConfigError
from menura.units import db_to_gain, gain_to_db

__all__ = ["AutoGain"]

DETECTOR_RATE = 16_000
DETECTOR_HALF_WIDTH_MS = 1.5
HOP_HZ = 100
CREST_LU = 13.7
"""By how much AGC2's speech ends quieter, in LUFS, than the headroom it is told to keep below full scale."""
APART_DB = 50.0
"""The detector's output is turned down by this, so that its own limiter never acts and only its gain is read."""
CEILING_DB = -1.0
PEAK_MARGIN_DB = 2.0
"""Peaks are lifted at most to so much below the ceiling: the limiter is for what comes as a surprise."""
FORGET_DB_S = 3.0
FALL_DB_S = 24.0


class AutoGain(InPlace):
    """Lifts speech to about ``target_lufs`` with the gain of WebRTC's AGC2, and never turns it down.

    AGC2 listens to a mono copy at 16 kHz; the gain it finds is applied to the signal itself, at any rate, without the
    10 ms of its framing. It follows a speaker within seconds, rises only in speech, and stops where the background
    would come above −50 dBFS; a level that only programme material has, or one that must come down, is the loudness
    normaliser's. A limiter keeps what leaves at or below −1 dBFS.

    AGC2 starts at +15 dB whatever comes; here the gain starts at 0 dB, rises at its pace while AGC2 hears speech, and
    never lifts the peaks of the last seconds into the limiter.

    Args:
        target_lufs: Loudness that quiet speech comes to, ±2 LU or so by voice; −40 to −14.
        max_gain_db: Most gain, 0 to 50.
        pace_db_s: How fast the gain rises in speech, 1 to 30.

    Attributes:
        gain_db: Gain at the end of the last block.
        speech_probability: AGC2's estimate for its last frame, 0 to 1.

    Source:
        WebRTC, modules/audio_processing/agc2.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        target_lufs: float = -20.0,
        max_gain_db: float = 40.0,
        pace_db_s: float = 6.0,
    ) -> None:
        super().__init__(rate, channels)
        if not (-40.0 <= target_lufs <= -14.0 and 0.0 <= max_gain_db <= 50.0 and 1.0 <= pace_db_s <= 30.0):
            raise ConfigError(f"auto gain: {target_lufs=} is −40 to −14, {max_gain_db=} 0 to 50, {pace_db_s=} 1 to 30")
        self._settings = (max_gain_db, -target_lufs - CREST_LU, pace_db_s)
        self._limiter = Limiter(rate, channels, ceiling_db=CEILING_DB)
        self.latency = self._limiter.latency
        self._resampler = Resampler(rate, DETECTOR_RATE, half_width_ms=DETECTOR_HALF_WIDTH_MS)
        self._framer = Framer(DETECTOR_RATE // HOP_HZ)
        self._hop = rate // HOP_HZ
        self._along = ((np.arange(self._hop) + 1.0) / self._hop).astype(np.float32)[:, None]
        self.reset()

    def reset(self) -> None:
        """Forget all audio and the gain."""
        from pywebrtc_audio import GainController

        super().reset()
        most, headroom, pace = self._settings
        self._detector = GainController(
            DETECTOR_RATE,
            1,
            fixed_gain_db=-APART_DB,
            max_gain_db=most,
            headroom_db=headroom,
            max_gain_change_db_per_second=pace,
        )
        self._limiter.reset()
        self._resampler.reset()
        self._framer.rest()
        self._hop_input: list[Samples] = []
        self._wanted_db = self._peak = 0.0
        self._from_db = self.gain_db = 0.0
        self.speech_probability = 0.0

    def _run(self, y: Samples) -> None:
        at = 0
        while at < len(y):
            place = (self._at + at) % self._hop
            span = min(len(y) - at, self._hop - place)
            part = y[at : at + span]
            self._hop_input.append(part.mean(axis=1, keepdims=True) if self.channels > 1 else part.copy())
            self._peak = max(self._peak, peak(part))
            self._amplify(part, place)
            at += span
            if place + span == self._hop:
                self._from_db = self.gain_db
                self.gain_db = self._next_gain_db()
        y[:] = self._limiter.process(y)

    def _amplify(self, part: Samples, place: int) -> None:
        """Glide along the hop, from the gain before to the one found."""
        start, end = db_to_gain(self._from_db), db_to_gain(self.gain_db)
        if start != end:
            part *= np.float32(start) + np.float32(end - start) * self._along[place : place + len(part)]
        elif end != 1.0:
            part *= np.float32(end)

    def _next_gain_db(self) -> float:
        """Show AGC2 the hop that is complete, and decide where to go in the next one."""
        hop = np.concatenate(self._hop_input)
        self._hop_input.clear()
        for frame in self._framer.push(self._resampler.process(hop)):
            self._detector.process(np.ascontiguousarray(frame[:, 0]))
            self.speech_probability = self._detector.speech_probability
            if frame.any():  # its gain is a ratio of levels, of which silence has none
                self._wanted_db = self._detector.gain_db + APART_DB
        room = CEILING_DB - PEAK_MARGIN_DB - gain_to_db(self._peak)
        self._peak *= db_to_gain(-FORGET_DB_S / HOP_HZ)
        wanted = max(0.0, min(self._wanted_db, room))
        pace = self._settings[2] if self.speech_probability >= 0.5 else 0.0
        return max(self.gain_db - FALL_DB_S / HOP_HZ, min(wanted, self.gain_db + pace / HOP_HZ))
