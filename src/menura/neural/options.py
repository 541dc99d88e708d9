"""Where and how networks run, and what of it this installation can do."""

import os
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from menura.errors import ConfigError
from menura.extras import need

__all__ = ["EXECUTION_PROVIDERS", "PACKAGES", "Provider", "RuntimeOptions", "providers"]

MAX_THREADS = 8
"""More bring nothing to networks of this size."""


class Provider(StrEnum):
    """Where a network runs."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    DIRECTML = "directml"
    COREML = "coreml"
    OPENVINO = "openvino"


EXECUTION_PROVIDERS = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
    Provider.DIRECTML: "DmlExecutionProvider",
    Provider.COREML: "CoreMLExecutionProvider",
}
PACKAGES = {
    Provider.CUDA: "onnxruntime-gpu in place of onnxruntime",
    Provider.TENSORRT: "onnxruntime-gpu in place of onnxruntime, and TensorRT",
    Provider.DIRECTML: "onnxruntime-directml in place of onnxruntime (Windows)",
    Provider.COREML: "onnxruntime on a Mac",
    Provider.OPENVINO: "openvino",
}


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How networks run.

    Attributes:
        provider: Where.
        threads: For one call, on a CPU; 0: as many as there are cores, at most 8. A server that runs calls of several
            sessions at once takes 1: a call then runs wholly in the thread that makes it.
        device: Number of the GPU.
        bfloat16: Let the hardware compute in bfloat16 where it can: with OpenVINO all networks, twice as fast at about
            40 dB; on a plain CPU the decoder alone, 1.8 times as fast as in single precision at 30 to 45 dB.
        float16: Compute content and voice in half precision, on a GPU; pitch stays in single.
        cache: Folder where networks are kept as the CPU wants them (:mod:`menura.neural.cache`): they load much faster
            and processes share their weights, for up to twice their size on disk. OpenVINO and TensorRT keep theirs
            beside them. None: nothing is kept.
        spin: Threads wait by spinning: a little faster alone, ten times slower beside another program that does.
        native: On a CPU our kernels are written for, they compute a voice's decoder (:mod:`menura.neural.native`):
            twice as fast, the audio is the same. With OpenVINO too, but for its bfloat16.

    Raises:
        ConfigError: A value cannot be, or no provider of this machine can do it.
    """

    provider: Provider = Provider.CPU
    threads: int = 0
    device: int = 0
    bfloat16: bool = False
    float16: bool = False
    cache: Path | None = None
    spin: bool = False
    native: bool = True

    def __post_init__(self) -> None:
        if self.provider not in set(Provider):
            raise ConfigError(f"there is no provider {self.provider!r}; there are {', '.join(Provider)}")
        if self.threads < 0 or self.device < 0:
            raise ConfigError("threads and device are 0 or above")
        if self.bfloat16 and not self.on_processor:
            raise ConfigError("bfloat16 is for the providers cpu and openvino; GPUs have float16")
        if self.float16 and self.on_processor:
            raise ConfigError("float16 is for GPUs: a CPU would only convert to and fro")

    @property
    def on_processor(self) -> bool:
        """Whether networks run on the processor itself, not on a device beside it."""
        return self.provider in (Provider.CPU, Provider.OPENVINO)

    @property
    def cores(self) -> int:
        """Threads a call runs on."""
        if self.threads:
            return self.threads
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(usable, MAX_THREADS)


def providers() -> tuple[Provider, ...]:
    """Those this installation can use, fastest first where it is known; none where no runtime is installed."""
    found = []
    if find_spec("onnxruntime") is not None:
        available = need("onnxruntime", extra="neural").get_available_providers()
        order = (Provider.TENSORRT, Provider.CUDA, Provider.DIRECTML, Provider.COREML, Provider.CPU)
        found = [provider for provider in order if EXECUTION_PROVIDERS[provider] in available]
    if find_spec("openvino") is not None:
        found.append(Provider.OPENVINO)
    return tuple(found)
