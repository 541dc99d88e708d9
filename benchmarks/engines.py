"""The pitch shifters compared, all behind menura's Stage contract: as many frames come back as went in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pylibrb
from numpy.typing import NDArray

Block = NDArray[np.float32]


class Shifter(Protocol):
    """What the benchmark needs of a shifter."""

    @property
    def latency(self) -> int: ...
    def process(self, x: Block) -> Block: ...
    def flush(self) -> Block: ...


Make = Callable[[int, float, float, float], Shifter]
"""rate, semitones, formant factor, lowest pitch of the speaker in Hz -> a fresh shifter."""


def ours(rate: int, semitones: float, formant: float, fmin_hz: float) -> Shifter:
    """menura's own shifter."""
    from menura.dsp.shift import PitchShift

    return PitchShift(rate, 1, pitch_st=semitones, formant=formant, fmin_hz=fmin_hz)


class RubberBand:
    """Rubber Band in real-time mode, one thread, formants preserved, kept to n frames in, n frames out.

    The library hands frames out in bursts; a live stream must hold back as much as its worst shortage. That is measured
    here on silence when the stream is made, as the library does not say it.
    """

    def __init__(self, rate: int, semitones: float, formant: float, *, engine: Any, block: int = 480) -> None:
        option = pylibrb.Option
        scale = 2 ** (semitones / 12)
        moved = abs(formant / scale - 1) < 1e-6 and semitones != 0
        formants = option.FORMANT_SHIFTED if moved else option.FORMANT_PRESERVED
        options = option.PROCESS_REALTIME | option.THREADING_NEVER | formants | engine
        self._make: Callable[[], Any] = lambda: pylibrb.RubberBandStretcher(rate, 1, options, 1.0, scale)
        self._formant_scale = formant / scale
        self._sets_formant = not moved and formant != 1.0
        self._block = block
        self._open()
        self._held = self._shortage(rate)
        self._open()
        ahead = self._stretcher.get_preferred_start_pad() - self._stretcher.get_start_delay()
        self.latency = self._held - ahead

    def _open(self) -> None:
        self._stretcher = self._make()
        self._stretcher.set_max_process_size(self._block)
        if self._sets_formant:
            self._stretcher.formant_scale = self._formant_scale
        self._fifo = np.zeros(0, np.float32)

    def _shortage(self, rate: int) -> int:
        fed = came = worst = 0
        for _ in range(rate // self._block):
            fed += self._block
            came += len(self._pull(np.zeros((self._block, 1), np.float32)))
            worst = max(worst, fed - came)
        return worst

    def _pull(self, x: Block) -> Block:
        self._stretcher.process(np.ascontiguousarray(x.T))
        return np.asarray(self._stretcher.retrieve_available()).reshape(-1)

    def process(self, x: Block) -> Block:
        """[n, 1] to [n, 1], silence for the first frames."""
        self._fifo = np.concatenate([self._fifo, self._pull(x)])
        if self._held:
            pad = np.zeros(min(self._held, len(x)), np.float32)
            self._held -= len(pad)
            self._fifo = np.concatenate([pad, self._fifo])
        out, self._fifo = self._fifo[: len(x)], self._fifo[len(x) :]
        return np.ascontiguousarray(out[:, None])

    def flush(self) -> Block:
        """As much silence through as the latency."""
        blocks = [self.process(np.zeros((self._block, 1), np.float32)) for _ in range(self.latency // self._block + 1)]
        return np.concatenate(blocks)[: self.latency]


def rubber_band(name: str) -> Make:
    """One of Rubber Band's engines by the names of ``PEERS``."""
    option = pylibrb.Option
    engine = {
        "R3": option.ENGINE_FINER,
        "R3 short": option.ENGINE_FINER | option.WINDOW_SHORT,
        "R2": option.ENGINE_FASTER,
    }[name.removeprefix("Rubber Band ")]
    return lambda rate, semitones, formant, fmin_hz: RubberBand(rate, semitones, formant, engine=engine)


PEERS = ("Rubber Band R3", "Rubber Band R3 short", "Rubber Band R2")
"""R3 short is R3 with the short window: the lowest delay that engine has. R2 has no formant scale."""


def stream(shifter: Shifter, x: NDArray[Any], block: int = 480) -> NDArray[np.float32]:
    """All of ``[n]`` through in blocks with the tail flushed, the declared latency taken off: aligned with ``x``."""
    column = np.ascontiguousarray(x[:, None], np.float32)
    parts = [shifter.process(column[i : i + block]) for i in range(0, len(x), block)]
    return np.concatenate([*parts, shifter.flush()])[shifter.latency :][: len(x), 0]
