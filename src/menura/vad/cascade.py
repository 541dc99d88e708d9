"""Speech by energy where that is clear, by the model where it is not."""

import numpy as np

from menura.audio.block import Samples, finite
from menura.units import ms_to_frames
from menura.vad.detector import Probabilities
from menura.vad.energy import AdaptiveEnergy
from menura.vad.silero import TRAIL_MS, SileroModel, model_feed

__all__ = ["Cascade"]

SURE, SURE_NOT = 0.9, 0.1
"""The model is sure of speech from here, of its absence below."""
TWICE = 2
"""It must have said so this often in a row before its silence is taken for consent."""
CLEAR_DB = 1.0
"""Evidence up to which there is nothing to hear, so that the model is not asked at all."""
SAME, RISE_DB = 0.5, 2.0
"""Speech goes on while the evidence is above this share of its mean so far; noise, while below its mean plus this."""
TRUST_SPEECH, TRUST_NOISE = 16, 2
"""Windows after which the model is asked all the same: half a second into speech, 64 ms into sound that is none."""
FOLLOW = 0.1
"""Weight of a window in the mean evidence."""


class Cascade:
    """Detector that asks the model of :class:`~menura.vad.silero.Silero` only when adaptive energy leaves a doubt.

    Nothing above the noise after the model has denied speech: it is not asked until something is. Steady speech that it
    has affirmed: it is asked twice a second, and at once when the level falls. Sound that it has denied: it is asked
    for every third window, and at once when the level rises. In between it is asked for every window. Its state is kept
    over what it does not hear, as if that had been cut out: beginning anew there, or making good what was left out, was
    measured to be no better.

    Args:
        rate: Hz.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """

    threshold = 0.5
    release = 0.35

    def __init__(self, rate: int) -> None:
        self._model = SileroModel()
        self._feed = model_feed(rate)
        self.rate = rate
        self.hop = self._feed.hop
        self.lag = self._feed.latency + ms_to_frames(TRAIL_MS, rate)
        self._energy = AdaptiveEnergy(rate, self.hop, lasting=False)  # an onset must not wait
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._model.reset()
        self._feed.reset()
        self._energy.reset()
        self._last = 0.0  # the model's last word
        self._sure = TWICE  # how often in a row it was sure of it
        self._skipped = 0  # windows since
        self._usual_db = 0.0  # mean evidence since it changed its mind

    @property
    def level(self) -> float:
        """RMS level of the last hop, 0…1."""
        return self._energy.level

    @property
    def noise_floor(self) -> float | None:
        """RMS level of the noise in the bands of speech, 0…1."""
        return self._energy.noise_floor

    @property
    def model_runs(self) -> int:
        """Windows the model was asked about since the last reset."""
        return self._model.runs

    def process(self, x: Samples) -> Probabilities:
        """Take the next block, ``[n, 1]``; a probability for each hop that ends within it."""
        x = finite(x)
        chances = self._energy.process(x).tolist()
        return np.array(self._decide_each(self._feed.push(x), chances), np.float64)

    def process_pcm16(self, data: bytes) -> list[float]:
        """As :meth:`process`, of mono 16-bit bytes."""
        return self._decide_each(self._feed.push(data), self._energy.process_pcm16(data))

    def _decide_each(self, hops: range, chances: list[float]) -> list[float]:
        return [self._decide(hop, chance) for hop, chance in zip(hops, chances, strict=True)]

    def _decide(self, hop: int, chance: float) -> float:
        evidence_db = self._energy.evidence_db(chance)
        if self._clear(evidence_db):
            self._skipped += 1
            self._usual_db += FOLLOW * (evidence_db - self._usual_db)
            return self._last if self._last >= SURE else SURE_NOT * chance
        before = self._last
        self._skipped = 0
        self._last = self._model.ask(self._feed.windows(hop, hop)[0])
        sure = self._last >= SURE or self._last < SURE_NOT
        same = (self._last >= 0.5) == (before >= 0.5)
        self._sure = self._sure + 1 if sure and same else int(sure)
        self._usual_db = self._usual_db + FOLLOW * (evidence_db - self._usual_db) if same else evidence_db
        return self._last

    def _clear(self, evidence_db: float) -> bool:
        if self._sure < TWICE:
            return False
        if self._last >= SURE:
            return self._skipped < TRUST_SPEECH and evidence_db > max(CLEAR_DB, SAME * self._usual_db)
        if evidence_db <= CLEAR_DB:
            return True
        return self._skipped < TRUST_NOISE and evidence_db < self._usual_db + RISE_DB
