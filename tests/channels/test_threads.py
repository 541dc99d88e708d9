"""Channels between threads, loops, and code without a loop."""

import asyncio
import gc
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from menura import ChannelManager
from menura.channels.channel import Channel
from menura.errors import ChannelClosedError, LimitError, StateError, WaitTimeoutError


class Started:
    """Functions in threads of their own; what they raise is raised by ``join``."""

    def __init__(self, *functions: Callable[[], Any]) -> None:
        self.results: list[Any] = [None] * len(functions)
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number, function), daemon=True)
            for number, function in enumerate(functions)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int, function: Callable[[], Any]) -> None:
        try:
            self.results[number] = function()
        except BaseException as error:
            self._errors.append(error)

    def join(self) -> list[Any]:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        for error in self._errors:
            raise error
        return self.results


def in_order(items: list[tuple[int, int]], publishers: int, count: int) -> None:
    for number in range(publishers):
        assert [item for publisher, item in items if publisher == number] == list(range(count))


def test_threads_publish_to_a_loop_with_backpressure() -> None:
    channel = Channel("a")
    subscription = channel.subscribe(policy="block", max_queue=4)

    def publish(number: int) -> Callable[[], None]:
        return lambda: [channel.publish_threadsafe((number, item), 60) for item in range(300)] and None

    async def read() -> list[Any]:
        return [await subscription.get(60) for _ in range(1200)]

    publishing = Started(*(publish(number) for number in range(4)))
    items = asyncio.run(read())
    publishing.join()
    in_order(items, 4, 300)
    assert subscription.stats().dropped == 0


def test_thread_reads_what_a_loop_publishes() -> None:
    channel = Channel("a")
    subscription = channel.subscribe(policy="block", max_queue=4)
    reading = Started(lambda: list(subscription))

    async def publish() -> None:
        for item in range(1000):
            await channel.publish(item)
        channel.close()

    asyncio.run(publish())
    assert reading.join() == [list(range(1000))]


def test_two_loops_share_a_manager() -> None:
    manager = ChannelManager()
    there, back = manager.subscribe("there", policy="block", max_queue=2), manager.subscribe("back", policy="block")

    async def echo() -> None:
        async for item in there:
            await manager.publish("back", item)
        await manager.close_channel("back")

    async def ask() -> list[int]:
        answers = []
        for item in range(300):
            await manager.publish("there", item)
            answers.append(await back.get(60))
        await manager.close_channel("there")
        return answers

    echoing = Started(lambda: asyncio.run(echo()))
    assert asyncio.run(ask()) == list(range(300))
    echoing.join()


def test_blocked_thread_is_woken_by_a_reader_of_any_kind_and_by_the_end() -> None:
    channel = Channel("a")
    subscription = channel.subscribe(policy="block", max_queue=1)
    channel.publish_nowait(0)
    publishing = Started(lambda: channel.publish_threadsafe(1, 60))
    while not subscription.stats().blocked:
        pass
    assert subscription.get_threadsafe(60) == 0
    publishing.join()
    publishing = Started(lambda: channel.publish_threadsafe(2, 60))
    while not subscription.stats().blocked:
        pass
    channel.close()
    with pytest.raises(ChannelClosedError):
        publishing.join()
    assert list(subscription) == [1]


def test_waiting_thread_is_woken_by_the_end() -> None:
    channel = Channel("a")
    subscriptions = [channel.subscribe() for _ in range(3)]
    readers = Started(*(partial(list, subscription) for subscription in subscriptions))
    channel.publish_nowait(1)
    channel.close()
    assert readers.join() == [[1]] * 3


def test_thread_waits_no_longer_than_told() -> None:
    channel = Channel("a")
    full, free = channel.subscribe("slow", policy="block", max_queue=1), channel.subscribe()
    channel.publish_threadsafe(1)
    with pytest.raises(WaitTimeoutError, match="'slow'"):
        channel.publish_threadsafe(2, 0.001)
    assert full.stats().blocked == 0
    assert full.get_threadsafe() == 1
    with pytest.raises(WaitTimeoutError):
        full.get_threadsafe(0.001)
    channel.close()
    with pytest.raises(ChannelClosedError):
        full.get_threadsafe()
    assert list(free) == [1, 2]


def test_waiting_within_a_loop_is_refused_instead_of_stopping_it() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="block", max_queue=1)
        with pytest.raises(StateError, match="async for"):
            next(subscription)
        channel.publish_threadsafe(1)  # there is room
        with pytest.raises(StateError, match="await publish"):
            channel.publish_threadsafe(2)
        with pytest.raises(LimitError):
            channel.publish_nowait(2)
        assert next(subscription) == 1
        await channel.publish(3)
        assert await subscription.get() == 3

    asyncio.run(main())


def test_reader_whose_loop_has_ended_holds_nobody_up() -> None:
    channel = Channel("a")
    subscription = channel.subscribe()

    loop = asyncio.new_event_loop()
    waiting = loop.create_task(subscription.get())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    Started(lambda: channel.publish_threadsafe(1)).join()
    channel.publish_nowait(2)
    assert asyncio.run(subscription.get()) == 1
    assert subscription.get_threadsafe(60) == 2
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    del waiting
    gc.collect()


def test_publisher_in_a_thread_leaves_the_loop_its_turns() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(max_queue=1)
        ended = asyncio.Event()
        asyncio.get_running_loop().call_soon(ended.set)
        stop = threading.Event()

        def flood() -> None:
            while not stop.is_set():
                channel.publish_nowait(1)

        flooding = Started(flood)
        async for _ in subscription:
            if ended.is_set():
                break
        stop.set()
        flooding.join()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_subscribers_come_and_go_while_threads_publish() -> None:
    manager = ChannelManager()
    stop = threading.Event()

    def publish() -> None:
        while not stop.is_set():
            manager.publish_threadsafe("a", 1, 60)

    async def come_and_go() -> None:
        for round_ in range(200):
            policy = ("block", "drop_oldest", "error", "latest")[round_ % 4]
            subscription = manager.subscribe("a", policy=policy, max_queue=1)
            await subscription.get(60)
            if round_ % 2:
                await subscription.aclose()

    publishing = Started(publish, publish)
    asyncio.run(come_and_go())
    stop.set()
    gc.collect()
    publishing.join()
    assert manager.list_channels() == []
