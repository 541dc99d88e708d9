"""The synthesizer's decoder as a graph: latent and excitation in, audio out.

Source:
    Kong et al., "HiFi-GAN", 2020; with a harmonic source as Wang et al., "Neural source-filter models", 2019.
"""

from math import prod

import numpy as np

from menura.errors import ModelError
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.graph import Graph, Network, Weights
from menura.neural.nets.layers import add, conv, leaky

__all__ = ["decoder"]

SLOPE = 0.1
"""Of the rectifiers before every convolution but the last."""
LAST_SLOPE = 0.01
"""Before the last one: torch's own default, as trained."""


CHANNELS_A_CORE = 64
"""Outputs of a convolution that ONNX Runtime gives to one thread (four blocks of 16)."""
MAX_PIECES = 4
"""Of time."""


def decoder(config: SynthesizerConfig, weights: Weights, *, cores: int = 1, half: bool = False) -> Network:
    """The decoder; it sees 10 frames to each side, in a network of the usual size.

    Args:
        config: Its sizes.
        weights: Its checkpoint.
        cores: That a call will run on. Stages with too few channels to occupy them are computed in pieces of time, side
            by side; the audio is the same.
        half: In half precision.

    Shape:
        ``z`` ``[batch, inter, frames]``, ``speaker`` ``[batch, gin]``, and for a voice with pitch ``excitation``
        ``[batch, frames · config.hop]`` (:class:`menura.neural.nets.source.HarmonicSource`) → ``audio``
        ``[batch, samples]``, ``frames · config.hop`` of them in every network that has a pitch.

    Raises:
        ModelError: A weight is missing or of another shape, or the stages do not fit the excitation.
    """
    g = Graph("decoder", weights, half=half)
    z = g.op("Unsqueeze", g.input("z", ("batch", config.inter, "frames")), g.ints(2))
    speaker = g.op("Unsqueeze", g.input("speaker", ("batch", config.gin)), g.ints(2, 3))
    excitation = g.op("Unsqueeze", g.input("excitation", ("batch", "samples")), g.ints(1, 2)) if config.f0 else ""
    channels = config.upsample_initial
    x = conv(g, z, "dec.conv_pre", (channels, config.inter, 7), pads=(3, 3))
    x = add(g, x, conv(g, speaker, "dec.cond", (channels, config.gin, 1)))
    for stage in range(len(config.upsample_rates)):
        x = _upsample(g, config, leaky(g, x, SLOPE), stage)
        if config.f0:
            x = add(g, x, _excite(g, config, excitation, stage))
        shares = max(1, (channels >> (stage + 1)) // CHANNELS_A_CORE)
        x = _mixed(g, config, x, stage, (min(cores, MAX_PIECES) - 1) // shares)
    x = conv(g, leaky(g, x, LAST_SLOPE), "dec.conv_post", (1, channels >> len(config.upsample_rates), 7), pads=(3, 3))
    g.output("audio", g.op("Squeeze", g.op("Tanh", x), g.ints(1, 2)), ("batch", "samples"))
    return g.build()


def _upsample(g: Graph, config: SynthesizerConfig, x: str, stage: int) -> str:
    """A transposed convolution."""
    rate, kernel = config.upsample_rates[stage], config.upsample_kernels[stage]
    inputs, outputs = config.upsample_initial >> stage, config.upsample_initial >> (stage + 1)
    if kernel < rate or (config.f0 and (kernel - rate) % 2):
        raise ModelError(f"decoder: an upsampling kernel of {kernel} does not fit a rate of {rate}")
    name, pad = f"dec.ups.{stage}", (kernel - rate) // 2
    weight = g.hold(f"{name}.weight", g.array(f"{name}.weight", (inputs, outputs, kernel))[:, :, None, :])
    bias = g.weight(f"{name}.bias", (outputs,))
    return g.op(
        "ConvTranspose", x, weight, bias, kernel_shape=[1, kernel], strides=[1, rate], pads=[0, pad, 0, pad]
    )  # fmt: skip


def _excite(g: Graph, config: SynthesizerConfig, excitation: str, stage: int) -> str:
    """The excitation at the rate of a stage's output."""
    outputs, stride = config.upsample_initial >> (stage + 1), prod(config.upsample_rates[stage + 1 :])
    name = f"dec.noise_convs.{stage}"
    if stage == len(config.upsample_rates) - 1:
        return conv(g, excitation, name, (outputs, 1, 1))
    if stride % 2 and stride > 1:
        raise ModelError(f"decoder: an excitation cannot be brought down by an odd factor, {stride}")
    pad = stride // 2
    return conv(g, excitation, name, (outputs, 1, 2 * stride), pads=(pad, pad), stride=stride)


def _mixed(g: Graph, config: SynthesizerConfig, x: str, stage: int, halvings: int) -> str:
    """The mean of a stage's residual blocks, computed in halves of halves of time as often as told."""
    if halvings:
        # a half is as long as it must be for its own frames, and for all that these look at beyond the middle
        reach = max(map(_reach, config.resblock_kernels, config.resblock_dilations))
        frames = g.op("Shape", x, start=3, end=4)
        own = g.op("Div", frames, g.ints(2))
        length = g.op("Add", g.op("Sub", frames, own), g.ints(reach))
        first = g.op("Slice", x, g.ints(0), length, g.ints(3))
        second = g.op("Slice", x, g.op("Neg", length), g.ints(np.iinfo(np.int64).max), g.ints(3))
        y = _mixed(g, config, g.op("Concat", first, second, axis=0), stage, halvings // 2)
        first, second = g.ops("Split", y, names=(f"{y}.first", f"{y}.second"), axis=0, num_outputs=2)
        first = g.op("Slice", first, g.ints(0), g.op("Sub", frames, own), g.ints(3))
        end = g.op("Shape", second, start=3, end=4)
        second = g.op("Slice", second, g.op("Sub", end, own), end, g.ints(3))
        return g.op("Concat", first, second, axis=3)
    count = len(config.resblock_kernels)
    blocks = [_block(g, config, x, stage, index) for index in range(count)]
    return g.op("Mul", add(g, *blocks), g.constant(1.0 / count))


def _reach(kernel: int, dilations: tuple[int, ...]) -> int:
    """Frames to each side that a residual block looks at."""
    return sum((kernel - 1) // 2 * (dilation + 1) for dilation in dilations)


def _block(g: Graph, config: SynthesizerConfig, x: str, stage: int, index: int) -> str:
    """Residual block: per dilation one (type 2) or two (type 1) convolutions of equal length."""
    channels, kernel = config.upsample_initial >> (stage + 1), config.resblock_kernels[index]
    name = f"dec.resblocks.{stage * len(config.resblock_kernels) + index}"
    shape = (channels, channels, kernel)
    for step, dilation in enumerate(config.resblock_dilations[index]):
        pad = (kernel - 1) * dilation // 2
        first = f"{name}.convs1.{step}" if config.resblock == "1" else f"{name}.convs.{step}"
        y = conv(g, leaky(g, x, SLOPE), first, shape, pads=(pad, pad), dilation=dilation)
        if config.resblock == "1":
            pad = (kernel - 1) // 2
            y = conv(g, leaky(g, y, SLOPE), f"{name}.convs2.{step}", shape, pads=(pad, pad))
        x = add(g, y, x)
    return x
