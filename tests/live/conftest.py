"""Fixtures of the live parts."""

import threading

import pytest

from tests.live.capturing import CaptureRig, none_runs
from tests.live.machine import Machine


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


@pytest.fixture
def machine(monkeypatch):
    yield Machine(monkeypatch)
    assert not {"menura-route", "menura-audio", "menura-devices"} & {thread.name for thread in threading.enumerate()}
