"""Mean and variance of what a content model's first convolution makes of audio, without computing it.

HuBERT normalises each channel there by its mean and variance over all it is given. A channel's output at one place is
the product of its kernel and a piece of audio; so both follow from the pieces' mean and from the mean products of their
samples: ten numbers and a hundred, however much audio they stand for, and however many channels there are. A stream
adds to these sums what it hears, and is normalised as one long piece of audio would be.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from menura.neural.nets.config import FRONT_EPS, HubertConfig
from menura.neural.nets.graph import Graph, Weights

__all__ = ["FirstNorm", "Moments", "RunningMoments"]

Floats = NDArray[np.float32]
F64 = NDArray[np.float64]


def _pieces(x: Floats, taps: int, stride: int) -> F64:
    """What the convolution sees at each place: ``[places, taps]``."""
    return np.lib.stride_tricks.sliding_window_view(x, taps)[::stride].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over pieces of audio.

    Attributes:
        count: Of the pieces.
        first: Their sum, ``[taps]``.
        second: The sum of the products of two samples of each, ``[taps, taps]``.
    """

    count: float
    first: F64
    second: F64

    @classmethod
    def none(cls, taps: int) -> "Moments":
        """Of nothing."""
        return cls(0.0, np.zeros(taps), np.zeros((taps, taps)))

    @classmethod
    def of(cls, pieces: F64, count: float | None = None) -> "Moments":
        """Of pieces ``[places, taps]``; they may count for another number than there are."""
        return cls(float(len(pieces)) if count is None else count, pieces.sum(axis=0), pieces.T @ pieces)

    def plus(self, new: "Moments", memory: float) -> "Moments":
        """With new ones, which make the old count less: they fade over ``memory`` pieces."""
        kept = float(np.exp(-new.count / memory))
        return Moments(kept * self.count + new.count, kept * self.first + new.first, kept * self.second + new.second)


@dataclass(frozen=True, slots=True, eq=False)
class FirstNorm:
    """The normalisation after the first convolution, as a factor and a shift for each channel.

    Attributes:
        kernel: Of the convolution, ``[channels, taps]``.
        stride: Of the convolution, in samples.
        bias: Of the convolution, ``[channels]``.
        gain, offset: Of the normalisation, ``[channels]``.
        eps: What is added to a variance.
    """

    kernel: F64
    stride: int
    bias: F64
    gain: F64
    offset: F64
    eps: float

    @classmethod
    def of(cls, config: HubertConfig, weights: Weights) -> "FirstNorm | None":
        """Of a checkpoint; None where it normalises each place by itself.

        Raises:
            ModelError: A weight is missing or of another shape.
        """
        if config.conv_norm != "group":
            return None
        g, width = Graph("hubert-front", weights), config.conv_dim[0]

        def held(part: str, *shape: int) -> F64:
            return g.array(f"feature_extractor.conv_layers.0.{part}", (width, *shape)).astype(np.float64)

        kernel = held("conv.weight", 1, config.conv_kernel[0])[:, 0]
        bias = held("conv.bias") if config.conv_bias else np.zeros(width)
        return cls(kernel, config.conv_stride[0], bias, held("layer_norm.weight"), held("layer_norm.bias"), FRONT_EPS)

    def affine(self, moments: Moments) -> tuple[Floats, Floats]:
        """Factor and shift of the convolution's output, each ``[1, channels]``."""
        count = max(moments.count, 1e-9)
        mean = self.kernel @ (moments.first / count)
        power = np.einsum("ck,ck->c", self.kernel @ (moments.second / count), self.kernel)
        factor = self.gain / np.sqrt(np.maximum(power - mean**2, 0.0) + self.eps)
        shift = self.offset - (mean + self.bias) * factor
        return factor[None].astype(np.float32), shift[None].astype(np.float32)

    def over(self, wav: Floats) -> tuple[Floats, Floats]:
        """The same for windows ``[batch, samples]``, each over all of itself: ``[batch, channels]``."""
        taps = self.kernel.shape[1]
        rows = [self.affine(Moments.of(_pieces(window, taps, self.stride))) for window in wav]
        factors, shifts = zip(*rows, strict=True)
        return np.concatenate(factors), np.concatenate(shifts)


class RunningMoments:
    """Those of a stream, as far as something was to be heard.

    Args:
        norm: Whose.
        memory_s: Time of sound after which what was heard counts for 1/e.
        rate: Of the audio, Hz.
    """

    def __init__(self, norm: FirstNorm, memory_s: float, rate: int) -> None:
        self._norm, self._memory = norm, memory_s * rate / norm.stride
        taps, stride = norm.kernel.shape[1], norm.stride
        self._held = Moments.none(taps)
        # samples of pieces that are not complete yet
        self._tail: Floats = np.zeros(stride * (-(-taps // stride) - 1), np.float32)

    def hear(self, x: Floats) -> None:
        """Add a block ``[samples]``, whole strides; digital silence does not count."""
        taps, stride = self._norm.kernel.shape[1], self._norm.stride
        x = np.concatenate([self._tail, x])
        self._tail = x[len(x) - len(self._tail) :]
        pieces = _pieces(x, taps, stride)
        count = float(np.count_nonzero(pieces.any(axis=1)))
        if count:
            self._held = self._held.plus(Moments.of(pieces, count), self._memory)

    def affine(self) -> tuple[Floats, Floats]:
        """Factor and shift as of now, each ``[1, channels]``."""
        return self._norm.affine(self._held)
