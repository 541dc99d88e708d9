"""Compile ``native/*.c`` into the one shared library that the real-time stages call.

The compiler is ``$CC``, else ``cc``, ``gcc`` or ``clang``, else the C compiler of the PyPI package ``ziglang`` if that
is installed. The library uses no Python API, so one wheel per platform serves every Python version.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = [
    "-O3",
    "-std=c11",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-Wall",
]
THREADS = [] if sys.platform == "win32" else ["-pthread"]
SUFFIX = {"win32": "dll", "darwin": "dylib"}.get(sys.platform, "so")


def compiler() -> list[str]:
    """Command line of the C compiler."""
    if chosen := os.environ.get("CC"):
        return chosen.split()
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise RuntimeError("menura needs a C compiler to build: install gcc or clang, or `pip install ziglang`")


def compile_library(root: Path) -> Path:
    """Build the library into the source tree; written beside it and moved, so that no half-written file is loaded."""
    target = root / "src" / "menura" / "dsp" / f"_native.{SUFFIX}"
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    sources = sorted(str(path) for path in (root / "native").glob("*.c"))
    subprocess.run([*compiler(), *FLAGS, "-o", str(part), *sources, "-lm", *THREADS], check=True)
    part.replace(target)
    return target


def build_page(root: Path) -> None:
    """Build ``web/`` into the package, where the sources are there and newer; a source distribution has it built."""
    web, page = root / "web", root / "src" / "menura" / "server" / "page" / "index.html"
    sources = [path for path in web.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    built_at = page.stat().st_mtime if page.exists() else 0.0
    if page.exists() and all(path.stat().st_mtime <= built_at for path in sources):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("menura's page needs Node.js 20.19 or newer to be built: https://nodejs.org")
    subprocess.run([npm, "ci", "--silent"], cwd=web, check=True)
    subprocess.run([npm, "run", "--silent", "build"], cwd=web, check=True)


class NativeHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs for wheels and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page, compile, and mark the wheel as one for this platform."""
        if version != "editable":
            build_page(Path(self.root))
        if self.target_name != "wheel":
            return
        compile_library(Path(self.root))
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"


if __name__ == "__main__":
    print(compile_library(Path(__file__).parent))  # noqa: T201
