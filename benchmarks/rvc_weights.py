"""Full-size RVC models with random weights, as the files people have: nothing on a registry carries real ones.

python -m benchmarks.rvc_weights DIRECTORY    writes voice.pth (v2, 48 kHz, with pitch), hubert/ and rmvpe.pt

Every layer keeps the power of what passes through it, so activations are as large as in trained networks; post layers
of the flow and speaker conditions are not zero.
"""

from __future__ import annotations

import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
UPSAMPLING = {
    ("v2", "48k"): ([12, 10, 2, 2], [24, 20, 4, 4]),
    ("v2", "40k"): ([10, 10, 2, 2], [16, 16, 4, 4]),
    ("v2", "32k"): ([10, 8, 2, 2], [20, 16, 4, 4]),
    ("v1", "48k"): ([10, 6, 2, 2, 2], [16, 16, 4, 4, 4]),
    ("v1", "40k"): ([10, 10, 2, 2], [16, 16, 4, 4]),
    ("v1", "32k"): ([10, 4, 2, 2, 2], [16, 16, 4, 4, 4]),
}
KERNELS, DILATIONS = [3, 7, 11], [[1, 3, 5]] * 3


class _Maker:
    """Draws arrays by name into one dict."""

    def __init__(self, seed: int, kind: type[np.floating]) -> None:
        self.rng, self.kind = np.random.default_rng(seed), kind
        self.made: Arrays = {}

    def draw(self, name: str, *shape: int, deviation: float, mean: float = 0.0) -> NDArray[Any]:
        values = self.rng.standard_normal(shape, np.float32) * np.float32(deviation) + np.float32(mean)
        self.made[name] = values.astype(self.kind)
        return self.made[name]

    def layer(self, name: str, *shape: int, gain: float = 1.0, bias: bool = True, inputs: int = 0) -> None:
        """A weight ``[outputs, inputs, …]`` that keeps power times ``gain``², and its bias."""
        self.draw(f"{name}.weight", *shape, deviation=gain / np.sqrt(inputs or prod(shape[1:])))
        if bias:
            self.draw(f"{name}.bias", shape[0], deviation=0.02)

    def normed(self, name: str, *shape: int, gain: float = 1.0, inputs: int = 0, outputs: int = 0) -> None:
        """The same under weight normalisation over the first axis."""
        values = self.draw(f"{name}.weight_v", *shape, deviation=gain / np.sqrt(inputs or prod(shape[1:])))
        length = np.sqrt((values.astype(np.float32) ** 2).sum((1, 2), keepdims=True))
        self.made[f"{name}.weight_g"] = length.astype(self.kind)
        self.draw(f"{name}.bias", outputs or shape[0], deviation=0.02)

    def norm(self, name: str, width: int, parts: tuple[str, str] = ("weight", "bias")) -> None:
        self.draw(f"{name}.{parts[0]}", width, deviation=0.1, mean=1.0)
        self.draw(f"{name}.{parts[1]}", width, deviation=0.1)


