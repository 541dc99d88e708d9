"""Which rows every convolution of a decoder computes, so that the wanted audio is right and nothing else is made."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from menura.neural.native.kernels import NOWHERE, TANH, Packed, Place, Step, padded
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.decoder import ENDS, LAST_SLOPE, SLOPE

__all__ = ["CONSTANTS", "Layers", "Plan", "Span", "plan"]

WORK, CONSTANTS, LATENT, EXCITATION, AUDIO, CONDITION = range(6)
"""Memories of a run."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows ``first`` to ``end`` of a stage's time, within its length."""

    first: int
    end: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.end - self.first

    def wider(self, reach: int, length: int) -> "Span":
        """With so many to each side, where there are."""
        return Span(max(self.first - reach, 0), min(self.end + reach, length))


@dataclass(frozen=True, slots=True)
class Layers:
    """A decoder's packed convolutions, by their names in the checkpoint, and where their biases are."""

    config: SynthesizerConfig
    packed: dict[str, Packed]
    bias: dict[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run for one length.

    Attributes:
        steps: In order.
        work_floats: Of the memory ``WORK``.
        samples: Of the audio.
    """

    steps: "ctypes.Array[Step]"
    work_floats: int
    samples: int
    keep: list[NDArray[np.int64]]


@dataclass(slots=True)
class _Area:
    """A part of the work memory that holds a stage's rows from ``first`` on."""

    offset: int
    stride: int = 0
    first: int = 0

    def at(self, row: int) -> Place:
        return Place(WORK, self.offset + (row - self.first) * self.stride)


@dataclass(slots=True)
class _Writer:
    """Collects steps."""

    layers: Layers
    steps: list[Step] = field(default_factory=list)
    keep: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, name: str, place: tuple[Place, Place], first: NDArray[np.int64], **told: object) -> None:
        """A step of a layer: where it reads and writes, its groups' first rows, and what else it is told."""
        packed = self.layers.packed[name]
        self.keep.append(first)
        settings: dict[str, object] = {
            "kind": packed.kind, "input": place[0], "output": place[1],
            "bias": Place(CONSTANTS, self.layers.bias.get(name, 0)), "add": (Place * 2)(NOWHERE, NOWHERE),
            "weights": packed.array.ctypes.data, "first": first.ctypes.data, "in_stride": packed.in_channels,
            "in_channels": packed.in_channels, "out_stride": packed.columns, "columns": packed.columns,
            "panel": packed.panel, "taps": packed.taps, "dilation": 1, "in_step": 1, "out_step": len(first),
            "in_slope": 1.0, "slope": 1.0, "scale": 1.0,
        }  # fmt: skip
        self.steps.append(Step(**{**settings, **told}))

    def same(self, name: str, read: tuple[_Area, Span], write: tuple[_Area, Span], **told: object) -> None:
        """A convolution of equal length."""
        dilation = int(told.get("dilation", 1))  # type: ignore[call-overload]
        pad = (self.layers.packed[name].taps - 1) * dilation // 2
        (source, given), (target, made) = read, write
        first = np.array([made.first - pad - given.first])
        place = source.at(given.first), target.at(made.first)
        self.add(name, place, first, in_rows=given.rows, out_rows=made.rows, rows=made.rows, **told)


