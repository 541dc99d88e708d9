"""A synthesizer's decoder in our own kernels: the audio of the graph :func:`menura.neural.nets.decoder.decoder`."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import FormatError
from menura.neural.native.kernels import TEAMS, Floats, aligned, instruction_sets, scratch_floats, team_of
from menura.neural.native.plan import Plan, plan
from menura.neural.native.weights import held_weights
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.graph import Weights
from menura.neural.session import check_feeds

__all__ = ["NativeDecoder", "covers"]

GAIN = 2
"""Times that one thread here is faster than one of the graph's."""
MAX_PLANS = 16
"""Lengths that are kept ready."""


def covers(config: SynthesizerConfig, threads: int = 1) -> bool:
    """Whether the kernels compute a decoder of these sizes here, and faster than the graph on so many threads.

    All usual sizes, on usual machines; where a team has its caller alone, on Windows, the graph is faster on many.
    """
    if not TEAMS and threads > GAIN:
        return False
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
        cache: Folder where packed weights are kept (:mod:`menura.neural.native.weights`).
        instructions: One of :func:`~menura.neural.native.kernels.instruction_sets`; None: the best.
        lean: Whether memory counts for more than time (:func:`~menura.neural.native.weights.held_weights`).

    Raises:
        ModelError: A weight is missing or of another shape.
    """

    def __init__(
        self,
        config: SynthesizerConfig,
        weights: Weights,
        threads: int = 1,
        *,
        cache: Path | None = None,
        instructions: int | None = None,
        lean: bool = False,
    ) -> None:
        self.name = "decoder"
        self.inputs: tuple[str, ...] = ("z", "speaker", "spare", *(("excitation",) if config.f0 else ()))
        self.outputs: tuple[str, ...] = ("audio",)
        self._config, self._threads = config, threads
        self._instructions = instructions or instruction_sets()[0]
        self._held = held_weights(config, weights, self._instructions, cache, lean=lean)
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
            condition = self._held.condition_bias.copy()
            condition[: self._config.upsample_initial] += self._held.condition @ speaker[index]
            excited = latent if excitation is None else np.ascontiguousarray(excitation[index], np.float32)
            slots = [work, self._held.constants, latent, excited, audio[index], condition]
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
            found = self._plans[key] = plan(self._held.layers, frames, (first, last))
        return found

    def _memory(self, floats: int) -> Floats:
        try:
            memory = self._free.pop()
        except IndexError:
            return aligned(floats)
        return memory if len(memory) >= floats else aligned(floats)
