"""What people install: the files that a wheel and a source distribution take. Nothing is built for it."""

import fnmatch
import shutil
import subprocess
import sys
from pathlib import Path

from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

PAGE = Path("src/menura/server/page")
NEEDED = [
    "menura/__init__.py",
    "menura/py.typed",
    "menura/dsp/_native.*",
    "menura/server/page/index.html",
    "menura/server/page/licenses.md",
    "menura/server/page/assets/index-*.js.gz",
    "menura/store/migrations/versions/m0001_voices.py",
    "menura/vad/models/silero_vad_16k_sequence.onnx",
    "menura/vad/models/LICENSE.silero.txt",
    "menura/voices/preview.flac",
]
FOREIGN = ["*/__pycache__/*", "*.part", "*.map", "web/*", "tests/*", "*node_modules*", "native/*", "benchmarks/*"]


def files(builder: type[BuilderInterface]) -> set[str]:
    assert (PAGE / "index.html").exists(), "the page is not built: make page"
    return {file.distribution_path.replace("\\", "/") for file in builder(str(Path.cwd())).recurse_included_files()}


def missing(names: set[str], patterns: list[str]) -> list[str]:
    return [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]


def test_a_wheel_has_all_that_runs_and_nothing_else() -> None:
    names = files(WheelBuilder)
    assert missing(names, NEEDED) == []
    assert len(missing(names, FOREIGN)) == len(FOREIGN), [n for p in FOREIGN for n in fnmatch.filter(names, p)]
    assert all(name.startswith("menura/") for name in names)


def test_a_source_distribution_needs_a_compiler_and_no_node() -> None:
    names = files(SdistBuilder)
    ours = {name.removeprefix("src/") for name in names}
    assert missing(ours, [need for need in NEEDED if "_native" not in need]) == []
    assert missing(names, ["native/*.c", "native/*.h", "hatch_build.py", "README.md", "LICENSE"]) == []
    assert not fnmatch.filter(names, "*_native.*"), "made for this machine alone"
    assert not fnmatch.filter(names, "web/*"), "else an installer would build the page anew"


def test_the_page_tells_the_terms_of_what_is_bundled() -> None:
    text = (PAGE / "licenses.md").read_text()
    for package in ("react", "react-dom", "scheduler", "zustand"):
        assert f"## {package}" in text
    assert text.count("Permission is hereby granted") >= 4


def test_what_a_machine_lacks_is_said_at_once(tmp_path: Path) -> None:
    """Before minutes are spent on what cannot end well."""
    (tmp_path / "scripts").mkdir()
    script = shutil.copy("scripts/check-tools.sh", tmp_path / "scripts")
    shell = shutil.which("sh")
    assert shell
    nothing = {"PATH": str(tmp_path)}
    done = subprocess.run([shell, script, "python3"], cwd=tmp_path, env=nothing, capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["Python", "a", "Node.js"]
    here = subprocess.run([shell, script, sys.executable], cwd=tmp_path, capture_output=True, text=True)
    assert (here.returncode, here.stderr) == (0, "")
