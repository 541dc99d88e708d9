"""``menura doctor``: what is here, and what to do about what is not."""

import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from operator import itemgetter

import menura
from menura.cli.quiet import quiet_libraries
from menura.cli.tables import Columns, show_records
from menura.errors import MenuraError

__all__ = ["examine"]

GROUPS = ("all", "dev")
"""Extras that are only others together, or for who works on menura itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Looked at.
        ok: It is here and works.
        found: What of it is here, or why it is not.
        advice: What to do where it is wanted, or "".
        needed: Nothing goes without it.
    """

    what: str
    ok: bool
    found: str
    advice: str = ""
    needed: bool = False


def examine(*, as_json: bool = False) -> None:
    """Print what is here. Exit status 1 where something is not that menura cannot do without."""
    quiet_libraries()
    findings = list(_findings())
    columns: Columns = {
        "what": itemgetter("what"),
        "": lambda finding: "ok" if finding["ok"] else "!!" if finding["needed"] else "--",
        "found": itemgetter("found"),
        "if you want it": itemgetter("advice"),
    }
    show_records([asdict(finding) for finding in findings], columns, as_json=as_json, none="")
    if any(finding.needed and not finding.ok for finding in findings):
        raise SystemExit(1)


def _findings() -> Iterator[Finding]:
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("menura", True, f"{menura.__version__}, {system}", needed=True)
    yield _tried("kernels", _kernels, needed=True)
    yield _tried("page", _page, "make page", needed=True)
    yield _tried("library", _library, needed=True)
    yield _tried("models", _models, "menura models pull: for RVC voices")
    yield _tried("microphones", lambda: _devices("inputs"))
    yield _tried("loudspeakers", lambda: _devices("outputs"))
    if sys.platform.startswith("linux"):
        yield _tried("virtual microphone", _virtual_microphone, "menura virtual-mic create: to be heard in calls")
    yield from _extras()


def _tried(what: str, look: Callable[[], str], advice: str = "", *, needed: bool = False) -> Finding:
    """What a look finds; an error of menura's own says why there is nothing, and what to do."""
    try:
        return Finding(what, True, look(), needed=needed)
    except FileNotFoundError as error:
        return Finding(what, False, str(error), advice, needed)
    except (MenuraError, ImportError) as error:
        return Finding(what, False, " ".join(str(error).split()), needed=needed)


def _kernels() -> str:
    from menura.neural.native.kernels import AVX2, AVX512, NEON, instruction_sets

    names = {AVX2: "AVX2", AVX512: "AVX-512", NEON: "NEON"}
    sets = [names[known] for known in instruction_sets()]
    return f"compiled; for RVC {', '.join(sets) or 'none: ONNX Runtime computes all'}"


def _page() -> str:
    from menura.server.app import PAGE

    if not (PAGE / "index.html").exists():
        raise FileNotFoundError("not built")
    return "built"


def _library() -> str:
    from menura.places import data_folder
    from menura.store.lookup import all_voices

    return f"{len(all_voices())} voices; {data_folder()}"


def _models() -> str:
    from menura.store.base_models import MODELS, models_here

    here = [name for name in MODELS if name in models_here()]
    if not here:
        raise FileNotFoundError("none")
    return ", ".join(here)


def _devices(direction: str) -> str:
    from menura.devices.portaudio import list_devices
    from menura.live.sound_server import server_devices

    names = list(dict.fromkeys(d.name for d in [*server_devices(), *list_devices()] if getattr(d, direction)))
    if not names:
        raise FileNotFoundError("none")
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _virtual_microphone() -> str:
    from menura.devices.virtual import VirtualMicrophone
    from menura.live.sound_server import pactl

    wanted = VirtualMicrophone()
    if wanted.sink not in pactl("list", "short", "sinks"):
        raise FileNotFoundError("none")
    return wanted.sink


def _extras() -> Iterator[Finding]:
    """Optional packages, as this installation of menura names them."""
    packages: dict[str, list[str]] = {}
    for line in requires("menura") or ():
        since = re.search(r"python_version >= ['\"](\d+)\.(\d+)", line)
        if since and sys.version_info < tuple(map(int, since.groups())):
            continue  # older Pythons have it built in
        if (found := re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", line)) and found[2] not in GROUPS:
            packages.setdefault(found[2], []).append(found[1])
    for extra, names in packages.items():
        have = {name: _version(name) for name in names}
        told = ", ".join(f"{name} {number}" for name, number in have.items() if number)
        lacking = [name for name, number in have.items() if not number]
        advice = f"pip install 'menura[{extra}]'" if lacking else ""
        yield Finding(f"extra {extra}", not lacking, told or "not installed", advice)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
