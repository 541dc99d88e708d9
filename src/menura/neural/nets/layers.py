"""Layers that several networks share, each as nodes of a :class:`~menura.neural.nets.graph.Graph`.

Two layouts: *rows*, ``[batch, time, channels]``, for matrix products; *planes*, ``[batch, channels, 1, time]``, for
convolutions. The height of one makes them two-dimensional, which ONNX Runtime computes directly in blocked channels and
without unfolding: a third faster than its one-dimensional form on a core (CPU, 16–256 channels).
"""

from collections.abc import Sequence

from menura.neural.nets.graph import Graph

__all__ = ["add", "attend", "conv", "gelu", "heads", "layer_norm", "leaky", "merge", "planes", "rows", "sigmoid"]


def add(g: Graph, *values: str) -> str:
    """The sum of values, from left to right."""
    total, *rest = values
    for value in rest:
        total = g.op("Add", total, value)
    return total


def gelu(g: Graph, x: str) -> str:
    """Gaussian error linear unit, the exact form (Hendrycks & Gimpel 2016)."""
    return g.op("Gelu", x)


def leaky(g: Graph, x: str, slope: float) -> str:
    """Leaky rectifier."""
    return g.op("LeakyRelu", x, alpha=slope)


def planes(g: Graph, x: str) -> str:
    """Rows ``[b, t, c]`` as planes ``[b, c, 1, t]``."""
    return g.op("Unsqueeze", g.op("Transpose", x, perm=[0, 2, 1]), g.ints(2))


def rows(g: Graph, x: str) -> str:
    """Planes ``[b, c, 1, t]`` as rows ``[b, t, c]``."""
    return g.op("Transpose", g.op("Squeeze", x, g.ints(2)), perm=[0, 2, 1])


def conv(
    g: Graph,
    x: str,
    name: str,
    shape: Sequence[int],
    *,
    pads: tuple[int, int] = (0, 0),
    stride: int = 1,
    dilation: int = 1,
) -> str:
    """``torch.nn.Conv1d`` on planes, with the bias the checkpoint has.

    Args:
        g, x: Graph and value.
        name: Of the layer in the checkpoint.
        shape: Of its weight: outputs, inputs (of a group), width; then the number of groups where there are several.
        pads: Zeros before and after.
        stride, dilation: In frames.
    """
    weight, groups = g.array(f"{name}.weight", shape[:3]), shape[3] if len(shape) > 3 else 1
    kernel = g.hold(f"{name}.weight", weight[:, :, None, :])
    bias = [g.weight(f"{name}.bias", (shape[0],))] if g.has(f"{name}.bias") else []
    return g.op(
        "Conv", x, kernel, *bias, kernel_shape=[1, shape[2]], pads=[0, pads[0], 0, pads[1]], strides=[1, stride],
        dilations=[1, dilation], group=groups,
    )  # fmt: skip


def layer_norm(g: Graph, x: str, scale: str, bias: str, eps: float = 1e-5) -> str:
    """Normalisation over the channels of rows (Ba et al. 2016); ``scale`` and ``bias`` are values."""
    return g.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=eps)


def heads(g: Graph, x: str, count: int, width: int) -> str:
    """Rows ``[b, t, count · width]`` as ``[b, count, t, width]``."""
    return g.op("Transpose", g.op("Reshape", x, g.ints(0, 0, count, width)), perm=[0, 2, 1, 3])


def merge(g: Graph, x: str, channels: int) -> str:
    """The inverse of :func:`heads`."""
    return g.op("Reshape", g.op("Transpose", x, perm=[0, 2, 1, 3]), g.ints(0, 0, channels))


def attend(g: Graph, scores: str, values: str) -> str:
    """Weights of attention from scores ``[b, h, t, t]``, applied to values ``[b, h, t, width]``."""
    return g.op("MatMul", g.op("Softmax", scores, axis=-1), values)


def sigmoid(g: Graph, x: str) -> str:
    """The logistic function, exact for small results too: ONNX Runtime's own is off by 1e-7."""
    return g.op("Reciprocal", add(g, g.op("Exp", g.op("Neg", x)), g.constant(1.0)))
