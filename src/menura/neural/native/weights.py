"""A decoder's weights as the kernels read them: made of a checkpoint, or mapped from where they are kept.

They take up to three times the memory of taps, as points of fast convolutions are more. Kept in a folder they
are found in milliseconds without the checkpoint being read, and the file's own pages serve all processes.
"""

import hashlib
import json
from dataclasses import astuple, dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from menura.dsp.native import lib
from menura.log import get_logger
from menura.neural.cache import NetworkCache
from menura.neural.native.kernels import LOT, Floats, Packed, aligned, pack, padded
from menura.neural.native.plan import Layers
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.decoder import ENDS
from menura.neural.nets.graph import Graph, Weights

__all__ = ["HeldWeights", "held_weights"]

TABLE_FILE, WEIGHTS_FILE = "table.json", "weights.bin"
"""Of an entry of the cache."""
WIDE = 256
"""Channels of which a usual voice has so many in its slowest stage alone: a fifth of the work, and two thirds of the
points."""


@dataclass(frozen=True, slots=True)
class HeldWeights:
    """All a decoder knows.

    Attributes:
        layers: Its convolutions.
        constants: What their biases are in; it begins with zeros, for those without.
        condition, condition_bias: What a speaker adds to the first convolution, ``[channels, gin]``, and a bias that
            has the first convolution's own.
    """

    layers: Layers
    constants: Floats
    condition: Floats
    condition_bias: Floats


def held_weights(
    config: SynthesizerConfig, weights: Weights, instructions: int, folder: Path | None = None, *, lean: bool = False
) -> HeldWeights:
    """A checkpoint's weights, packed for an instruction set.

    Args:
        config, weights, instructions: Of what and for what.
        folder: Where those of a checkpoint with an ``identity`` (:class:`menura.neural.files.later.LaterWeights`) are
            kept; None: nowhere.
        lean: Whether convolutions of ``WIDE`` channels are kept as they are: a usual voice's then take 87 MB instead of
            163, and the decoder a quarter longer.

    Raises:
        ModelError: A weight is missing or of another shape.
    """
    identity = getattr(weights, "identity", "")
    if folder is None or not identity:
        return _Reader(config, weights, instructions, lean).read()
    cache, key = NetworkCache(folder), _key(config, identity, instructions, lean)
    if (found := _found(config, cache, key)) is not None:
        return found
    made = _Reader(config, weights, instructions, lean).read()
    try:
        _keep(made, cache, key)
    except OSError as error:
        # a full or read-only disk
        get_logger(__name__).warning("the decoder is not kept: %s", error)
        return made
    return _found(config, cache, key) or made


@lru_cache(maxsize=1)
def _version() -> bytes:
    """Of all that makes and reads packed weights."""
    digest = hashlib.sha256()
    for file in (Path(lib._name), *sorted(Path(__file__).parent.glob("*.py"))):
        digest.update(file.read_bytes())
    return digest.digest()


def _key(config: SynthesizerConfig, identity: str, instructions: int, lean: bool) -> str:
    told = f"{identity}\0{config}\0{instructions}\0{lean}"
    return hashlib.sha256(_version() + told.encode()).hexdigest()


def _keep(held: HeldWeights, cache: NetworkCache, key: str) -> None:
    packed = held.layers.packed
    table = {
        "packed": [[name, *astuple(layer)[:-1], layer.array.size] for name, layer in packed.items()],
        "bias": held.layers.bias,
        "constants": held.constants.size,
    }
    with cache.add(key) as new:
        (new / TABLE_FILE).write_text(json.dumps(table))
        with (new / WEIGHTS_FILE).open("wb") as file:
            for array in (held.constants, held.condition_bias, held.condition, *(p.array for p in packed.values())):
                np.pad(array.ravel(), (0, -array.size % LOT)).tofile(file)


def _found(config: SynthesizerConfig, cache: NetworkCache, key: str) -> HeldWeights | None:
    place = cache.find(key)
    if place is None:
        return None
    try:
        return _mapped(config, place)
    except (OSError, ValueError, KeyError, TypeError) as error:
        get_logger(__name__).warning("the decoder was kept damaged: %s", error)
        cache.remove(key)
        return None


