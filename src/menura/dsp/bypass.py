"""Switching a processor on and off while audio runs."""

from collections.abc import Callable

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.fade import fade_in_curve

__all__ = ["Bypass"]


class Bypass:
    """The way around a processor: as late as the processor, and crossfaded with it.

    Once it is off and faded out the processor is not called. When it is switched on it first runs unheard until what it
    held from before is gone, then fades in.

    Args:
        latency: Frames by which the processor's output lags.
        unheard: Frames it runs before it fades in, at least ``latency``.
        fade: Frames of a fade.
        channels: Of what it gives.
        on: Whether it runs; may be set at any time.
    """

    def __init__(self, latency: int, unheard: int, fade: int, channels: int, *, on: bool = True) -> None:
        self.on = on
        self._unheard, self._fade = unheard, fade
        self._curve = fade_in_curve(fade)
        self._silence = silence(latency, channels)
        self.rewind()

    def rewind(self) -> None:
        """Forget all audio; be where the switch is."""
        self._held = self._silence
        self._place = self._fade if self.on else -self._unheard  # below 0 unheard, then along the fade

    @property
    def runs(self) -> bool:
        """Whether the processor is called for the next frame."""
        return self.on or self._place > 0

    def _span(self, most: int) -> tuple[int, Samples | None]:
        """Frames until something changes, at most ``most``, and the processor's share in each; None where constant."""
        place = self._place
        if self.on and place < self._fade:
            span = min(most, -place if place < 0 else self._fade - place)
            self._place += span
            return span, None if place < 0 else self._curve[place : place + span]
        if not self.on and place > 0:
            span = min(most, place)
            self._place -= span
            return span, self._curve[place - span : place][::-1]
        if not self.on:
            self._place = -self._unheard
        return most, None

    def mix(self, x: Samples, function: Callable[[int, int], Samples]) -> Samples:
        """Give the next block, processed as far as the switch says.

        Args:
            x: What would be heard without the processor, ``[n, channels]``.
            function: Processes frames ``start`` to ``stop`` of the block; called for each once and in order, or not.
        """
        delay = len(self._silence)
        held = np.concatenate([self._held, x]) if delay else x
        self._held = held[len(x) :].copy() if delay else self._silence
        if self.on and self._place == self._fade:
            return function(0, len(x))
        out, at = [], 0
        while at < len(x):
            runs = self.runs
            span, share = self._span(len(x) - at)
            part = held[at : at + span]
            if runs:
                wet = function(at, at + span)
                if share is not None:
                    part = part + share * (wet - part)
                elif self._place == self._fade and self.on:
                    part = wet
            out.append(part)
            at += span
        return np.concatenate(out) if out else x
