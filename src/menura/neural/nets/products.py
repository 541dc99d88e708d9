"""Matrix products of rows, in single precision or in 8 bits, and convolutions of rows over time as such products.

In 8 bits weights are rounded once, with a scale for each output; rows at each call, with one scale for all in products,
which follow a normalisation, and one for each in convolutions, where loud and quiet frames differ. A processor with
8-bit dot products (AVX-512 VNNI, ARM's) makes them three to four times as fast; each is exact to about 38 dB where rows
have no outliers.

Source:
    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from menura.neural.nets.graph import Graph

__all__ = ["linear", "over_time", "product"]

Matrix = NDArray[np.float32]
LEAST = 1e-20
"""What rows and weights of nothing count as, so that their scale is not zero."""
FLOAT, UINT8 = 1, 2
"""ONNX's numbers for these types."""


def product(g: Graph, x: str, name: str, weight: Matrix, bias: Matrix | None) -> str:
    """Rows ``[batch, time, inputs]`` times ``weight`` ``[outputs, inputs]`` plus ``bias``, held under ``name``.

    The weight stays as checkpoints have it: a matrix mapped from a file is never copied.
    """
    if g.int8:
        names = (f"{name}.rows", f"{name}.rows_scale", f"{name}.rows_zero")
        return _scaled(g, g.ops("DynamicQuantizeLinear", x, names=names), name, weight.T, bias)
    outputs, inputs = weight.shape
    shape = g.op("Concat", g.op("Shape", x, start=0, end=2), g.ints(outputs), axis=0)
    held = [g.hold(f"{name}.weight", weight)] + ([] if bias is None else [g.hold(f"{name}.bias", bias)])
    return g.op("Reshape", g.op("Gemm", g.op("Reshape", x, g.ints(-1, inputs)), *held, transB=1), shape)


def linear(g: Graph, x: str, name: str, inputs: int, outputs: int) -> str:
    """``torch.nn.Linear`` on rows; a convolution of width one is the same."""
    weight = g.array(f"{name}.weight")
    if weight.ndim == 3:
        weight = g.array(f"{name}.weight", (outputs, inputs, 1))[:, :, 0]
    else:
        g.array(f"{name}.weight", (outputs, inputs))
    return product(g, x, name, weight, g.array(f"{name}.bias", (outputs,)) if g.has(f"{name}.bias") else None)


def over_time(g: Graph, x: str, name: str, shape: tuple[int, int, int], *, stride: int = 1, same: bool = False) -> str:
    """``torch.nn.Conv1d`` on rows: what each tap sees, side by side, times one matrix.

    Args:
        g, x: Graph and rows ``[batch, time, channels]``.
        name: Of the layer in the checkpoint.
        shape: Of its weight: outputs, inputs, width.
        stride: In frames.
        same: Zeros are put at both ends, so that at stride 1 as many frames come out as go in.
    """
    outputs, inputs, width = shape
    matrix = g.array(f"{name}.weight", shape).transpose(2, 1, 0).reshape(width * inputs, outputs)
    bias = g.array(f"{name}.bias", (outputs,)) if g.has(f"{name}.bias") else None
    if same and width > 1:
        before = (width - 1) // 2
        x = g.op("Pad", x, g.ints(0, before, 0, 0, width - 1 - before, 0))
    x = _taps(g, x, width, stride)
    if g.int8:
        return _each_scaled(g, _each_rounded(g, x), name, matrix, bias)
    return _shifted(g, g.op("MatMul", x, g.hold(f"{name}.matrix", matrix)), name, bias)


def _taps(g: Graph, x: str, width: int, stride: int) -> str:
    """Rows ``[b, t, c]`` as ``[b, t', width · c]``: each with those that follow it."""
    if width == stride == 1:
        return x
    last = np.iinfo(np.int64).max
    ends = [k - width + 1 if k < width - 1 else last for k in range(width)]
    parts = [g.op("Slice", x, g.ints(k), g.ints(end), g.ints(1), g.ints(stride)) for k, end in enumerate(ends)]
    return g.op("Concat", *parts, axis=-1) if width > 1 else parts[0]


def _shifted(g: Graph, y: str, name: str, bias: Matrix | None) -> str:
    return y if bias is None else g.op("Add", y, g.hold(f"{name}.bias", bias))


def _each_rounded(g: Graph, x: str) -> tuple[str, str, str]:
    """Rows in 8 bits, a scale for each, and their zero."""
    peak = g.op("ReduceMax", g.op("Abs", x), g.ints(-1), keepdims=1)
    step = g.op("Mul", g.op("Max", peak, g.constant(LEAST)), g.constant(1.0 / 127.0))
    # cut off after adding one half: rounded
    whole = g.op("Cast", g.op("Add", g.op("Div", x, step), g.constant(128.5)), to=UINT8)
    return whole, step, g.constant(128, np.uint8)


def _scaled(g: Graph, rounded_rows: Sequence[str], name: str, matrix: Matrix, bias: Matrix | None) -> str:
    """Rows in 8 bits (their values, one scale for all, and zero) times a matrix rounded to 8 bits."""
    whole, step, zero = rounded_rows
    sums, scale = _summed(g, whole, zero, name, matrix)
    # in this order ONNX Runtime makes one operator of all
    y = g.op("Mul", g.op("Cast", sums, to=FLOAT), g.op("Mul", step, scale))
    return _shifted(g, y, name, bias)


def _each_scaled(g: Graph, rounded_rows: Sequence[str], name: str, matrix: Matrix, bias: Matrix | None) -> str:
    """The same with a scale for each row."""
    whole, step, zero = rounded_rows
    sums, scale = _summed(g, whole, zero, name, matrix)
    # in the other order ONNX Runtime's one operator would take the first row's scale for all
    y = g.op("Mul", g.op("Mul", g.op("Cast", sums, to=FLOAT), scale), step)
    return _shifted(g, y, name, bias)


def _summed(g: Graph, whole: str, zero: str, name: str, matrix: Matrix) -> tuple[str, str]:
    """Whole products, and the scale of each output."""
    scale = np.maximum(np.abs(matrix).max(axis=0), np.float32(LEAST)) / np.float32(127)
    rounded = np.rint(matrix / scale).astype(np.int8)
    return g.op("MatMulInteger", whole, g.hold(f"{name}.int8", rounded), zero), g.hold(f"{name}.scale", scale)
