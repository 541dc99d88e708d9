"""Full-size RVC in real time beside rvc-next: time of a block, what fast options cost, start, memory.

python -m benchmarks.bench_rvc [--quick] [--peer PYTHON] [--folder DIRECTORY] [--threads 2]

PYTHON, or MENURA_RVC_PEER: the interpreter of an environment with rvc-next 0.2.16 and torch 2.13; without it the table
is ours alone. Each configuration runs in a process of its own; their blocks alternate, and never two compute at once.
Weights are random, so SNR tells what an option does to the numbers, not to a trained voice. A child's threads, pages
and caches are its own; all start once before, so files are in memory and networks kept when times are taken.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rvc_size import WANTED_MB, extra_mb, report
from benchmarks.rvc_weights import save_all
from benchmarks.tables import machine, number, table
from menura.neural.native import bfloat16_sets
from tests.speech import all_speech

RATE, OUR_BLOCK_MS, PEER_BLOCK_MS = 48_000, 240, 250
PEER_CONTEXT_S = 2.0
PEER = "rvc-next 0.2.16"
PARTS = ("content, pitch", "encoder and flow", "decoder")
WITHIN = ("content", "pitch")
"""Of the first part, whose networks run at once where there are cores for both."""
PAUSE_S = 0.03
"""Between two blocks: threads that wait by spinning have then gone to sleep."""


@dataclass(frozen=True)
class Case:
    """A row.

    Attributes:
        name: What it is called.
        context_ms: Before the block.
        engine: ``ours`` or ``peer``.
        provider: Of ours.
        int8: Content model and text encoder in 8 bits.
        bf16: All networks but pitch, which a trained network does not need faster and random ones do not stand.
        bf16_decoder: Our decoder alone.
        native: The decoder in our kernels, where they have one.
        aim: A target of which this row is the measure.
    """

    name: str
    context_ms: int
    engine: str = "ours"
    provider: str = "cpu"
    int8: bool = False
    bf16: bool = False
    bf16_decoder: bool = False
    native: bool = True
    aim: str = ""

    @property
    def exact(self) -> bool:
        """Ours, in single precision."""
        return self.engine == "ours" and self.provider == "cpu" and self.native and not (self.int8 or self.bf16_decoder)

    @property
    def block_ms(self) -> int:
        """Ours is on the content model's grid of 20 ms."""
        return OUR_BLOCK_MS if self.engine == "ours" else PEER_BLOCK_MS


def cases(peer: str | None) -> list[Case]:
    """The first is the reference of SNR: single precision, and nothing but the networks' own arithmetic."""
    found = [
        Case("fp32, graphs alone, 2.0 s", 2000, native=False), Case("fp32, context 2.0 s", 2000, aim="fp32"),
        Case("fp32, 1.0 s", 1000), Case("fp32, 0.5 s", 500),
        Case("int8, 2.0 s", 2000, int8=True), Case("bf16 decoder, 2.0 s", 2000, bf16_decoder=True),
        Case("int8, bf16 decoder, 2.0 s", 2000, int8=True, bf16_decoder=True),
        Case("the same, 1.0 s: fast", 1000, int8=True, bf16_decoder=True),
        Case("the same, 0.5 s: lightest", 500, int8=True, bf16_decoder=True, aim="fast"),
    ]  # fmt: skip
    if not bfloat16_sets():
        found = [case for case in found if not case.bf16_decoder] + [Case("int8, 0.5 s", 500, int8=True, aim="fast")]
    if find_spec("openvino") is not None:
        found += [Case("OpenVINO fp32, 2.0 s", 2000, provider="openvino")]
        found += [
            Case(f"OpenVINO bf16, {ms / 1e3} s", ms, provider="openvino", bf16=True, aim="fast" if ms == 500 else "")
            for ms in (2000, 1000, 500)
        ]
    if peer:
        found += [Case(f"{PEER}, {ms / 1e3} s", ms, "peer", aim="peer" if ms == 2000 else "") for ms in (2000, 500)]
    return found


class Child:
    """A configuration that runs."""

    def __init__(self, case: Case, folder: Path, peer: str | None, threads: int) -> None:
        self.case, self.ms, self.parts = case, [], []
        self.heard = folder / f"{case.name.replace(' ', '-')}.npy"
        task = asdict(case) | {
            "block_ms": case.block_ms, "threads": threads, "folder": str(folder), "assets": str(folder / "assets"),
            "cache": str(folder / "cache"), "speech": str(folder / "speech.npy"), "heard": str(self.heard),
        }  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
        if case.engine == "peer":
            environment.pop("PYTHONPATH", None)
        program = str(Path(__file__).with_name("rvc_child.py"))
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [(peer or "") if case.engine == "peer" else sys.executable, program, json.dumps(task)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True,
        )  # fmt: skip
        self._answer()
        self.start_s = time.perf_counter() - began
        self.peak_mb = 0.0

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"{self.case.name}: the process ended with {self.process.wait()}")
        return json.loads(line)

    def _ask(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self._answer()

    def block(self) -> None:
        told = self._ask("block")
        self.ms.append(told["ms"])
        self.parts.append(told["parts"])

    def end(self) -> None:
        self.peak_mb = self._ask("end")["peak_mb"]
        self.process.wait()

    @property
    def cost(self) -> float:
        """Computing for a second of audio, median, ms."""
        return statistics.median(self.ms) * 1e3 / self.case.block_ms


def _prepare(folder: Path) -> None:
    """Models, the peer's folder of them, and speech."""
    save_all(folder)
    for name, target in (("hubert_base", "../hubert"), ("rmvpe/rmvpe.pt", "../../rmvpe.pt")):
        link = folder / "assets" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target)
    np.save(folder / "speech.npy", all_speech(RATE)[:, 0])


