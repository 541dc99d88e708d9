"""Publishers and readers of all policies that come, go, stall and are cancelled at random."""

import asyncio
import gc
import random
import sys
from typing import Any

import pytest

from menura import AudioStream, ChannelManager, Policy, Subscription
from menura.errors import ChannelClosedError, LimitError, SlowSubscriberError, WaitTimeoutError


class Scene:
    """A channel with what happens around it, decided by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.manager = ChannelManager()
        self.subscriptions = [
            self.manager.subscribe("a", policy=self.random.choice(list(Policy)), max_queue=self.random.randint(1, 4))
            for _ in range(self.random.randint(1, 4))
        ]
        self.published = 0

    async def pause(self, chance: float) -> None:
        if self.random.random() < chance:
            await asyncio.sleep(self.random.choice((0, 0, 0.0003)))

    async def publish(self) -> None:
        for item in range(self.random.randint(5, 50)):
            try:
                if self.random.random() < 0.2:
                    self.manager.publish_nowait("a", item)
                else:
                    await self.manager.publish("a", item)
                self.published += 1
            except LimitError:
                continue
            await self.pause(0.2)

    async def read(self, subscription: Subscription) -> None:
        while True:
            try:
                await subscription.get(self.random.choice((None, None, 0.0005)))
            except ChannelClosedError:
                return
            except (WaitTimeoutError, SlowSubscriberError):
                continue
            await self.pause(0.3)

    def happen(self, publishers: list[asyncio.Task[None]], readers: list[asyncio.Task[None]]) -> None:
        what = self.random.choice(("cancel a publisher", "leave", "read anew", "collect"))
        if what == "cancel a publisher":
            self.random.choice(publishers).cancel()
        elif what == "leave":
            self.random.choice(self.subscriptions).close()
        elif what == "read anew":
            which = self.random.randrange(len(self.subscriptions))
            readers[which].cancel()
            readers.append(asyncio.create_task(self.read(self.subscriptions[which])))
        else:
            gc.collect(0)


async def play(seed: int) -> None:
    scene = Scene(seed)
    publishers = [asyncio.create_task(scene.publish()) for _ in range(scene.random.randint(1, 4))]
    readers = [asyncio.create_task(scene.read(each)) for each in scene.subscriptions]
    quiet = scene.random.random() < 0.5
    for _ in range(0 if quiet else scene.random.randint(1, 5)):
        await scene.pause(1.0)
        scene.happen(publishers, readers)
    await asyncio.wait(publishers)
    await scene.manager.close()
    await asyncio.wait(readers)
    results = await asyncio.gather(*publishers, *readers, return_exceptions=True)
    assert {type(each) for each in results} <= {type(None), asyncio.CancelledError}
    for subscription in scene.subscriptions:
        stats = subscription.stats()
        assert stats.received == stats.delivered + stats.dropped
        assert (stats.queued, stats.blocked) == (0, 0)
        if quiet and subscription.policy is Policy.BLOCK:
            assert (stats.delivered, stats.dropped) == (scene.published, 0)


@pytest.mark.parametrize("start", range(0, 80, 20))
def test_nobody_is_stuck_and_every_item_is_accounted_for(start: int) -> None:
    async def main() -> None:
        for seed in range(start, start + 20):
            await asyncio.wait_for(play(seed), 30)

    asyncio.run(main())


@pytest.mark.parametrize("policy", [policy for policy in Policy if policy is not Policy.BLOCK])
def test_memory_is_flat_when_a_subscriber_is_stuck(policy: Policy) -> None:
    manager = ChannelManager()
    subscription: Any = manager.subscribe("a", policy=policy)

    def publish(count: int) -> int:
        for number in range(count):
            manager.publish_nowait("a", AudioStream(data=bytes(4), timestamp=(number, number + 1)))
        gc.collect()
        return sys.getallocatedblocks()

    first = publish(2000)
    assert publish(10_000) - first < 200
    assert subscription.stats().received == 12_000
