"""Channels by their names."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from menura import AudioStream, ChannelManager, ChannelOptions, Policy
from menura.errors import ChannelClosedError, ConfigError, FormatError, StateError


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


async def read_all(subscription: Any) -> list[Any]:
    return [item async for item in subscription]


def test_unknown_name_takes_everything_and_keeps_nothing() -> None:
    async def main() -> None:
        manager = ChannelManager()
        for number in range(100):
            await manager.publish(f"nobody.{number}", 1)
            manager.publish_nowait(f"nobody.{number}", 1)
            manager.publish_threadsafe(f"nobody.{number}", 1)
        assert manager.list_channels() == []
        assert manager.all_stats().channels == ()
        assert manager.all_stats().unheard == 300

    run(main)


def test_subscribing_makes_a_name_and_leaving_ends_it() -> None:
    async def main() -> None:
        manager = ChannelManager()
        first, second = manager.subscribe("a"), manager.subscribe("a")
        await manager.publish("a", 1)
        assert manager.list_channels() == ["a"]
        assert manager.stats("a").options is None
        assert [await first.get(), await second.get()] == [1, 1]
        await first.aclose()
        assert manager.list_channels() == ["a"]
        del second
        gc.collect()
        assert manager.list_channels() == []

    run(main)


def test_created_channel_stays_without_subscribers_and_keeps_those_there_were() -> None:
    async def main() -> None:
        manager = ChannelManager()
        early = manager.subscribe("a")
        channel = await manager.create_channel("a", int)
        await manager.publish("a", 1)
        with pytest.raises(FormatError, match="carries int, not str"):
            await manager.publish("a", "1")
        assert await early.get() == 1
        await early.aclose()
        assert manager.list_channels() == ["a"]
        assert await manager.create_channel("a", int) is channel
        with pytest.raises(StateError, match="other options"):
            await manager.create_channel("a", str)
        assert (manager.stats("a").published, manager.stats("a").refused) == (1, 1)

    run(main)


def test_several_types_may_be_carried() -> None:
    async def main() -> None:
        manager = ChannelManager()
        await manager.create_channel("a", (int, str))
        await manager.publish("a", "1")
        with pytest.raises(FormatError, match="carries int or str, not float"):
            await manager.publish("a", 1.0)

    run(main)


def test_closed_channel_can_be_made_anew() -> None:
    async def main() -> None:
        manager = ChannelManager()
        old = await manager.create_channel("a", int)
        reading = asyncio.create_task(read_all(manager.subscribe("a")))
        await manager.publish("a", 1)
        await manager.close_channel("a")
        await manager.close_channel("a")
        assert await reading == [1]
        assert old.closed
        await manager.create_channel("a", str)
        await manager.publish("a", "x")
        with pytest.raises(ChannelClosedError):
            await old.publish(1)

    run(main)


def test_close_ends_all_channels_and_the_manager() -> None:
    async def main() -> None:
        async with ChannelManager() as manager:
            await manager.create_channel("a")
            reading = [asyncio.create_task(read_all(manager.subscribe(name))) for name in ("a", "b")]
            full = manager.subscribe("b", policy="block", max_queue=1)
            for name in ("a", "b"):
                await manager.publish(name, 1)
            blocked = asyncio.create_task(manager.publish("b", 2))
            await asyncio.sleep(0)
        await manager.close()
        assert await asyncio.gather(*reading) == [[1], [1, 2]]
        with pytest.raises(ChannelClosedError):
            await blocked
        assert await read_all(full) == [1]
        assert manager.list_channels() == []
        for refused in (manager.publish("a", 1), manager.create_channel("a"), manager.open()):
            with pytest.raises(ChannelClosedError, match="manager is closed"):
                await refused
        with pytest.raises(ChannelClosedError):
            manager.subscribe("a")

    run(main)


@pytest.mark.parametrize("name", ["", "a b", "a*", ">", "a.", ".a", "a..b", "x" * 201, "a\n", None])
def test_name_that_cannot_travel_is_refused(name: str) -> None:
    async def main() -> None:
        manager = ChannelManager()
        for refused in (manager.create_channel(name), manager.publish(name, 1)):
            with pytest.raises(ConfigError, match="name"):
                await refused
        with pytest.raises(ConfigError, match="name"):
            manager.subscribe(name)
        assert manager.list_channels() == []

    run(main)


def test_refused_subscription_leaves_no_name() -> None:
    manager = ChannelManager()
    with pytest.raises(ConfigError, match="policy"):
        manager.subscribe("a", policy="whatever")
    assert manager.list_channels() == []


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"message_type": "AudioStream"}, "message_type"),
        ({"message_type": ()}, "message_type"),
        ({"message_type": int, "sample_rate": 48_000}, "message_type"),
        ({"sample_rate": 100}, "sample rate"),
        ({"channels": 0}, "channels"),
        ({"format": "mp3"}, "format"),
        ({"mismatch": "ignore"}, "mismatch"),
        ({"replay": -1}, "replay"),
    ],
)
def test_option_that_cannot_be_is_named(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ChannelOptions(**settings)


def test_url_nothing_goes_to_is_refused() -> None:
    with pytest.raises(ConfigError, match="nats"):
        ChannelManager("http://localhost")
    with pytest.raises(ConfigError, match="without a url"):
        ChannelManager(max_reconnects=3)


def test_stats_are_frozen_and_add_up() -> None:
    async def main() -> None:
        manager = ChannelManager()
        subscription = manager.subscribe("a", "reader", policy="latest", max_queue=9)
        for item in range(5):
            await manager.publish("a", item)
        await subscription.get()
        stats = manager.stats("a")
        (own,) = stats.subscribers
        assert own == subscription.stats()
        assert (own.name, own.subscriber_id, own.policy, own.max_queue) == ("a", "reader", Policy.LATEST, 1)
        assert (own.received, own.delivered, own.dropped, own.queued, own.blocked) == (5, 1, 4, 0, 0)
        assert (stats.published, stats.arrived, stats.closed) == (5, 0, False)
        assert manager.all_stats().channels == (stats,)
        assert manager.stats("never").published == 0
        with pytest.raises(FrozenInstanceError):
            stats.published = 6  # type: ignore[misc]

    run(main)


def test_manager_outlives_loops() -> None:
    manager = ChannelManager()
    subscription = manager.subscribe("a")
    for item in range(3):
        asyncio.run(manager.publish("a", item))
    assert [asyncio.run(subscription.get()) for _ in range(3)] == [0, 1, 2]
    stream = AudioStream(data=bytes(4))
    asyncio.run(manager.publish("a", stream))
    assert asyncio.run(subscription.get()) is stream
