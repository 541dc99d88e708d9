"""The synthesizer's text encoder as a graph: content features and pitch in, the prior's mean and deviation out.

Source:
    Kim et al., "VITS", 2021; relative positions as Shaw et al. 2018, within a window.
"""

from dataclasses import dataclass

import numpy as np

from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.graph import Graph, Network, Weights
from menura.neural.nets.layers import add, heads, layer_norm, leaky, merge
from menura.neural.nets.products import linear, over_time, product

__all__ = ["COARSE_PITCHES", "encoder"]

COARSE_PITCHES = 256
"""Rows of the pitch table."""


def encoder(config: SynthesizerConfig, weights: Weights, *, int8: bool = False, half: bool = False) -> Network:
    """The text encoder.

    Every layer but the last is computed for all frames, which the next one attends to; the last for those wanted.

    Args:
        config: Its sizes.
        weights: Its checkpoint.
        int8: Products and convolutions in 8 bits.
        half: Everything in half precision.

    Shape:
        ``phone`` ``[batch, frames, features]``, a frame every 10 ms, ``wanted`` ``[1]`` int64, how many of the newest
        frames are (all, if there are no more), and for a voice with pitch ``pitch`` ``[batch, frames]`` int64 in 0…255
        → ``mean`` and ``log_deviation`` ``[batch, inter, wanted]``. All sequences of a batch are equally long.

    Raises:
        ModelError: A weight is missing or of another shape.
    """
    g = Graph("encoder", weights, int8=int8, half=half)
    phone = g.input("phone", ("batch", "frames", config.features))
    wanted = g.input("wanted", (1,), np.int64)
    x = linear(g, phone, "enc_p.emb_phone", config.features, config.hidden)
    if config.f0:
        pitch = g.input("pitch", ("batch", "frames"), np.int64)
        table = g.weight("enc_p.emb_pitch.weight", (COARSE_PITCHES, config.hidden))
        x = add(g, x, g.op("Gather", table, pitch, axis=0))
    x = leaky(g, g.op("Mul", x, g.constant(config.hidden**0.5)), 0.1)
    frames = g.op("Shape", phone, start=1, end=2)
    # the two convolutions after the last attention look at so many frames before
    reach = 2 * ((config.kernel - 1) // 2)
    last = g.op("Min", g.op("Add", wanted, g.ints(reach)), frames)
    for index in range(config.layers):
        band = _Band(frames, last if index == config.layers - 1 else frames)
        y = _attention(g, config, x, f"enc_p.encoder.attn_layers.{index}", band)
        x = add(g, x if band.own == frames else _newest(g, x, band.own, 1), y)
        x = _norm(g, config, x, f"enc_p.encoder.norm_layers_1.{index}")
        y = _feed(g, config, x, f"enc_p.encoder.ffn_layers.{index}")
        x = _norm(g, config, add(g, x, y), f"enc_p.encoder.norm_layers_2.{index}")
    x = _newest(g, x, wanted, 1)
    statistics = g.op("Transpose", linear(g, x, "enc_p.proj", config.hidden, 2 * config.inter), perm=[0, 2, 1])
    names = ("statistics.mean", "statistics.log_deviation")
    mean, log_deviation = g.ops("Split", statistics, names=names, axis=1, num_outputs=2)
    for name, value in (("mean", mean), ("log_deviation", log_deviation)):
        g.output(name, value, ("batch", config.inter, "wanted"))
    return g.build()


def _newest(g: Graph, x: str, count: str, axis: int) -> str:
    """The last ``count`` along an axis."""
    return g.op("Slice", x, g.op("Neg", count), g.ints(np.iinfo(np.int64).max), g.ints(axis))


def _norm(g: Graph, config: SynthesizerConfig, x: str, name: str) -> str:
    gamma, beta = (g.weight(f"{name}.{part}", (config.hidden,)) for part in ("gamma", "beta"))
    return layer_norm(g, x, gamma, beta)


def _feed(g: Graph, config: SynthesizerConfig, x: str, name: str) -> str:
    x = g.op("Relu", over_time(g, x, f"{name}.conv_1", (config.filter, config.hidden, config.kernel), same=True))
    return over_time(g, x, f"{name}.conv_2", (config.hidden, config.filter, config.kernel), same=True)


@dataclass(frozen=True, slots=True)
class _Band:
    """For moving between offsets and positions; values ``[1]`` of the graph.

    Attributes:
        frames: T, of the keys.
        own: Q, of the queries: the newest so many frames.
    """

    frames: str
    own: str

    def older(self, g: Graph) -> str:
        """Keys before the first query."""
        return g.op("Sub", self.frames, self.own)


def _to_positions(g: Graph, band: _Band, x: str, window: int) -> str:
    """Per query and offset ``[b, h, Q, 2w+1]`` → per query and key ``[b, h, Q, T]``, zero outside the window.

    Rows widened by Q zeros and read again one column narrower: each row begins one column later than the one before, so
    offset c of query i lies in column i + c, which is key i + c − w, counted from the first query.
    """
    width, flat = 2 * window + 1, g.ints(0, 0, -1)
    widened = g.op("Pad", x, g.op("Concat", g.ints(0, 0, 0, 0, 0, 0, 0), band.own, axis=0))
    joined = g.op("Reshape", widened, flat)
    joined = g.op("Slice", joined, g.ints(0), g.op("Neg", band.own), g.ints(2))
    narrow = g.op("Add", band.own, g.ints(width - 1))
    skewed = g.op("Reshape", joined, g.op("Concat", g.ints(0, 0), band.own, narrow, axis=0))
    if band.own != band.frames:
        before = g.op("Concat", g.ints(0, 0, 0), band.older(g), g.ints(0, 0, 0, 0), axis=0)
        skewed = g.op("Pad", skewed, before)
    return g.op("Slice", skewed, g.ints(window), g.op("Add", band.frames, g.ints(window)), g.ints(3))


def _to_offsets(g: Graph, band: _Band, x: str, window: int) -> str:
    """The inverse of :func:`_to_positions`: what lies outside the sequence is zero."""
    width, flat = 2 * window + 1, g.ints(0, 0, -1)
    padded = g.op("Pad", x, g.ints(0, 0, 0, window, 0, 0, 0, window))
    if band.own != band.frames:
        padded = g.op("Slice", padded, band.older(g), g.ints(np.iinfo(np.int64).max), g.ints(3))
    padded = g.op("Reshape", padded, flat)
    padded = g.op("Pad", padded, g.op("Concat", g.ints(0, 0, 0, 0, 0), band.own, axis=0))
    wide = g.op("Add", band.own, g.ints(width))
    straight = g.op("Reshape", padded, g.op("Concat", g.ints(0, 0), band.own, wide, axis=0))
    return g.op("Slice", straight, g.ints(0), g.ints(width), g.ints(3))


def _attention(g: Graph, config: SynthesizerConfig, x: str, name: str, band: _Band) -> str:
    """Self-attention whose keys and values each have an addend for every offset within the window."""
    hidden, width = config.hidden, config.hidden // config.heads
    layers = {"conv_q": np.float32(width**-0.5), "conv_k": np.float32(1), "conv_v": np.float32(1)}
    shape = (hidden, hidden, 1)
    weight = np.concatenate([g.array(f"{name}.{p}.weight", shape)[:, :, 0] * s for p, s in layers.items()])
    bias = np.concatenate([g.array(f"{name}.{p}.bias", (hidden,)) * s for p, s in layers.items()])
    joined = product(g, x, f"{name}.qkv", weight, bias)
    names = tuple(f"{name}.{part}" for part in "qkv")
    query, key, value = (
        heads(g, part, config.heads, width) for part in g.ops("Split", joined, names=names, axis=-1, num_outputs=3)
    )
    if band.own != band.frames:
        query = _newest(g, query, band.own, 2)
    # one table for all heads, or one each
    keys, values = (g.array(f"{name}.emb_rel_{part}", (None, None, width)) for part in "kv")
    window = keys.shape[1] // 2
    offsets = g.op("MatMul", query, g.hold(f"{name}.emb_rel_k.T", keys.transpose(0, 2, 1)))
    scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
    chances = g.op("Softmax", add(g, scores, _to_positions(g, band, offsets, window)), axis=-1)
    nearby = g.op("MatMul", _to_offsets(g, band, chances, window), g.hold(f"{name}.emb_rel_v", values))
    mixed = add(g, g.op("MatMul", chances, value), nearby)
    return linear(g, merge(g, mixed, hidden), f"{name}.conv_o", hidden, hidden)
