"""Fixtures of the live parts."""

import pytest

from tests.live.capturing import CaptureRig, none_runs


@pytest.fixture
def rig():
    rigs = []

    def make(*args, **settings):
        rigs.append(CaptureRig(*args, **settings))
        return rigs[-1]

    yield make
    for each in rigs:
        each.close()
    assert none_runs()
