import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.serving import running_server


class Served(NamedTuple):
    """A server with a library of its own, and where that lies."""

    address: str
    home: Path


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with running_server() as address:
        yield address


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a library of its own."""
    home = tmp_path_factory.mktemp("home")
    with running_server("--no-relay", environment={**os.environ, "MENURA_HOME": str(home)}) as address:
        yield Served(address, home)
