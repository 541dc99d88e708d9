"""Speech by a small recurrent network: Silero VAD v6, run by ONNX Runtime."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio.block import Samples, finite
from menura.extras import need
from menura.units import ms_to_frames
from menura.vad.detector import Probabilities
from menura.vad.windows import WindowFeed

__all__ = ["MODEL_RATE", "WINDOW", "Silero", "SileroModel", "model_feed"]

MODEL = Path(__file__).with_name("models") / "silero_vad_16k_sequence.onnx"
MODEL_RATE = 16_000
WINDOW, CONTEXT, UNITS = 512, 64, 128
"""Frames of a decision, frames before it that the model sees too, size of its recurrent state."""
TRAIL_MS = 30.0
"""By which the model's decisions trail the labels of speech, found where they agree best."""
QUIET, QUIET_WINDOWS, FRESH_WINDOWS = 0.1, 5, 250
"""Minutes of sound that is no speech numb the model: onsets after it are found up to 100 ms late. So its state is begun
anew every 8 s, in the midst of 160 ms that are clearly no speech."""


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


def model_feed(rate: int) -> WindowFeed:
    """The model's windows of a stream."""
    return WindowFeed(rate, MODEL_RATE, WINDOW, CONTEXT)


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
        self._feed = model_feed(rate)
        self.rate = rate
        self.hop = self._feed.hop
        self.lag = self._feed.latency + ms_to_frames(TRAIL_MS, rate)
        self._heard = np.zeros(WINDOW, np.float32)

    @property
    def level(self) -> float:
        """RMS level of the last hop, 0…1."""
        return float(np.sqrt(np.dot(self._heard, self._heard) / WINDOW))

    @property
    def model_runs(self) -> int:
        """How often the model was asked since the last reset."""
        return self._model.runs

    def process(self, x: Samples) -> Probabilities:
        """Take the next block, ``[n, 1]``; a probability for each hop that ends within it."""
        return np.array(self._ask(self._feed.push(finite(x))), np.float64)

    def process_pcm16(self, data: bytes) -> list[float]:
        """As :meth:`process`, of mono 16-bit bytes."""
        return self._ask(self._feed.push(data))

    def _ask(self, hops: range) -> list[float]:
        if not hops:
            return []
        windows = self._feed.windows(hops[0], hops[-1])
        self._heard = windows[-1, CONTEXT:]
        return [self._model.ask(window) for window in windows]

    def reset(self) -> None:
        """Forget all audio."""
        self._model.reset()
        self._feed.reset()
        self._heard = np.zeros(WINDOW, np.float32)
