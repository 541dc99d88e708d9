"""HuBERT and ContentVec as graphs: 16 kHz audio in, content features out.

The encoder is cut where the front end's rows have the transformer's width: what comes before belongs to a moment of the
audio and is computed once, what comes after looks at a whole window.

Source:
    Hsu et al., "HuBERT", 2021; Baevski et al., "wav2vec 2.0", 2020. Names of weights as Hugging Face has them.
"""

import numpy as np

from menura.errors import ModelError
from menura.neural.nets.config import FRONT_EPS, HubertConfig
from menura.neural.nets.graph import Graph, Network, Weights
from menura.neural.nets.layers import add, attend, conv, gelu, heads, layer_norm, merge, planes, rows
from menura.neural.nets.products import linear, over_time, product

__all__ = ["hubert_front", "hubert_transformer"]


def hubert_front(config: HubertConfig, weights: Weights, *, int8: bool = False, half: bool = False) -> Network:
    """The front end: each of its rows is made of ``config.reach`` samples, and of nothing else.

    Args:
        config: Its sizes.
        weights: Its checkpoint.
        int8: Strided convolutions in 8 bits.
        half: Everything in half precision.

    Shape:
        ``wav`` ``[batch, samples]`` at 16 kHz → ``rows`` ``[batch, frames, config.hidden]``. Where ``config.conv_norm``
        is ``group``, the first convolution's normalisation is given, ``factor`` and ``shift``
        ``[batch, config.conv_dim[0]]`` (:class:`~menura.neural.nets.moments.FirstNorm`). There are
        ``config.frames(samples)`` rows, one every 20 ms.

    Raises:
        ModelError: A weight is missing or of another shape.
    """
    g = Graph("hubert-front", weights, int8=int8, half=half)
    wav, affine = g.input("wav", ("batch", "samples")), None
    if config.conv_norm == "group":
        factor, shift = (g.input(name, ("batch", config.conv_dim[0])) for name in ("factor", "shift"))
        affine = factor, shift
    g.output("rows", _front(g, config, wav, affine), ("batch", "frames", config.hidden))
    return g.build()


def hubert_transformer(
    config: HubertConfig, weights: Weights, *, layer: int | None = None, project: bool = False, int8: bool = False,
    half: bool = False, carried: bool = False,
) -> Network:  # fmt: skip
    """What follows :func:`hubert_front`.

    Args:
        config: Its sizes.
        weights: Its checkpoint.
        layer: The layer whose output is wanted, counted from 1; later ones are left out. None: the last.
        project: Apply ``final_proj``. RVC v1 takes layer 9 projected, v2 the last layer.
        int8: Products in 8 bits.
        half: Everything in half precision.
        carried: For the end of a window whose beginning was computed before.

    Shape:
        ``rows`` ``[batch, frames, config.hidden]`` → ``features`` ``[batch, frames, channels]``. Carried: ``rows``
        ``[batch, config.pos_kernel // 2 + frames, config.hidden]``, those before first, or zeros where there are none;
        ``past`` ``[batch, layers, earlier, 2 · config.hidden]``, keys and values of the earlier frames in each layer,
        of which there may be none → ``kept`` ``[batch, layers, frames, 2 · config.hidden]``, those of these frames, and
        ``features``.

    Raises:
        ModelError: A weight is missing or of another shape, or there is no such layer.
    """
    g = Graph("hubert-transformer", weights, int8=int8, half=half)
    hidden = config.hidden
    if not carried:
        return _finish(g, config, _transformer(g, config, g.input("rows", ("batch", "frames", hidden)), layer), project)
    x = g.input("rows", ("batch", "rows", hidden))
    past = _Past(g, g.input("past", ("batch", "layers", "earlier", 2 * hidden)))
    x = _transformer(g, config, x, layer, past)
    g.output("kept", g.op("Concat", *past.kept, axis=1), ("batch", "layers", "frames", 2 * hidden))
    return _finish(g, config, x, project)


class _Past:
    """Keys and values of earlier frames, a layer at a time, and of those that are added.

    Attributes:
        kept: Of the latter, a value for each layer, ``[batch, 1, frames, 2 · hidden]``.
    """

    def __init__(self, g: Graph, earlier: str) -> None:
        self._g, self._earlier = g, earlier
        self.kept: list[str] = []

    def join(self, new: str) -> str:
        """All of the next layer, given the new ones."""
        earlier = self._g.op("Gather", self._earlier, self._g.constant(len(self.kept), np.int64), axis=1)
        self.kept.append(self._g.op("Unsqueeze", new, self._g.ints(1)))
        return self._g.op("Concat", earlier, new, axis=1)


def _finish(g: Graph, config: HubertConfig, x: str, project: bool) -> Network:
    width = config.hidden
    if project:
        if not config.projection:
            raise ModelError("this content model has no final_proj: voices of RVC v1 need one that has")
        x, width = linear(g, x, "final_proj", config.hidden, config.projection), config.projection
    g.output("features", x, ("batch", "frames", width))
    return g.build()


def _front(g: Graph, config: HubertConfig, wav: str, affine: tuple[str, str] | None) -> str:
    """From samples to rows: strided convolutions, and the transformer's width."""
    x = _convolved(g, config, wav, affine)
    x = _norm(g, config.eps, x, "feature_projection.layer_norm", config.conv_dim[-1])
    return linear(g, x, "feature_projection.projection", config.conv_dim[-1], config.hidden)


