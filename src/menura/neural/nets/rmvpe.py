"""RMVPE as a graph: a log-mel spectrogram in, the salience of every pitch out.

Source:
    Wei et al., "RMVPE: a robust model for vocal pitch estimation in polyphonic music", 2023.
"""

import numpy as np
from numpy.typing import NDArray

from menura.neural.nets.config import RmvpeConfig
from menura.neural.nets.graph import Graph, Network, Weights
from menura.neural.nets.layers import add, sigmoid

__all__ = ["rmvpe"]

EPS = 1e-5
"""Of batch normalisation."""


def rmvpe(config: RmvpeConfig, weights: Weights, *, one_step: bool = False) -> Network:
    """The network; batch normalisations are folded into the convolutions before them.

    Args:
        config: Its sizes.
        weights: Its checkpoint.
        one_step: For windows of ``config.stride`` frames only. At the deepest level these are one row high: of each
            kernel only the middle row meets anything but zeros, the others are left out, more than half of all weights.

    Shape:
        ``mel`` ``[batch, frames, mels]`` (:func:`menura.neural.nets.mel.log_mel`), ``frames`` a multiple of
        ``config.stride`` → ``salience`` ``[batch, frames, bins]``, 0…1.

    Raises:
        ModelError: A weight is missing or of another shape.
    """
    g = Graph("rmvpe-short" if one_step else "rmvpe", weights)
    mel = g.input("mel", ("batch", config.stride if one_step else "frames", config.mels))
    # this one cannot be folded: the convolution after it pads with zeros
    scale, shift = _normal(g, "unet.encoder.bn", 1)
    x = g.op("Unsqueeze", mel, g.ints(1))
    x = add(g, g.op("Mul", x, g.constant(scale[0])), g.constant(shift[0]))
    x = _unet(g, config, x, 1 if one_step else 3)
    kernel = g.weight("cnn.weight", (3, config.channels, 3, 3))
    x = g.op("Conv", x, kernel, g.weight("cnn.bias", (3,)), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    x = g.op("Reshape", g.op("Transpose", x, perm=[0, 2, 1, 3]), g.ints(0, 0, 3 * config.mels))
    g.output("salience", _head(g, config, x), ("batch", "frames", config.bins))
    return g.build()


def _unet(g: Graph, config: RmvpeConfig, x: str, deepest: int) -> str:
    """Five halvings, what lies between (kernels ``deepest`` high), and five doublings, each beside what was halved."""
    levels, inputs, outputs = config.levels, 1, config.channels
    kept: list[str] = []
    for level in range(levels):
        x = _blocks(g, config, x, f"unet.encoder.layers.{level}.conv", inputs, outputs)
        kept.append(x)
        x = g.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        inputs, outputs = outputs, 2 * outputs
    for level in range(config.inter_levels):
        x = _blocks(g, config, x, f"unet.intermediate.layers.{level}.conv", inputs, outputs, deepest)
        inputs = outputs
    for level in range(levels):
        name, outputs = f"unet.decoder.layers.{level}", inputs // 2
        x = g.op("Concat", _double(g, x, name, inputs, outputs), kept.pop(), axis=1)
        x = _blocks(g, config, x, f"{name}.conv2", inputs, outputs)
        inputs = outputs
    return x


def _normal(g: Graph, name: str, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A batch normalisation as a factor and an addend for each channel."""
    mean, variance, weight, bias = (
        g.array(f"{name}.{part}", (channels,)).astype(np.float64)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    scale = weight / np.sqrt(variance + EPS)
    return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)


def _conv(g: Graph, x: str, name: str, index: int, shape: tuple[int, int], height: int) -> str:
    """Convolution ``index`` of a sequence, three wide, with the normalisation and the rectifier after it."""
    outputs, inputs = shape
    scale, shift = _normal(g, f"{name}.{index + 1}", outputs)
    weight = g.array(f"{name}.{index}.weight", (outputs, inputs, 3, 3)) * scale[:, None, None, None]
    around = height // 2
    weight = weight[:, :, 1 - around : 2 + around]
    held = [g.hold(f"{name}.{index}.weight", weight), g.hold(f"{name}.{index}.bias", shift)]
    return g.op("Relu", g.op("Conv", x, *held, kernel_shape=[height, 3], pads=[around, 1, around, 1]))


def _blocks(
    g: Graph, config: RmvpeConfig, x: str, name: str, inputs: int, outputs: int, height: int = 3
) -> str:  # fmt: skip
    """Residual blocks of two convolutions; where the number of channels changes, the short way has one of its own."""
    for index in range(config.blocks):
        block = f"{name}.{index}"
        y = _conv(g, x, f"{block}.conv", 0, (outputs, inputs), height)
        y = _conv(g, y, f"{block}.conv", 3, (outputs, outputs), height)
        if inputs != outputs:
            kernel = g.weight(f"{block}.shortcut.weight", (outputs, inputs, 1, 1))
            x = g.op("Conv", x, kernel, g.weight(f"{block}.shortcut.bias", (outputs,)), kernel_shape=[1, 1])
        x, inputs = add(g, y, x), outputs
    return x


def _double(g: Graph, x: str, name: str, inputs: int, outputs: int) -> str:
    """A transposed convolution that doubles both axes."""
    scale, shift = _normal(g, f"{name}.conv1.1", outputs)
    weight = g.array(f"{name}.conv1.0.weight", (inputs, outputs, 3, 3)) * scale[None, :, None, None]
    held = [g.hold(f"{name}.conv1.0.weight", weight), g.hold(f"{name}.conv1.0.bias", shift)]
    y = g.op(
        "ConvTranspose", x, *held, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    )  # fmt: skip
    return g.op("Relu", y)


def _head(g: Graph, config: RmvpeConfig, x: str) -> str:
    """Rows to salience: recurrent in both directions, then linear."""
    width, last = 3 * config.mels, "fc.0"
    if config.gru_layers:
        x = g.op("Transpose", x, perm=[1, 0, 2])
        for layer in range(config.gru_layers):
            x = _recurrent(g, config, x, f"_l{layer}", width)
            width = 2 * config.gru_hidden
        x, last = g.op("Transpose", x, perm=[1, 0, 2]), "fc.1"
    matrix = g.hold(f"{last}.matrix", g.array(f"{last}.weight", (config.bins, width)).T)
    # most classes have a small salience
    return sigmoid(g, add(g, g.op("MatMul", x, matrix), g.weight(f"{last}.bias", (config.bins,))))


def _recurrent(g: Graph, config: RmvpeConfig, x: str, layer: str, width: int) -> str:
    """A bidirectional GRU over ``[time, batch, width]``; torch has its gates as r, z, n, ONNX as z, r, n."""
    hidden = config.gru_hidden

    def both(part: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        ways = (g.array(f"fc.0.gru.{part}{layer}{way}", shape) for way in ("", "_reverse"))
        return np.stack([np.concatenate([w[hidden : 2 * hidden], w[:hidden], w[2 * hidden :]]) for w in ways])

    inputs = g.hold(f"gru{layer}.inputs", both("weight_ih", (3 * hidden, width)))
    states = g.hold(f"gru{layer}.states", both("weight_hh", (3 * hidden, hidden)))
    biases = np.concatenate([both("bias_ih", (3 * hidden,)), both("bias_hh", (3 * hidden,))], axis=1)
    y = g.op(
        "GRU", x, inputs, states, g.hold(f"gru{layer}.biases", biases), direction="bidirectional", hidden_size=hidden,
        linear_before_reset=1,
    )  # fmt: skip
    return g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.ints(0, 0, 2 * hidden))
