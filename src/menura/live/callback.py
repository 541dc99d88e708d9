"""Audio callbacks: functions that are given a block and fill another, as sound hardware calls them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menura.audio.block import as_block, finite
from menura.audio.format import check_channels, check_rate
from menura.dsp.stage import Stage
from menura.errors import ConfigError, FormatError

__all__ = ["AudioCallback", "AudioCallbackConfig", "StageCallback", "as_array", "checked_pair", "writable"]

AudioCallback = Callable[[NDArray[np.float32], NDArray[np.float32]], Any]
"""Takes a block of samples and writes as many into the other array, in place."""

MAX_BLOCK = 1_000_000


@dataclass(slots=True)
class AudioCallbackConfig:
    """Settings of an audio callback.

    Attributes:
        sample_rate: Of the samples in and out, Hz; 44100.0 is 44100.
        block_size: Frames of the blocks to expect; others are taken too.
        enable_crossfade: Whether the pieces that a model makes are faded into each other.
        crossfade_samples: Frames of that fade at ``sample_rate``. It overlaps, so it costs as much latency and nothing
            of the sound. What works without a model makes no pieces.
        channels: Of every block.
        background: Whether a model computes in a thread of its own, so that the callback only copies; it is late by one
            of the model's blocks more then. None: where ``block_size`` is shorter than the model's.

    Raises:
        ConfigError: A value it cannot have; checked when a callback is made of it.
    """

    sample_rate: int = 16_000
    block_size: int = 512
    enable_crossfade: bool = True
    crossfade_samples: int = 64
    channels: int = 1
    background: bool | None = None

    def __post_init__(self) -> None:
        # as NumPy counts, and as sounddevice tells a device's rate
        rate: object = self.sample_rate
        if isinstance(rate, float) and rate.is_integer():
            self.sample_rate = int(rate)
        for name in ("sample_rate", "block_size", "crossfade_samples", "channels"):
            if isinstance(value := getattr(self, name), np.integer):
                setattr(self, name, int(value))

    def check(self) -> None:
        """See that every value is one it can have."""
        check_rate(self.sample_rate)
        check_channels(self.channels)
        if self.background is not None and not isinstance(self.background, bool):
            raise ConfigError(f"background must be true, false or None, not {self.background!r}")
        for name, least in (("block_size", 1), ("crossfade_samples", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_BLOCK:
                raise ConfigError(f"{name} must be a whole number from {least} to {MAX_BLOCK}, not {value!r}")


def writable(output: Any) -> NDArray[np.floating[Any]]:
    """``output`` as an array that can be written through: NumPy's, or a buffer of floats.

    Raises:
        FormatError: It is a list, of another type, or read-only.
    """
    try:
        array: NDArray[Any] = output if isinstance(output, np.ndarray) else np.asarray(memoryview(output))
    except TypeError:
        raise FormatError(
            f"output must be a NumPy array of float32, which is written to in place, not {type(output).__name__}"
        ) from None
    if array.dtype.kind != "f" or not array.flags.writeable or array.ndim not in (1, 2):
        raise FormatError(
            f"output must be a writable array of floats, [frames] or [frames, channels], not {array.dtype}"
            f" {list(array.shape)}{'' if array.flags.writeable else ', read-only'}"
        )
    return array


def as_array(samples: ArrayLike) -> NDArray[Any]:
    """What holds samples, as an array of one shape.

    Raises:
        FormatError: Its rows have different lengths.
    """
    try:
        return np.asarray(samples)
    except ValueError as error:
        raise FormatError(f"samples have the shape [frames] or [frames, channels]: {error}") from error


def checked_pair(input: ArrayLike, output: Any) -> tuple[NDArray[np.floating[Any]], NDArray[Any]]:  # noqa: A002
    """Output and input of a callback as arrays, in this order.

    Raises:
        FormatError: They are none, have different shapes, or output is shorter.
    """
    target, x = writable(output), as_array(input)
    if target.ndim != x.ndim or target.shape[1:] != x.shape[1:]:
        raise FormatError(f"input and output have one shape, not {list(x.shape)} and {list(target.shape)}")
    if len(target) < len(x):
        raise FormatError(f"output has room for {len(target)} frames, input has {len(x)}")
    return target, x


class StageCallback:
    """An audio callback that runs a stage.

    ``callback(input, output)``: output gets as many frames as input has, late by :attr:`latency`; silence comes before
    the first, and fills what an output longer than the input has left. Blocks may have any length, each another. It may
    be called from any thread, one block after another.

    Args:
        stage: Equal rates.
        channels: Of every block.

    Shape:
        input, output: ``[n]`` or ``[n, channels]``, floats in −1…1. NaN is silence, infinities are full scale.

    Raises:
        FormatError: A block has another shape or type, or output is shorter than input.

    >>> from menura.dsp.dynamics import Gain
    >>> callback = StageCallback(Gain(48_000, gain_db=-6.0206))
    >>> output = np.ones(3, np.float32)
    >>> callback(np.full(2, 0.5, np.float32), output)
    >>> output
    array([0.25, 0.25, 0.  ], dtype=float32)
    """

    def __init__(self, stage: Stage, channels: int = 1) -> None:
        if stage.rate_in != stage.rate_out:
            raise ConfigError(f"a callback's stage has one rate, not {stage.rate_in} and {stage.rate_out}")
        self.stage, self.channels = stage, check_channels(channels)
        self._lock = threading.Lock()

    @property
    def latency(self) -> int:
        """Frames by which output lags input."""
        return self.stage.latency

    def __call__(self, input: ArrayLike, output: NDArray[np.float32]) -> None:  # noqa: A002 - as documented
        """Process a block."""
        target, x = checked_pair(input, output)
        block = finite(as_block(x, self.channels))
        with self._lock:
            y = self.stage.process(block)
        target[: len(y)] = y.reshape(len(y), *target.shape[1:])
        target[len(y) :] = 0.0

    def flush(self) -> NDArray[np.float32]:
        """The ``latency`` frames still held, ``[latency, channels]``; then it is as new."""
        with self._lock:
            return self.stage.flush()

    def reset(self) -> None:
        """Forget all audio."""
        with self._lock:
            self.stage.reset()

    def close(self) -> None:
        """Let go of what it holds; a stage by itself holds nothing."""
