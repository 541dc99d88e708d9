"""What a mode does to audio: its stages, in order, and which of them may be shed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples, remix
from menura.audio.format import StreamFormat
from menura.clock import Clock
from menura.dsp.dynamics import Gate
from menura.dsp.frontend import Frontend
from menura.dsp.governor import Governor
from menura.dsp.loudness import LoudnessNormalizer
from menura.dsp.resample import Resampler
from menura.dsp.stage import Stage
from menura.engine.cleaning import best_denoiser
from menura.engine.config import ProcessingMode
from menura.engine.metrics import AudioMetrics
from menura.units import frames_to_ms

__all__ = ["LATENCY_TARGET_MS", "Pipeline", "Plan"]

LATENCY_TARGET_MS = {ProcessingMode.REALTIME: 5.0, ProcessingMode.BALANCED: 20.0, ProcessingMode.QUALITY: 50.0}
"""What each mode is meant for: delay of the signal and processing time together."""
GATE_DB = -55.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to a stream.

    Attributes:
        mode: ``REALTIME`` does nothing but the conversion between formats, if one is needed.
        latency_target_ms: ``BALANCED`` adds noise suppression where its latency fits in.
        echo: ``QUALITY`` cancels the echo of what ``Pipeline.reference`` is told.
        enhance: ``QUALITY`` suppresses noise.
    """

    mode: ProcessingMode
    latency_target_ms: float | None = None
    echo: bool = False
    enhance: bool = True


@dataclass(frozen=True, slots=True)
class _Part:
    """A stage and its name in the metrics."""

    name: str
    stage: Stage


class Pipeline:
    """The stages of one mode, for one stream.

    Args:
        plan: The mode and its choices.
        source: What ``process`` is given; only rate and channels matter here.
        target: What it returns.
        clock: For the cost of each stage.
    """

    def __init__(self, plan: Plan, source: StreamFormat, target: StreamFormat, *, clock: Clock) -> None:
        self.plan, self.mode, self.source, self.target = plan, plan.mode, source, target
        self._clock = clock
        rate, channels = target.rate, target.channels
        self._parts: list[_Part] = []
        if source.rate != rate:
            self._parts.append(_Part("resample", Resampler(source.rate, rate, channels)))
        self.frontend: Frontend | None = None
        build: dict[ProcessingMode, Callable[[int, int], None]] = {
            ProcessingMode.BALANCED: self._balanced,
            ProcessingMode.QUALITY: self._quality,
        }
        if plan.mode in build:
            build[plan.mode](rate, channels)
        self._sheddable = self._shedding_order()
        self.governor = Governor(len(self._sheddable)) if self._sheddable else None
        self.latency_ms = self._delay_ms()

    def _balanced(self, rate: int, channels: int) -> None:
        gate = _Part("gate", Gate(rate, channels, threshold_db=GATE_DB))
        if (target_ms := self.plan.latency_target_ms) is not None:
            both = Frontend(rate, channels, noise=True, gain=True)
            if self._delay_ms() + frames_to_ms(both.latency, rate) <= target_ms:
                # the suppressor must hear the pauses to know the noise: the gate comes after it
                self.frontend = both
                self._parts += [_Part("frontend", both), gate]
                return
        self.frontend = Frontend(rate, channels, gain=True)
        self._parts += [gate, _Part("frontend", self.frontend)]

    def _quality(self, rate: int, channels: int) -> None:
        # with echo, one front end for everything: RNNoise, with a framing of its own, would not fit into 50 ms
        echo, noise = self.plan.echo, self.plan.echo and self.plan.enhance
        if self.plan.enhance and not echo:
            self._parts.append(_Part("denoise", best_denoiser(rate, channels)))
        self.frontend = Frontend(rate, channels, echo=echo, noise=noise, gain=True)
        self._parts += [
            _Part("frontend", self.frontend),
            _Part("loudness", LoudnessNormalizer(rate, channels)),
        ]

    def _delay_ms(self) -> float:
        return sum((frames_to_ms(part.stage.latency, part.stage.rate_out) for part in self._parts), 0.0)

    def _shedding_order(self) -> tuple[str, ...]:
        """Names of the parts of the front end that may go, the costliest first."""
        if self.mode is not ProcessingMode.BALANCED or self.frontend is None:
            return ()
        return tuple(name for name in ("noise", "gain") if name in self.frontend.parts)

    @property
    def transparent(self) -> bool:
        """Whether audio passes as it is."""
        return not self._parts and self.source == self.target

    @property
    def target_ms(self) -> float:
        """Latency that is meant, delay and processing time together."""
        chosen = self.plan.latency_target_ms if self.mode is ProcessingMode.BALANCED else None
        return LATENCY_TARGET_MS[self.mode] if chosen is None else chosen

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages, in order."""
        return tuple(part.name for part in self._parts)

    @property
    def shed(self) -> tuple[str, ...]:
        """Names of what is shed now."""
        return self._sheddable[: self.governor.level] if self.governor else ()

    def process(self, x: Samples, metrics: AudioMetrics | None = None) -> Samples:
        """Run the next block, ``[n, source.channels]`` → ``[m, target.channels]``, and decide about shedding."""
        clock, begun = self._clock, self._clock()
        y = remix(x, self.target.channels)
        at = begun
        for part in self._parts:
            y = part.stage.process(y)
            now = clock()
            if metrics is not None:
                metrics.stage(part.name).observe(now - at)
            at = now
        if self.governor is not None:
            self._govern(1000.0 * (at - begun), frames_to_ms(len(x), self.source.rate))
        return y

    def _govern(self, cost_ms: float, audio_ms: float) -> None:
        assert self.governor is not None
        level = self.governor.level
        if self.governor.observe(cost_ms, audio_ms) != level:
            for i, name in enumerate(self._sheddable):
                setattr(self.frontend, name, i >= self.governor.level)

    @property
    def hears_reference(self) -> bool:
        """Whether it cancels echo."""
        return self.frontend is not None and "echo" in self.frontend.parts

    def reference(self, x: Samples) -> None:
        """What is being played, ``[n, target.channels]`` at the target's rate."""
        if self.hears_reference and self.frontend is not None:
            self.frontend.reference(x)

    def flush(self) -> Samples:
        """What the stages still hold; they are as new then."""
        rest: Samples = np.zeros((0, self.target.channels), np.float32)
        for part in self._parts:
            ahead = part.stage.process(rest) if len(rest) else rest
            tail = part.stage.flush()
            rest = np.concatenate([ahead, tail]) if len(ahead) else tail
        return rest

    def reset(self) -> None:
        """Forget all audio."""
        for part in self._parts:
            part.stage.reset()
