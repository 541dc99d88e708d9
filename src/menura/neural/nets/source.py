"""The harmonic source: what a voice's decoder is excited with, a sine where there is pitch, noise where there is none.

Source:
    Wang et al., "Neural source-filter models", 2019, with RVC's amplitudes. Phases are counted in turns, and where one
    is carried, in double precision, so that it may run on from block to block for as long as a session lasts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from menura.errors import FormatError
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.graph import Graph, Weights

__all__ = ["HarmonicSource", "stretch"]

SINE_AMPLITUDE = 0.1
VOICED_NOISE = 0.003
UNVOICED_NOISE = SINE_AMPLITUDE / 3


@dataclass(frozen=True, slots=True)
class HarmonicSource:
    """Excitation from a pitch curve.

    Attributes:
        rate: Of the excitation, Hz.
        hop: Samples for one frame of pitch.
        mix: Weight of each harmonic, ``[harmonics]``; usual voices have one.
        bias: Added before the limiter.
    """

    rate: int
    hop: int
    mix: NDArray[np.float32]
    bias: float

    @classmethod
    def of(cls, config: SynthesizerConfig, weights: Weights) -> "HarmonicSource":
        """The source of a checkpoint.

        Raises:
            ModelError: A weight is missing or of another shape.
        """
        g = Graph("source", weights)
        mix = g.array("dec.m_source.l_linear.weight", (1, None))[0]
        return cls(config.rate, config.hop, mix, float(g.array("dec.m_source.l_linear.bias", (1,))[0]))

    @property
    def harmonics(self) -> int:
        """Sines for one pitch."""
        return len(self.mix)

    def render(
        self,
        f0: NDArray[np.floating],
        phase: NDArray[np.float64] | None = None,
        noise: NDArray[np.floating] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Excitation for a stretch of pitch.

        Args:
            f0: Hz, one value a frame, held for its length; 0 where there is no pitch.
            phase: Where the last stretch ended, in turns; None: 0, all rounded to single precision where RVC rounds,
                which shows with a high pitch: a stretch of half a second at 700 Hz is −90 dB off.
            noise: Of unit deviation, or None for none.

        Shape:
            f0: ``[batch, frames]``.
            phase: ``[batch]``.
            noise: ``[batch, frames · hop]``, or with a last axis of ``harmonics``.

        Returns:
            Excitation ``[batch, frames · hop]`` and the phase to go on from, in −½…½.

        Raises:
            FormatError: The shapes do not fit.
        """
        if f0.ndim != 2:
            raise FormatError(f"pitch is [batch, frames], not of {f0.ndim} axes")
        batch, frames = f0.shape
        step = f0.astype(np.float64) / self.rate
        ends = np.cumsum(step * self.hop, axis=1) + (0.0 if phase is None else phase[:, None])
        if phase is None:
            angles = self._angles(f0.astype(np.float32))
        else:
            turns = (ends - step * self.hop)[:, :, None] + step[:, :, None] * np.arange(1, self.hop + 1)
            turns = turns.reshape(batch, -1, 1) * np.arange(1, self.harmonics + 1)
            angles = (2 * np.pi * (turns - np.rint(turns))).astype(np.float32)
        voiced = np.repeat(f0 > 0, self.hop, axis=1)[:, :, None]
        waves = np.sin(angles) * np.where(voiced, np.float32(SINE_AMPLITUDE), np.float32(0))
        if noise is not None:
            drawn = noise[:, :, None] if noise.ndim == 2 else noise
            if drawn.shape[:2] != waves.shape[:2] or drawn.shape[2] not in (1, self.harmonics):
                raise FormatError(f"noise of {noise.shape} does not fit {batch} times {frames} frames of {self.hop}")
            waves = waves + drawn.astype(np.float32, copy=False) * np.where(
                voiced, np.float32(VOICED_NOISE), np.float32(UNVOICED_NOISE)
            )
        last = ends[:, -1] if frames else (np.zeros(batch) if phase is None else phase)
        return np.tanh(waves @ self.mix + np.float32(self.bias)), last - np.rint(last)

    def _angles(self, f0: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of the sines from phase 0 on, ``[batch, samples, harmonics]``, rounded where RVC rounds."""
        one, half = np.float32(1), np.float32(0.5)
        turns = (f0 / np.float32(self.rate))[:, :, None] * np.arange(1, self.hop + 1, dtype=np.float32)
        moved = (np.fmod(turns[:, :, -1] + half, one) - half).astype(np.float64)
        before = np.fmod(np.cumsum(moved, axis=1).astype(np.float32), one)
        turns[:, 1:] += before[:, :-1, None]
        turns = turns.reshape(len(f0), -1, 1) * np.arange(1, self.harmonics + 1, dtype=np.float32)
        return np.multiply(turns, np.float32(2 * np.pi), dtype=np.float32)


def stretch(x: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Another number of frames along the last axis, by straight lines between the middles of frames.

    The ends are held. It is how RVC moves formants: latent and excitation are stretched, and the audio brought back.

    >>> stretch(np.array([0.0, 4.0], np.float32), 4)
    array([0., 1., 3., 4.], dtype=float32)
    """
    count = x.shape[-1]
    if frames == count:
        return x
    # places are in single precision, as torch has them: in double the results differ by −90 dB
    at = (np.arange(frames, dtype=np.float32) + np.float32(0.5)) * np.float32(count / frames) - np.float32(0.5)
    at = np.clip(at, 0, count - 1)
    left = at.astype(np.int64)
    right = np.minimum(left + 1, count - 1)
    part = at - left.astype(np.float32)
    mixed: NDArray[np.float32] = x[..., left] * (1 - part) + x[..., right] * part
    return mixed