def plan(layers: Layers, frames: int, spare: tuple[int, int]) -> Plan:
    """The steps for so many frames, of which some at both ends are there for the others' sake."""
    config, writer = layers.config, _Writer(layers)
    lengths = [frames * prod(config.upsample_rates[:stage]) for stage in range(len(config.upsample_rates) + 1)]
    wanted = Span(spare[0] * config.hop, (frames - spare[1]) * config.hop)
    spans = _spans(config, lengths, wanted)
    strides = [padded(config.upsample_initial >> stage) for stage in range(len(lengths))]
    size = max(max(whole.rows, made.rows) * stride for (whole, made), stride in zip(spans, strides, strict=True))
    held, first, second, third = (_Area(index * size) for index in range(4))
    held.stride, held.first = strides[0], spans[0][1].first
    made = spans[0][1]
    writer.add(
        "dec.conv_pre", (Place(LATENT, 0), held.at(made.first)), np.array([made.first - ENDS // 2]),
        bias=Place(CONDITION, 0), in_rows=frames, out_rows=made.rows, rows=made.rows, slope=SLOPE,
    )  # fmt: skip
    for stage in range(1, len(lengths)):
        x, made = spans[stage]
        for area in (first, second, third):
            area.stride, area.first = strides[stage], x.first
        _upsample(writer, stage - 1, (held, spans[stage - 1][1]), (first, x))
        if config.f0:
            _excite(writer, stage - 1, frames * config.hop, (first, x))
        held.stride, held.first = strides[stage], made.first
        slope = SLOPE if stage < len(lengths) - 1 else LAST_SLOPE
        for block in range(len(config.resblock_kernels)):
            _block(writer, (stage - 1, block, slope), (lengths[stage], x, made), (first, second, third, held))
    second.first, second.stride = wanted.first, padded(1)
    writer.same("dec.conv_post", (held, made), (second, wanted))
    tanh = Step(kind=TANH, input=second.at(wanted.first), output=Place(AUDIO, 0), bias=NOWHERE, in_stride=second.stride,
                in_rows=wanted.rows, rows=wanted.rows, columns=1, panel=1, dilation=1, out_step=1)  # fmt: skip
    tanh.add[0] = tanh.add[1] = NOWHERE
    writer.steps.append(tanh)
    return Plan((Step * len(writer.steps))(*writer.steps), 4 * size, wanted.rows, writer.keep)


def _spans(config: SynthesizerConfig, lengths: list[int], wanted: Span) -> list[tuple[Span, Span]]:
    """What each stage's residual blocks hear and what they make; of the first convolution, twice what it makes."""
    made = wanted.wider(ENDS // 2, lengths[-1])
    spans: list[tuple[Span, Span]] = []
    for stage in reversed(range(len(config.upsample_rates))):
        rate, kernel = config.upsample_rates[stage], config.upsample_kernels[stage]
        blocks = range(len(config.resblock_kernels))
        x = max((next(_heard(config, block, made, lengths[stage + 1])) for block in blocks), key=lambda span: span.rows)
        spans.insert(0, (x, made))
        pad = (kernel - rate) // 2
        made = Span(max(-((kernel - 1 - pad - x.first) // rate), 0), min((x.end - 1 + pad) // rate + 1, lengths[stage]))
    return [(made, made), *spans]


def _heard(config: SynthesizerConfig, block: int, made: Span, length: int) -> Iterator[Span]:
    """What is needed before each of a block's convolutions, and after the last."""
    half = (config.resblock_kernels[block] - 1) // 2
    spans = [made]
    for dilation in reversed(config.resblock_dilations[block]):
        for step in (1, dilation) if config.resblock == "1" else (dilation,):
            spans.append(spans[-1].wider(half * step, length))
    return reversed(spans)


def _upsample(writer: _Writer, stage: int, read: tuple[_Area, Span], write: tuple[_Area, Span]) -> None:
    config, name = writer.layers.config, f"dec.ups.{stage}"
    rate, kernel = config.upsample_rates[stage], config.upsample_kernels[stage]
    (source, given), (target, made), taps = read, write, writer.layers.packed[name].taps
    start = made.first // rate
    # output o · rate + g hears input o + (g + pad) // rate, and the taps − 1 before it
    first = (np.arange(rate) + (kernel - rate) // 2) // rate - (taps - 1) + start - given.first
    writer.add(
        name, (source.at(given.first), target.at(made.first)), first, in_rows=given.rows, out_rows=made.rows,
        rows=(made.end - 1) // rate + 1 - start, out_skip=made.first - start * rate,
    )  # fmt: skip


def _excite(writer: _Writer, stage: int, samples: int, write: tuple[_Area, Span]) -> None:
    (target, made), stride = write, prod(writer.layers.config.upsample_rates[stage + 1 :])
    first = np.array([made.first * stride - stride // 2])
    place = Place(EXCITATION, 0), target.at(made.first)
    writer.add(
        f"dec.noise_convs.{stage}", place, first, in_rows=samples, out_rows=made.rows, rows=made.rows, in_step=stride,
        add=(Place * 2)(place[1], NOWHERE),
    )  # fmt: skip


def _block(
    writer: _Writer,
    told: tuple[int, int, float],
    spans: tuple[int, Span, Span],
    areas: tuple[_Area, _Area, _Area, _Area],
) -> None:
    """One residual block of a stage; the last brings the sum of all to their mean."""
    (stage, block, slope), (length, _, made), (x, y, u, held) = told, spans, areas
    config = writer.layers.config
    count, dilations = len(config.resblock_kernels), config.resblock_dilations[block]
    name, heard = f"dec.resblocks.{stage * count + block}", list(_heard(config, block, made, length))
    ends = {"scale": 1.0 / count, "slope": slope} if block == count - 1 else {}
    given = x
    for step, dilation in enumerate(dilations):
        last = step == len(dilations) - 1
        before, span = given, heard.pop(0)
        if config.resblock == "1":
            middle = heard.pop(0)
            writer.same(
                f"{name}.convs1.{step}", (given, span), (u, middle), dilation=dilation, in_slope=SLOPE, slope=SLOPE
            )
            layer, read, own, given = f"{name}.convs2.{step}", (u, middle), {}, y
        else:
            layer, read, own = f"{name}.convs.{step}", (given, span), {"dilation": dilation, "in_slope": SLOPE}
            given = u if given is y else y
        target, after = held if last else given, heard[0]
        added = before.at(after.first), held.at(after.first) if last and block else NOWHERE
        writer.same(layer, read, (target, after), add=(Place * 2)(*added), **own, **(ends if last else {}))
