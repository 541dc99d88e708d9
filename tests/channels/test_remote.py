"""What the manager and its channels do over a transport, by one that joins managers of this process."""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from menura import AudioStream, ChannelManager
from menura.channels import manager as manager_module
from menura.errors import ChannelClosedError, ConfigError, FormatError, LimitError, StateError, WaitTimeoutError


class Broker:
    """Joins transports; ``gate`` holds what is published."""

    def __init__(self) -> None:
        self.ends: list[Loopback] = []
        self.gate = asyncio.Event()
        self.gate.set()


class Loopback:
    """A transport that notes what it is told."""

    def __init__(self, url: str, *, broker: Broker) -> None:
        self.broker, self.calls = broker, []  # type: ignore[var-annotated]
        self.joined: set[str] = set()
        broker.ends.append(self)

    def bind(self, deliver: Callable[[str, Any], Awaitable[None] | None], ended: Callable[[str], None]) -> None:
        self.deliver, self.ended = deliver, ended

    async def open(self) -> None:
        self.calls.append("open")

    def declare(self, name: str, options: Any) -> None:
        if options.message_type is object:
            raise ConfigError("message_type: object cannot travel")
        self.calls.append(f"declare {name} {options.replay}")

    def join(self, name: str) -> None:
        self.joined.add(name)

    def leave(self, name: str) -> None:
        self.joined.discard(name)

    async def ready(self, name: str) -> None:
        self.calls.append(f"ready {name}")

    def end(self, name: str) -> None:
        for other in self.broker.ends:
            if other is not self:
                other.ended(name)

    async def publish(self, name: str, item: Any) -> None:
        await self.broker.gate.wait()
        for other in self.broker.ends:
            if name in other.joined and (wait := other.deliver(name, item)):
                await wait

    def publish_nowait(self, name: str, item: Any) -> None:
        for other in self.broker.ends:
            if name in other.joined:
                other.deliver(name, item)

    async def close(self) -> None:
        self.calls.append("close")

    def stats(self) -> int:
        return len(self.calls)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> tuple[ChannelManager, ChannelManager, Broker]:
    monkeypatch.setitem(manager_module._TRANSPORTS, "loop", (__name__, "Loopback"))
    monkeypatch.setattr(
        manager_module, "import_module", lambda _: __import__("types").SimpleNamespace(Loopback=Loopback)
    )
    broker = Broker()
    return ChannelManager("loop://here", broker=broker), ChannelManager("loop://there", broker=broker), broker


def run(test: Awaitable[None]) -> None:
    async def main() -> None:
        await asyncio.wait_for(test, 30)

    asyncio.run(main())


Pair = tuple[ChannelManager, ChannelManager, Broker]


def test_names_are_wanted_while_somebody_here_wants_them(pair: Pair) -> None:
    async def main() -> None:
        here, there, broker = pair
        mine, other = broker.ends
        for number in range(200):
            await here.publish(f"a.{number}", 1)
        assert (here.list_channels(), mine.joined) == ([], set())
        first, second = there.subscribe("a"), there.subscribe("a")
        assert other.joined == {"a"}
        await here.publish("a", 1)
        assert [await first.get(), await second.get()] == [1, 1]
        await first.aclose()
        assert other.joined == {"a"}
        del second
        gc.collect()
        assert (other.joined, there.list_channels()) == (set(), [])
        await there.create_channel("kept", replay=2)
        assert other.joined == {"kept"}, "what is kept for later must come"
        await here.publish("kept", 1)
        assert await there.subscribe("kept").get() == 1

    run(main())


def test_opened_once_in_a_loop_however_much_is_published(pair: Pair) -> None:
    async def main() -> None:
        here, there, broker = pair
        there.subscribe("a")
        for item in range(10):
            await here.publish("a", item)
        assert broker.ends[0].calls.count("open") <= 2
        assert here.all_stats().transport == len(broker.ends[0].calls)
        subscription = here.subscribe("a")
        await subscription.ready()
        assert broker.ends[0].calls[-1] == "ready a"

    run(main())


