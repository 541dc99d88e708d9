"""How a stream is cut: frames of 10 ms, counted from its beginning."""

from dataclasses import dataclass, replace

from menura.errors import ConfigError
from menura.neural.synthesizer import FLOW_CONTEXT

__all__ = ["FRAME", "RATE", "StreamShape"]

RATE = 16_000
FRAME = 160
"""Samples at 16 kHz for one frame."""
CONTENT_STEP = 2
"""Frames for one of the content model: blocks begin on its grid, wherever they are, so that a moment always has the
same place in it."""


@dataclass(frozen=True, slots=True)
class StreamShape:
    """Lengths in frames of 10 ms.

    Attributes:
        block: New audio for each computation: even.
        context: What the content model and the text encoder hear before it: even.
        left: Latent frames the decoder is given before what is heard: it sees ten to each side, and six leave an error
            of −67 dB there.
        right: And after it: latency.
        fade: Of one block into the next: latency as well.
        pitch_context: What pitch is looked for in before the block; less where a network would compute much more for it
            (:func:`menura.neural.stream.pitch_track.pitch_window`).

    Raises:
        ConfigError: They make no stream.
    """

    block: int = 24
    context: int = 200
    left: int = 8
    right: int = 4
    fade: int = 1
    pitch_context: int = 32

    def __post_init__(self) -> None:
        for name, least in (("block", 2), ("context", 2), ("left", 0), ("right", 0), ("fade", 1), ("pitch_context", 8)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 3000:
                raise ConfigError(f"{name} must be a whole number of 10 ms frames from {least}, not {value!r}")
        for name in ("block", "context"):
            if getattr(self, name) % CONTENT_STEP:
                raise ConfigError(f"{name} must be an even number of 10 ms frames, not {getattr(self, name)}")
        if self.fade > self.block:
            raise ConfigError(f"a fade of {self.fade} frames is longer than the block of {self.block}")
        if self.decoded > self.window:
            raise ConfigError("the context must hold what the decoder is given before and after a block")

    @classmethod
    def of(cls, block_ms: float, context_ms: float, **frames: int) -> "StreamShape":
        """From times; they are rounded to the content model's grid of 20 ms.

        >>> StreamShape.of(250, 2000).block
        24
        """
        block = max(1, round(block_ms / 20.0 - 1e-9)) * CONTENT_STEP
        context = max(1, round(context_ms / 20.0)) * CONTENT_STEP
        return cls(block=block, context=context, **frames)

    def faded(self, frames: int) -> "StreamShape":
        """With so many frames of fade, or the most that block and context have room for.

        >>> StreamShape(block=24).faded(2).fade, StreamShape(block=24).faded(500).fade
        (2, 24)
        """
        return replace(self, fade=max(1, min(frames, self.block, self.context - self.left - self.right)))

    @property
    def window(self) -> int:
        """What the content model hears."""
        return self.block + self.context

    @property
    def delay(self) -> int:
        """Frames by which what is heard lags the newest audio."""
        return self.right + self.fade

    @property
    def decoded(self) -> int:
        """Latent frames the decoder is given for a block."""
        return self.left + self.block + self.delay

    @property
    def flowed(self) -> int:
        """Latent frames the flow is given."""
        return min(self.decoded + FLOW_CONTEXT, self.window)
