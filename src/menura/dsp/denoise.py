"""Noise suppression by a recurrent network: RNNoise."""

import sys
from ctypes import CDLL, c_float, c_int, c_void_p
from functools import cache
from typing import Any

import numpy as np

from menura.audio.block import Samples, silence
from menura.audio.format import check_channels, check_rate
from menura.dsp.blend import Blend
from menura.dsp.native import pointer
from menura.dsp.split import Split
from menura.errors import MissingExtraError
from menura.extras import find

__all__ = ["Denoiser"]

RATE = 48_000
DELAY = 960
"""Frames by which the network's output lags; the tests measure it."""
FULL_SCALE = np.float32(32768.0)
_NAMES = {"win32": "rnnoise.dll", "darwin": "librnnoise.dylib"}


@cache
def _library() -> Any:
    """RNNoise as ``pyrnnoise`` ships it, loaded without importing that package and the plotting that it imports.

    Raises:
        MissingExtraError: It is not installed, or not for this platform.
    """
    path = find("pyrnnoise", extra="denoise") / _NAMES.get(sys.platform, "librnnoise.so")
    try:
        library = CDLL(str(path))
    except OSError as error:
        raise MissingExtraError(f"pyrnnoise has no {path.name} that this platform can load") from error
    library.rnnoise_get_size.restype = c_int
    library.rnnoise_init.argtypes = [c_void_p, c_void_p]
    library.rnnoise_process_frame.argtypes = [c_void_p, c_void_p, c_void_p]
    library.rnnoise_process_frame.restype = c_float
    return library


class _Network:
    """The network on a stream of any rate, a state for each channel; see :class:`Denoiser`."""

    def __init__(self, rate: int, channels: int, step: int) -> None:
        self.rate_in = self.rate_out = check_rate(rate)
        self.channels = check_channels(channels)
        self._library = _library()
        self._split = Split(rate, RATE, (channels, channels), DELAY, step)
        self.latency = self._split.latency
        self.reset()

    def reset(self) -> None:
        # states lie in our own memory, which the library only fills: nothing of it is ever to be freed
        self._split.reset()
        self.speech_probability = 0.0
        self._states = [np.zeros(self._library.rnnoise_get_size(), np.uint8) for _ in range(self.channels)]
        for state in self._states:
            self._library.rnnoise_init(pointer(state), None)

    def process(self, x: Samples) -> Samples:
        return self._split.run(x, self._clean)

    def _clean(self, frame: Samples) -> Samples:
        planes = np.ascontiguousarray(frame.T) * FULL_SCALE
        process = self._library.rnnoise_process_frame
        chances = [
            process(pointer(state), pointer(plane), pointer(plane))
            for state, plane in zip(self._states, planes, strict=True)
        ]
        self.speech_probability = max(chances)
        return np.asarray(planes.T / FULL_SCALE, np.float32)

    def flush(self) -> Samples:
        step = self._split.step
        y = self.process(silence(-(-self.latency // step) * step, self.channels))[: self.latency]
        self.reset()
        return y


class Denoiser:
    """Stage that leaves speech and takes away what else there is, steady or not, by a small recurrent network.

    The network works at 48 kHz on 10 ms, and lags 20 ms; other rates pass two short resamplers. Each channel is cleaned
    by itself. It needs the extra ``denoise``.

    Args:
        mix: 1 is the cleaned signal, 0 the signal as it came, as late; may be set while audio runs. A tenth of the
            signal, 20 dB down, hides what the network takes for noise by mistake, most of all among other voices.
        step: Every block's length is a multiple of this many frames. Where all blocks are whole 10 ms, saying so saves
            10 ms of latency.

    Raises:
        MissingExtraError: RNNoise is not installed.

    Source:
        J.-M. Valin, A hybrid DSP/deep learning approach to real-time full-band speech enhancement, MMSP 2018.
    """

    def __init__(self, rate: int, channels: int = 1, *, mix: float = 0.9, step: int = 1) -> None:
        self._network = _Network(rate, channels, step)
        self._blend = Blend(self._network, mix=mix)
        self.rate_in = self.rate_out = rate
        self.channels = channels
        self.latency = self._blend.latency

    @property
    def mix(self) -> float:
        """Share of the cleaned signal, 0 to 1."""
        return self._blend.mix

    @mix.setter
    def mix(self, mix: float) -> None:
        self._blend.mix = mix

    @property
    def speech_probability(self) -> float:
        """How sure the network is that its last frame held speech, in any channel."""
        return self._network.speech_probability

    def process(self, x: Samples) -> Samples:
        """Process the next block, ``[n, channels]``.

        Raises:
            FormatError: ``n`` is no multiple of ``step``.
        """
        return self._blend.process(x)

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held, and be as new."""
        return self._blend.flush()

    def reset(self) -> None:
        """Forget all audio."""
        self._blend.reset()
