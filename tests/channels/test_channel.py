"""One channel in one loop: what subscribers get, and who waits for whom."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from menura import AudioStream, ChannelManager, Policy, Subscription
from menura.channels.channel import Channel
from menura.errors import ChannelClosedError, ConfigError, LimitError, SlowSubscriberError, WaitTimeoutError


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def read_all(subscription: Subscription) -> list[Any]:
    return [item async for item in subscription]


def test_subscription_counts_from_the_call() -> None:
    async def main() -> None:
        channel = Channel("a")
        await channel.publish(1)
        subscription = channel.subscribe("s")
        await channel.publish(2)
        channel.close()
        assert await read_all(subscription) == [2]

    run(main)


def test_every_subscriber_gets_everything_even_of_one_id() -> None:
    async def main() -> None:
        channel = Channel("a")
        readers = [asyncio.create_task(read_all(channel.subscribe(name))) for name in ("x", "y", "x")]
        for item in range(1000):
            await channel.publish(item)
        channel.close()
        assert await asyncio.gather(*readers) == [list(range(1000))] * 3

    run(main)


@pytest.mark.parametrize(("publishers", "sizes"), [(1, (1, 3, 256)), (2, (2, 3)), (64, (128, 256))])
def test_reader_that_only_reads_loses_nothing_to_publishers_that_never_wait(
    publishers: int, sizes: tuple[int, ...]
) -> None:
    async def main() -> None:
        channel = Channel("a")
        subscriptions = [channel.subscribe(max_queue=size) for size in sizes]
        readers = [asyncio.create_task(read_all(subscription)) for subscription in subscriptions]
        await turns()

        async def publish(start: int) -> None:
            for item in range(start, start + 300):
                await channel.publish(item)

        await asyncio.gather(*(publish(300 * number) for number in range(publishers)))
        await turns()
        channel.close()
        for items in await asyncio.gather(*readers):
            assert sorted(items) == list(range(300 * publishers))
        assert not any(subscription.stats().dropped for subscription in subscriptions)

    run(main)


def test_stalled_subscriber_stalls_nobody() -> None:
    async def main() -> None:
        channel = Channel("a")
        stalled = [channel.subscribe(policy=policy, max_queue=4) for policy in Policy if policy != Policy.BLOCK]
        reader = asyncio.create_task(read_all(channel.subscribe(max_queue=4)))
        await turns()
        for item in range(100):
            await channel.publish(item)
        channel.close()
        assert await reader == list(range(100))
        for subscription in stalled:
            stats = subscription.stats()
            assert stats.received == 100 == stats.delivered + stats.dropped + stats.queued
            assert stats.queued == (1 if stats.policy is Policy.LATEST else 4)

    run(main)


def test_block_sets_the_pace_and_loses_nothing() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="block", max_queue=2)
        published = 0

        async def publish() -> None:
            nonlocal published
            for item in range(10):
                await channel.publish(item)
                published += 1

        publishing = asyncio.create_task(publish())
        await turns()
        assert (published, subscription.stats().blocked) == (2, 1)
        assert await subscription.get() == 0
        await turns()
        assert published == 3
        items = [await subscription.get() for _ in range(9)]
        await publishing
        assert items == list(range(1, 10))

    run(main)


def test_blocked_publishers_go_on_in_their_turn() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="block", max_queue=1)
        publishing = [asyncio.create_task(channel.publish(item)) for item in range(5)]
        await turns()
        assert [await subscription.get() for _ in range(5)] == list(range(5))
        await asyncio.gather(*publishing)

    run(main)


def test_cancelled_publisher_takes_its_item_back() -> None:
    async def main() -> None:
        channel = Channel("a")
        full, free = channel.subscribe(policy="block", max_queue=1), channel.subscribe()
        await channel.publish(1)
        publishing = [asyncio.create_task(channel.publish(item)) for item in (2, 3)]
        await turns()
        publishing[0].cancel()
        await turns()
        assert [await full.get() for _ in range(2)] == [1, 3]
        await publishing[1]
        channel.close()
        assert await read_all(free) == [1, 2, 3], "whoever had room has got it"
        assert publishing[0].cancelled()

    run(main)


def test_blocked_publisher_goes_on_when_its_subscriber_leaves() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="block", max_queue=1)
        await channel.publish(1)
        publishing = asyncio.create_task(channel.publish(2))
        await turns()
        await subscription.aclose()
        await publishing
        await channel.publish(3)
        assert channel.stats().subscribers == ()

    run(main)


def test_blocked_publisher_goes_on_when_its_subscriber_is_collected() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="block", max_queue=1)
        await channel.publish(1)
        publishing = asyncio.create_task(channel.publish(2))
        await turns()
        del subscription
        gc.collect()
        await publishing

    run(main)


def test_close_wakes_everybody_and_reading_ends_after_what_was_queued() -> None:
    async def main() -> None:
        channel = Channel("a")
        waiting = [asyncio.create_task(read_all(channel.subscribe())) for _ in range(2)]
        full = channel.subscribe(policy="block", max_queue=2)
        await channel.publish(1)
        await channel.publish(2)
        publishing = asyncio.create_task(channel.publish(3))
        await turns()
        channel.close()
        channel.close()
        with pytest.raises(ChannelClosedError, match="closed before all"):
            await publishing
        assert await read_all(full) == [1, 2]
        assert await read_all(full) == []
        assert await asyncio.gather(*waiting) == [[1, 2, 3]] * 2
        with pytest.raises(ChannelClosedError):
            await full.get()
        with pytest.raises(ChannelClosedError):
            await channel.publish(4)
        with pytest.raises(ChannelClosedError):
            channel.subscribe()
        assert full.closed
        assert channel.stats().closed

    run(main)


def test_error_policy_tells_the_slow_one_and_the_publisher_goes_on() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="error", max_queue=2)
        for item in range(5):
            await channel.publish(item)
        read = []
        with pytest.raises(SlowSubscriberError) as told:
            async for item in subscription:
                read.append(item)  # noqa: PERF401
        assert (read, told.value.lost) == ([0, 1], 3)
        await channel.publish(5)
        channel.close()
        assert await read_all(subscription) == [5]
        assert subscription.stats().errors == 1

    run(main)


@pytest.mark.parametrize("published_first", [False, True])
def test_cancelled_reader_loses_nothing(published_first: bool) -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe()
        reading = asyncio.create_task(subscription.get())
        await turns()
        if published_first:
            await channel.publish(1)
        reading.cancel()
        if not published_first:
            await channel.publish(1)
        await channel.publish(2)
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert [await subscription.get(), await subscription.get()] == [1, 2]

    run(main)


def test_cancelled_reader_hands_its_turn_to_another() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe()
        first, second = (asyncio.create_task(subscription.get()) for _ in range(2))
        await turns()
        await channel.publish(1)  # wakes the first
        first.cancel()
        assert await second == 1

    run(main)


def test_two_readers_of_a_subscription_share_the_items() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="block", max_queue=8)
        readers = [asyncio.create_task(read_all(subscription)) for _ in range(3)]
        for item in range(200):
            await channel.publish(item)
        await turns()
        channel.close()
        parts = await asyncio.gather(*readers)
        assert sorted(item for part in parts for item in part) == list(range(200))

    run(main)


def test_get_waits_no_longer_than_told() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe()
        with pytest.raises(WaitTimeoutError, match=r"0\.001 s"):
            await subscription.get(0.001)
        await channel.publish(1)
        assert await subscription.get(0.001) == 1
        assert subscription.get_nowait("nothing") == "nothing"
        await channel.publish(None)
        assert subscription.get_nowait("nothing") is None
        assert subscription.stats().delivered == 2

    run(main)


def test_get_that_may_not_wait_gets_what_is_there_however_many_it_got_before() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(max_queue=1)
        for item in range(300):
            await channel.publish(item)
            assert await subscription.get(0.0) == item

    run(main)


def test_nowait_gives_all_or_nobody() -> None:
    async def main() -> None:
        channel = Channel("a")
        full, free = channel.subscribe("f", policy="block", max_queue=1), channel.subscribe()
        channel.publish_nowait(1)
        with pytest.raises(LimitError, match="'f'"):
            channel.publish_nowait(2)
        assert await full.get() == 1
        channel.publish_nowait(3)
        channel.close()
        assert (await read_all(full), await read_all(free)) == ([3], [1, 3])

    run(main)


def test_late_subscriber_gets_the_last_items_first() -> None:
    async def main() -> None:
        manager = ChannelManager()
        channel = await manager.create_channel("a", replay=3)
        for item in range(5):
            await channel.publish(item)
        asked = {None: [2, 3, 4], 0: [], 2: [3, 4], 9: [2, 3, 4]}
        subscriptions = {count: channel.subscribe(replay=count) for count in asked}
        small = channel.subscribe(max_queue=2, policy="block")
        latest = channel.subscribe(policy="latest")
        channel.close()
        for count, items in asked.items():
            assert await read_all(subscriptions[count]) == items
        assert (await read_all(small), await read_all(latest)) == ([3, 4], [4])
        assert small.stats().dropped == 0

    run(main)


def test_collected_subscription_is_gone() -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe()
        cycle = [subscription]
        cycle.append(cycle)  # type: ignore[arg-type]
        del subscription, cycle
        gc.collect()
        assert channel.stats().subscribers == ()

    run(main)


def test_loop_that_is_left_unsubscribes() -> None:
    async def main() -> None:
        channel = Channel("a")
        channel_ended = asyncio.Event()

        async def first() -> None:
            async for _ in channel.subscribe():
                break
            channel_ended.set()

        task = asyncio.create_task(first())
        await turns()
        await channel.publish(1)
        await channel_ended.wait()
        await task
        assert channel.stats().subscribers == ()

    run(main)


def test_subscription_as_context_ends_with_it() -> None:
    async def main() -> None:
        channel = Channel("a")
        async with channel.subscribe() as subscription:
            await subscription.ready()
            await channel.publish(1)
        assert await read_all(subscription) == []
        assert subscription.closed
        assert channel.stats().subscribers == ()

    run(main)


def test_gaps_are_told_and_counted_at_both_ends() -> None:
    def stream(start: float, end: float) -> AudioStream:
        return AudioStream(data=bytes(4), timestamp=(start, end))

    async def main() -> None:
        channel = Channel("a")
        whole, slow = channel.subscribe(), channel.subscribe(max_queue=2)
        for span in ((0.0, 0.02), (0.02, 0.04), (0.1, 0.12), (0.12, 0.14), (0.0, 0.02), (0.06, 0.08)):
            await channel.publish(stream(*span))
        told = []
        for _ in range(6):
            await whole.get()
            told.append(round(whole.gap_s, 6))
        assert told == [0.0, 0.0, 0.06, 0.0, 0.0, -0.1]
        assert (whole.stats().gaps, round(whole.stats().gap_s, 6)) == (1, 0.06)
        assert (channel.stats().gaps, round(channel.stats().gap_s, 6)) == (1, 0.06)
        slow.get_nowait()
        assert slow.gap_s == 0.0, "nothing was read before"
        for span in ((0.08, 0.1), (0.1, 0.12), (0.12, 0.14)):
            await channel.publish(stream(*span))
        slow.get_nowait()
        slow.get_nowait()
        assert slow.stats().dropped == 6

    run(main)


def test_own_loss_is_a_gap() -> None:
    async def main() -> None:
        channel = Channel("a")
        slow = channel.subscribe(max_queue=1)
        for number in range(10):
            await channel.publish(AudioStream(timestamp=(number * 0.02, number * 0.02 + 0.02)))
            if number in {0, 9}:
                await slow.get()
        assert slow.gap_s == pytest.approx(0.16)
        assert channel.stats().gaps == 0

    run(main)


@pytest.mark.parametrize("replay", [-1, 1.0, True])
def test_replay_that_cannot_be_is_refused(replay: int) -> None:
    with pytest.raises(ConfigError, match="replay"):
        Channel("a").subscribe(replay=replay)


def test_other_tasks_get_their_turn() -> None:
    async def main() -> None:
        channel = Channel("a")
        done = asyncio.Event()
        asyncio.get_running_loop().call_soon(done.set)
        while not done.is_set():
            await channel.publish(1)

    run(main)


def test_streams_of_a_derived_class_have_gaps_too() -> None:
    class Tagged(AudioStream):
        tag: str = ""

    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe()
        for at in (0.0, 1.0):
            await channel.publish(Tagged(timestamp=(at, at + 0.02), tag="x"))
            await subscription.get()
        assert subscription.gap_s == pytest.approx(0.98)
        assert channel.stats().gaps == 1

    run(main)
