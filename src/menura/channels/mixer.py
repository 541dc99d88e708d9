"""Several streams as one: their sum, or whatever is made of them."""

from typing import Any, Protocol

import numpy as np

from menura.audio.block import Samples, silence
from menura.audio.stream import AudioStream
from menura.channels.align import Aligned, Aligner, InputStats
from menura.channels.stages import Gaps, StreamStage
from menura.dsp.dynamics import Limiter
from menura.dsp.fade import fade_in_curve
from menura.dsp.glide import Glide
from menura.errors import ConfigError, StateError
from menura.units import ms_to_frames

__all__ = ["Combine", "StreamCombiner", "StreamMixer", "check_gain"]

LEAVE_MS = 10.0


class Combine(Protocol):
    """Makes one block of blocks of the same times, one for each input, in the order in which they joined."""

    def __call__(self, *blocks: Samples) -> Samples:
        """All are ``[n, channels]``."""


class StreamCombiner:
    """Makes one stream of several, of the same times to the sample: one modulates the other, one is a key to another.

    Args:
        aligner: Rate, channels, block and waiting.
        function: What is made of a block of each; ``[n, c]`` of any ``c``. It may be called with any ``n``.
        limit: Whether a limiter keeps the output below −0.1 dBFS; its delay is taken off.
        format: Of the output.
        metadata: Of every output.

    >>> from menura.audio.block import silence
    >>> ring = StreamCombiner(Aligner(8000, block=80), lambda a, b: a * b, inputs=("a", "b"))
    >>> ring.push("a", AudioStream.from_block(silence(160), 8000)), ring.pull()
    (None, [])
    >>> ring.push("b", AudioStream.from_block(silence(100), 8000)), [x.timestamp for x in ring.pull()]
    (None, [(0.0, 0.01)])
    """

    def __init__(
        self,
        aligner: Aligner,
        function: Combine,
        *,
        inputs: tuple[str, ...] = (),
        limit: bool = False,
        format: str = "pcm_f32le",  # noqa: A002 - the field's name
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.aligner = aligner
        self._function = function
        self._format, self._metadata = format, metadata or {}
        self._limiter: StreamStage | None = None
        if limit:
            self._limiter = StreamStage(Limiter, gaps=Gaps.RESET, format=format)
        for name in inputs:
            self.add(name)

    def add(self, name: str) -> None:
        """Wait for another input from now on.

        Raises:
            StateError: There is one of this name.
        """
        self.aligner.add(name)

    def push(self, name: str, stream: AudioStream, now_s: float = 0.0) -> None:
        """Take a stream of an input: :meth:`Aligner.push`."""
        self.aligner.push(name, stream, now_s)

    def end(self, name: str, now_s: float = 0.0) -> None:
        """No more comes of an input; its figures stay."""
        self.aligner.end(name, now_s)

    def pull(self, now_s: float = 0.0) -> list[AudioStream]:
        """All that is complete or due."""
        out: list[AudioStream] = []
        while (aligned := self.aligner.pull(now_s)) is not None:
            out += self._limited(self._stream(aligned))
        return out

    def finish(self) -> list[AudioStream]:
        """End all inputs; the rest of the output."""
        for name in self.aligner.inputs:
            self.aligner.end(name)
        return self.pull() + ([] if self._limiter is None else self._limiter.flush())

    def _stream(self, aligned: Aligned) -> AudioStream:
        block, rate = self._combine(aligned), self.aligner.rate
        return AudioStream.from_block(
            block,
            rate,
            format=self._format if self._limiter is None else "pcm_f32le",
            timestamp=(aligned.first / rate, (aligned.first + len(block)) / rate),
            metadata=self._metadata,
        )

    def _combine(self, aligned: Aligned) -> Samples:
        return self._function(*aligned.blocks.values())

    def _limited(self, stream: AudioStream) -> list[AudioStream]:
        return [stream] if self._limiter is None else self._limiter.process(stream)

    def stats(self) -> dict[str, InputStats]:
        """Figures of every input."""
        return self.aligner.stats()


class StreamMixer(StreamCombiner):
    """Adds streams, each with a gain that may be turned, aligned by their timestamps to the sample.

    Inputs may join and leave at any time. What is beyond ±1 stays so in ``pcm_f32le``, and is clipped in other formats,
    unless ``limit`` is set.

    >>> from menura.audio.block import silence
    >>> mixer = StreamMixer(Aligner(8000, block=80))
    >>> mixer.add("voice"), mixer.add("music", gain=0.5)
    (None, None)
    >>> mixer.push("voice", AudioStream.from_block(silence(200), 8000, timestamp=(1.0, 1.025)))
    >>> mixer.push("music", AudioStream.from_block(silence(80), 8000, timestamp=(1.01, 1.02)))
    >>> [x.timestamp for x in mixer.pull() + mixer.finish()]
    [(1.0, 1.01), (1.01, 1.02), (1.02, 1.025)]
    """

    def __init__(
        self,
        aligner: Aligner,
        *,
        limit: bool = False,
        format: str = "pcm_f32le",  # noqa: A002 - the field's name
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._gains: dict[str, tuple[float, Glide]] = {}
        self._leaving: set[str] = set()
        super().__init__(aligner, lambda *blocks: blocks[0], limit=limit, format=format, metadata=metadata)

    def add(self, name: str, gain: float = 1.0) -> None:
        """Wait for another input from now on.

        Raises:
            StateError: There is one of this name.
        """
        check_gain(gain)
        super().add(name)
        self._leaving.discard(name)
        self._gains[name] = gain, self._gains[name][1] if name in self._gains else Glide(gain, self.aligner.rate)

    def set_gain(self, name: str, gain: float) -> None:
        """Turn an input up or down, from the next block on, without a click.

        Raises:
            StateError: There is no such input.
            ConfigError: The gain is negative or no number.
        """
        if name not in self._gains:
            raise StateError(f"there is no input {name!r}; there are {', '.join(self._gains) or 'none'}")
        self._gains[name] = check_gain(gain), self._gains[name][1]

    def remove(self, name: str) -> None:
        """Take an input out: what it has given already fades out within 10 ms, and nobody waits for it.

        Raises:
            StateError: There is no such input.
        """
        self.end(name)
        self._leaving.add(name)

    def _combine(self, aligned: Aligned) -> Samples:
        n = len(next(iter(aligned.blocks.values())))
        mixed = silence(n, self.aligner.channels)
        for name, block in aligned.blocks.items():
            gain, glide = self._gains[name]
            curve = glide.curve(gain, n)
            heard = self._faded(block) if name in self._leaving else block
            mixed += heard if isinstance(curve, np.float32) and curve == 1.0 else heard * curve
        self._forget(set(self._leaving))
        return mixed

    def _faded(self, block: Samples) -> Samples:
        fade = min(len(block), ms_to_frames(LEAVE_MS, self.aligner.rate))
        return np.concatenate([block[:fade] * fade_in_curve(fade)[::-1], silence(len(block) - fade, block.shape[1])])

    def _forget(self, names: set[str]) -> None:
        for name in names:
            self.aligner.remove(name)
            del self._gains[name]
        self._leaving -= names

    def pull(self, now_s: float = 0.0) -> list[AudioStream]:
        """All that is complete or due."""
        self._forget({name for name in self._leaving if self.aligner.ahead_s(name) == 0.0})
        return super().pull(now_s)


def check_gain(gain: float) -> float:
    """Return a gain if it is one.

    Raises:
        ConfigError: It is negative or no number.
    """
    if not 0.0 <= gain < float("inf"):
        raise ConfigError(f"a gain is 0 or more, not {gain}")
    return float(gain)
