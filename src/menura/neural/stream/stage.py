"""An RVC voice as a Stage."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from menura.audio.block import Samples, finite, remix, silence
from menura.audio.format import check_channels, check_rate
from menura.clock import Clock
from menura.dsp.framer import Framer
from menura.dsp.resample import Resampler
from menura.errors import ConfigError
from menura.neural.stream.blocks import RvcBlocks, Steps
from menura.neural.stream.model import Floats, RvcModel, run
from menura.neural.stream.official import OfficialShape, OfficialStream
from menura.neural.stream.pace import Pace, PaceStats
from menura.neural.stream.settings import RANGES, RvcSettings
from menura.neural.stream.shape import FRAME, RATE, StreamShape
from menura.units import ratio_to_st

__all__ = ["OfficialStage", "RvcStage"]

FRAMES_HZ = 100
OFFICIAL_HZ = 48_000
"""At which the official scheme runs where the device's rate has no whole frames in 10 ms."""


class Blocks(Protocol):
    """State of a stream that is computed in blocks.

    Attributes:
        settings, model: May be replaced between two blocks; the model by one of the same voice (:meth:`prepare`).
    """

    settings: RvcSettings
    model: RvcModel

    @property
    def speaker_hz(self) -> float:
        """Median of the speaker's pitch; 0 while unknown."""

    def seed_speaker(self, hz: float) -> None:
        """Tell it."""

    def steps(self, x: Floats) -> Steps:
        """Process the next block."""

    def listen(self, x: Floats) -> Floats:
        """Remember the next block, and give silence for it."""

    def prepare(self, model: RvcModel) -> None:
        """Have a model ready for these blocks; any thread."""

    def reset(self) -> None:
        """Forget all audio."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """Rates and samples of the blocks that go in and come out, and by how much what is heard lags their end."""

    rate_in: int
    block_in: int
    rate_out: int
    block_out: int
    delay_s: float


class RvcStage:
    """A voice conversion with a constant delay: the block, what the decoder must hear after a moment, and resampling.

    Channels are mixed on the way in; all get the same voice.

    Args:
        model: The voice; shared by any number of stages.
        rate: Of the audio in and out, Hz.
        channels: Of every block.
        shape: Block, context, delay.
        settings: To begin with.
        seed: Of the voice's randomness.
        runner: Has the networks run: one after another here, by default.
        clock: For the time that blocks take: where it is too long, the context becomes shorter until there is room
            again, at the same latency. None: it stays as it is.

    Attributes:
        block: Frames of a computation's new audio, at ``rate``.
        resting: It listens and says nothing: what it hears is context for what comes.

    Raises:
        ConfigError: A setting cannot be.
    """

    _pace: Pace | None = None

    def __init__(  # noqa: PLR0913 - all by name
        self,
        model: RvcModel,
        rate: int,
        channels: int = 1,
        *,
        shape: StreamShape | None = None,
        settings: RvcSettings | None = None,
        seed: int = 0,
        runner: Callable[[RvcModel, Steps], Floats] = run,
        clock: Clock | None = None,
    ) -> None:
        shape = shape or StreamShape()
        blocks = RvcBlocks(model, shape, settings or RvcSettings(), seed)
        cut = _Cut(RATE, shape.block * FRAME, blocks.config.rate, shape.block * blocks.hop, shape.delay / FRAMES_HZ)
        self._begin(model, rate, channels, blocks, cut, runner)
        if clock is not None:
            self._pace = Pace(shape, clock, blocks.look_back)

    def _begin(
        self,
        model: RvcModel,
        rate: int,
        channels: int,
        blocks: Blocks,
        cut: _Cut,
        runner: Callable[[RvcModel, Steps], Floats],
    ) -> None:
        rate = self.rate_in = self.rate_out = check_rate(rate)
        self.channels = check_channels(channels)
        self._model, self._runner, self._blocks = model, runner, blocks
        self._own = self._settings = blocks.settings
        model.synthesizer.speaker(self._settings.speaker)
        self._next: deque[RvcSettings] = deque(maxlen=1)
        self._other: deque[RvcModel] = deque(maxlen=1)
        self._into = Resampler(rate, cut.rate_in)
        self._back = Resampler(cut.rate_out, rate)
        self._wait = self._shortage(cut)
        lag_s = self._into.latency / cut.rate_in + cut.delay_s
        self.latency = self._wait + round(lag_s * rate) + self._back.latency
        self._framer = Framer(cut.block_in)
        self.block = round(cut.block_in * rate / cut.rate_in)
        self.resting = False
        self._restart()

    def _shortage(self, cut: _Cut) -> int:
        """Most frames by which what whole blocks give is short of what was taken."""
        worst = 0
        for block in range(1, FRAMES_HZ + 1):  # as many seconds as blocks have frames: then all remainders recur
            # the last frame before a block is complete
            taken = -(-block * cut.block_in * self.rate_in // cut.rate_in) - 1
            given = (block - 1) * cut.block_out * self.rate_in // cut.rate_out
            worst = max(worst, taken - given)
        return worst

    def _restart(self) -> None:
        self._ready: Samples = silence(self._wait)

    @property
    def settings(self) -> RvcSettings:
        """As they will be from the next block on."""
        waiting = list(self._next)
        return waiting[0] if waiting else self._settings

    def set(self, settings: RvcSettings) -> None:
        """Change settings, from any thread; heard from the next block on, without a click.

        Raises:
            ConfigError: The voice has no such speaker.
        """
        self._model.synthesizer.speaker(settings.speaker)
        self._own = settings
        self._next.append(settings)

    def exchange(self, model: RvcModel) -> None:
        """Find pitch in another way, or search another index, from any thread; from the next block on, without a click.

        Args:
            model: The same voice with another finder or index.

        Raises:
            ConfigError: It is another voice.
            ModelError: What finds pitch cannot be loaded.
        """
        if model.synthesizer is not self._model.synthesizer or model.content is not self._model.content:
            raise ConfigError("a stream keeps its voice: another voice has a stage of its own")
        self._blocks.prepare(model)
        self._other.append(model)

    def turn(self, pitch_st: float, formant: float) -> None:
        """What a user adds to the voice's own settings: semitones, and a factor on the formants."""
        own = self._own
        key_st = _within("key_st", own.key_st + pitch_st)
        formant_st = _within("formant_st", own.formant_st + ratio_to_st(formant))
        self._next.append(replace(self.settings, key_st=key_st, formant_st=formant_st))

    @property
    def speaker_hz(self) -> float:
        """Median pitch of who speaks; 0 while unknown."""
        return self._blocks.speaker_hz

    def seed_speaker(self, hz: float) -> None:
        """Tell what is known of it from before; what is heard counts for more with time."""
        self._blocks.seed_speaker(hz)

    def process(self, x: Samples) -> Samples:
        """Convert the next block, ``[n, c]`` → ``[n, c]``.

        Where a network fails, its error is raised, and the stage is as new.
        """
        blocks = self._framer.push(self._into.process(remix(finite(x), 1)))
        try:
            made = [self._convert(block) for block in blocks]
        except BaseException:
            self.reset()
            raise
        if made:
            self._ready = np.concatenate([self._ready, *made])
        y, self._ready = self._ready[: len(x)], self._ready[len(x) :]
        return np.ascontiguousarray(np.broadcast_to(y, (len(x), self.channels)))

    def leave(self) -> None:
        """Nobody listens any more: what waits for a model need not be computed. Any thread."""
        leave = getattr(self._runner, "leave", None)
        if leave is not None:
            leave()

    def _convert(self, block: Samples) -> Samples:
        if self._next:
            self._settings = self._blocks.settings = self._next.popleft()
        if self._other:
            self._model = self._blocks.model = self._other.popleft()
        if self.resting:
            return self._back.process(self._blocks.listen(block[:, 0])[:, None])
        y = self._compute(block[:, 0])
        return self._back.process(finite(y)[:, None])

    def _compute(self, block: Floats) -> Floats:
        if self._pace is None:
            return self._runner(self._model, self._blocks.steps(block))
        return self._pace.measured(lambda: self._runner(self._model, self._blocks.steps(block)))

    def pace(self) -> PaceStats | None:
        """How far back it looks, and why; None where that does not change. Any thread."""
        return None if self._pace is None else self._pace.stats()

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held; then be as new."""
        y = self.process(silence(self.latency, self.channels))
        self.reset()
        return y

    def reset(self) -> None:
        """Forget all audio; settings stay."""
        self._into.reset()
        self._back.reset()
        self._framer.rest()
        self._blocks.reset()
        self._restart()


def _within(name: str, value: float) -> float:
    low, high = RANGES[name]
    return min(max(value, low), high)


class OfficialStage(RvcStage):
    """The same as RVC's own real-time client computes and joins it (:class:`OfficialStream`), for who wants just that.

    Its delay is the block, a crossfade of 50 ms, and the 10 ms in which a place to join is looked for: where SOLA finds
    one later, what is heard is up to 10 ms sooner than ``latency`` says. ``protect`` has no part in it, as there.

    Args:
        model: The voice; shared by any number of stages.
        rate: Of the audio in and out, Hz; a rate without whole frames in 10 ms is converted.
        channels: Of every block.
        block_s: New audio for each computation.
        context_s: What the content model hears before it.
        settings: To begin with.
        seed: Of the voice's randomness.
        runner: Has the networks run: one after another here, by default.

    Raises:
        ConfigError: A setting cannot be.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        model: RvcModel,
        rate: int,
        channels: int = 1,
        *,
        block_s: float = 0.25,
        context_s: float = 2.5,
        settings: RvcSettings | None = None,
        seed: int = 0,
        runner: Callable[[RvcModel, Steps], Floats] = run,
    ) -> None:
        inner = OFFICIAL_HZ if check_rate(rate) % FRAMES_HZ else rate
        shape = OfficialShape(inner, block_s, extra_s=context_s)
        blocks = OfficialStream(model, shape, settings or RvcSettings(), seed=seed)
        cut = _Cut(inner, shape.block, inner, shape.block, (shape.crossfade + shape.search) / inner)
        self._begin(model, rate, channels, blocks, cut, runner)
