"""One engine in a process of its own, for ``benchmarks.bench_rvc``: blocks on request, times as lines of JSON.

python benchmarks/rvc_child.py TASK    TASK: JSON, see ``main``; needs menura for ours, rvc-next for the peer

It says one line after the first block, then one for each line it is given; after ``end`` it writes what was heard and
how much memory was needed at most.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

RATE = 48_000
HEARD = "content, pitch"
"""Time for both, which may run at once."""
Process = Callable[[np.ndarray], np.ndarray]
Parts = Counter[str]


def ours(task: dict[str, Any], parts: Parts) -> Process:
    """A stage and the scheduler that runs its networks, which are timed; pitch may run elsewhere than the others."""
    from menura.live.scheduler import ModelScheduler
    from menura.neural.content import ContentModel
    from menura.neural.files.later import hubert_later, rmvpe_later, voice_later
    from menura.neural.files.pitch import read_rmvpe
    from menura.neural.options import RuntimeOptions
    from menura.neural.pitch import RmvpePitch
    from menura.neural.runtime import return_memory
    from menura.neural.stream.model import Request, RvcModel
    from menura.neural.stream.settings import RvcSettings
    from menura.neural.stream.shape import StreamShape
    from menura.neural.stream.stage import RvcStage
    from menura.neural.synthesizer import Synthesizer

    folder, cache = Path(task["folder"]), Path(task["cache"])
    exact = RuntimeOptions(task["provider"], task["threads"], cache=cache)
    options = replace(exact, bfloat16=task["bf16"], native=task["native"])
    voice = replace(options, bfloat16=task["bf16"] or task["bf16_decoder"])

    # one after another, so that no checkpoint is held for longer than it takes
    def content() -> ContentModel:
        read = hubert_later(folder / "hubert")
        return ContentModel(read.config, read.weights, int8=task["int8"], options=options)

    def synthesizer() -> Synthesizer:
        read = voice_later(folder / "voice.pth")
        return Synthesizer(read.config, read.weights, voice, int8=task["int8"])

    def pitch() -> RmvpePitch:
        read = rmvpe_later(folder / "rmvpe.pt")
        return RmvpePitch(read.config, read.weights, exact, again=lambda: read_rmvpe(folder / "rmvpe.pt").weights)

    model = RvcModel(content(), synthesizer(), pitch())
    return_memory()
    names = {"front": "content", "transform": "content", "decode": "decoder"}
    names |= dict.fromkeys(("encode", "latent"), "encoder and flow")

    compute, spans = RvcModel.compute, []

    def timing(model: RvcModel, request: Request) -> Any:
        began = time.perf_counter()
        answer = compute(model, request)
        spans.append((began, time.perf_counter(), names.get(request.name, request.name)))
        return answer

    RvcModel.compute = timing  # type: ignore[method-assign]
    shape = StreamShape.of(task["block_ms"], task["context_ms"])
    seat = ModelScheduler().seat(task["block_ms"] / 1e3)
    stage = RvcStage(model, RATE, shape=shape, settings=RvcSettings(gate_db=-120.0), runner=seat)

    def process(x: np.ndarray) -> np.ndarray:
        spans.clear()
        y = stage.process(x[:, None])[:, 0]
        for began, ended, name in spans:
            parts[name] += ended - began
        parts[HEARD] = _lasted([span for span in spans if span[2] in ("content", "pitch")])
        return y

    return process


def _lasted(spans: list[tuple[float, float, str]]) -> float:
    """Time in which any of them ran."""
    total, until = 0.0, -np.inf
    for began, ended, _ in sorted(spans):
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total


def peer(task: dict[str, Any], parts: Parts) -> Process:
    """rvc-next's engine, without its audio devices."""
    import torch

    torch.set_num_threads(task["threads"])
    from rvc_next.engine.convert.params import VoiceParams
    from rvc_next.engine.runtime import Runtime
    from rvc_next.engine.stream import engine
    from rvc_next.engine.stream.params import StreamParams

    runtime = Runtime(Path(task["assets"]), device="cpu")
    voice = runtime.voice(str(Path(task["folder"]) / "voice.pth"))
    params = VoiceParams(f0_method="rmvpe", index_rate=0.0, protect=0.5, rms_mix_rate=1.0)
    shape = StreamParams(block_ms=task["block_ms"], context_ms=task["context_ms"])
    stream = engine.StreamEngine(runtime, voice, params, shape, RATE)

    def timed(owner: Any, method: str, name: str, but: str = "") -> None:
        call = getattr(owner, method)

        def timing(*args: Any, **kwargs: Any) -> Any:
            began, within = time.perf_counter(), parts[but]
            result = call(*args, **kwargs)
            parts[name] += time.perf_counter() - began - (parts[but] - within)
            return result

        setattr(owner, method, timing)

    timed(engine, "extract_features", "content")
    timed(stream, "_get_f0", "pitch")
    timed(voice.net_g.dec, "forward", "decoder")
    timed(voice.net_g, "infer", "encoder and flow", but="decoder")

    def process(x: np.ndarray) -> np.ndarray:
        y: np.ndarray = stream.process(x)
        parts[HEARD] = parts["content"] + parts["pitch"]
        return y

    return process


def peak_mb() -> float:
    """Most memory this process had, pages of files included."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage tells includes the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """``engine``: ours or peer; ``folder``: of the models; ``speech``: .npy, mono, 48 kHz; ``heard``: .npy to write."""
    task = json.loads(sys.argv[1])
    speech, parts, heard = np.load(task["speech"], mmap_mode="r"), Parts(), []
    size = RATE * task["block_ms"] // 1000
    process = {"ours": ours, "peer": peer}[task["engine"]](task, parts)
    say = sys.stdout
    sys.stdout = sys.stderr  # a library that prints must not speak in between

    def block(index: int) -> float:
        start = index * size % (len(speech) - size)
        began = time.perf_counter()
        heard.append(np.array(process(speech[start : start + size]), np.float32))
        return 1e3 * (time.perf_counter() - began)

    print(json.dumps({"ms": block(0)}), file=say, flush=True)
    for index, line in enumerate(sys.stdin, 1):
        if line.strip() == "end":
            break
        parts.clear()
        ms = block(index)
        told = {"ms": ms, "parts": {name: 1e3 * seconds for name, seconds in parts.items() if name}}
        print(json.dumps(told), file=say, flush=True)
    np.save(task["heard"], np.concatenate(heard))
    print(json.dumps({"peak_mb": peak_mb()}), file=say, flush=True)


if __name__ == "__main__":
    main()
