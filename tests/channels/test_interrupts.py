"""What comes in between: signal handlers, collected objects, cancellation, in the middle of a call."""

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import pytest

from menura import AudioStream, ChannelManager, Subscription
from menura.channels import settle
from menura.channels.channel import Channel
from menura.channels.mailbox import Mailbox, Ticket
from menura.channels.options import Policy
from menura.channels.wakers import TaskWaker, ThreadWaker
from menura.errors import ChannelClosedError

LONG = AudioStream(data=bytes(2 * 200_000))


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


def test_signal_handler_wakes_a_reader_whose_loop_sleeps() -> None:
    late = threading.Event()

    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe()
        loop = asyncio.get_running_loop()

        def wake_the_loop() -> None:
            late.set()
            loop.call_soon_threadsafe(late.set)

        much_later = threading.Timer(5, wake_the_loop)
        much_later.start()
        signal.signal(signal.SIGALRM, lambda *_: channel.publish_nowait(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert await subscription.get() == 1
        much_later.cancel()
        assert not late.is_set()

    before = signal.getsignal(signal.SIGALRM)
    try:
        run(main)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_item_published_while_a_reader_lies_down_to_wait_is_read() -> None:
    channel = Channel("a")
    subscription = channel.subscribe()

    class Interrupted(ThreadWaker):
        def __init__(self) -> None:
            super().__init__()
            channel.publish_nowait(1)

    assert subscription._take(Interrupted) == 1
    assert not subscription._inbox.readers


def test_subscriber_that_leaves_while_a_publisher_lies_down_to_wait_holds_it_up_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        channel = Channel("a")
        subscription = channel.subscribe(policy="block", max_queue=1)

        class Interrupted(TaskWaker):
            def __init__(self) -> None:
                super().__init__()
                subscription.close()

        monkeypatch.setattr(settle, "TaskWaker", Interrupted)
        await channel.publish(1)
        await channel.publish(2)

    run(main)


def test_box_closed_while_an_item_overflows_keeps_no_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Mailbox(Policy.BLOCK, 1)
    box.put(1)

    def interrupted(item: Any) -> Ticket:
        box.close()
        return Ticket(item)

    monkeypatch.setattr("menura.channels.mailbox.Ticket", interrupted)
    assert box.put(2) is None
    assert box.blocked == 0


def test_waiting_thread_may_be_woken_from_within_its_own_wait() -> None:
    waker = ThreadWaker()
    woken: list[bool] = []

    def wake(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code is not ThreadWaker.__call__.__code__:
            waker()
        return wake

    def wait() -> None:
        sys.settrace(wake)  # as if an object were collected at every line
        try:
            woken.append(waker.wait(10))
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(20)
    assert woken == [True]


def test_thread_may_wait_for_longer_than_the_system_can_count() -> None:
    waker = ThreadWaker()
    threading.Timer(0.01, waker).start()
    assert waker.wait(1e30)


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "latest", "error"])
def test_items_that_publish_as_they_go_fill_no_queue_beyond_its_limit(policy: str) -> None:
    channel = Channel("a")
    subscription = channel.subscribe(policy=policy, max_queue=2)

    class Last:
        def __del__(self) -> None:
            channel.publish_nowait("gone")

    for _ in range(20):
        channel.publish_nowait(Last())
    stats = subscription.stats()
    assert stats.queued <= 2
    assert stats.received == stats.dropped + stats.queued
    subscription.close()
    gc.collect()


def converting(manager: ChannelManager) -> Awaitable[Channel]:
    return manager.create_channel("a", sample_rate=48_000, mismatch="convert")


def test_publisher_cancelled_while_its_audio_is_converted_leaves_nothing_waiting() -> None:
    async def main() -> None:
        channel = await converting(ChannelManager())
        subscription = channel.subscribe(policy="block", max_queue=1)
        await channel.publish(LONG)
        assert channel._gate is not None
        with channel._gate.lock:  # so that they cannot go on yet
            publishing = [asyncio.create_task(channel.publish(LONG)) for _ in range(3)]
            await asyncio.sleep(0.05)
            for task in publishing:
                task.cancel()
            await asyncio.wait(publishing)
        await until(lambda: channel.stats().published == 4)
        await until(lambda: not subscription.stats().blocked)
        assert (await subscription.get()).frames

    run(main)


def held(lock: Any) -> Callable[[], None]:
    """Hold a lock in another thread, as a conversion does; what is returned ends that."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(20)

    def release() -> None:
        done.set()
        thread.join(20)

    return release


def test_close_that_is_cancelled_has_closed_and_the_name_is_free() -> None:
    async def main() -> None:
        manager = ChannelManager()
        channel = await converting(manager)
        subscription = channel.subscribe()
        assert channel._gate is not None
        release = held(channel._gate.lock)
        closing = asyncio.create_task(manager.close_channel("a"))
        await asyncio.sleep(0.01)
        threading.Timer(0.01, release).start()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(ChannelClosedError):
            await subscription.get(5)
        again = await converting(manager)
        assert again is not channel
        assert not again.closed

    run(main)


def test_short_audio_behind_a_long_conversion_leaves_the_loop_its_turns() -> None:
    async def main() -> None:
        channel = await converting(ChannelManager())
        subscription = channel.subscribe()
        assert channel._gate is not None
        release = held(channel._gate.lock)
        publishing = asyncio.create_task(channel.publish(AudioStream(data=bytes(1764))))
        await asyncio.sleep(0.01)
        assert not publishing.done()
        release()
        await publishing
        assert (await subscription.get()).sample_rate == 48_000

    run(main)


def test_name_may_be_used_anew_while_its_old_channel_closes() -> None:
    async def main() -> None:
        manager = ChannelManager()
        old = await converting(manager)
        reader = manager.subscribe("a")
        assert old._gate is not None
        release = held(old._gate.lock)
        closing = asyncio.create_task(manager.close_channel("a"))
        await asyncio.sleep(0.01)
        new: Subscription = manager.subscribe("a")
        await manager.publish("a", 1)
        release()
        await closing
        with pytest.raises(ChannelClosedError):
            await reader.get()
        assert await new.get() == 1
        assert manager.list_channels() == ["a"]

    run(main)
