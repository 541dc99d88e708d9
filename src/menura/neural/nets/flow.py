"""The synthesizer's reverse flow as a graph: the prior's statistics and noise in, the decoder's latent out.

Source:
    Kim et al., "VITS", 2021; the coupling's network is WaveNet's gated one (Prenger et al., "WaveGlow", 2019).
"""

import re

import numpy as np
from numpy.typing import NDArray

from menura.errors import ModelError
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.graph import Graph, Network, Weights
from menura.neural.nets.layers import add, conv

__all__ = ["NOISE_SCALE", "flow"]

NOISE_SCALE = 0.66666
"""Of the noise around the prior's mean, as RVC has it."""


def flow(config: SynthesizerConfig, weights: Weights, *, half: bool = False) -> Network:
    """Sampling and the reverse flow.

    A frame depends on the 24 before it and the 24 after it, in a network of the usual size. ``half``: in half
    precision.

    Shape:
        ``mean``, ``log_deviation`` and ``noise`` (of unit deviation; zero for the most likely latent)
        ``[batch, inter, frames]``, ``speaker`` ``[batch, gin]`` → ``z`` ``[batch, inter, frames]``.

    Raises:
        ModelError: A weight is missing or of another shape.
    """
    g = Graph("flow", weights, half=half)
    shape = ("batch", config.inter, "frames")
    mean, log_deviation, noise = (g.input(name, shape) for name in ("mean", "log_deviation", "noise"))
    speaker = g.op("Unsqueeze", g.input("speaker", ("batch", config.gin)), g.ints(2, 3))
    deviation = g.op("Mul", g.op("Exp", log_deviation), g.constant(NOISE_SCALE))
    z = g.op("Unsqueeze", add(g, mean, g.op("Mul", deviation, noise)), g.ints(2))
    couplings = _numbers(weights, r"flow\.flows\.(\d+)\.pre\.weight")
    if not couplings:
        raise ModelError("flow: the checkpoint has no flow.flows")
    flipped = False
    for index in reversed(couplings):
        flipped = not flipped
        z = _coupling(g, config, z, speaker, f"flow.flows.{index}", flipped)
    if flipped:
        z = g.op("Gather", z, g.ints(*reversed(range(config.inter))), axis=1)
    g.output("z", g.op("Squeeze", z, g.ints(2)), shape)
    return g.build()


def _numbers(weights: Weights, pattern: str) -> list[int]:
    """The numbers that a key's group takes in a checkpoint, in order."""
    found = (re.fullmatch(pattern, key) for key in weights)
    return sorted({int(match[1]) for match in found if match})


def _coupling(g: Graph, config: SynthesizerConfig, z: str, speaker: str, name: str, flipped: bool) -> str:
    """One affine coupling backwards: the second half of the channels, less what the first predicts.

    The flow reverses its channels before each coupling. Here they stay in place: in a flipped coupling the halves
    change roles and the outer weights are reversed.
    """
    half = config.inter // 2
    names = (f"{name}.lower", f"{name}.upper")
    lower, upper = g.ops("Split", z, names=names, axis=1, num_outputs=2)
    known, changed = (upper, lower) if flipped else (lower, upper)
    x = _mirrored(g, known, f"{name}.pre", (config.hidden, half, 1), 1 if flipped else None)
    x = _gated(g, config, x, speaker, f"{name}.enc")
    mean = _mirrored(g, x, f"{name}.post", (half, config.hidden, 1), 0 if flipped else None)
    changed = g.op("Sub", changed, mean)
    return g.op("Concat", *((changed, known) if flipped else (known, changed)), axis=1)


def _mirrored(g: Graph, x: str, name: str, shape: tuple[int, int, int], axis: int | None) -> str:
    """A convolution of width one with its inputs (axis 1) or outputs (axis 0) in reverse order."""
    weight: NDArray[np.float32] = g.array(f"{name}.weight", shape)[:, :, None, :]
    bias = g.array(f"{name}.bias", (shape[0],))
    if axis is not None:
        weight = np.flip(weight, axis)
    if axis == 0:
        bias = np.flip(bias)
    return g.op("Conv", x, g.hold(f"{name}.weight", weight), g.hold(f"{name}.bias", bias), kernel_shape=[1, 1])


def _gated(g: Graph, config: SynthesizerConfig, x: str, speaker: str, name: str) -> str:
    """Gated convolutions with residual and skip paths; the speaker shifts every gate."""
    hidden = config.hidden
    kernels = {index: g.array(f"{name}.in_layers.{index}.weight").shape[-1] for index in _layers(g, name)}
    count = len(kernels)
    condition = conv(g, speaker, f"{name}.cond_layer", (2 * hidden * count, config.gin, 1))
    names = tuple(f"{name}.condition.{index}" for index in kernels)
    conditions = g.ops("Split", condition, names=names, axis=1, num_outputs=count) if count > 1 else (condition,)
    skipped: list[str] = []
    for index, kernel in kernels.items():
        last = index == count - 1
        layer, pad = f"{name}.in_layers.{index}", (kernel - 1) // 2
        gates = add(g, conv(g, x, layer, (2 * hidden, hidden, kernel), pads=(pad, pad)), conditions[index])
        names = (f"{layer}.value", f"{layer}.gate")
        value, gate = g.ops("Split", gates, names=names, axis=1, num_outputs=2)
        acts = g.op("Mul", g.op("Tanh", value), g.op("Sigmoid", gate))
        y = conv(g, acts, f"{name}.res_skip_layers.{index}", (hidden if last else 2 * hidden, hidden, 1))
        if not last:
            names = (f"{layer}.residual", f"{layer}.skip")
            residual, y = g.ops("Split", y, names=names, axis=1, num_outputs=2)
            x = add(g, x, residual)
        skipped.append(y)
    return add(g, *skipped)


def _layers(g: Graph, name: str) -> list[int]:
    """Numbers of the gated layers a checkpoint has, from 0."""
    count = 0
    while g.has(f"{name}.in_layers.{count}.weight"):
        count += 1
    if not count:
        raise ModelError(f"flow: the checkpoint has no {name}.in_layers")
    return list(range(count))
