"""The synthesizer's decoder as a graph: latent and excitation in, audio out.

Source:
    Kong et al., "HiFi-GAN", 2020; with a harmonic source as Wang et al., "Neural source-filter models", 2019.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

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
ENDS = 7
"""Width of the first and of the last convolution."""


def decoder(config: SynthesizerConfig, weights: Weights, *, cores: int = 1, half: bool = False) -> Network:
    """The decoder; it sees 10 frames to each side, in a network of the usual size.

    It looks so far at its lowest rates only: most of its work is done at higher ones, where it looks at one frame to
    each side. So frames whose audio is not wanted, and that are given for the sake of others, are left out as soon as
    these have heard them.

    Args:
        config: Its sizes.
        weights: Its checkpoint.
        cores: That a call will run on. Stages with too few channels to occupy them are computed in pieces of time, side
            by side; the audio is the same.
        half: In half precision.

    Shape:
        ``z`` ``[batch, inter, frames]``, ``speaker`` ``[batch, gin]``, ``spare`` ``[2]`` int64, the frames at the
        beginning and at the end whose audio is not wanted, and for a voice with pitch ``excitation``
        ``[batch, frames · config.hop]`` (:class:`menura.neural.nets.source.HarmonicSource`) → ``audio``
        ``[batch, samples]`` without that of the spare frames, ``config.hop`` a frame in every network that has a pitch.

    Raises:
        ModelError: A weight is missing or of another shape.
    """
    g = Graph("decoder", weights, half=half)
    z = g.op("Unsqueeze", g.input("z", ("batch", config.inter, "frames")), g.ints(2))
    speaker = g.op("Unsqueeze", g.input("speaker", ("batch", config.gin)), g.ints(2, 3))
    spare = g.input("spare", (2,), np.int64)
    excitation = g.op("Unsqueeze", g.input("excitation", ("batch", "samples")), g.ints(1, 2)) if config.f0 else ""
    channels, needs, pads = config.upsample_initial, _needs(config), (ENDS // 2, ENDS // 2)
    x = conv(g, z, "dec.conv_pre", (channels, config.inter, ENDS), pads=pads)
    x = add(g, x, conv(g, speaker, "dec.cond", (channels, config.gin, 1)))
    span = _Span.of(g, spare)
    x, span = span.narrow(g, x, needs[0])
    for stage, rate in enumerate(config.upsample_rates):
        x, span = _upsample(g, config, leaky(g, x, SLOPE), stage), span.faster(g, rate)
        if config.f0:
            x = add(g, x, _excite(g, config, span.of_samples(g, excitation, config.hop), stage))
        shares = max(1, (channels >> (stage + 1)) // CHANNELS_A_CORE)
        halvings = (min(cores, MAX_PIECES) - 1) // shares
        x, span = _mixed_span(g, config, (x, span), stage, (needs[stage + 1], halvings))
    x = conv(g, leaky(g, x, LAST_SLOPE), "dec.conv_post", (1, channels >> len(config.upsample_rates), ENDS), pads=pads)
    x, _ = span.narrow(g, x, 0)
    g.output("audio", g.op("Squeeze", g.op("Tanh", x), g.ints(1, 2)), ("batch", "samples"))
    return g.build()


def _needs(config: SynthesizerConfig) -> list[int]:
    """How far beyond the wanted audio each stage's input must be right, in its own samples; at the end, that of the
    last convolution.
    """
    needs = [ENDS // 2]
    widest = max(_reaches(config))
    for stage in reversed(range(len(config.upsample_rates))):
        rate, kernel = config.upsample_rates[stage], config.upsample_kernels[stage]
        # an excitation that is cut is brought down with zeros beyond, which reach one sample far
        far = needs[0] + widest + (1 if config.f0 and stage < len(config.upsample_rates) - 1 else 0)
        # sample t of a transposed convolution is made of inputs i with 0 ≤ t + pad − i · rate < kernel
        needs.insert(0, (far + kernel - 1 - (kernel - rate) // 2) // rate)
    return needs


@dataclass(frozen=True, slots=True)
class _Span:
    """What is left of a value's time: samples cut at its beginning and end.

    Attributes:
        spare: Value ``[2]``: frames at the beginning and end of all that are not wanted.
        gone: Value ``[2]``: samples cut so far.
        rate: Samples a frame.
    """

    spare: str
    gone: str
    rate: int

    @classmethod
    def of(cls, g: Graph, spare: str) -> "_Span":
        return cls(spare, g.ints(0, 0), 1)

    def faster(self, g: Graph, rate: int) -> "_Span":
        """The same after an upsampling."""
        return _Span(self.spare, g.op("Mul", self.gone, g.ints(rate)), self.rate * rate)

    def narrow(self, g: Graph, x: str, samples: int) -> tuple[str, "_Span"]:
        """Cut all that lies farther than ``samples`` from what is wanted."""
        spare = self.spare if self.rate == 1 else g.op("Mul", self.spare, g.ints(self.rate))
        far = g.op("Sub", spare, g.ints(samples))
        gone = g.op("Max", far, g.ints(0))
        return _cut(g, x, g.op("Sub", gone, self.gone)), _Span(self.spare, gone, self.rate)

    def of_samples(self, g: Graph, x: str, hop: int) -> str:
        """The same part of a value that has ``hop`` samples a frame and was not cut."""
        return _cut(g, x, g.op("Mul", self.gone, g.ints(hop // self.rate)))


def _cut(g: Graph, x: str, amount: str) -> str:
    """Without so many samples at both ends."""
    first, last = g.ops("Split", amount, names=(f"{amount}.first", f"{amount}.last"), axis=0, num_outputs=2)
    return g.op("Slice", x, first, g.op("Sub", g.op("Shape", x, start=3, end=4), last), g.ints(3))


def _upsample(g: Graph, config: SynthesizerConfig, x: str, stage: int) -> str:
    """A transposed convolution."""
    rate, kernel = config.upsample_rates[stage], config.upsample_kernels[stage]
    inputs, outputs = config.upsample_initial >> stage, config.upsample_initial >> (stage + 1)
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
    pad = stride // 2
    return conv(g, excitation, name, (outputs, 1, 2 * stride), pads=(pad, pad), stride=stride)


def _mixed_span(
    g: Graph, config: SynthesizerConfig, given: tuple[str, _Span], stage: int, told: tuple[int, int]
) -> tuple[str, _Span]:
    """A stage's residual blocks on what they need.

    Args:
        given: Their input, and what it is of.
        told: How far beyond the wanted audio their mean must be right, and how often time is halved.
    """
    (x, span), (need, halvings) = given, told
    reaches = _reaches(config)
    if halvings or max(reaches) - min(reaches) < span.rate:
        # less than a frame is not worth another copy
        return span.narrow(g, _mixed(g, config, x, stage, halvings), need)
    blocks = []
    for index, reach in enumerate(reaches):
        part, held = (x, span) if reach == max(reaches) else span.narrow(g, x, need + reach)
        block, narrowed = held.narrow(g, _block(g, config, part, stage, index), need)
        blocks.append(block)
    return g.op("Mul", add(g, *blocks), g.constant(1.0 / len(blocks))), narrowed


def _mixed(g: Graph, config: SynthesizerConfig, x: str, stage: int, halvings: int) -> str:
    """The mean of a stage's residual blocks, computed in halves of halves of time as often as told."""
    if halvings:
        # a half is as long as it must be for its own frames, and for all that these look at beyond the middle
        reach = max(_reaches(config))
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


def _reaches(config: SynthesizerConfig) -> list[int]:
    """Frames to each side that each residual block looks at."""
    second = 1 if config.resblock == "1" else 0
    blocks = zip(config.resblock_kernels, config.resblock_dilations, strict=True)
    return [sum((kernel - 1) * (d + second) // 2 for d in dilations) for kernel, dilations in blocks]


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
