"""Stopping and going on without a click."""

from menura.audio.block import Samples, silence
from menura.dsp.fade import fade_in_curve

__all__ = ["Declick"]


class Declick:
    """Keeps a stream that stops and goes on from clicking: its last sample fades out, what comes later fades in."""

    def __init__(self, fade: int, channels: int) -> None:
        self._curve = fade_in_curve(fade)
        self._fade, self._channels = fade, channels
        self.reset()

    def reset(self) -> None:
        """Begin from silence."""
        self._risen = self._fallen = self._fade  # frames since each fade began
        self._last = self._from = silence(1, self._channels)

    def rise(self) -> None:
        """Let what comes next fade in."""
        self._risen = 0

    def audio(self, x: Samples) -> None:
        """Shape the next block of audio, in place."""
        if self._risen < self._fade:
            k = min(len(x), self._fade - self._risen)
            x[:k] *= self._curve[self._risen : self._risen + k]
            self._risen += k
        self._decay(x)
        self._last = x[-1:].copy()

    def silence(self, frames: int) -> Samples:
        """Silence, into which the last sample of the audio before fades."""
        x = silence(frames, self._channels)
        if self._last.any():
            self._from, self._fallen = self._last, 0
            self._last = silence(1, self._channels)
        self._decay(x)
        return x

    def _decay(self, x: Samples) -> None:
        if self._fallen < self._fade:
            k = min(len(x), self._fade - self._fallen)
            x[:k] += self._from * self._curve[::-1][self._fallen : self._fallen + k]
            self._fallen += k
