"""Speech by a small recurrent network: Silero VAD v6, run by ONNX Runtime."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, finite, silence
from menura.audio.format import check_rate
from menura.dsp.resample import Resampler
from menura.extras import need
from menura.units import ms_to_frames
from menura.vad.detector import Probabilities

__all__ = ["MODEL_RATE", "WINDOW", "Silero", "SileroModel", "WindowFeed"]

MODEL = Path(__file__).with_name("models") / "silero_vad_16k_sequence.onnx"
MODEL_RATE = 16_000
WINDOW, CONTEXT, UNITS = 512, 64, 128
"""Frames of a decision, frames before it that the model sees too, size of its recurrent state."""
TRAIL_MS = 30.0
"""By which the model's decisions trail the labels of speech, found where they agree best."""
QUIET, QUIET_WINDOWS, FRESH_WINDOWS = 0.1, 5, 250
"""Minutes of sound that is no speech numb the model: onsets after it are found up to 100 ms late. So its state is begun
anew every 8 s, in the midst of 160 ms that are clearly no speech."""
LEAD_MS = 14.0
"""Audio before a window that it needs: the model's context, the resampler's delay and half its filter."""


@lru_cache(maxsize=1)
def session() -> Any:
    """The process's one inference session; its ``run`` may be called from many threads at once.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    ort = need("onnxruntime", extra="vad")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # a window is too small to share out
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return ort.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])


class SileroModel:
    """The network with the state of one stream. Memory is bound once, so that a run allocates next to nothing.

    Attributes:
        runs: Windows asked about.
    """

    def __init__(self) -> None:
        self._session = session()
        self._x = np.zeros((1, CONTEXT + WINDOW), np.float32)
        self._state = np.zeros((2, 1, 1, UNITS), np.float32)
        self._next = np.zeros_like(self._state)
        self._out = np.zeros(1, np.float32)
        self._binding = self._session.io_binding()
        self._binding.bind_cpu_input("input", self._x)
        for index, name in enumerate("hc"):
            self._binding.bind_cpu_input(name, self._state[index])
            part = self._next[index]
            self._binding.bind_output(f"{name}n", "cpu", 0, np.float32, part.shape, part.ctypes.data)
        self._binding.bind_output("speech_probs", "cpu", 0, np.float32, self._out.shape, self._out.ctypes.data)
        self.reset()

    def reset(self) -> None:
        """Forget all audio and the count."""
        self.forget()
        self.runs = 0

    def forget(self) -> None:
        """Begin anew with the next window."""
        self._state[:] = 0.0
        self._since = 0  # windows since then
        self._quiet = 0  # of which the last so many were clearly no speech

    def ask(self, window: NDArray[np.float32]) -> float:
        """Probability of speech in the next window; ``window`` is ``[64 + 512]``, the first 64 from before it."""
        self._x[0] = window
        self._session.run_with_iobinding(self._binding)
        self._state[:] = self._next
        self.runs += 1
        probability = float(self._out[0])
        self._since += 1
        self._quiet = self._quiet + 1 if probability < QUIET else 0
        if self._since >= FRESH_WINDOWS and self._quiet >= QUIET_WINDOWS:
            self.forget()
        return probability


class WindowFeed:
    """Cuts a stream of any rate into the model's windows, one for each hop of 32 ms, and converts only what is asked for.

    Where 32 ms are no whole number of frames, windows overlap or miss by one frame of 16 kHz now and then, so that the
    hop is constant.

    Args:
        rate: Hz.

    Attributes:
        hop: Frames at ``rate``.
        latency: Frames at ``rate`` by which the windows lag.
        hops: Whole hops taken so far.
    """

    def __init__(self, rate: int) -> None:
        self.rate = check_rate(rate)
        self.hop = ms_to_frames(1000.0 * WINDOW / MODEL_RATE, rate)
        self._resampler = Resampler(rate, MODEL_RATE)
        self.latency = -(-self._resampler.latency * rate // MODEL_RATE)
        self._lead = ms_to_frames(LEAD_MS, rate)
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._raw = silence(self._lead)
        self._raw_at = -self._lead  # frame of the first in it
        self.hops = 0
        self._restart(-self._lead)

    def _restart(self, frame: int) -> None:
        self._resampler.reset()
        self._start = self._fed = frame
        self._made = np.zeros(0, np.float32)
        self._made_at = 0  # number of its first since the start, at 16 kHz

    def push(self, x: Samples) -> range:
        """Add a block, ``[n, 1]``; returns the numbers of the hops that it completes."""
        oldest = self.hops * self.hop - self._lead
        drop = max(0, oldest - self._raw_at)
        self._raw = np.concatenate([self._raw[drop:], x])
        self._raw_at += drop
        first, self.hops = self.hops, (self._raw_at + len(self._raw)) // self.hop
        return range(first, self.hops)

    def windows(self, first: int, last: int) -> NDArray[np.float32]:
        """The windows that end with these hops, the last included, each with the context before it.

        Successive calls go forwards; what they leave out between is never converted.

        Shape:
            ``[last − first + 1, 64 + 512]``; silence before the start of the stream.
        """
        begin, end = first * self.hop - self._lead, (last + 1) * self.hop
        if begin > self._fed:
            self._restart(max(begin, self._raw_at))
        fresh = self._resampler.process(self._raw[self._fed - self._raw_at : end - self._raw_at])[:, 0]
        self._fed = end
        needed = self._count(first) - WINDOW - CONTEXT
        drop = max(0, min(needed - self._made_at, len(self._made)))
        self._made = np.concatenate([self._made[drop:], fresh])
        self._made_at += drop
        ends = [self._count(hop) - self._made_at for hop in range(first, last + 1)]
        return np.stack([self._made[at - WINDOW - CONTEXT : at] for at in ends])

    def _count(self, hop: int) -> int:
        return ((hop + 1) * self.hop - self._start) * MODEL_RATE // self.rate


class Silero:
    """Detector by Silero VAD: one run of the model for every 32 ms.

    Args:
        rate: Hz; other rates than 16 kHz are converted.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """

    threshold = 0.5
    release = 0.35
    noise_floor = None

    def __init__(self, rate: int) -> None:
        self._model = SileroModel()
        self._feed = WindowFeed(rate)
        self.rate = rate
        self.hop = self._feed.hop
        self.lag = self._feed.latency + ms_to_frames(TRAIL_MS, rate)
        self.level = 0.0

    @property
    def model_runs(self) -> int:
        """How often the model was asked since the last reset."""
        return self._model.runs

    def process(self, x: Samples) -> Probabilities:
        """Take the next block, ``[n, 1]``; a probability for each hop that ends within it."""
        hops = self._feed.push(finite(x))
        if not hops:
            return np.zeros(0)
        windows = self._feed.windows(hops[0], hops[-1])
        last = windows[-1, CONTEXT:]
        self.level = float(np.sqrt(np.dot(last, last) / WINDOW))
        return np.array([self._model.ask(window) for window in windows], np.float64)

    def reset(self) -> None:
        """Forget all audio."""
        self._model.reset()
        self._feed.reset()
        self.level = 0.0
