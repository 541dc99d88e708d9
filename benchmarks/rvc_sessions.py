"""Sessions of one RVC model on this machine, and what is left for a voice that needs none.

python -m benchmarks.rvc_sessions [--quick] [--folder DIRECTORY]    full-size models are written there once

Each session gets a block when it is due; lateness is from then until its answer. *Scheduler*: one computation at a
time, with all cores, what is due first, asked for by a server's pool. *Executor*: an executor of two threads, shared by
all, whose threads call the networks themselves. Beside the sessions a built-in voice gets 20 ms every 20 ms, on the
same pool or executor.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rvc_weights import save_all
from benchmarks.tables import machine, number, table
from menura.live.pool import VoicePool
from menura.live.scheduler import ModelScheduler
from menura.neural.stream.model import RvcModel, run
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import RvcStage
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.rvc import load_rvc

RATE, TICK_MS = 16_000, 20.0
OPEN = RvcSettings(gate_db=-120.0)


def _every(
    pool: Any, job: Callable[[], Any], period_s: float, count: int, offset_s: float, late_ms: list[float]
) -> None:
    """Post a job at every period, one after the other, and note how late each was done."""
    began = time.perf_counter() + offset_s
    for index in range(count):
        due = began + index * period_s
        time.sleep(max(0.0, due - time.perf_counter()))
        pool.submit(job).result()
        late_ms.append(1e3 * (time.perf_counter() - due))


def _measure(model: RvcModel, shape: StreamShape, sessions: int, seconds: float, scheduled: bool) -> list[str]:
    scheduler = ModelScheduler()
    pool = VoicePool(2) if scheduled else ThreadPoolExecutor(2)
    block_s, rng = shape.block / 100.0, np.random.default_rng(0)
    x = (0.1 * rng.standard_normal((round(RATE * block_s), 1))).astype(np.float32)
    tick = x[: round(RATE * TICK_MS / 1e3)]
    robot = make_stage(find_voice("robot"), RATE)
    stages = [
        RvcStage(model, RATE, shape=shape, settings=OPEN, runner=scheduler.seat(block_s) if scheduled else run)
        for _ in range(sessions)
    ]
    model_late: list[float] = []
    robot_late: list[float] = []
    threads = [
        threading.Thread(
            target=_every,
            args=(pool, lambda s=s: s.process(x), block_s, int(seconds / block_s), i * block_s / sessions, model_late),
        )
        for i, s in enumerate(stages)
    ]
    threads.append(
        threading.Thread(
            target=_every,
            args=(pool, lambda: robot.process(tick), TICK_MS / 1e3, int(1e3 * seconds / TICK_MS), 0.0, robot_late),
        )
    )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scheduler.close()
    pool.shutdown()
    p99 = float(np.percentile(model_late, 99)) if model_late else 0.0
    return [
        number(float(np.median(model_late))), number(p99), "yes" if p99 < 1e3 * block_s else "no",
        number(float(np.median(robot_late)), 2), number(float(np.percentile(robot_late, 99)), 1),
    ]  # fmt: skip


def _batches(model: RvcModel, shape: StreamShape, repeats: int) -> str:
    """Two blocks: one after the other, and both at once."""
    rng = np.random.default_rng(0)
    x = (0.1 * rng.standard_normal((shape.block * 160, 1))).astype(np.float32)
    stages = [RvcStage(model, RATE, shape=shape, settings=OPEN) for _ in range(2)]
    times: dict[str, list[float]] = {"one after the other": [], "both at once": []}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(repeats + 1):
            began = time.perf_counter()
            for stage in stages:
                stage.process(x)
            middle = time.perf_counter()
            wait([pool.submit(stage.process, x) for stage in stages])
            times["one after the other"].append(middle - began)
            times["both at once"].append(time.perf_counter() - middle)
    rows = [[name, number(500.0 * float(np.median(kept[1:])))] for name, kept in times.items()]
    return table(["two blocks", "ms a block"], rows, "Contention: each computation on all cores")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        save_all(folder)
        model = load_rvc(folder / "voice.pth", content=folder / "hubert", pitch="tracker")
        shape = StreamShape.of(480, 500)
        print(machine(), "\n")
        print(_batches(model, shape, 3 if asked.quick else 9), "\n")
        rows = []
        for sessions in (1, 4) if asked.quick else (1, 2, 3, 4):
            for scheduled in (True, False):
                name = f"{sessions}, {'scheduler' if scheduled else 'executor'}"
                rows.append([name, *_measure(model, shape, sessions, 6.0 if asked.quick else 20.0, scheduled)])
        head = ["sessions", "block late ms", "p99", "in time", "robot late ms", "p99"]
        print(table(head, rows, "Full-size voice, blocks of 480 ms, context 0.5 s, pitch by tracker"))


if __name__ == "__main__":
    main()
