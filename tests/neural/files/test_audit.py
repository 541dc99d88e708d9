"""Python's own account of a process that reads hostile files: it opens and maps them, and does nothing else."""

import json
import subprocess
import sys
from pathlib import Path

from menura.neural.files.names import _INERT, _MADE, _UNSUPPORTED
from tests.neural.model_files import RVC, TORCH, Op, hostile

PROGRAM = """
import json, sys
from menura.errors import MenuraError
from menura.neural.files.hubert import read_hubert
from menura.neural.files.index import read_index
from menura.neural.files.inspect import inspect_model
from menura.neural.files.pitch import read_fcpe, read_rmvpe
from menura.neural.files.voice import read_voice
paths, seen = json.load(sys.stdin), []
readers = (read_hubert, read_index, inspect_model, read_fcpe, read_rmvpe, read_voice)
def read(path):
    for reader in readers:
        try:
            reader(path)
        except MenuraError:
            pass
for path in paths[:8]:  # what the standard library imports late, it imports here
    read(path)
watching, before = True, set(sys.modules)
sys.addaudithook(lambda event, args: watching and seen.append([event, str(args[0]) if args else ""]))
for path in paths:
    read(path)
watching = False
print(json.dumps([seen, sorted(set(sys.modules) - before)]))
"""


def hostile_files(folder: Path) -> list[str]:
    """A file for every name on the list called with odd arguments, and for many that are not on it."""
    names = [
        *_MADE,
        *_INERT,
        *_UNSUPPORTED,
        "os.system",
        "builtins.eval",
        "builtins.exec",
        "builtins.__import__",
        "this.s",
    ]
    names += ["subprocess.Popen", "torch.load", "runpy.run_path", "antigravity.fly", "importlib.import_module"]
    bodies = []
    for name in names:
        module, _, last = name.rpartition(".")
        for args in ((), (Op.text("touch ran"),), (b"]", b"}"), (b"N",) * 6):
            bodies += [Op.call(module, last, *args), Op.call(module, last, *args) + b"}" + Op.text("x") + b"K\x01sb"]
        bodies.append(Op.name(module, last) + b")\x81}" + Op.text("__setstate__") + Op.name(module, last) + b"sb")
    paths = []
    for number, body in enumerate(bodies):
        path = folder / f"{number}.pth"
        path.write_bytes(hostile(b"}" + Op.text("weight") + body + b"s"))
        paths.append(str(path))
    return paths


def test_reading_runs_imports_and_opens_nothing_but_the_files(tmp_path: Path) -> None:
    fixtures = sorted([*RVC.glob("*.p*t*"), *RVC.glob("*.index"), *TORCH.glob("*.pt"), RVC / "hubert_tiny"])
    paths = [str(path) for path in fixtures] + hostile_files(tmp_path)
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(command, input=json.dumps(paths), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    seen, modules = json.loads(done.stdout)
    allowed = {*paths, str(RVC / "hubert_tiny" / "model.safetensors")}
    allowed |= {str(Path(path).with_name("config.json")) for path in allowed}
    opened = {what for event, what in seen if event == "open"}
    assert opened <= allowed
    assert {event for event, _ in seen} - {"open", "mmap.__new__", "builtins.id"} == set()
    assert modules == []
    assert not (tmp_path / "ran").exists()
