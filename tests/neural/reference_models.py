"""HuBERT and RMVPE once more, slowly: numpy in double precision, straight from the papers, for sizes no fixture has."""

from math import erf

import numpy as np
from numpy.typing import NDArray

from menura.neural.nets.config import HubertConfig, RmvpeConfig
from tests.neural.reference import conv

F64 = NDArray[np.float64]
Weights = dict[str, F64]
Made = dict[str, NDArray[np.float32]]


class _Draw:
    def __init__(self, seed: int) -> None:
        self.rng, self.made = np.random.default_rng(seed), Made()

    def layer(self, name: str, *shape: int, bias: bool = True) -> None:
        self.made[f"{name}.weight"] = self.rng.standard_normal(shape, np.float32) / np.float32(
            np.sqrt(np.prod(shape[1:]))
        )
        if bias:
            self.made[f"{name}.bias"] = self.rng.standard_normal(shape[0], np.float32) * np.float32(0.2)

    def norm(self, name: str, width: int) -> None:
        self.made[f"{name}.weight"] = self.rng.random(width, np.float32) + np.float32(0.5)
        self.made[f"{name}.bias"] = self.rng.standard_normal(width, np.float32) * np.float32(0.2)

    def batch_norm(self, name: str, width: int) -> None:
        self.norm(name, width)
        self.made[f"{name}.running_mean"] = self.rng.standard_normal(width, np.float32) * np.float32(0.2)
        self.made[f"{name}.running_var"] = self.rng.random(width, np.float32) + np.float32(0.5)


def hubert_weights(config: HubertConfig, seed: int) -> Made:
    """A checkpoint of these sizes, weight norm folded."""
    d, hidden, inputs = _Draw(seed), config.hidden, 1
    for index, (width, kernel) in enumerate(zip(config.conv_dim, config.conv_kernel, strict=True)):
        name = f"feature_extractor.conv_layers.{index}"
        d.layer(f"{name}.conv", width, inputs, kernel, bias=config.conv_bias)
        if index == 0 or config.conv_norm == "layer":
            d.norm(f"{name}.layer_norm", width)
        inputs = width
    d.norm("feature_projection.layer_norm", inputs)
    d.layer("feature_projection.projection", hidden, inputs)
    d.layer("encoder.pos_conv_embed.conv", hidden, hidden // config.pos_groups, config.pos_kernel)
    d.norm("encoder.layer_norm", hidden)
    for index in range(config.layers):
        name = f"encoder.layers.{index}"
        for part in ("q", "k", "v", "out"):
            d.layer(f"{name}.attention.{part}_proj", hidden, hidden)
        d.layer(f"{name}.feed_forward.intermediate_dense", config.intermediate, hidden)
        d.layer(f"{name}.feed_forward.output_dense", hidden, config.intermediate)
        d.norm(f"{name}.layer_norm", hidden)
        d.norm(f"{name}.final_layer_norm", hidden)
    return d.made


def _gelu(x: F64) -> F64:
    return x * 0.5 * (1.0 + np.vectorize(erf)(x / np.sqrt(2.0)))


def _normed(w: Weights, x: F64, name: str, eps: float) -> F64:
    """Over the channels of rows."""
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return y * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(w: Weights, x: F64, name: str) -> F64:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def hubert(config: HubertConfig, w: Weights, wav: F64, layer: int) -> F64:
    """``[samples]`` → ``[frames, hidden]`` after a layer."""
    x, eps = wav[None], config.eps
    for index, stride in enumerate(config.conv_stride):
        name = f"feature_extractor.conv_layers.{index}"
        x = conv(x, w[f"{name}.conv.weight"], w.get(f"{name}.conv.bias", 0.0), stride=stride)
        if config.conv_norm == "layer":
            x = _normed(w, x.T, f"{name}.layer_norm", 1e-5).T
        elif index == 0:
            x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
            x = x * w[f"{name}.layer_norm.weight"][:, None] + w[f"{name}.layer_norm.bias"][:, None]
        x = _gelu(x)
    x = _linear(w, _normed(w, x.T, "feature_projection.layer_norm", eps), "feature_projection.projection")
    x = x + _position(config, w, x)
    if not config.pre_norm:
        x = _normed(w, x, "encoder.layer_norm", eps)
    for index in range(layer):
        name = f"encoder.layers.{index}"
        first, second = f"{name}.layer_norm", f"{name}.final_layer_norm"
        if config.pre_norm:
            x = x + _attended(config, w, _normed(w, x, first, eps), f"{name}.attention")
            x = x + _fed(w, _normed(w, x, second, eps), f"{name}.feed_forward")
        else:
            x = _normed(w, x + _attended(config, w, x, f"{name}.attention"), first, eps)
            x = _normed(w, x + _fed(w, x, f"{name}.feed_forward"), second, eps)
    return _normed(w, x, "encoder.layer_norm", eps) if config.pre_norm and layer == config.layers else x


def _position(config: HubertConfig, w: Weights, x: F64) -> F64:
    name, group, pad = "encoder.pos_conv_embed.conv", config.hidden // config.pos_groups, config.pos_kernel // 2
    parts = []
    for start in range(0, config.hidden, group):
        part = slice(start, start + group)
        parts.append(conv(x.T[part], w[f"{name}.weight"][part], w[f"{name}.bias"][part], pad=(pad, pad)))
    return _gelu(np.concatenate(parts)[:, : len(x)]).T


def _attended(config: HubertConfig, w: Weights, x: F64, name: str) -> F64:
    q, k, v = (_linear(w, x, f"{name}.{part}_proj") for part in "qkv")
    width, mixed = config.hidden // config.heads, []
    for start in range(0, config.hidden, width):
        part = slice(start, start + width)
        scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(width))
        mixed.append(scores / scores.sum(1, keepdims=True) @ v[:, part])
    return _linear(w, np.concatenate(mixed, axis=1), f"{name}.out_proj")


