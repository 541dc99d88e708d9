"""How much disk the packages for RVC voices take, beyond what menura needs anyway.

python -m benchmarks.rvc_size
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.tables import number, table

PROJECT = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
EXTRA, WANTED_MB = "neural", 400


def _brought(named: Iterable[str], extras: Iterable[str], found: dict[str, Distribution]) -> dict[str, Distribution]:
    """What requirements bring, as far as it is installed."""
    for wanted in map(Requirement, named):
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        try:
            held = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        if held.name not in found:
            found[held.name] = held
            _brought(held.requires or (), wanted.extras, found)
    return found


def _mb(held: Distribution) -> float:
    """Of its files, without what Python compiles of them."""
    places = (Path(str(file.locate())) for file in held.files or () if file.suffix != ".pyc")
    return sum(place.stat().st_size for place in places if place.is_file()) / 1e6


def extra_mb() -> dict[str, float]:
    """Megabytes of each package that the extra brings and nothing else does."""
    core = _brought(PROJECT["dependencies"], (), {})
    brought = _brought(PROJECT["optional-dependencies"][EXTRA], (), {})
    return {name: _mb(held) for name, held in sorted(brought.items()) if name not in core}


def report() -> str:
    sizes = extra_mb()
    rows = [[name, number(mb)] for name, mb in sizes.items()]
    rows.append([f"together (wanted: below {WANTED_MB})", number(sum(sizes.values()))])
    return table([f"menura[{EXTRA}] brings", "MB"], rows, "On disk, beyond menura without extras")


if __name__ == "__main__":
    print(report())
