"""Fixtures for all tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.virtual_audio import VirtualAudio

REAL_TIME_S = 300.0
"""What listens as sound plays measures again where the machine was busy: five times half a minute at most."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """More time for what takes its time."""
    for item in items:
        real_time = item.get_closest_marker("devices") or item.get_closest_marker("browser")
        if real_time and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(REAL_TIME_S))


@pytest.fixture(scope="session", autouse=True)
def home() -> Iterator[Path]:
    """A folder for voices and models: not that of whoever runs the tests."""
    folder, before = tempfile.mkdtemp(prefix="menura-home-"), os.environ.get("MENURA_HOME")
    os.environ["MENURA_HOME"] = folder
    yield Path(folder)
    if before is None:
        del os.environ["MENURA_HOME"]
    else:
        os.environ["MENURA_HOME"] = before
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def virtual_audio() -> Iterator[VirtualAudio]:
    """Sound devices without hardware, for programs started with its ``env``."""
    if not shutil.which("pulseaudio"):
        pytest.fail("pulseaudio is missing: run scripts/system-packages.sh")
    audio = VirtualAudio()
    yield audio
    audio.close()