def _fed(w: Weights, x: F64, name: str) -> F64:
    return _linear(w, _gelu(_linear(w, x, f"{name}.intermediate_dense")), f"{name}.output_dense")


def rmvpe_weights(config: RmvpeConfig, seed: int) -> Made:
    """A checkpoint of these sizes."""
    d = _Draw(seed)

    def blocks(name: str, inputs: int, outputs: int) -> None:
        for index in range(config.blocks):
            for step, width in ((0, inputs), (3, outputs)):
                d.layer(f"{name}.{index}.conv.{step}", outputs, width, 3, 3, bias=False)
                d.batch_norm(f"{name}.{index}.conv.{step + 1}", outputs)
            if inputs != outputs:
                d.layer(f"{name}.{index}.shortcut", outputs, inputs, 1, 1)
            inputs = outputs

    d.batch_norm("unet.encoder.bn", 1)
    inputs, outputs = 1, config.channels
    for level in range(config.levels):
        blocks(f"unet.encoder.layers.{level}.conv", inputs, outputs)
        inputs, outputs = outputs, 2 * outputs
    for level in range(config.inter_levels):
        blocks(f"unet.intermediate.layers.{level}.conv", inputs, outputs)
        inputs = outputs
    for level in range(config.levels):
        name, outputs = f"unet.decoder.layers.{level}", inputs // 2
        d.layer(f"{name}.conv1.0", inputs, outputs, 3, 3, bias=False)
        d.batch_norm(f"{name}.conv1.1", outputs)
        blocks(f"{name}.conv2", inputs, outputs)
        inputs = outputs
    d.layer("cnn", 3, config.channels, 3, 3)
    _draw_head(config, d)
    return d.made


