"""What ``native/decode*.c`` offers: instruction sets, packed weights, steps and the team that runs them."""

import ctypes
import os
import sys
import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.dsp.native import declare, pointer

__all__ = [
    "AVX2",
    "AVX512",
    "AVX512_BF16",
    "DIRECT",
    "LOT",
    "NEON",
    "NOWHERE",
    "TANH",
    "TEAMS",
    "Packed",
    "Place",
    "Step",
    "Team",
    "aligned",
    "bfloat16_sets",
    "instruction_sets",
    "pack",
    "padded",
    "scratch_floats",
    "team_of",
]

Floats = NDArray[np.float32]
DIRECT, FAST_3, FAST_8, FAST_12, TANH = range(5)
"""Kinds of a step."""
AVX2, AVX512, NEON, AVX512_BF16 = 1, 2, 4, 8
"""Instruction sets; the last multiplies in bfloat16."""
LOT = 16
"""Channels of a row are filled up to a multiple of so many."""
ALIGNMENT = 64
TEAMS = sys.platform != "win32"
"""Whether a team has more threads than its caller's."""

_I64, _F32, _P = ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
_sets = declare("mn_decode_sets", [], _I64)
_pack_size = declare("mn_decode_pack_size", [_I64] * 5, _I64)
_pack = declare("mn_decode_pack", [_I64, _P, *[_I64] * 7, _P])
_scratch = declare("mn_decode_scratch", [_P, _I64, _I64], _I64)
_run = declare("mn_decode_run", [_P, _I64, _I64, _P, _I64, _P, _P, _I64, _P, _P], ctypes.c_int)
_team_size = declare("mn_team_size", [], _I64)
_team_init = declare("mn_team_init", [_P, _I64], _I64)
_team_end = declare("mn_team_end", [_P])


class Place(ctypes.Structure):
    """A place in one of the memories a run is given: its number and floats from its start."""

    _fields_ = (("slot", _I64), ("offset", _I64))


class Step(ctypes.Structure):
    """One convolution, as ``mn_step`` in ``native/decode.h`` says."""

    _fields_ = (
        ("kind", _I64),
        *((name, Place) for name in ("input", "output", "bias")),
        ("add", Place * 2),
        ("weights", _P),
        ("first", _P),
        *((name, _I64) for name in ("in_rows", "in_stride", "in_channels", "out_rows", "out_stride", "columns")),
        *((name, _I64) for name in ("panel", "rows", "taps", "dilation", "in_step", "out_step", "out_skip")),
        *((name, _F32) for name in ("in_slope", "slope", "scale", "unused")),
    )


NOWHERE = Place(-1, 0)


def padded(channels: int) -> int:
    """Floats of a row of so many channels."""
    return -(-channels // LOT) * LOT


def aligned(floats: int) -> Floats:
    """Memory for so many floats, on a cache line."""
    raw = np.empty(floats * 4 + ALIGNMENT, np.uint8)
    first = -raw.ctypes.data % ALIGNMENT
    return raw[first : first + floats * 4].view(np.float32)


def instruction_sets() -> tuple[int, ...]:
    """Those this processor has and the kernels are written for, in single precision, best first."""
    here = _sets()
    return tuple(name for name in (AVX512, NEON, AVX2) if here & name)


def bfloat16_sets() -> tuple[int, ...]:
    """The same in bfloat16: products of bfloat16 are summed in single precision, and only they are halved."""
    return (AVX512_BF16,) if _sets() & AVX512_BF16 else ()


@dataclass(frozen=True, slots=True)
class Packed:
    """A convolution's weights as a step reads them.

    Attributes:
        kind, panel, columns, taps: Of the step.
        in_channels: Floats of a row that is read.
        array: The weights, group by group.
    """

    kind: int
    panel: int
    columns: int
    taps: int
    in_channels: int
    array: Floats


def pack(weights: list[Floats], instructions: int, in_channels: int, *, fast: bool) -> Packed:
    """Weights of every group, each ``[outputs, inputs, taps]`` and of the same shape.

    Args:
        weights: Of the groups.
        instructions: The set that will read them.
        in_channels: Floats of a row that will be read, of which the first are the inputs.
        fast: As a fast convolution where one has so many taps.
    """
    outputs, inputs, taps = weights[0].shape
    columns, kind = padded(outputs), DIRECT
    if fast and taps > 1:
        kind = next((name for name, most in ((FAST_3, 3), (FAST_8, 8), (FAST_12, 12)) if taps <= most), DIRECT)
    panel = 32 if instructions in (AVX512, AVX512_BF16) and columns % 32 == 0 else 16
    packing = 2 if instructions == AVX512_BF16 and in_channels % LOT == 0 else 1
    size = _pack_size(kind, taps, in_channels, columns, packing)
    packed = aligned(size * len(weights))
    for index, group in enumerate(weights):
        held = np.ascontiguousarray(group, np.float32)
        part = packed[index * size : (index + 1) * size]
        _pack(kind, pointer(held), outputs, inputs, taps, in_channels, columns, panel, packing, pointer(part))
    return Packed(kind, panel, columns, taps, in_channels, packed)


def scratch_floats(steps: "ctypes.Array[Step]", threads: int) -> int:
    """Memory each of so many threads needs, on whole cache lines."""
    return padded(_scratch(ctypes.addressof(steps), len(steps), threads))


class Team:
    """Threads that compute one run at a time and sleep otherwise; who comes second computes by himself.

    Args:
        threads: How many, the caller's included.

    Attributes:
        threads: How many there are: fewer where the system gives no more.
    """

    def __init__(self, threads: int) -> None:
        self._memory = np.zeros(_team_size() + ALIGNMENT, np.uint8)
        self._address = pointer(self._memory) + -pointer(self._memory) % ALIGNMENT
        self.threads = int(_team_init(self._address, threads))
        weakref.finalize(self, _end, self._memory, self._address, os.getpid())

    def run(self, instructions: int, steps: "ctypes.Array[Step]", slots: list[Any], scratch: Floats) -> None:
        """Run steps one after the other.

        Args:
            instructions: The set their weights are packed for.
            steps: What to do.
            slots: Arrays that their places are in.
            scratch: Of :func:`scratch_floats` for each thread.
        """
        addresses = (ctypes.c_void_p * len(slots))(*(pointer(slot) for slot in slots))
        counts, marks = np.empty(len(steps), np.int64), np.empty(2 * len(steps), np.int32)
        failed = _run(
            self._address, instructions, self.threads, ctypes.addressof(steps), len(steps), ctypes.addressof(addresses),
            pointer(scratch), len(scratch) // self.threads, pointer(counts), pointer(marks),
        )  # fmt: skip
        if failed:
            raise RuntimeError(f"this processor has no instruction set {instructions}")


def _end(memory: NDArray[np.uint8], address: int, owner: int) -> None:
    # a forked process has the memory but not the threads
    if os.getpid() == owner and memory.size:
        _team_end(address)


@lru_cache(maxsize=8)
def _shared(threads: int, process: int) -> Team:
    return Team(threads)


def team_of(threads: int) -> Team:
    """This process's team of so many threads."""
    return _shared(threads, os.getpid())
