"""Every weight an RVC synthesizer has, with its shape, as its sizes give them.

Source:
    Kim et al., "VITS", 2021, and RVC's own changes to it, as measured on its files.
"""

from collections.abc import Iterator
from math import prod

from menura.neural.nets.config import SynthesizerConfig

__all__ = ["COARSE_PITCHES", "voice_layout"]

Shapes = Iterator[tuple[str, tuple[int | None, ...]]]

COARSE_PITCHES = 256
"""Rows of the pitch table."""


def voice_layout(config: SynthesizerConfig, couplings: list[int], gates: int) -> dict[str, tuple[int | None, ...]]:
    """Names and shapes; weight norm folded. None: any size.

    Args:
        config: The voice's sizes.
        couplings: Numbers of the flow's couplings.
        gates: Gated layers in each.
    """
    layout: dict[str, tuple[int | None, ...]] = {"emb_g.weight": (config.speakers, config.gin)}
    layout.update(_encoder(config))
    for index in couplings:
        layout.update(_coupling(config, f"flow.flows.{index}", gates))
    layout.update(_decoder(config))
    return layout


def _layer(name: str, *shape: int | None, bias: int | None = None) -> Shapes:
    yield f"{name}.weight", shape
    yield f"{name}.bias", (shape[0] if bias is None else bias,)


def _encoder(config: SynthesizerConfig) -> Shapes:
    hidden = config.hidden
    yield from _layer("enc_p.emb_phone", hidden, config.features)
    if config.f0:
        yield "enc_p.emb_pitch.weight", (COARSE_PITCHES, hidden)
    for index in range(config.layers):
        name = f"enc_p.encoder.attn_layers.{index}"
        for part in "kv":
            yield f"{name}.emb_rel_{part}", (None, None, hidden // config.heads)
        for part in "qkvo":
            yield from _layer(f"{name}.conv_{part}", hidden, hidden, 1)
        for norm in ("norm_layers_1", "norm_layers_2"):
            for part in ("gamma", "beta"):
                yield f"enc_p.encoder.{norm}.{index}.{part}", (hidden,)
        name = f"enc_p.encoder.ffn_layers.{index}"
        yield from _layer(f"{name}.conv_1", config.filter, hidden, config.kernel)
        yield from _layer(f"{name}.conv_2", hidden, config.filter, config.kernel)
    yield from _layer("enc_p.proj", 2 * config.inter, hidden, 1)


def _coupling(config: SynthesizerConfig, name: str, gates: int) -> Shapes:
    hidden, half = config.hidden, config.inter // 2
    yield from _layer(f"{name}.pre", hidden, half, 1)
    yield from _layer(f"{name}.enc.cond_layer", 2 * hidden * gates, config.gin, 1)
    for gate in range(gates):
        yield from _layer(f"{name}.enc.in_layers.{gate}", 2 * hidden, hidden, None)
        outputs = 2 * hidden if gate < gates - 1 else hidden
        yield from _layer(f"{name}.enc.res_skip_layers.{gate}", outputs, hidden, 1)
    yield from _layer(f"{name}.post", half, hidden, 1)


def _decoder(config: SynthesizerConfig) -> Shapes:
    channels, stages = config.upsample_initial, len(config.upsample_rates)
    yield from _layer("dec.conv_pre", channels, config.inter, 7)
    yield from _layer("dec.cond", channels, config.gin, 1)
    if config.f0:
        yield from _layer("dec.m_source.l_linear", 1, None)
    for stage in range(stages):
        inputs, outputs = channels >> stage, channels >> (stage + 1)
        yield from _layer(f"dec.ups.{stage}", inputs, outputs, config.upsample_kernels[stage], bias=outputs)
        if config.f0:
            stride = prod(config.upsample_rates[stage + 1 :])
            yield from _layer(f"dec.noise_convs.{stage}", outputs, 1, 2 * stride if stage < stages - 1 else 1)
        for index in range(len(config.resblock_kernels)):
            yield from _block(config, stage, index, outputs)
    yield "dec.conv_post.weight", (1, channels >> stages, 7)


def _block(config: SynthesizerConfig, stage: int, index: int, channels: int) -> Shapes:
    name = f"dec.resblocks.{stage * len(config.resblock_kernels) + index}"
    kernel = config.resblock_kernels[index]
    for step in range(len(config.resblock_dilations[index])):
        for group in ("convs1", "convs2") if config.resblock == "1" else ("convs",):
            yield from _layer(f"{name}.{group}.{step}", channels, channels, kernel)