def _draw_head(config: RmvpeConfig, d: _Draw) -> None:
    width = 3 * config.mels
    for layer in range(config.gru_layers):
        for way in ("", "_reverse"):
            for part, size in (("ih", width), ("hh", config.gru_hidden)):
                weight = d.rng.standard_normal((3 * config.gru_hidden, size), np.float32) / np.float32(np.sqrt(size))
                d.made[f"fc.0.gru.weight_{part}_l{layer}{way}"] = weight
                bias = d.rng.standard_normal(3 * config.gru_hidden, np.float32) * np.float32(0.2)
                d.made[f"fc.0.gru.bias_{part}_l{layer}{way}"] = bias
        width = 2 * config.gru_hidden
    d.layer("fc.1" if config.gru_layers else "fc.0", config.bins, width)


def _conv2(x: F64, w: F64) -> F64:
    """``[channels, height, width]`` with an odd square kernel, to equal size."""
    pad = w.shape[2] // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, w, optimize=True)


def _doubled(x: F64, w: F64) -> F64:
    """Transposed convolution, three wide, of stride 2, to twice the size: a zero after each value, along both axes."""
    spread = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2]))
    spread[:, ::2, ::2] = x
    return _conv2(spread, w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))


def _batch_normed(w: Weights, x: F64, name: str) -> F64:
    mean, variance, weight, bias = (
        w[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def _residual(config: RmvpeConfig, w: Weights, x: F64, name: str) -> F64:
    for index in range(config.blocks):
        block, y = f"{name}.{index}", x
        for step in (0, 3):
            y = np.maximum(_batch_normed(w, _conv2(y, w[f"{block}.conv.{step}.weight"]), f"{block}.conv.{step + 1}"), 0)
        short = f"{block}.shortcut"
        if f"{short}.weight" in w:
            x = _conv2(x, w[f"{short}.weight"]) + w[f"{short}.bias"][:, None, None]
        x = y + x
    return x


def rmvpe(config: RmvpeConfig, w: Weights, mel: F64) -> F64:
    """``[frames, mels]`` → salience ``[frames, bins]``."""
    x, kept = _batch_normed(w, mel[None], "unet.encoder.bn"), []
    for level in range(config.levels):
        x = _residual(config, w, x, f"unet.encoder.layers.{level}.conv")
        kept.append(x)
        x = x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2).mean((2, 4))
    for level in range(config.inter_levels):
        x = _residual(config, w, x, f"unet.intermediate.layers.{level}.conv")
    for level in range(config.levels):
        name = f"unet.decoder.layers.{level}"
        x = np.maximum(_batch_normed(w, _doubled(x, w[f"{name}.conv1.0.weight"]), f"{name}.conv1.1"), 0)
        x = _residual(config, w, np.concatenate([x, kept.pop()]), f"{name}.conv2")
    x = _conv2(x, w["cnn.weight"]) + w["cnn.bias"][:, None, None]
    x = x.transpose(1, 0, 2).reshape(len(mel), -1)
    for layer in range(config.gru_layers):
        forth = _gru(w, x, f"_l{layer}")
        x = np.concatenate([forth, _gru(w, x[::-1], f"_l{layer}_reverse")[::-1]], axis=1)
    x = _linear(w, x, "fc.1" if config.gru_layers else "fc.0")
    return 1.0 / (1.0 + np.exp(-x))


def _gru(w: Weights, x: F64, layer: str) -> F64:
    hidden = w[f"fc.0.gru.weight_hh{layer}"].shape[1]
    state, states = np.zeros(hidden), []
    for row in x:
        given = w[f"fc.0.gru.weight_ih{layer}"] @ row + w[f"fc.0.gru.bias_ih{layer}"]
        kept = w[f"fc.0.gru.weight_hh{layer}"] @ state + w[f"fc.0.gru.bias_hh{layer}"]
        reset, update = (
            1.0 / (1.0 + np.exp(-(given[part] + kept[part]))) for part in (slice(0, hidden), slice(hidden, 2 * hidden))
        )
        new = np.tanh(given[2 * hidden :] + reset * kept[2 * hidden :])
        state = (1.0 - update) * new + update * state
        states.append(state)
    return np.array(states)
