"""FCPE as a graph: a log-mel spectrogram in, the salience of every pitch out.

Source:
    Luo et al., "FCPE: a fast context-based pitch estimation model", 2025; its layers are those of the conformer
    (Gulati et al. 2020) without attention.
"""

import numpy as np

from menura.errors import ModelError
from menura.neural.nets.config import FcpeConfig
from menura.neural.nets.graph import Graph, Network, Weights
from menura.neural.nets.layers import add, conv, layer_norm, leaky, planes, rows, sigmoid
from menura.neural.nets.products import linear

__all__ = ["fcpe"]

GROUPS = 4
"""Of the input's normalisation."""
SLOPE = 0.01


def fcpe(config: FcpeConfig, weights: Weights) -> Network:
    """The network.

    Shape:
        ``mel`` ``[batch, frames, mels]`` (:func:`menura.neural.nets.mel.fcpe_mel`) → ``salience``
        ``[batch, frames, bins]``, 0…1.

    Raises:
        ModelError: A weight is missing or of another shape; the network has attention, or kernels that are even.
    """
    if not config.conv_only:
        raise ModelError("fcpe: networks with attention are not supported, only those of convolutions")
    if config.kernel % 2 == 0:
        raise ModelError(f"fcpe: a kernel of {config.kernel} has no middle")
    g = Graph("fcpe", weights)
    hidden = config.hidden
    x = planes(g, g.input("mel", ("batch", "frames", config.mels)))
    x = conv(g, x, "input_stack.0", (hidden, config.mels, 3), pads=(1, 1))
    x = leaky(g, _group_norm(g, x, "input_stack.1", hidden), SLOPE)
    x = rows(g, conv(g, x, "input_stack.3", (hidden, hidden, 3), pads=(1, 1)))
    if g.has("harmonic_emb.weight"):
        # which harmonic the pitch shall be: the first
        x = add(g, x, g.hold("harmonic_emb.first", g.array("harmonic_emb.weight", (None, hidden))[0]))
    for index in range(config.layers):
        x = add(g, x, _convolution(g, config, x, f"net.encoder_layers.{index}.conformer.net"))
    x = linear(g, _norm(g, x, "norm", hidden), "output_proj", hidden, config.bins)
    g.output("salience", sigmoid(g, x), ("batch", "frames", config.bins))
    return g.build()


def _norm(g: Graph, x: str, name: str, width: int) -> str:
    scale, bias = (g.weight(f"{name}.{part}", (width,)) for part in ("weight", "bias"))
    return layer_norm(g, x, scale, bias)


def _group_norm(g: Graph, x: str, name: str, channels: int) -> str:
    """Normalisation of planes over each group of channels and all time (Wu & He 2018)."""
    if channels % GROUPS:
        raise ModelError(f"fcpe: {channels} channels do not divide into {GROUPS} groups")
    ones, zeros = g.constant(np.ones(GROUPS)), g.constant(np.zeros(GROUPS))
    grouped = g.op("InstanceNormalization", g.op("Reshape", x, g.ints(0, GROUPS, -1)), ones, zeros, epsilon=1e-5)
    y = g.op("Reshape", grouped, g.op("Shape", x))
    scale, bias = (g.array(f"{name}.{part}", (channels,))[:, None, None] for part in ("weight", "bias"))
    return add(g, g.op("Mul", y, g.hold(f"{name}.weight", scale)), g.hold(f"{name}.bias", bias))


def _convolution(g: Graph, config: FcpeConfig, x: str, name: str) -> str:
    """The conformer's convolution: widened and gated, each channel over time, narrowed."""
    hidden, pad = config.hidden, config.kernel // 2
    wide = 2 * hidden
    y = linear(g, _norm(g, x, f"{name}.0", hidden), f"{name}.2", hidden, 2 * wide)
    value, gate = g.ops("Split", y, names=(f"{name}.value", f"{name}.gate"), axis=-1, num_outputs=2)
    y = planes(g, g.op("Mul", value, g.op("Sigmoid", gate)))
    y = conv(g, y, f"{name}.4.conv", (wide, 1, config.kernel, wide), pads=(pad, pad))
    y = g.op("Mul", y, g.op("Sigmoid", y))
    return linear(g, rows(g, y), f"{name}.6", wide, hidden)