def _convolved(g: Graph, config: HubertConfig, wav: str, affine: tuple[str, str] | None) -> str:
    x = g.op("Unsqueeze", wav, g.ints(1, 2))
    flat = False
    inputs = 1
    for index, (width, kernel, stride) in enumerate(
        zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True)
    ):
        name = f"feature_extractor.conv_layers.{index}"
        if g.int8 and index:
            x, flat = x if flat else rows(g, x), True
            x = over_time(g, x, f"{name}.conv", (width, inputs, kernel), stride=stride)
        else:
            x = conv(g, x, f"{name}.conv", (width, inputs, kernel), stride=stride)
        if config.conv_norm == "layer":
            x, flat = _norm(g, FRONT_EPS, x if flat else rows(g, x), f"{name}.layer_norm", width), True
        elif affine is not None and index == 0:
            factor, shift = (g.op("Unsqueeze", part, g.ints(2, 3)) for part in affine)
            x = g.op("Add", g.op("Mul", x, factor), shift)
        x = gelu(g, x)
        if flat and not g.int8:
            x, flat = planes(g, x), False
        inputs = width
    return x if flat else rows(g, x)


def _norm(g: Graph, eps: float, x: str, name: str, width: int) -> str:
    scale, bias = (g.weight(f"{name}.{part}", (width,)) for part in ("weight", "bias"))
    return layer_norm(g, x, scale, bias, eps)


def _transformer(g: Graph, config: HubertConfig, x: str, layer: int | None, past: _Past | None = None) -> str:
    count = config.layers if layer is None else layer
    if not 1 <= count <= config.layers:
        raise ModelError(f"this content model has {config.layers} layers: there is no layer {count}")
    before = config.pos_kernel // 2
    if past is None:
        x = add(g, x, _position(g, config, x, before))
    else:
        own = g.op("Slice", x, g.ints(before), g.ints(np.iinfo(np.int64).max), g.ints(1))
        x = add(g, own, _position(g, config, x, 0))
    if not config.pre_norm:
        x = _norm(g, config.eps, x, "encoder.layer_norm", config.hidden)
    for index in range(count):
        x = _layer(g, config, x, f"encoder.layers.{index}", past)
    if config.pre_norm and count == config.layers:
        x = _norm(g, config.eps, x, "encoder.layer_norm", config.hidden)
    return x


def _position(g: Graph, config: HubertConfig, x: str, before: int) -> str:
    """Positions by a wide grouped convolution, with so many zeros before; an even one gives a frame too many, which is
    left out.
    """
    kernel = config.pos_kernel
    shape = (config.hidden, config.hidden // config.pos_groups, kernel, config.pos_groups)
    pads = (before, kernel // 2 - (kernel % 2 == 0))
    y = conv(g, planes(g, x), "encoder.pos_conv_embed.conv", shape, pads=pads)
    return rows(g, gelu(g, y))


def _layer(g: Graph, config: HubertConfig, x: str, name: str, past: _Past | None) -> str:
    hidden, attention = config.hidden, f"{name}.attention"
    if config.pre_norm:
        x = add(g, x, _attention(g, config, _norm(g, config.eps, x, f"{name}.layer_norm", hidden), attention, past))
        return add(g, x, _feed(g, config, _norm(g, config.eps, x, f"{name}.final_layer_norm", hidden), name))
    x = _norm(g, config.eps, add(g, x, _attention(g, config, x, attention, past)), f"{name}.layer_norm", hidden)
    return _norm(g, config.eps, add(g, x, _feed(g, config, x, name)), f"{name}.final_layer_norm", hidden)


def _feed(g: Graph, config: HubertConfig, x: str, name: str) -> str:
    x = gelu(g, linear(g, x, f"{name}.feed_forward.intermediate_dense", config.hidden, config.intermediate))
    return linear(g, x, f"{name}.feed_forward.output_dense", config.intermediate, config.hidden)


def _attention(g: Graph, config: HubertConfig, x: str, name: str, past: _Past | None) -> str:
    """Self-attention; the three projections are one product, and the scores' scale is in the queries' weights."""
    hidden, width = config.hidden, config.hidden // config.heads
    scale = {"q_proj": np.float32(width**-0.5), "k_proj": np.float32(1), "v_proj": np.float32(1)}
    weight = np.concatenate([g.array(f"{name}.{p}.weight", (hidden, hidden)) * s for p, s in scale.items()])
    bias = np.concatenate([g.array(f"{name}.{p}.bias", (hidden,)) * s for p, s in scale.items()])
    joined = product(g, x, f"{name}.qkv", weight, bias)
    query, told = g.ops("Split", joined, g.ints(hidden, 2 * hidden), names=(f"{name}.q", f"{name}.kv"), axis=-1)
    told = told if past is None else past.join(told)
    key, value = g.ops("Split", told, names=(f"{name}.k", f"{name}.v"), axis=-1, num_outputs=2)
    query, key, value = (heads(g, part, config.heads, width) for part in (query, key, value))
    scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
    return linear(g, merge(g, attend(g, scores, value), hidden), f"{name}.out_proj", hidden, hidden)
