"""Opening model files, beside ``torch.load``; searching a voice's index, beside faiss.

    python -m benchmarks.modelfiles [--quick]

Files of random weights and real size are written first: an RVC v2 voice at 48 kHz (fp16) and HuBERT base (fp32), under
fairseq's names. Each reading is a process of its own, with the file in the system's cache.

- *ms*: from the path to weights ready for a network: float32, weight norm folded, checked. For ``torch.load``, which
  does not do these, also with the conversion to float32 and the sum that folding needs (*fold*).
- *peak MB*: how much the process grew at most while reading, pages of the mapped file included; *kept MB*: memory of
  its own that it holds afterwards (a mapped file's pages are the system's to take back).

The index has 50,000 vectors of 768 dimensions in 1,282 lists, as RVC builds one; a search is 25 frames, 8 neighbours,
in one list, as in a block of 250 ms.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import machine, number, table
from menura.neural.files.index import VoiceIndex, read_index
from tests.neural.model_files import FULL_CONFIG, RVC, random_hubert, random_voice, write_checkpoint

VECTORS, LISTS, WIDTH, FRAMES, NEIGHBOURS = 50_000, 1_282, 768, 25, 8
READERS = {
    "voice": "from menura.neural.files.voice import read_voice as read",
    "hubert": "from menura.neural.files.hubert import read_hubert as read",
    "inspect": "from menura.neural.files.inspect import inspect_model as read",
    "torch": "import torch\ndef read(p): return torch.load(p, map_location='cpu', weights_only=True)",
    "torch_mmap": "import torch\ndef read(p): return torch.load(p, map_location='cpu', weights_only=True, mmap=True)",
    "torch_fold": """
import torch
def read(p):
    value = torch.load(p, map_location='cpu', weights_only=True)
    made = {n: t.float() for n, t in (value.get('weight') or value['model']).items()}
    for n in [n for n in made if n.endswith('weight_g')]:
        v = made.pop(n[:-1] + 'v')
        axes = [i for i, s in enumerate(made[n].shape) if s == 1]
        made[n[:-2]] = v * (made.pop(n) / v.norm(dim=axes, keepdim=True))
    return made
""",
}
PROGRAM = """
import json, resource, sys, time
def status(name):
    for line in open('/proc/self/status'):
        if line.startswith(name + ':'):
            return int(line.split()[1]) / 1024
{reader}
before, own = status('VmHWM'), status('RssAnon')
start = time.perf_counter()
value = read(sys.argv[1])
spent = time.perf_counter() - start
print(json.dumps([spent * 1e3, status('VmHWM') - before, status('RssAnon') - own]))
"""


def read_in_a_process(reader: str, path: Path) -> list[float]:
    """Milliseconds, peak and kept megabytes."""
    program = PROGRAM.format(reader=READERS[reader])
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=True, text=True)
    return list(json.loads(done.stdout))


def readings(folder: Path, turns: int) -> str:
    keys = json.loads((RVC / "hubert_base_fairseq_keys.json").read_text())
    files = {"voice": folder / "voice.pth", "hubert": folder / "hubert.pt"}
    write_checkpoint(files["voice"], random_voice(FULL_CONFIG))
    write_checkpoint(files["hubert"], random_hubert(keys))
    names = ["ours", "inspect", *(["torch", "torch_mmap", "torch_fold"] if find_spec("torch") else [])]
    rows = []
    for kind, path in files.items():
        found: dict[str, list[list[float]]] = {name: [] for name in names}
        for _ in range(turns):
            for name in names:
                found[name].append(read_in_a_process(kind if name == "ours" else name, path))
        for name in names:
            medians = [statistics.median(column) for column in zip(*found[name], strict=True)]
            rows.append([f"{kind}, {path.stat().st_size / 1e6:.0f} MB: {name}", *(number(m, 0) for m in medians)])
    return table(["file and reader", "ms", "peak MB", "kept MB"], rows, "Opening")


def make_index(folder: Path) -> tuple[VoiceIndex, Any, np.ndarray]:
    """An index of vectors that wander as content features do; ours, faiss' or None, and the vectors."""
    import faiss

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.standard_normal((VECTORS, WIDTH), np.float32) * np.float32(0.02), axis=0)
    data = walk - walk.mean(0) + np.float32(0.3) * rng.standard_normal((VECTORS, WIDTH), np.float32)
    built = faiss.index_factory(WIDTH, f"IVF{LISTS},Flat")
    built.cp.niter = 3
    built.train(data)
    built.add(data)
    path = folder / "voice.index"
    faiss.write_index(built, str(path))
    return read_index(path), faiss.read_index(str(path)), data


def searches(folder: Path, turns: int) -> str:
    ours, theirs, data = make_index(folder)
    rng = np.random.default_rng(1)
    spent: dict[str, list[float]] = {
        "ours": [],
        "ours, with the vectors": [],
        "faiss": [],
        "faiss, with the vectors": [],
    }
    same = 0
    for start in rng.integers(0, VECTORS - FRAMES, turns).tolist():
        queries = data[start : start + FRAMES] + np.float32(0.1) * rng.standard_normal((FRAMES, WIDTH), np.float32)
        marks = [time.perf_counter()]
        distances, ids = ours.search(queries, NEIGHBOURS)
        marks.append(time.perf_counter())
        ours.vectors(ids)
        marks.append(time.perf_counter())
        _, their_ids = theirs.search(queries, NEIGHBOURS)
        marks.append(time.perf_counter())
        data[their_ids]
        marks.append(time.perf_counter())
        spans = np.diff(marks)
        for name, value in zip(spent, (spans[0], spans[:2].sum(), spans[2], spans[2:].sum()), strict=True):
            spent[name].append(1e3 * float(value))
        same += bool(np.array_equal(ids, np.where(np.isfinite(distances), their_ids, -1)))
    rows = [[name, number(statistics.median(values), 2)] for name, values in spent.items()]
    rows.append(["searches with the same ids", f"{same} of {turns}"])
    return table(["search of 25 frames", "ms"], rows, "Index")


def main() -> None:
    turns = 3 if "--quick" in sys.argv else 7
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        print(readings(Path(name), turns))
        if find_spec("faiss"):
            print(searches(Path(name), 10 * turns))


if __name__ == "__main__":
    main()
