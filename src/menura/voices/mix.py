"""Two voices of one input, as one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from menura.audio.block import Samples, finite, silence
from menura.dsp.dynamics import Limiter
from menura.dsp.glide import Glide
from menura.errors import ConfigError
from menura.voices.build import VoiceStage
from menura.voices.voice import PARAMETER_RANGES, VoiceParameters

if TYPE_CHECKING:
    from menura.neural.stream.pace import PaceStats

__all__ = ["VoiceMix"]


def _moved(own: VoiceParameters, start: VoiceParameters, end: VoiceParameters) -> VoiceParameters:
    """One voice's own settings, moved as another's were from ``start`` to ``end``: intervals and ratios are kept."""
    if own == start:
        return end
    values = {
        "pitch_st": own.pitch_st + (end.pitch_st - start.pitch_st),
        "formant": own.formant * (end.formant / start.formant),
        "mix": own.mix * (end.mix / start.mix) if start.mix else end.mix,
    }
    return VoiceParameters(
        **{name: min(max(values[name], low), high) for name, (low, high) in PARAMETER_RANGES.items()}
    )


class VoiceMix(VoiceStage):
    """Voices added up, aligned in time: those that are quicker wait for the slowest. A limiter follows.

    Args:
        stages: Two or more of one rate and one number of channels; of this from now on.
        gains: Of each, 0 to 1.

    Attributes:
        gains: May be set at any time, and glide there.
        parameters: Those of the first voice. The others keep their distance to it: each is moved from what it was built
            with as far as the first is.

    >>> from menura import find_voice, make_stage
    >>> both = VoiceMix([make_stage(find_voice(name), 48_000) for name in ("robot", "whisper")], [0.7, 0.3])
    >>> both.process(np.zeros((480, 1), np.float32)).shape
    (480, 1)
    >>> both.gains = (0.3, 0.7)

    Raises:
        ConfigError: They do not fit together.
    """

    def __init__(self, stages: Sequence[VoiceStage], gains: Sequence[float]) -> None:
        first = stages[0] if stages else None
        if first is None or any((s.rate_in, s.channels) != (first.rate_in, first.channels) for s in stages):
            raise ConfigError("voices that are mixed have one rate and one number of channels")
        self.stages = tuple(stages)
        self.voice, self.parameters = first.voice, first.parameters
        self._own = [stage.parameters for stage in stages]
        self.rate_in = self.rate_out = first.rate_in
        self.channels = first.channels
        self._limiter = Limiter(self.rate_in, self.channels)
        slowest = max(stage.latency for stage in stages)
        self.latency = slowest + self._limiter.latency
        self._waits = [slowest - stage.latency for stage in stages]
        self.gains = tuple(gains)
        self._glides = [Glide(gain, self.rate_in) for gain in self.gains]
        self._restart()

    @property
    def gains(self) -> tuple[float, ...]:
        """Of each voice."""
        return self._gains

    @gains.setter
    def gains(self, gains: Sequence[float]) -> None:
        if len(gains) != len(self.stages) or not all(0.0 <= gain <= 1.0 for gain in gains):
            raise ConfigError(f"a mix has a gain from 0 to 1 for each of {len(self.stages)} voices, not {list(gains)}")
        self._gains = tuple(gains)

    def _restart(self) -> None:
        self._held = [silence(wait, self.channels) for wait in self._waits]
        for glide, gain in zip(self._glides, self._gains, strict=True):
            glide.jump(gain)
        self._limiter.reset()

    def set(self, parameters: VoiceParameters) -> None:
        """Turn the user's settings of the first voice to these, and those of the others as far."""
        self.parameters = parameters
        for stage, own in zip(self.stages, self._own, strict=True):
            stage.set(_moved(own, self._own[0], parameters))

    @property
    def speaker_hz(self) -> float:
        """Median pitch of who speaks; 0 while unknown."""
        return max(stage.speaker_hz for stage in self.stages)

    def seed_speaker(self, speaker_hz: float) -> None:
        """Tell the median pitch of who speaks."""
        for stage in self.stages:
            stage.seed_speaker(speaker_hz)

    def pace(self) -> "PaceStats | None":
        """Of the one that looks back least far."""
        found = [pace for stage in self.stages if (pace := stage.pace()) is not None]
        return min(found, key=lambda pace: pace.context_ms, default=None)

    def leave(self) -> None:
        """Nobody listens any more: a model that is waited for fails at once. Any thread."""
        for stage in self.stages:
            stage.leave()

    def warm(self, x: Samples) -> int:
        """Give new voices what was said before; returns frames until all of them are to be heard."""
        leads = [stage.warm(x) for stage in self.stages]
        waits = [lead + wait for lead, wait in zip(leads, self._waits, strict=True)]
        return max(waits) + self._limiter.latency

    def process(self, x: Samples) -> Samples:
        """Change the next block, ``[n, c]`` → ``[n, c]``.

        Where a model fails, its error is raised, and all voices are as new.
        """
        x = finite(x)
        total = silence(len(x), self.channels)
        try:
            for index, stage in enumerate(self.stages):
                y = np.concatenate([self._held[index], stage.process(x)])
                self._held[index] = y[len(x) :]
                total += self._glides[index].curve(self._gains[index], len(x)) * y[: len(x)]
        except BaseException:
            self.reset()
            raise
        return self._limiter.process(total)

    def reset(self) -> None:
        """Forget all audio; settings stay."""
        for stage in self.stages:
            stage.reset()
        self._restart()
