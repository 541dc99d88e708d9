import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from menura.errors import DeviceError, ModelError
from menura.live import lanes
from menura.live.lanes import DeviceLane, DeviceLease
from menura.live.speaking import Devices
from tests.live.machine import TIMEOUT_S, session, until


@pytest.fixture
def pool(machine, monkeypatch):
    monkeypatch.setattr(lanes, "reached", lambda devices: devices)
    with ThreadPoolExecutor(2) as pool:
        yield pool


def is_free(lease):
    try:
        lease.take()
    except DeviceError:
        return False
    lease.give_back()
    return True


async def eventually(condition):
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.001)


def test_devices_are_lent_to_one_session_and_come_back(machine, pool):
    async def use():
        lease = DeviceLease()
        lane = await DeviceLane.open(session(), Devices(), lease, pool)
        with pytest.raises(DeviceError, match="another session is using it"):
            await DeviceLane.open(session(), Devices(), lease, pool)
        assert lane.latency_ms > 0.0
        assert lane.details()["device_lost"] == 0
        await lane.finish()
        await lane.finish()
        lane.abandon()
        assert is_free(lease)
        assert machine.inputs[0].closed

    asyncio.run(use())


@pytest.mark.parametrize("abandoned", [True, False])
def test_only_what_is_abandoned_waits_for_no_model(machine, pool, abandoned):
    async def use():
        lease, talk, left = DeviceLease(), session(), []
        talk.leave = lambda: left.append(True)
        lane = await DeviceLane.open(talk, Devices(), lease, pool)
        if abandoned:
            lane.abandon()
        else:
            await lane.finish()
        await eventually(lambda: is_free(lease))
        assert left == [True] * abandoned

    asyncio.run(use())


def test_a_device_that_is_missing_leaves_the_others_free(machine, pool):
    async def use():
        lease = DeviceLease()
        machine.missing = 1
        with pytest.raises(DeviceError, match="away"):
            await DeviceLane.open(session(), Devices(), lease, pool)
        assert is_free(lease)
        assert all(port.closed for port in machine.inputs)

    asyncio.run(use())


def test_a_start_that_is_given_up_gives_the_devices_back(machine, pool, monkeypatch):
    opening, go = threading.Event(), threading.Event()

    def find(devices):
        opening.set()
        assert go.wait(TIMEOUT_S)
        return devices

    monkeypatch.setattr(lanes, "reached", find)

    async def use():
        lease = DeviceLease()
        task = asyncio.create_task(DeviceLane.open(session(), Devices(), lease, pool))
        await eventually(opening.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_free(lease)  # they are being opened
        go.set()
        await eventually(lambda: is_free(lease))
        assert len(machine.inputs) == 1
        assert machine.inputs[0].closed

    asyncio.run(use())


def test_a_start_that_is_given_up_before_it_began_leaves_them_free(machine, pool):
    go = threading.Event()
    for _ in range(2):
        pool.submit(go.wait)

    async def use():
        lease = DeviceLease()
        task = asyncio.create_task(DeviceLane.open(session(), Devices(), lease, pool))
        await eventually(lambda: not is_free(lease))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_free(lease)
        go.set()

    asyncio.run(use())
    assert machine.inputs == []


def test_news_come_in_order_and_none_after_the_end(machine, pool):
    async def use():
        news = []
        lane = await DeviceLane.open(session(), Devices(), DeviceLease(), pool)
        machine.inputs[0].unplug()
        until(lambda: len(machine.inputs) == 2 and machine.inputs[1].alive)
        machine.inputs[1].pump(480)
        await eventually(lambda: len(lane._news) == 2)
        lane.listen(news.append)
        assert [type(error) for error in news] == [DeviceError, type(None)]
        assert lane.details()["reopened"] == 1

        def broken(x):
            raise ModelError("the voice has failed")

        lane.session.process = broken
        machine.inputs[1].pump(480)
        await eventually(lambda: len(news) == 3)
        assert isinstance(news[2], ModelError)
        lane._speaking._tell(None)
        lane.abandon()
        await eventually(lambda: machine.inputs[1].closed)
        assert len(news) == 3

    asyncio.run(use())


def test_the_devices_come_back_though_the_server_has_ended(machine):
    async def use():
        lease = DeviceLease()
        pool = ThreadPoolExecutor(1)
        lane = await DeviceLane.open(session(), Devices(), lease, pool)
        pool.shutdown()
        lane.abandon()
        await eventually(lambda: is_free(lease))

    asyncio.run(use())
    assert machine.inputs[0].closed
