"""The synthesizer once more, slowly: numpy in double precision, straight from the papers, for sizes no fixture has."""

import numpy as np
from numpy.typing import NDArray

from menura.neural.nets.config import SynthesizerConfig

F64 = NDArray[np.float64]
Weights = dict[str, F64]


def random_weights(
    config: SynthesizerConfig, window: int, seed: int, harmonics: int = 1
) -> dict[str, NDArray[np.float32]]:
    """A checkpoint of these sizes, weight norm folded."""
    rng, made = np.random.default_rng(seed), {}

    def draw(name: str, *shape: int, bias: int = 0) -> None:
        made[f"{name}.weight"] = rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
        if bias:
            made[f"{name}.bias"] = rng.standard_normal(bias, np.float32) * np.float32(0.1)

    hidden, inter, gin = config.hidden, config.inter, config.gin
    draw("enc_p.emb_phone", hidden, config.features, bias=hidden)
    if config.f0:
        draw("enc_p.emb_pitch", 256, hidden)
    for i in range(config.layers):
        name = f"enc_p.encoder.attn_layers.{i}"
        for part in "qkvo":
            draw(f"{name}.conv_{part}", hidden, hidden, 1, bias=hidden)
        for part in "kv":
            shape = (1, 2 * window + 1, hidden // config.heads)
            made[f"{name}.emb_rel_{part}"] = rng.standard_normal(shape, np.float32)
        draw(f"enc_p.encoder.ffn_layers.{i}.conv_1", config.filter, hidden, config.kernel, bias=config.filter)
        draw(f"enc_p.encoder.ffn_layers.{i}.conv_2", hidden, config.filter, config.kernel, bias=hidden)
        for step in (1, 2):
            made[f"enc_p.encoder.norm_layers_{step}.{i}.gamma"] = rng.random(hidden, np.float32) + np.float32(0.5)
            made[f"enc_p.encoder.norm_layers_{step}.{i}.beta"] = rng.standard_normal(hidden, np.float32)
    draw("enc_p.proj", 2 * inter, hidden, 1, bias=2 * inter)
    for i in range(0, 8, 2):
        name = f"flow.flows.{i}"
        draw(f"{name}.pre", hidden, inter // 2, 1, bias=hidden)
        for j in range(3):
            draw(f"{name}.enc.in_layers.{j}", 2 * hidden, hidden, 5, bias=2 * hidden)
            skip = hidden if j == 2 else 2 * hidden
            draw(f"{name}.enc.res_skip_layers.{j}", skip, hidden, 1, bias=skip)
        draw(f"{name}.enc.cond_layer", 6 * hidden, gin, 1, bias=6 * hidden)
        draw(f"{name}.post", inter // 2, hidden, 1, bias=inter // 2)
    _draw_decoder(config, draw, harmonics)
    draw("emb_g", config.speakers, gin)
    return made


def _draw_decoder(config: SynthesizerConfig, draw, harmonics: int) -> None:
    stages = len(config.upsample_rates)
    if config.f0:
        draw("dec.m_source.l_linear", 1, harmonics, bias=1)
    draw("dec.conv_pre", config.upsample_initial, config.inter, 7, bias=config.upsample_initial)
    draw("dec.cond", config.upsample_initial, config.gin, 1, bias=config.upsample_initial)
    for stage, kernel in enumerate(config.upsample_kernels):
        inputs, outputs = config.upsample_initial >> stage, config.upsample_initial >> (stage + 1)
        draw(f"dec.ups.{stage}", inputs, outputs, kernel, bias=outputs)
        stride = int(np.prod(config.upsample_rates[stage + 1 :]))
        if config.f0:
            draw(f"dec.noise_convs.{stage}", outputs, 1, 2 * stride if stage < stages - 1 else 1, bias=outputs)
        for index, width in enumerate(config.resblock_kernels):
            block = f"dec.resblocks.{stage * len(config.resblock_kernels) + index}"
            for step in range(len(config.resblock_dilations[index])):
                for part in ("convs1", "convs2") if config.resblock == "1" else ("convs",):
                    draw(f"{block}.{part}.{step}", outputs, outputs, width, bias=outputs)
    draw("dec.conv_post", 1, config.upsample_initial >> stages, 7)


def conv(
    x: F64, w: F64, b: F64 | float = 0.0, stride: int = 1, pad: tuple[int, int] = (0, 0), dilation: int = 1
) -> F64:
    """``[channels, time]`` with ``[outputs, channels, width]``."""
    x = np.pad(x, ((0, 0), pad))
    count = (x.shape[1] - (w.shape[2] - 1) * dilation - 1) // stride + 1
    y = np.zeros((w.shape[0], count))
    for k in range(w.shape[2]):
        y += w[:, :, k] @ x[:, k * dilation : k * dilation + (count - 1) * stride + 1 : stride]
    return y + np.reshape(b, (-1, 1))


def transposed(x: F64, w: F64, b: F64, stride: int, pad: int) -> F64:
    """``[inputs, time]`` with ``[inputs, outputs, width]``."""
    y = np.zeros((w.shape[1], (x.shape[1] - 1) * stride + w.shape[2]))
    for t in range(x.shape[1]):
        y[:, t * stride : t * stride + w.shape[2]] += np.einsum("i,iok->ok", x[:, t], w)
    return y[:, pad : y.shape[1] - pad] + b[:, None]


def leaky(x: F64, slope: float) -> F64:
    return np.where(x > 0, x, slope * x)


def encode(config: SynthesizerConfig, w: Weights, phone: F64, pitch: NDArray[np.int64] | None) -> tuple[F64, F64]:
    """``[time, features]`` → mean and logarithm of the deviation, ``[inter, time]``."""
    x = phone @ w["enc_p.emb_phone.weight"].T + w["enc_p.emb_phone.bias"]
    if pitch is not None:
        x = x + w["enc_p.emb_pitch.weight"][pitch]
    x = leaky(x * np.sqrt(config.hidden), 0.1).T
    for i in range(config.layers):
        x = _norm(w, x + _attention(config, w, x, f"enc_p.encoder.attn_layers.{i}"), f"enc_p.encoder.norm_layers_1.{i}")
        name, pad = f"enc_p.encoder.ffn_layers.{i}", ((config.kernel - 1) // 2, config.kernel // 2)
        y = np.maximum(conv(x, w[f"{name}.conv_1.weight"], w[f"{name}.conv_1.bias"], pad=pad), 0)
        y = conv(y, w[f"{name}.conv_2.weight"], w[f"{name}.conv_2.bias"], pad=pad)
        x = _norm(w, x + y, f"enc_p.encoder.norm_layers_2.{i}")
    mean, log_deviation = np.split(conv(x, w["enc_p.proj.weight"], w["enc_p.proj.bias"]), 2)
    return mean, log_deviation


def _norm(w: Weights, x: F64, name: str) -> F64:
    y = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    return y * w[f"{name}.gamma"][:, None] + w[f"{name}.beta"][:, None]


def _attention(config: SynthesizerConfig, w: Weights, x: F64, name: str) -> F64:
    q, k, v = (conv(x, w[f"{name}.conv_{p}.weight"], w[f"{name}.conv_{p}.bias"]) for p in "qkv")
    width, frames, mixed = config.hidden // config.heads, x.shape[1], []
    for h in range(config.heads):
        part = slice(h * width, (h + 1) * width)
        near_k, near_v = (w[f"{name}.emb_rel_{p}"][min(h, len(w[f"{name}.emb_rel_{p}"]) - 1)] for p in "kv")
        reach = len(near_k) // 2
        out = np.zeros((width, frames))
        for i in range(frames):
            keys, values = k[part].T.copy(), v[part].T.copy()
            for j in range(max(0, i - reach), min(frames, i + reach + 1)):
                keys[j] += near_k[j - i + reach]
                values[j] += near_v[j - i + reach]
            scores = keys @ q[part, i] / np.sqrt(width)
            chances = np.exp(scores - scores.max())
            out[:, i] = values.T @ (chances / chances.sum())
        mixed.append(out)
    return conv(np.concatenate(mixed), w[f"{name}.conv_o.weight"], w[f"{name}.conv_o.bias"])


def flow(config: SynthesizerConfig, w: Weights, z: F64, speaker: F64) -> F64:
    """The couplings backwards, the channels reversed before each."""
    hidden = config.hidden
    for i in (6, 4, 2, 0):
        name = f"flow.flows.{i}"
        lower, upper = np.split(z[::-1], 2)
        x = conv(lower, w[f"{name}.pre.weight"], w[f"{name}.pre.bias"])
        shift = w[f"{name}.enc.cond_layer.weight"][:, :, 0] @ speaker + w[f"{name}.enc.cond_layer.bias"]
        total = np.zeros_like(x)
        for j in range(3):
            layer = f"{name}.enc.in_layers.{j}"
            gates = conv(x, w[f"{layer}.weight"], w[f"{layer}.bias"], pad=(2, 2))
            gates = gates + shift[2 * hidden * j : 2 * hidden * (j + 1), None]
            acts = np.tanh(gates[:hidden]) * (0.5 + 0.5 * np.tanh(0.5 * gates[hidden:]))
            layer = f"{name}.enc.res_skip_layers.{j}"
            y = conv(acts, w[f"{layer}.weight"], w[f"{layer}.bias"])
            if j < 2:
                x, y = x + y[:hidden], y[hidden:]
            total = total + y
        mean = conv(total, w[f"{name}.post.weight"], w[f"{name}.post.bias"])
        z = np.concatenate([lower, upper - mean])
    return z


def excite(config: SynthesizerConfig, w: Weights, f0: F64) -> F64:
    """Sines of the accumulated frequency, weighted."""
    held = np.repeat(f0, config.hop)
    turns = np.cumsum(held / config.rate)
    mix = w["dec.m_source.l_linear.weight"][0]
    sines = np.stack([np.sin(2 * np.pi * turns * (h + 1)) for h in range(len(mix))]) * 0.1 * (held > 0)
    return np.tanh(mix @ sines + w["dec.m_source.l_linear.bias"][0])


def decode(config: SynthesizerConfig, w: Weights, z: F64, speaker: F64, excitation: F64 | None) -> F64:
    """Latent to audio."""
    x = conv(z, w["dec.conv_pre.weight"], w["dec.conv_pre.bias"], pad=(3, 3))
    x = x + (w["dec.cond.weight"][:, :, 0] @ speaker + w["dec.cond.bias"])[:, None]
    count, stages = len(config.resblock_kernels), len(config.upsample_rates)
    for i, (rate, kernel) in enumerate(zip(config.upsample_rates, config.upsample_kernels, strict=True)):
        name = f"dec.ups.{i}"
        x = transposed(leaky(x, 0.1), w[f"{name}.weight"], w[f"{name}.bias"], rate, (kernel - rate) // 2)
        if excitation is not None:
            name, stride = f"dec.noise_convs.{i}", int(np.prod(config.upsample_rates[i + 1 :]))
            pad = stride // 2 if i < stages - 1 else 0
            x = x + conv(excitation[None], w[f"{name}.weight"], w[f"{name}.bias"], stride=stride, pad=(pad, pad))
        x = sum(_block(config, w, x, i * count + j, j) for j in range(count)) / count
    return np.tanh(conv(leaky(x, 0.01), w["dec.conv_post.weight"], pad=(3, 3)))[0]


def _block(config: SynthesizerConfig, w: Weights, x: F64, number: int, index: int) -> F64:
    kernel, name = config.resblock_kernels[index], f"dec.resblocks.{number}"
    for step, dilation in enumerate(config.resblock_dilations[index]):
        first = f"{name}.{'convs1' if config.resblock == '1' else 'convs'}.{step}"
        pad = (kernel - 1) // 2
        wide = ((kernel - 1) * dilation // 2,) * 2
        y = conv(leaky(x, 0.1), w[f"{first}.weight"], w[f"{first}.bias"], pad=wide, dilation=dilation)
        if config.resblock == "1":
            second = f"{name}.convs2.{step}"
            y = conv(leaky(y, 0.1), w[f"{second}.weight"], w[f"{second}.bias"], pad=(pad, pad))
        x = x + y
    return x
