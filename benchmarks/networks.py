"""RVC's networks at full size, random weights: time of a call, of loading, memory, and what precision costs.

python -m benchmarks.networks [--quick] [--folder DIRECTORY]    models are written there once; default: a temporary one

Ours in single precision on ONNX Runtime is the reference of each SNR. OpenVINO is measured where it is installed. Calls
of all variants alternate; a time is the median. The last table runs two calls at once, as a server does.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rvc_weights import save_all
from benchmarks.tables import machine, number, table
from menura.neural.files.hubert import read_hubert
from menura.neural.files.pitch import read_rmvpe
from menura.neural.files.voice import read_voice
from menura.neural.nets.decoder import decoder
from menura.neural.nets.encoder import encoder
from menura.neural.nets.flow import flow
from menura.neural.nets.graph import Network
from menura.neural.nets.hubert import hubert_front, hubert_transformer
from menura.neural.nets.rmvpe import rmvpe
from menura.neural.options import Provider, RuntimeOptions
from menura.neural.runtime import open_session, return_memory
from menura.neural.session import Session

Feeds = dict[str, np.ndarray]
Make = Callable[..., Network]


def _own_mb() -> float:
    """Memory of this process alone, without pages of files."""
    gc.collect()
    return_memory()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3


def _feeds() -> dict[str, tuple[str, Feeds]]:
    """Case → network and inputs."""
    rng = np.random.default_rng(0)

    def draw(*shape: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
        return (rng.standard_normal(shape) * scale + shift).astype(np.float32)

    latent = {name: draw(1, 192, 55, scale=0.5) for name in ("mean", "log_deviation", "noise")}
    speaker = draw(1, 256)
    affine = {"factor": draw(1, 512, scale=0.1, shift=1.0), "shift": draw(1, 512, scale=0.1)}
    return {
        "HuBERT's convolutions 0.81 s": ("hubert-front", {"wav": draw(1, 12_960, scale=0.1), **affine}),
        "HuBERT's convolutions 2.81 s": ("hubert-front", {"wav": draw(1, 44_960, scale=0.1), **affine}),
        "HuBERT's attention 0.81 s": ("hubert-transformer", {"rows": draw(1, 40, 768)}),
        "HuBERT's attention 2.81 s": ("hubert-transformer", {"rows": draw(1, 140, 768)}),
        "RMVPE 32 frames": ("rmvpe", {"mel": draw(1, 32, 128, scale=2.0, shift=-5.0)}),
        "text encoder 281 frames": (
            "encoder",
            {
                "phone": draw(1, 281, 768, scale=0.3), "pitch": rng.integers(1, 255, (1, 281)),
                "wanted": np.array([281]),
            },
        ),
        "flow 55 frames": ("flow", {**latent, "speaker": speaker}),
        "decoder 30 frames": (
            "decoder",
            {
                "z": draw(1, 192, 30), "speaker": speaker, "excitation": draw(1, 14_400, scale=0.1),
                "spare": np.zeros(2, np.int64),
            },
        ),
    }  # fmt: skip


def _networks(folder: Path, cores: int) -> dict[str, Make]:
    voice, content, pitch = (
        read_voice(folder / "voice.pth"),
        read_hubert(folder / "hubert"),
        read_rmvpe(folder / "rmvpe.pt"),
    )
    return {
        "hubert-front": lambda **options: hubert_front(content.config, content.weights, **options),
        "hubert-transformer": lambda **options: hubert_transformer(content.config, content.weights, **options),
        "rmvpe": lambda: rmvpe(pitch.config, pitch.weights),
        "encoder": lambda: encoder(voice.config, voice.weights),
        "flow": lambda: flow(voice.config, voice.weights),
        "decoder": lambda: decoder(voice.config, voice.weights, cores=cores),
    }


def _variants(threads: int) -> dict[str, tuple[RuntimeOptions, dict[str, Any]]]:
    found: dict[str, tuple[RuntimeOptions, dict[str, Any]]] = {"fp32": (RuntimeOptions(threads=threads), {})}
    found["int8"] = RuntimeOptions(threads=threads), {"int8": True}
    if find_spec("openvino") is not None:
        found["OpenVINO fp32"] = RuntimeOptions(Provider.OPENVINO, threads=threads), {}
        found["OpenVINO bf16"] = RuntimeOptions(Provider.OPENVINO, threads=threads, bfloat16=True), {}
    return found


def _snr_db(ours: np.ndarray, reference: np.ndarray) -> float:
    error = float(((ours - reference).astype(np.float64) ** 2).sum())
    return 10.0 * np.log10(float((reference.astype(np.float64) ** 2).sum()) / error) if error else np.inf


def _timed(calls: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Median ms of each, in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(repeats):
        for call, kept in zip(calls, times, strict=True):
            began = time.perf_counter()
            call()
            kept.append((time.perf_counter() - began) * 1e3)
    return [statistics.median(kept) for kept in times]


def _speed(folder: Path, threads: int, repeats: int) -> str:
    makes, rows = _networks(folder, threads), []
    variants = _variants(threads)
    sessions: dict[tuple[str, str], Session] = {}
    for name, make in makes.items():
        for variant, (options, extra) in variants.items():
            if not extra or name.startswith("hubert"):
                sessions[name, variant] = open_session(make(**extra), options)
    for case, (name, feeds) in _feeds().items():
        here = [variant for variant in variants if (name, variant) in sessions]
        results = [sessions[name, variant].run(**feeds)[0] for variant in here]
        times = _timed([partial(sessions[name, variant].run, **feeds) for variant in here], repeats)
        for variant, ms, result in zip(here, times, results, strict=True):
            assert np.isfinite(result).all()
            db = _snr_db(result, results[0])
            rows.append(
                [f"{case}, {variant}", number(ms), number(times[0] / ms, 2), "-" if db == np.inf else number(db)]
            )
    return table(["network", "ms", "times fp32", "SNR dB"], rows, f"{threads} thread(s) a call")


def _loading(folder: Path) -> str:
    rows, makes = [], _networks(folder, 1)
    with tempfile.TemporaryDirectory() as kept:
        eight = [(name, {"int8": True}) for name in makes if name.startswith("hubert")]
        for name, extra in [*((name, {}) for name in makes), *eight]:
            row = [f"{name}{' int8' if extra else ''}"]
            for options in (RuntimeOptions(threads=1), *[RuntimeOptions(threads=1, cache=Path(kept))] * 2):
                before, began = _own_mb(), time.process_time()
                network = makes[name](**extra)
                built = time.process_time()
                session = open_session(network, options)
                loaded = time.process_time()
                size = network.weight_bytes / 1e6
                del network
                held = _own_mb() - before
                if options.cache is None:
                    row += [number((built - began) * 1e3, 0), number(size, 0)]
                row += [number((loaded - built) * 1e3, 0), number(held, 0)]
                del session
            # the middle one wrote the entry
            rows.append(row[:5] + row[7:])
    head = ["network", "build ms", "weights MB", "load ms", "own MB", "kept: load ms", "own MB"]
    return table(head, rows, "Loading: CPU time, and memory of the process besides pages of files")


def _contention(folder: Path, repeats: int) -> str:
    case = "HuBERT's attention 0.81 s"
    rows, (name, feeds) = [], _feeds()[case]
    network = _networks(folder, 1)[name]()
    for label, options in (
        ("two threads a call, passive", RuntimeOptions(threads=2)),
        ("two threads a call, spinning", RuntimeOptions(threads=2, spin=True)),
        ("one thread a call", RuntimeOptions(threads=1)),
    ):
        session = open_session(network, options)
        alone = _timed([partial(session.run, **feeds)], repeats)[0]
        with ThreadPoolExecutor(2) as pool:

            def both(s: Session = session) -> None:
                list(pool.map(lambda _: s.run(**feeds), range(2)))

            together = _timed([both], repeats)[0]
        rows.append([label, number(alone), number(together), number(together / 2)])
    return table([case, "alone ms", "two at once ms", "ms each"], rows, "Contention")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    repeats = 3 if asked.quick else 11
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        save_all(folder)
        print(machine(), "\n")
        print(_loading(folder), "\n")
        for threads in (1, 2):
            print(_speed(folder, threads, repeats), "\n")
        print(_contention(folder, repeats))


if __name__ == "__main__":
    main()