def test_what_does_not_fit_is_refused_here_and_left_out_there(pair: Pair) -> None:
    async def main() -> None:
        here, there, _ = pair
        await here.create_channel("a", int)
        with pytest.raises(FormatError):
            await here.publish("a", "1")
        await there.create_channel("b", int)
        subscription = there.subscribe("b")
        await here.publish("b", "1")
        await here.publish("b", 2)
        assert await subscription.get() == 2
        stats = there.stats("b")
        assert (stats.arrived, stats.refused, stats.published) == (1, 1, 0)
        with pytest.raises(ConfigError, match="cannot travel"):
            await here.create_channel("c", object)
        early = here.subscribe("d")
        with pytest.raises(ConfigError, match="cannot travel"):
            await here.create_channel("d", object)
        assert here.stats("d").options is None
        assert not early.closed

    run(main())


@pytest.mark.parametrize("declared", ["here", "there", "both"])
def test_audio_is_converted_at_whichever_end_says_so_to_the_last_sample(pair: Pair, declared: str) -> None:
    async def main() -> None:
        here, there, _ = pair
        for manager, name in ((here, "here"), (there, "there")):
            if declared in (name, "both"):
                await manager.create_channel("a", sample_rate=48_000, mismatch="convert")
        near, far = here.subscribe("a"), there.subscribe("a")
        noise = np.random.default_rng(0).normal(0, 0.1, (44_100, 1)).astype(np.float32)
        for at in range(0, 44_100, 882):
            span = (1 + at / 44_100, 1 + (at + 882) / 44_100)
            await here.publish("a", AudioStream.from_block(noise[at : at + 882], 44_100, timestamp=span))
        await here.close_channel("a")
        frames = {}
        for name, subscription in (("here", near), ("there", far)):
            streams = [stream async for stream in subscription]
            rate = 44_100 if declared not in (name, "both", "here") else 48_000
            assert {stream.sample_rate for stream in streams} == {rate}, name
            assert streams[-1].timestamp[1] == pytest.approx(2.0)
            frames[name] = sum(stream.frames for stream in streams) / rate
        assert frames == {"here": 1.0, "there": 1.0}

    run(main())


def test_end_elsewhere_ends_readers_here_after_what_was_queued(pair: Pair) -> None:
    async def main() -> None:
        here, there, broker = pair
        subscription = there.subscribe("a")
        waiting = there.subscribe("a")
        reading = asyncio.create_task(waiting.get())
        await here.publish("a", 1)
        assert await reading == 1
        await here.close_channel("a")
        assert [item async for item in subscription] == [1]
        with pytest.raises(ChannelClosedError):
            await waiting.get()
        assert there.list_channels() == []
        await here.close()
        await there.close()
        assert broker.ends[0].calls[-1] == "close"
        with pytest.raises(ChannelClosedError):
            await here.publish("a", 1)

    run(main())


def test_block_reaches_the_publisher(pair: Pair) -> None:
    async def main() -> None:
        here, there, _ = pair
        subscription = there.subscribe("a", policy="block", max_queue=1)
        await here.publish("a", 1)
        publishing = asyncio.create_task(here.publish("a", 2))
        await asyncio.sleep(0)
        assert not publishing.done()
        assert [await subscription.get(), await subscription.get()] == [1, 2]
        await publishing
        own = here.subscribe("a", policy="block", max_queue=1)
        here.publish_nowait("a", 3)
        with pytest.raises(LimitError):
            here.publish_nowait("a", 4)
        assert (await own.get(), await subscription.get()) == (3, 3)

    run(main())


def test_threads_publish_through_the_loop_where_it_is_open(pair: Pair) -> None:
    here, there, broker = pair
    with pytest.raises(StateError, match="not open"):
        here.publish_threadsafe("a", 1)
    errors: list[BaseException] = []
    loops: list[asyncio.AbstractEventLoop] = []

    def publish() -> None:
        try:
            for item in range(100):
                here.publish_threadsafe("a", item, 30)
            broker.gate.clear()
            with pytest.raises(WaitTimeoutError):
                here.publish_threadsafe("a", -1, 0.01)
            loops[0].call_soon_threadsafe(broker.gate.set)
            with pytest.raises(FormatError):
                here.publish_threadsafe("typed", "no number", 30)
        except BaseException as error:
            errors.append(error)

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with here, there:
            await here.create_channel("typed", int)
            subscription = there.subscribe("a", policy="block", max_queue=2)
            thread = threading.Thread(target=publish)
            thread.start()
            assert [await subscription.get() for _ in range(100)] == list(range(100))
            await asyncio.to_thread(thread.join)
            here.publish_threadsafe("a", 100)
            assert await subscription.get() == 100

    run(main())
    assert not errors