def _snr_db(child: Child, reference: Child) -> float:
    """From the moment that the longest context is full; blocks and seeds are the same."""
    y, x = np.load(child.heard).astype(np.float64), np.load(reference.heard).astype(np.float64)
    skip = min(2 * RATE, len(x) // 2)
    error = float(((y - x)[skip:] ** 2).sum())
    return 10.0 * np.log10(float((x[skip:] ** 2).sum()) / error) if error else np.inf


def _precision_db(child: Child, children: Sequence[Child]) -> float | None:
    """Beside single precision with the same context."""
    context_ms = child.case.context_ms
    exact = next((other for other in children if other.case.exact and other.case.context_ms == context_ms), None)
    return None if exact is None or exact is child or child.case.engine == "peer" else _snr_db(child, exact)


def _speed(children: Sequence[Child]) -> str:
    peer = next((child.cost for child in children if child.case.engine == "peer"), None)
    rows = []
    for child in children:
        ours = child.case.engine == "ours"
        db = _snr_db(child, children[0]) if ours and child is not children[0] else None
        low, high = np.percentile(child.ms, [10, 90])
        rows.append([
            child.case.name, number(statistics.median(child.ms)), f"{low:.0f}-{high:.0f}", number(child.cost / 1e3, 3),
            number(peer / child.cost if peer else None, 2), number(db), number(_precision_db(child, children)),
            number(child.start_s), number(child.peak_mb, 0),
        ])  # fmt: skip
    head = ["pitch by RMVPE", "ms a block", "10-90 %", "RTF", "times peer", "SNR dB", "of precision", "start s", "MB"]
    blocks = (
        f"Blocks: ours {OUR_BLOCK_MS} ms, the peer's {PEER_BLOCK_MS}; RTF is ms of computing for a ms of audio; SNR is"
        " beside the graphs alone, and of precision by itself beside fp32 with the same context"
    )
    return table(head, rows, blocks)


def _targets(children: Sequence[Child]) -> str:
    """What was wanted beside what was found; the best of those rows that a target is measured by."""

    def of(aim: str) -> Sequence[Child]:
        return [child for child in children if child.case.aim == aim]

    (exact,), peers = of("fp32"), of("peer")
    fast = min(of("fast"), key=lambda child: child.cost)
    db, quickest = _snr_db(exact, children[0]), f"{fast.case.name}, {_snr_db(fast, children[0]):.0f} dB"
    rows = [["fp32 SNR, dB", "above 60", number(db)], ["fp32 start, s", "below 3", number(exact.start_s)]]
    rows.append(["fast real-time factor", "below 0.35", f"{fast.cost / 1e3:.3f} ({quickest})"])
    if peers:
        cost, peak = peers[0].cost, peers[0].peak_mb
        rows.append(["fp32, times peer", "above 2", number(cost / exact.cost, 2)])
        rows.append(["fast, times peer", "above 4", f"{cost / fast.cost:.2f} ({quickest})"])
        rows.append(["fp32 peak MB", f"below {peak / 2:.0f}", number(exact.peak_mb, 0)])
    rows.append(["packages of the extra, MB", f"below {WANTED_MB}", number(sum(extra_mb().values()))])
    return table(["target", "wanted", "found"], rows, f"Targets; the peer's context is {PEER_CONTEXT_S} s")


def _networks(children: Sequence[Child]) -> str:
    rows = []
    for child in children:
        times = [statistics.median(part[name] for part in child.parts) for name in (*WITHIN, *PARTS)]
        rest = statistics.median(
            ms - sum(part[name] for name in PARTS) for ms, part in zip(child.ms, child.parts, strict=True)
        )
        rows.append([child.case.name, *map(number, [*times, rest])])
    return table(["ms of a block", *WITHIN, "both", *PARTS[1:], "rest"], rows, "By network")


def _run(folder: Path, peer: str | None, threads: int, rounds: int) -> list[Child]:
    for case in cases(peer):
        Child(case, folder, peer, threads).end()
    children = [Child(case, folder, peer, threads) for case in cases(peer)]
    for _ in range(rounds):
        for child in children:
            time.sleep(PAUSE_S)
            child.block()
    for child in children:
        child.end()
    return children


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peer", default=os.environ.get("MENURA_RVC_PEER"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _prepare(folder)
        children = _run(folder, asked.peer, asked.threads, 12 if asked.quick else 40)
        print(f"{machine()}; {asked.threads} thread(s); random weights")
        if not asked.peer:
            print(f"No peer: {PEER} is GPL and heavy; --peer names the Python of an environment that has it.")
        print("\n" + _targets(children), "\n\n" + _speed(children), "\n\n" + _networks(children), "\n\n" + report())


if __name__ == "__main__":
    main()
