"""Fixtures for all tests."""

import shutil
from collections.abc import Iterator

import pytest

from tests.virtual_audio import VirtualAudio


@pytest.fixture(scope="session")
def virtual_audio() -> Iterator[VirtualAudio]:
    """Sound devices without hardware, for programs started with its ``env``."""
    if not shutil.which("pulseaudio"):
        pytest.fail("pulseaudio is missing: run scripts/system-packages.sh")
    audio = VirtualAudio()
    yield audio
    audio.close()
