"""An RVC voice as a Stage."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from menura.audio.block import Samples, finite, remix, silence
from menura.audio.format import check_channels, check_rate
from menura.dsp.framer import Framer
from menura.dsp.resample import Resampler
from menura.neural.stream.blocks import RvcBlocks, Steps
from menura.neural.stream.model import Floats, RvcModel, run
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import FRAME, RATE, StreamShape
from menura.units import ratio_to_st

__all__ = ["RvcStage"]

FRAMES_HZ = 100


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

    Attributes:
        resting: It listens and says nothing: what it hears is context for what comes.

    Raises:
        ConfigError: A setting cannot be.
    """

    def __init__(
        self,
        model: RvcModel,
        rate: int,
        channels: int = 1,
        *,
        shape: StreamShape | None = None,
        settings: RvcSettings | None = None,
        seed: int = 0,
        runner: Callable[[RvcModel, Steps], Floats] = run,
    ) -> None:
        self.rate_in = self.rate_out = check_rate(rate)
        self.channels = check_channels(channels)
        self.shape = shape or StreamShape()
        self._model, self._runner = model, runner
        self._own = self._settings = settings or RvcSettings()
        model.synthesizer.speaker(self._settings.speaker)
        self._next: deque[RvcSettings] = deque(maxlen=1)
        self._blocks = RvcBlocks(model, self.shape, self._settings, seed)
        self._into = Resampler(rate, RATE)
        self._back = Resampler(self._blocks.config.rate, rate)
        lag_s = self._into.latency / RATE + self.shape.delay / FRAMES_HZ
        self._wait = self._shortage()
        self.latency = self._wait + round(lag_s * rate) + self._back.latency
        self._framer = Framer(self.shape.block * FRAME)
        self.resting = False
        self._restart()

    def _shortage(self) -> int:
        """Most frames by which what whole blocks give is short of what was taken."""
        block_out = self.shape.block * self._blocks.hop
        worst, voice = 0, self._blocks.config.rate
        for block in range(1, FRAMES_HZ + 1):  # as many seconds as blocks have frames: then all remainders recur
            # the last frame before a block is complete
            taken = -(-block * self.shape.block * FRAME * self.rate_in // RATE) - 1
            given = (block - 1) * block_out * self.rate_in // voice
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

    def turn(self, pitch_st: float, formant: float) -> None:
        """What a user adds to the voice's own settings: semitones, and a factor on the formants."""
        own = self._own
        key_st = min(max(own.key_st + pitch_st, -36.0), 36.0)
        formant_st = min(max(own.formant_st + ratio_to_st(formant), -12.0), 12.0)
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
        if self.resting:
            return self._back.process(self._blocks.listen(block[:, 0])[:, None])
        y = self._runner(self._model, self._blocks.steps(block[:, 0]))
        return self._back.process(finite(y)[:, None])

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