def voice(version: str = "v2", rate: str = "48k", f0: bool = True, seed: int = 0) -> dict[str, Any]:
    """A voice file's content: 192 channels, 6 layers, 109 speakers."""
    m, (rates, kernels) = _Maker(seed, np.float16), UPSAMPLING[version, rate]
    hidden, inter, wide, gin, initial = 192, 192, 768, 256, 512
    m.layer("enc_p.emb_phone", hidden, 768 if version == "v2" else 256)
    if f0:
        m.draw("enc_p.emb_pitch.weight", 256, hidden, deviation=0.3)
    for index in range(6):
        name = f"enc_p.encoder.attn_layers.{index}"
        for part in "kv":
            m.draw(f"{name}.emb_rel_{part}", 1, 21, hidden // 2, deviation=0.1)
        for part in "qkvo":
            m.layer(f"{name}.conv_{part}", hidden, hidden, 1)
        m.layer(f"enc_p.encoder.ffn_layers.{index}.conv_1", wide, hidden, 3)
        m.layer(f"enc_p.encoder.ffn_layers.{index}.conv_2", hidden, wide, 3)
        for step in (1, 2):
            m.norm(f"enc_p.encoder.norm_layers_{step}.{index}", hidden, ("gamma", "beta"))
    m.layer("enc_p.proj", 2 * inter, hidden, 1, gain=0.5)
    for index in range(0, 8, 2):
        _coupling(m, f"flow.flows.{index}", hidden, inter, gin)
    _decoder(m, rates, kernels, f0, (inter, gin, initial))
    m.draw("emb_g.weight", 109, gin, deviation=1.0)
    sizes = [1025, 32, inter, hidden, wide, 2, 6, 3, 0, "1", KERNELS, DILATIONS, rates, initial, kernels, 109, gin]
    hz = int(rate[:2]) * 1000
    return {"weight": m.made, "config": [*sizes, hz], "info": "random", "sr": rate, "f0": int(f0), "version": version}


def _coupling(m: _Maker, name: str, hidden: int, inter: int, gin: int) -> None:
    m.layer(f"{name}.pre", hidden, inter // 2, 1)
    for index in range(3):
        m.normed(f"{name}.enc.in_layers.{index}", 2 * hidden, hidden, 5)
        m.normed(f"{name}.enc.res_skip_layers.{index}", hidden if index == 2 else 2 * hidden, hidden, 1)
    m.normed(f"{name}.enc.cond_layer", 6 * hidden, gin, 1, gain=0.3)
    m.layer(f"{name}.post", inter // 2, hidden, 1, gain=0.3)


def _decoder(m: _Maker, rates: list[int], kernels: list[int], f0: bool, sizes: tuple[int, int, int]) -> None:
    inter, gin, initial = sizes
    if f0:
        m.draw("dec.m_source.l_linear.weight", 1, 1, deviation=0.0, mean=1.5)
        m.draw("dec.m_source.l_linear.bias", 1, deviation=0.01)
    m.layer("dec.conv_pre", initial, inter, 7)
    m.layer("dec.cond", initial, gin, 1, gain=0.3)
    for stage, (rate, kernel) in enumerate(zip(rates, kernels, strict=True)):
        inputs, outputs, stride = initial >> stage, initial >> (stage + 1), prod(rates[stage + 1 :])
        m.normed(f"dec.ups.{stage}", inputs, outputs, kernel, inputs=inputs * kernel // rate, outputs=outputs)
        if f0:
            m.layer(f"dec.noise_convs.{stage}", outputs, 1, 2 * stride if stage < len(rates) - 1 else 1, gain=3.0)
        for index, width in enumerate(KERNELS):
            for step in range(3):
                block = f"dec.resblocks.{stage * 3 + index}"
                m.normed(f"{block}.convs1.{step}", outputs, outputs, width)
                m.normed(f"{block}.convs2.{step}", outputs, outputs, width, gain=0.5)
    m.layer("dec.conv_post", 1, initial >> len(rates), 7, gain=0.3, bias=False)


def hubert(seed: int = 1, projection: int = 256) -> Arrays:
    """HuBERT base under Hugging Face's names, 95 million weights."""
    m, hidden = _Maker(seed, np.float32), 768
    m.draw("masked_spec_embed", hidden, deviation=1.0)
    for index, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        name = f"feature_extractor.conv_layers.{index}"
        m.layer(f"{name}.conv", 512, 512 if index else 1, kernel, gain=1.5, bias=False)
    m.norm("feature_extractor.conv_layers.0.layer_norm", 512)
    m.norm("feature_projection.layer_norm", 512)
    m.layer("feature_projection.projection", hidden, 512)
    values = m.draw("encoder.pos_conv_embed.conv.parametrizations.weight.original1", hidden, 48, 128, deviation=0.013)
    length = np.sqrt((values**2).sum((0, 1), keepdims=True))
    m.made["encoder.pos_conv_embed.conv.parametrizations.weight.original0"] = length
    m.draw("encoder.pos_conv_embed.conv.bias", hidden, deviation=0.02)
    m.norm("encoder.layer_norm", hidden)
    for index in range(12):
        name = f"encoder.layers.{index}"
        for part in ("k", "v", "q", "out"):
            m.layer(f"{name}.attention.{part}_proj", hidden, hidden)
        m.layer(f"{name}.feed_forward.intermediate_dense", 3072, hidden)
        m.layer(f"{name}.feed_forward.output_dense", hidden, 3072)
        m.norm(f"{name}.layer_norm", hidden)
        m.norm(f"{name}.final_layer_norm", hidden)
    m.layer("final_proj", projection, hidden)
    return m.made


def rmvpe(seed: int = 2) -> Arrays:
    """RMVPE, ``E2E(4, 1, (2, 2))``, 90 million weights."""
    m = _Maker(seed, np.float16)
    _batch_norm(m, "unet.encoder.bn", 1)
    inputs, outputs = 1, 16
    for level in range(5):
        _residual(m, f"unet.encoder.layers.{level}.conv", inputs, outputs)
        inputs, outputs = outputs, 2 * outputs
    for level in range(4):
        _residual(m, f"unet.intermediate.layers.{level}.conv", inputs, 512)
        inputs = 512
    for level in range(5):
        name, outputs = f"unet.decoder.layers.{level}", inputs // 2
        m.layer(f"{name}.conv1.0", inputs, outputs, 3, 3, bias=False, inputs=inputs * 9 // 4)
        _batch_norm(m, f"{name}.conv1.1", outputs)
        _residual(m, f"{name}.conv2", inputs, outputs)
        inputs = outputs
    m.layer("cnn", 3, 16, 3, 3)
    for way in ("", "_reverse"):
        m.draw(f"fc.0.gru.weight_ih_l0{way}", 768, 384, deviation=0.05)
        m.draw(f"fc.0.gru.weight_hh_l0{way}", 768, 256, deviation=0.06)
        for part in ("ih", "hh"):
            m.draw(f"fc.0.gru.bias_{part}_l0{way}", 768, deviation=0.05)
    m.draw("fc.1.weight", 360, 512, deviation=0.15)
    m.draw("fc.1.bias", 360, deviation=0.02, mean=-4.0)
    return m.made


def _batch_norm(m: _Maker, name: str, channels: int) -> None:
    m.norm(name, channels)
    m.draw(f"{name}.running_mean", channels, deviation=0.1)
    m.made[f"{name}.running_var"] = (1.0 + 0.2 * m.rng.random(channels)).astype(m.kind)
    m.made[f"{name}.num_batches_tracked"] = np.array(1000, np.int64)


def _residual(m: _Maker, name: str, inputs: int, outputs: int) -> None:
    for index in range(4):
        block = f"{name}.{index}"
        m.layer(f"{block}.conv.0", outputs, inputs, 3, 3, bias=False)
        m.layer(f"{block}.conv.3", outputs, outputs, 3, 3, gain=0.7, bias=False)
        for step in (1, 4):
            _batch_norm(m, f"{block}.conv.{step}", outputs)
        if inputs != outputs:
            m.layer(f"{block}.shortcut", outputs, inputs, 1, 1)
        inputs = outputs


HUBERT_CONFIG = {
    "model_type": "hubert", "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
    "num_hidden_layers": 12, "conv_dim": [512] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_bias": False,
    "conv_stride": [5, 2, 2, 2, 2, 2, 2], "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16,
    "feat_extract_norm": "group", "do_stable_layer_norm": False, "layer_norm_eps": 1e-5, "hidden_act": "gelu",
    "feat_extract_activation": "gelu", "num_feat_extract_layers": 7, "classifier_proj_size": 256,
}  # fmt: skip

STORAGES = {"e": "HalfStorage", "f": "FloatStorage", "d": "DoubleStorage", "q": "LongStorage"}


class _Opcodes:
    """Writes the pickle that ``torch.save`` writes, without torch: its names as opcodes, its storages numbered."""

    def __init__(self) -> None:
        self.storages: list[NDArray[Any]] = []

    def plain(self, value: Any) -> bytes:
        """Numbers, strings, None: as pickle has them, without frame and end."""
        return pickle.dumps(value, 2)[2:-1]

    def parts(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, np.ndarray):
            yield from self.tensor(value)
        elif isinstance(value, Mapping):
            yield b"}("
            for key, held in value.items():
                yield self.plain(key)
                yield from self.parts(held)
            yield b"u"
        elif isinstance(value, list | tuple):
            yield b"](" if isinstance(value, list) else b"("
            for held in value:
                yield from self.parts(held)
            yield b"e" if isinstance(value, list) else b"t"
        else:
            # without memo marks, which would clash from one value to the next
            yield self.plain(value).replace(b"q\x00", b"") if isinstance(value, str) else self.plain(value)

    def tensor(self, array: NDArray[Any]) -> Iterator[bytes]:
        key = str(len(self.storages))
        self.storages.append(array)
        yield b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
        yield STORAGES[array.dtype.char if array.dtype.char != "l" else "q"].encode() + b"\n"
        for held in (key, "cpu"):
            yield b"X" + struct.pack("<i", len(held)) + held.encode()
        yield self.plain(array.size) + b"tQK\x00"
        steps = [stride // array.itemsize for stride in array.strides]
        for numbers in (array.shape, steps):
            yield b"(" + b"".join(self.plain(int(n)) for n in numbers) + b"t"
        yield b"\x89ccollections\nOrderedDict\n)RtR"


def save_torch(path: Path, value: Any) -> None:
    """Write a ``.pth``: PyTorch's zip, uncompressed."""
    opcodes = _Opcodes()
    stream = b"\x80\x02" + b"".join(opcodes.parts(value)) + b"."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(opcodes.storages):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(array).tobytes())
        archive.writestr("archive/version", "3\n")


def save_hubert(folder: Path) -> None:
    """Write a Hugging Face folder."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(HUBERT_CONFIG))
    save_file(hubert(), folder / "model.safetensors")


def save_all(folder: Path) -> None:
    """Write all three, where they are not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("voice.pth", voice), ("rmvpe.pt", rmvpe)):
        if not (folder / name).exists():
            save_torch(folder / name, make())
    if not (folder / "hubert" / "model.safetensors").exists():
        save_hubert(folder / "hubert")


if __name__ == "__main__":
    save_all(Path(sys.argv[1]))
