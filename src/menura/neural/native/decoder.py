"""A synthesizer's decoder in our own kernels: the audio of the graph :func:`menura.neural.nets.decoder.decoder`."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import FormatError
from menura.neural.native.kernels import (
    Floats,
    Packed,
    aligned,
    instruction_sets,
    pack,
    padded,
    scratch_floats,
    team_of,
)
from menura.neural.native.plan import Layers, Plan, plan
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.decoder import ENDS
from menura.neural.nets.graph import Graph, Weights
from menura.neural.session import check_feeds

__all__ = ["NativeDecoder", "covers"]

MAX_PLANS = 16
"""Lengths that are kept ready."""


def covers(config: SynthesizerConfig) -> bool:
    """Whether the kernels can compute a decoder of these sizes on this machine: all usual ones, on usual machines."""
    upsamplings = zip(config.upsample_rates, config.upsample_kernels, strict=True)
    strides = [prod(config.upsample_rates[stage + 1 :]) for stage in range(len(config.upsample_rates))]
    return (
        bool(instruction_sets())
        and all(kernel % 2 for kernel in config.resblock_kernels)
        and all(dilations and min(dilations) > 0 for dilations in config.resblock_dilations)
        and all(kernel >= rate and (kernel - rate) % 2 == 0 for rate, kernel in upsamplings)
        and not (config.f0 and any(stride % 2 and stride > 1 for stride in strides))
    )


class NativeDecoder:
    """A :class:`~menura.neural.session.Session` with the decoder graph's inputs and outputs.

    Args:
        config: Its sizes, which :func:`covers`.
        weights: Its checkpoint; may be dropped afterwards.
        threads: For one call.
        instructions: One of :func:`~menura.neural.native.kernels.instruction_sets`; None: the best.

    Raises:
        ModelError: A weight is missing or of another shape.
    """

    def __init__(
        self, config: SynthesizerConfig, weights: Weights, threads: int = 1, instructions: int | None = None
    ) -> None:
        self.name = "decoder"
        self.inputs = ("z", "speaker", "spare", *(("excitation",) if config.f0 else ()))
        self.outputs = ("audio",)
        self._config, self._threads = config, threads
        self._instructions = instructions or instruction_sets()[0]
        reader = _Reader(config, weights, self._instructions)
        self._layers, self._constants = reader.layers()
        self._condition, self._condition_bias = reader.condition()
        self._plans: dict[tuple[int, int, int], Plan] = {}
        self._free: list[Floats] = []

    def run(self, **feeds: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """See :meth:`menura.neural.session.Session.run`."""
        check_feeds(self.name, self.inputs, feeds)
        z, speaker, excitation = feeds["z"], feeds["speaker"], feeds.get("excitation")
        batch, frames = self._checked(z, speaker, excitation)
        first, last = (int(count) for count in feeds["spare"])
        if first < 0 or last < 0 or first + last >= frames:
            raise FormatError(f"decoder: of {frames} frames, {first} and {last} cannot be spare")
        found = self._plan(frames, first, last)
        team = team_of(self._threads)
        each = scratch_floats(found.steps, team.threads)
        memory = self._memory(found.work_floats + each * team.threads)
        work, scratch = memory[: found.work_floats], memory[found.work_floats :][: each * team.threads]
        audio = np.empty((batch, found.samples), np.float32)
        for index in range(batch):
            latent = np.ascontiguousarray(z[index].T, np.float32)
            condition = self._condition_bias.copy()
            condition[: len(self._condition)] += self._condition @ speaker[index]
            excited = latent if excitation is None else np.ascontiguousarray(excitation[index], np.float32)
            slots = [work, self._constants, latent, excited, audio[index], condition]
            team.run(self._instructions, found.steps, slots, scratch)
        self._free.append(memory)
        return (audio,)

    def _checked(self, z: NDArray[Any], speaker: NDArray[Any], excitation: NDArray[Any] | None) -> tuple[int, int]:
        config = self._config
        if z.ndim != 3 or z.shape[1] != config.inter or speaker.shape != (z.shape[0], config.gin):
            raise FormatError(
                f"decoder does not take {z.shape} and {speaker.shape}:"
                f" it takes [batch, {config.inter}, frames] and [batch, {config.gin}]"
            )
        if excitation is not None and excitation.shape != (z.shape[0], z.shape[2] * config.hop):
            raise FormatError(f"decoder takes an excitation of {config.hop} samples a frame, not {excitation.shape}")
        return z.shape[0], z.shape[2]

    def _plan(self, frames: int, first: int, last: int) -> Plan:
        key = frames, first, last
        if (found := self._plans.get(key)) is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans = {}
            found = self._plans[key] = plan(self._layers, frames, (first, last))
        return found

    def _memory(self, floats: int) -> Floats:
        try:
            memory = self._free.pop()
        except IndexError:
            return aligned(floats)
        return memory if len(memory) >= floats else aligned(floats)


class _Reader:
    """Takes a decoder's weights out of a checkpoint."""

    def __init__(self, config: SynthesizerConfig, weights: Weights, instructions: int) -> None:
        self.config, self.instructions = config, instructions
        self._given = Graph("decoder", weights)
        self._packed: dict[str, Packed] = {}
        self._biases: dict[str, Floats] = {}

    def layers(self) -> tuple[Layers, Floats]:
        """All convolutions, and the memory their biases are in; its beginning is zero, for those without."""
        config = self.config
        initial = config.upsample_initial
        self._convolution("dec.conv_pre", (initial, config.inter, ENDS), config.inter)
        for stage in range(len(config.upsample_rates)):
            self._stage(stage, initial >> (stage + 1))
        last = initial >> len(config.upsample_rates)
        self._convolution("dec.conv_post", (1, last, ENDS), padded(last))
        offsets, constants = {}, [np.zeros(padded(initial), np.float32)]
        for name, bias in self._biases.items():
            offsets[name] = sum(map(len, constants))
            constants.append(np.pad(bias, (0, padded(len(bias)) - len(bias))))
        together = aligned(sum(map(len, constants)))
        together[:] = np.concatenate(constants)
        return Layers(config, self._packed, offsets), together

    def condition(self) -> tuple[Floats, Floats]:
        """What the speaker adds to the first convolution: a matrix, and a bias with that convolution's own."""
        initial = self.config.upsample_initial
        matrix = self._given.array("dec.cond.weight", (initial, self.config.gin, 1))[:, :, 0]
        bias = np.zeros(padded(initial), np.float32)
        for name in ("dec.cond", "dec.conv_pre"):
            if self._given.has(f"{name}.bias"):
                bias[:initial] += self._given.array(f"{name}.bias", (initial,))
        return matrix.copy(), bias

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
                    self._convolution(f"{name}.{part}.{step}", shape, padded(channels), fast=True)

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
