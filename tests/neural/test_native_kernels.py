"""Single steps of the decoder's kernels, in every instruction set of this processor, beside double precision."""

from dataclasses import dataclass

import numpy as np
import pytest

from menura.neural.native.kernels import (
    DIRECT,
    LOT,
    NOWHERE,
    Floats,
    Packed,
    Place,
    Step,
    Team,
    aligned,
    bfloat16_sets,
    instruction_sets,
    pack,
    padded,
    scratch_floats,
)
from tests.neural.rvc import snr_db

SETS = (*instruction_sets(), *bfloat16_sets())
KINDS = {"direct": (5, False), "fast 3": (3, True), "part of fast 8": (7, True), "fast 8": (8, True),
         "part of fast 12": (11, True), "fast 12": (12, True)}  # fmt: skip
CHANNELS = ((16, 16), (32, 48), (41, 37), (64, 64), (256, 256))
IN_SLOPE, SLOPE, SCALE, MARGIN = 0.1, 0.2, 0.5, 3
TEAMS = (Team(1), Team(2))
pytestmark = pytest.mark.skipif(not SETS, reason="the kernels are not written for this processor")


@dataclass(frozen=True)
class Layer:
    """A convolution with all that a step can do besides: `first` and `weights` group by group."""

    weights: list[Floats]
    first: tuple[int, ...]
    out_rows: int
    dilation: int = 1
    in_step: int = 1
    out_skip: int = 0

    @property
    def rows(self) -> int:
        """That each group computes."""
        return -(-(self.out_rows + self.out_skip) // len(self.weights))


def _random(*shape: int, seed: int = 1) -> Floats:
    held = aligned(int(np.prod(shape))).reshape(shape)
    held[:] = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return held


def _said(layer: Layer, x: Floats, bias: Floats, added: Floats) -> np.ndarray:
    """The step, literally."""
    outputs, _, taps = layer.weights[0].shape
    heard = np.maximum(x, IN_SLOPE * x.astype(np.float64))
    y = np.zeros((layer.rows * len(layer.weights), outputs))
    for group, (weights, first) in enumerate(zip(layer.weights, layer.first, strict=True)):
        for tap in range(taps):
            rows = np.arange(layer.rows) * layer.in_step + first + tap * layer.dilation
            there = (rows >= 0) & (rows < len(x))
            mixed = heard[rows[there]] @ weights[:, :, tap].T.astype(np.float64)
            y[group :: len(layer.weights)][there] += mixed
    y = y[layer.out_skip :][: layer.out_rows] + bias[:outputs] + added[:, :, :outputs].sum(0)
    return np.maximum(SCALE * y, SLOPE * SCALE * y)


def _done(layer: Layer, packed: Packed, memories: tuple[Floats, ...], instructions: int, team: Team) -> Floats:
    """The step by the kernels; what is around its output stays as it was."""
    x, bias, added = memories
    first = np.array(layer.first)
    out = aligned((layer.out_rows + 2 * MARGIN) * packed.columns).reshape(-1, packed.columns)
    out[:] = np.nan
    told = Step(
        kind=packed.kind, input=Place(0, 0), output=Place(1, MARGIN * packed.columns), bias=Place(2, 0),
        weights=packed.array.ctypes.data, first=first.ctypes.data, in_rows=len(x), in_stride=x.shape[1],
        in_channels=x.shape[1], out_rows=layer.out_rows, out_stride=packed.columns, columns=packed.columns,
        panel=packed.panel, rows=layer.rows, taps=packed.taps, dilation=layer.dilation, in_step=layer.in_step,
        out_step=len(layer.weights), out_skip=layer.out_skip, in_slope=IN_SLOPE, slope=SLOPE, scale=SCALE,
    )  # fmt: skip
    told.add[0], told.add[1] = (Place(3, index * added[0].size) if len(added) > index else NOWHERE for index in (0, 1))
    steps = (Step * 1)(told)
    scratch = aligned(scratch_floats(steps, team.threads) * team.threads)
    scratch[:] = np.nan  # what a step reads of it, it has written
    team.run(instructions, steps, [x, out, bias, added], scratch)
    assert np.isnan(out[:MARGIN]).all()
    assert np.isnan(out[-MARGIN:]).all()
    return out[MARGIN:-MARGIN]


def _check(layer: Layer, instructions: int, in_rows: int, *, fast: bool, stride: int | None = None) -> None:
    outputs, inputs, _ = layer.weights[0].shape
    stride = padded(inputs) if stride is None else stride
    packed = pack(layer.weights, instructions, stride, fast=fast)
    assert (packed.kind != DIRECT) == fast
    x, bias = _random(in_rows, stride), _random(packed.columns, seed=2)
    added = _random(in_rows % 3, layer.out_rows, packed.columns, seed=3)
    alone, together = (_done(layer, packed, (x, bias, added), instructions, team) for team in TEAMS)
    np.testing.assert_array_equal(together, alone)
    halved = instructions in bfloat16_sets() and stride % LOT == 0
    floor_db = (34.0 if fast else 47.0) if halved else 115.0
    assert snr_db(alone[:, :outputs], _said(layer, x[:, :inputs], bias, added)) > floor_db


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_the_convolution_it_says(kind, instructions):
    taps, fast = KINDS[kind]
    for inputs, outputs in CHANNELS:
        for dilation, rows in ((1, 1), (1, 38), (3, 25), (5, 12)) if inputs < 256 else ((3, 28),):
            weights = _random(outputs, inputs, taps) / np.sqrt(inputs * taps, dtype=np.float32)
            reach = (taps - 1) * dilation // 2
            layer = Layer([weights], (-reach,), out_rows=rows, dilation=dilation)
            _check(layer, instructions, rows, fast=fast)
            _check(Layer([weights], (2 - reach,), rows, dilation), instructions, rows + 1, fast=fast)


@pytest.mark.parametrize("instructions", SETS)
def test_groups_and_strides_are_the_convolutions_they_say(instructions):
    for groups, taps, in_step, skip in ((3, 2, 1, 1), (2, 4, 1, 0), (1, 9, 4, 0)):
        weights = [_random(24, 21, taps, seed=group) / np.float32(np.sqrt(21 * taps)) for group in range(groups)]
        first = tuple(group // 2 - taps + 1 for group in range(groups))
        _check(Layer(weights, first, 31, 1, in_step, skip), instructions, 23, fast=False)


@pytest.mark.parametrize("instructions", SETS)
def test_a_single_channel_is_gathered_whatever_its_taps(instructions):
    for taps, in_step in ((1, 1), (3, 1), (20, 10), (75, 38)):
        weights = _random(32, 1, taps) / np.float32(np.sqrt(taps))
        _check(Layer([weights], (-(taps // 2),), 14, 1, in_step), instructions, 14 * in_step, fast=False, stride=1)