def _mapped(config: SynthesizerConfig, place: Path) -> HeldWeights:
    table: dict[str, Any] = json.loads((place / TABLE_FILE).read_text())
    memory = np.memmap(place / WEIGHTS_FILE, np.float32, "r")
    at = 0

    def take(floats: int) -> Floats:
        nonlocal at
        part: Floats = np.asarray(memory[at : at + floats])
        if len(part) != floats:
            raise ValueError("the file is cut short")
        at += padded(floats)
        return part

    initial = config.upsample_initial
    constants, bias = take(table["constants"]), take(padded(initial))
    condition = take(initial * config.gin).reshape(initial, config.gin)
    packed = {
        name: Packed(kind, panel, columns, taps, in_channels, take(size))
        for name, kind, panel, columns, taps, in_channels, size in table["packed"]
    }
    return HeldWeights(Layers(config, packed, table["bias"]), constants, condition, bias)


class _Reader:
    """Takes a decoder's weights out of a checkpoint."""

    def __init__(self, config: SynthesizerConfig, weights: Weights, instructions: int, lean: bool) -> None:
        self.config, self.instructions, self.lean = config, instructions, lean
        self._given = Graph("decoder", weights)
        self._packed: dict[str, Packed] = {}
        self._biases: dict[str, Floats] = {}

    def read(self) -> HeldWeights:
        """Everything."""
        config = self.config
        initial = config.upsample_initial
        self._convolution("dec.conv_pre", (initial, config.inter, ENDS), config.inter)
        for stage in range(len(config.upsample_rates)):
            self._stage(stage, initial >> (stage + 1))
        last = initial >> len(config.upsample_rates)
        self._convolution("dec.conv_post", (1, last, ENDS), padded(last))
        matrix = self._given.array("dec.cond.weight", (initial, config.gin, 1))[:, :, 0]
        bias = np.zeros(padded(initial), np.float32)
        bias[:initial] = sum(self._bias(name, initial) for name in ("dec.conv_pre", "dec.cond"))
        offsets, parts = {}, [np.zeros(padded(initial), np.float32)]
        for name, own in self._biases.items():
            offsets[name] = sum(map(len, parts))
            parts.append(np.pad(own, (0, -len(own) % LOT)))
        constants = aligned(sum(map(len, parts)))
        constants[:] = np.concatenate(parts)
        return HeldWeights(Layers(config, self._packed, offsets), constants, matrix.copy(), bias)

    def _bias(self, name: str, channels: int) -> Floats:
        """Of a layer; zeros where the checkpoint has none."""
        if self._given.has(f"{name}.bias"):
            return self._given.array(f"{name}.bias", (channels,))
        return np.zeros(channels, np.float32)

    def _stage(self, stage: int, channels: int) -> None:
        config = self.config
        self._upsampling(stage, channels)
        if config.f0:
            stride = prod(config.upsample_rates[stage + 1 :])
            width = 1 if stage == len(config.upsample_rates) - 1 else 2 * stride
            self._convolution(f"dec.noise_convs.{stage}", (channels, 1, width), 1)
        for index, kernel in enumerate(config.resblock_kernels):
            name = f"dec.resblocks.{stage * len(config.resblock_kernels) + index}"
            for step in range(len(config.resblock_dilations[index])):
                for part in ("convs1", "convs2") if config.resblock == "1" else ("convs",):
                    shape = channels, channels, kernel
                    fast = not (self.lean and channels >= WIDE)
                    self._convolution(f"{name}.{part}.{step}", shape, padded(channels), fast=fast)

    def _upsampling(self, stage: int, channels: int) -> None:
        """A transposed convolution as one group of taps for each of the samples it makes of one."""
        config, name = self.config, f"dec.ups.{stage}"
        rate, kernel = config.upsample_rates[stage], config.upsample_kernels[stage]
        inputs = config.upsample_initial >> stage
        weight = self._given.array(f"{name}.weight", (inputs, channels, kernel))
        taps = -(-kernel // rate)
        weight = np.pad(weight, ((0, 0), (0, 0), (0, taps * rate - kernel))).reshape(inputs, channels, taps, rate)
        offsets = (np.arange(rate) + (kernel - rate) // 2) % rate
        groups = [weight[:, :, ::-1, offset].transpose(1, 0, 2) for offset in offsets]
        self._packed[name] = pack(groups, self.instructions, padded(inputs), fast=False)
        self._biases[name] = self._given.array(f"{name}.bias", (channels,))

    def _convolution(self, name: str, shape: tuple[int, int, int], in_channels: int, *, fast: bool = False) -> None:
        weight = self._given.array(f"{name}.weight", shape)
        self._packed[name] = pack([weight], self.instructions, in_channels, fast=fast)
        if self._given.has(f"{name}.bias"):
            self._biases[name] = self._given.array(f"{name}.bias", (shape[0],))
