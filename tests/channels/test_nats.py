"""Channels over a real nats-server, which is cut off, frozen and brought back."""

import asyncio
import logging
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import BaseModel

from menura.audio.stream import AudioStream
from menura.channels.manager import ChannelManager
from menura.channels.nats_address import NatsOptions
from menura.channels.nats_stats import NatsChannelStats, NatsStats
from menura.channels.subscription import Subscription
from menura.channels.wire import FORMATS, Kind, encode, encode_message
from menura.errors import (
    AuthenticationError,
    ChannelClosedError,
    ConfigError,
    ConnectionLostError,
    ConnectTimeoutError,
    FormatError,
    LimitError,
)
from tests.broker import Broker

LONG_S = 30.0
SECRET, WRONG = "hunter2-hunter2", "wrong-wrong"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def own() -> Iterator[Broker]:
    """A broker that a test may do harm to."""
    with Broker() as running:
        yield running


class Ends(AsyncExitStack):
    """Managers of several machines, one prefix a test."""

    count = 0

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        Ends.count += 1
        self._url, self._prefix = broker.url, f"test{Ends.count}"

    async def open(self, **options: object) -> ChannelManager:
        settings = {"prefix": self._prefix, "stale_s": 1.0} | options
        return await self.enter_async_context(ChannelManager(self._url, **settings))


def figures(manager: ChannelManager) -> NatsStats:
    found = manager.all_stats().transport
    assert isinstance(found, NatsStats)
    return found


def incoming(manager: ChannelManager, name: str = "a") -> NatsChannelStats:
    return next(each for each in figures(manager).channels if each.name == name)


async def until(condition) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():
            await asyncio.sleep(0.01)


async def read(subscription: Subscription, count: int) -> list:
    return [await subscription.get(LONG_S) for _ in range(count)]


def stream(i: int = 0) -> AudioStream:
    return AudioStream(
        data=i.to_bytes(2, "little") * 960, sample_rate=48_000, timestamp=(i * 0.02, i * 0.02 + 0.02), metadata={"i": i}
    )


def run(main) -> None:
    asyncio.run(asyncio.wait_for(main, 90.0))


class Note(BaseModel):
    text: str


# --- items


def test_items_reach_other_machines_and_this_one_in_order(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            local, remote = here.subscribe("a"), there.subscribe("a")
            await remote.ready()
            for i in range(200):
                await here.publish("a", stream(i))
            assert await read(local, 200) == await read(remote, 200) == [stream(i) for i in range(200)]
            assert incoming(there).received == 200 and incoming(there).lost == 0

    run(main())


def test_every_kind_of_message_travels(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            await there.create_channel("typed", Note)
            notes, plain = there.subscribe("typed"), there.subscribe("plain")
            await notes.ready()
            await plain.ready()
            await here.publish("typed", Note(text="é"))
            assert await notes.get(LONG_S) == Note(text="é")
            for item in ({"a": [1, None]}, "text", b"\x00raw", 3.5, None, stream(1)):
                await here.publish("plain", item)
                assert await plain.get(LONG_S) == item

    run(main())


def test_what_does_not_fit_the_receiving_end_is_left_out_and_counted(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            await there.create_channel("a", Note)
            notes = there.subscribe("a")
            await notes.ready()
            await here.publish("a", {"wrong": 1})
            await here.publish("a", stream())
            await here.publish("a", Note(text="right"))
            assert await notes.get(LONG_S) == Note(text="right")
            assert incoming(there).foreign + there.stats("a").refused == 2

    run(main())


def test_a_type_without_a_form_on_the_wire_is_refused_when_the_channel_is_made(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here = await ends.open()
            with pytest.raises(ConfigError, match="message_type"):
                await here.create_channel("a", type("Opaque", (), {}))
            with pytest.raises(FormatError, match="JSON"):
                await here.publish("b", object())

    run(main())


def test_a_message_larger_than_the_broker_takes_is_refused(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            sub = there.subscribe("a")
            await sub.ready()
            with pytest.raises(LimitError, match="publish shorter streams"):
                await here.publish("a", AudioStream(data=bytes(2_000_000)))
            await here.publish("a", stream(1))
            assert await sub.get(LONG_S) == stream(1)
            assert incoming(there).lost == 0

    run(main())


@pytest.mark.parametrize("name", ["room.7/left", "a.b", "ünïcode", "percent%2E", "_", "-x-"])
def test_any_name_is_a_channel_of_its_own(broker, name) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            sub, other = there.subscribe(name), there.subscribe(name + "x")
            await sub.ready()
            await other.ready()
            await here.publish(name, 1)
            await here.publish(name + "x", 2)
            assert (await sub.get(LONG_S), await other.get(LONG_S)) == (1, 2)

    run(main())


def test_managers_with_different_prefixes_do_not_meet(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open(prefix="elsewhere")
            sub = there.subscribe("a")
            await sub.ready()
            await here.publish("a", 1)
            await here.close()
            assert sub.get_nowait() is None

    run(main())


def test_foreign_messages_crash_nobody_and_are_counted(broker) -> None:
    async def main() -> None:
        import nats

        foreign = await nats.connect(broker.url)
        async with Ends(broker) as ends:
            there = await ends.open(prefix="hostile")
            await there.create_channel("a", replay=2)
            sub = there.subscribe("a")
            await sub.ready()
            rubbish = [b"", b"x", b"mC", b"mC\x02" + bytes(60), b"mC\x01\x01" + bytes(60), b"\xff" * 1000]
            rubbish += [encode(Kind.JSON, 1, 1, b"{"), encode(Kind.HELLO, 1, 1), encode(Kind.CREDIT, 1, 1)]
            for subject in ("hostile.ch.a", "hostile.ctl.a", "hostile.ctl.%ZZ", "hostile.ctl.%FF", "hostile.in.0.a"):
                for data in rubbish:
                    await foreign.publish(subject, data)
                await foreign.publish(subject, b"x", headers={"a": "b"})
            await foreign.publish("hostile.ch.a", encode(Kind.BYTES, 9, 1, b"good"))
            assert await sub.get(LONG_S) == b"good"
            assert incoming(there).foreign == len(rubbish) + 1
            await foreign.close()

    run(main())


def test_a_message_where_questions_are_expected_is_no_error_of_ours(broker, caplog) -> None:
    async def main() -> None:
        import nats

        foreign = await nats.connect(broker.url)
        async with Ends(broker) as ends:
            here = await ends.open(prefix="hostile2")
            for kind in (1, 2, 3, 4, 5, 7):
                data = encode_message(stream(), 1, 1) if kind == 1 else encode(Kind(kind), 1, 1)
                await foreign.publish("hostile2.ctl.a", data)
            await foreign.publish("hostile2.ctl.a", encode(Kind.CREDIT, 1, 0, b""))
            before = here._link.transport._wire.messages
            await here.publish("a", 1)
            await foreign.flush()
            await until(lambda: here._link.transport._wire.messages >= before)
            await asyncio.sleep(0.1)
        await foreign.close()

    run(main())
    assert not caplog.records


def test_a_flood_of_questions_does_not_fill_the_memory(broker) -> None:
    async def main() -> None:
        import nats

        foreign = await nats.connect(broker.url)
        async with Ends(broker) as ends:
            here = await ends.open(prefix="flood", stale_s=60.0)
            for _ in range(200):
                await here.publish("a", bytes(60_000))
            await until(lambda: len(here._link.transport._lane("a").kept) == 200)
            wire = here._link.transport._wire
            unsent: list[int] = []
            write = wire.write
            wire.write = lambda parts: (write(parts), unsent.append(wire.unsent_bytes))
            body = (2**32 - 1).to_bytes(4, "little")
            for asking in range(40):
                await foreign.publish("flood.ctl.a", encode(Kind.HELLO, asking, 2**64 - 1, body))
            await foreign.flush()
            await until(lambda: len(unsent) >= 40)
            assert 0 < max(unsent) < 3 * (16 << 20)
        await foreign.close()

    run(main())


def test_threads_and_synchronous_code_publish(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            sub = there.subscribe("a")
            await sub.ready()

            def work(first: int) -> None:
                for i in range(50):
                    here.publish_nowait("a", first + i)
                    here.publish_threadsafe("a", first + 50 + i, LONG_S)

            threads = [threading.Thread(target=work, args=(1000 * k,)) for k in range(3)]
            for thread in threads:
                thread.start()
            here.publish_nowait("a", -1)
            got = await read(sub, 301)
            for k in range(3):
                mine = [i for i in got if i // 1000 == k and i >= 0]
                assert sorted(mine) == sorted(1000 * k + i for i in range(100))
                for part in (range(50), range(50, 100)):
                    assert [i for i in mine if i % 1000 in part] == [1000 * k + i for i in part]
            assert incoming(there).lost == incoming(there).repeated == 0

    run(main())


# --- ends


def test_closing_a_channel_ends_its_readers_elsewhere_after_what_was_queued(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            await here.create_channel("a", AudioStream)
            sub = there.subscribe("a", max_queue=100)
            await sub.ready()
            for i in range(50):
                await here.publish("a", stream(i))
            await here.close_channel("a")
            async with asyncio.timeout(LONG_S):
                assert [item.metadata["i"] async for item in sub] == list(range(50))
            again = there.subscribe("a")
            await again.ready()
            await here.publish("a", 1)
            assert await again.get(LONG_S) == 1

    run(main())


def test_closing_a_manager_wakes_all_here_and_ends_nothing_elsewhere(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            local, remote = here.subscribe("a"), there.subscribe("a")
            await remote.ready()
            reading = asyncio.create_task(local.get())
            await here.publish("b", 1)
            await here.publish("a", 1)
            assert await reading == 1
            reading = asyncio.create_task(local.get())
            await asyncio.sleep(0)
            await here.close()
            with pytest.raises(ChannelClosedError):
                await reading
            assert await remote.get(LONG_S) == 1
            await until(lambda: not incoming(there).publishers)
            assert not remote.closed
            with pytest.raises(ChannelClosedError):
                await here.publish("a", 2)

    run(main())


def test_a_publisher_that_is_silent_for_long_ends_its_readers_where_asked(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open(idle_timeout_s=0.2)
            sub, quiet = there.subscribe("a"), there.subscribe("never")
            await sub.ready()
            await here.publish("a", 1)
            async with asyncio.timeout(LONG_S):
                assert [item async for item in sub] == [1]
            assert not quiet.closed

    run(main())


def test_who_comes_later_gets_what_publishers_keep_and_then_the_rest(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            await here.create_channel("a", replay=3)
            witness = (await ends.open()).subscribe("a")
            await witness.ready()
            for i in range(10):
                await here.publish("a", i)
            await read(witness, 10)
            sub = there.subscribe("a")
            await there.create_channel("a", replay=2)
            assert await read(sub, 2) == [8, 9]
            await here.publish("a", 10)
            assert await sub.get(LONG_S) == 10
            late = there.subscribe("a")
            assert await read(late, 2) == [9, 10]
            assert incoming(there).repeated == incoming(there).lost == 0

    run(main())


# --- a broker that is slow, away, or back


def test_what_is_published_while_the_broker_is_away_comes_in_order(own) -> None:
    async def main() -> None:
        async with Ends(own) as ends:
            here, there = await ends.open(), await ends.open()
            sub = there.subscribe("a")
            await sub.ready()
            for i in range(20):
                await here.publish("a", i)
            own.kill()
            await until(lambda: not figures(here).connected and not figures(there).connected)
            for i in range(20, 120):
                await here.publish("a", i)
            own.start()
            assert await read(sub, 120) == list(range(120))
            assert figures(here).reconnects >= 1 and incoming(there).lost == incoming(there).repeated == 0

    run(main())


def test_a_channel_closed_while_the_broker_is_away_ends_its_readers_when_it_is_back(own) -> None:
    async def main() -> None:
        for _ in range(3):  # who is back first is chance
            async with Ends(own) as ends:
                here, there = await ends.open(), await ends.open()
                sub = there.subscribe("a")
                await sub.ready()
                await here.publish("a", 1)
                assert await sub.get(LONG_S) == 1
                own.kill()
                await until(lambda m=(here, there): not any(figures(each).connected for each in m))
                await here.publish("a", 2)
                await here.close_channel("a")
                own.start()
                async with asyncio.timeout(LONG_S):
                    assert [item async for item in sub] == [2]

    run(main())


def test_what_is_published_through_an_outage_comes_once_and_in_order(own) -> None:
    async def main() -> None:
        async with Ends(own) as ends:
            here, there = await ends.open(), await ends.open()
            sub = there.subscribe("a", max_queue=10_000)
            await sub.ready()
            stop = asyncio.Event()
            sent = 0

            async def publish() -> None:
                nonlocal sent
                while not stop.is_set():
                    await here.publish("a", sent)
                    sent += 1
                    await asyncio.sleep(0.002)

            publishing = asyncio.create_task(publish())
            for round_ in range(3):
                await asyncio.sleep(0.1)
                own.kill()
                await until(lambda: not figures(here).connected and not figures(there).connected)
                own.start()
                await until(lambda n=round_: min(figures(here).reconnects, figures(there).reconnects) > n)
            await asyncio.sleep(0.7)
            stop.set()
            await publishing
            await here.publish("a", "last")
            got = []
            while not got or got[-1] != "last":
                got.append(await sub.get(LONG_S))
            numbers = got[:-1]
            assert numbers == sorted(set(numbers))
            assert len(numbers) + incoming(there).lost == sent

    run(main())


def test_the_queue_for_a_broker_that_is_away_is_bounded_and_by_policy(own) -> None:
    async def main() -> None:
        async with Ends(own) as ends:
            oldest = await ends.open(max_queue=10)
            newest = await ends.open(max_queue=10, policy="drop_newest")
            strict = await ends.open(max_queue=10, policy="error")
            patient = await ends.open(max_queue=10, policy="block")
            there = await ends.open()
            sub = there.subscribe("a")
            await sub.ready()
            managers = (oldest, newest, strict, patient)
            own.kill()
            await until(lambda: not any(figures(each).connected for each in (*managers, there)))
            for i in range(10):
                for manager in managers:
                    await manager.publish("a", [managers.index(manager), i])
            for i in range(10, 15):
                await oldest.publish("a", [0, i])
                await newest.publish("a", [1, i])
                with pytest.raises(LimitError, match="broker"):
                    await strict.publish("a", [2, i])
                with pytest.raises(LimitError, match="broker"):
                    patient.publish_nowait("a", [3, i])
            waiting = asyncio.create_task(patient.publish("a", [3, 10]))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            own.start()
            got = await read(sub, 41)
            await waiting
            expected = (range(5, 15), range(10), range(10), range(11))
            for k, numbers in enumerate(expected):
                assert [i for who, i in got if who == k] == list(numbers)
            assert (figures(oldest).outgoing.dropped, figures(newest).outgoing.dropped) == (5, 5)

    run(main())


def test_a_broker_that_takes_less_when_it_is_back_cuts_nobody_off(own, tmp_path) -> None:
    async def main() -> None:
        (tmp_path / "conf").write_text("max_payload: 16384")
        async with Ends(own) as ends:
            here, there = await ends.open(), await ends.open()
            sub = there.subscribe("a")
            await sub.ready()
            own.kill()
            await until(lambda: not figures(here).connected)
            await here.publish("a", bytes(50_000))
            await here.publish("a", b"small")
            own._command += ["-c", str(tmp_path / "conf")]
            own.start()
            assert await sub.get(LONG_S) == b"small"
            assert figures(here).outgoing.dropped == 1
            with pytest.raises(LimitError, match="16384"):
                await here.publish("a", bytes(50_000))

    run(main())


def test_what_waited_too_long_for_the_broker_is_left_out_and_counted(own) -> None:
    async def main() -> None:
        async with Ends(own) as ends:
            here, there = await ends.open(max_age_s=0.3), await ends.open()
            sub = there.subscribe("a")
            await sub.ready()
            await here.publish("a", "first")
            assert await sub.get(LONG_S) == "first"
            await until(lambda: not here._link.transport._out.unconfirmed_bytes)
            own.kill()
            await until(lambda: not figures(here).connected)
            await here.publish("a", "old")
            await asyncio.sleep(0.5)
            own.start()
            await until(lambda: figures(here).connected and figures(there).connected)
            await here.publish("a", "new")
            assert await sub.get(LONG_S) == "new"
            assert figures(here).outgoing.expired == 1 and incoming(there).lost == 1

    run(main())


def test_a_frozen_broker_is_noticed_and_nothing_is_out_of_order_when_it_goes_on(own) -> None:
    async def main() -> None:
        async with Ends(own) as ends:
            here, there = await ends.open(max_queue=50), await ends.open()
            sub = there.subscribe("a")
            await sub.ready()
            own.freeze()
            for i in range(100):
                await here.publish("a", i)
            await until(lambda: not figures(here).connected)
            for i in range(100, 110):
                await here.publish("a", i)
            own.thaw()
            got = [await sub.get(LONG_S)]
            while got[-1] != 109:
                got.append(await sub.get(LONG_S))
            assert got == sorted(set(got)) and got[-50:] == list(range(60, 110))

    run(main())


def test_a_frozen_broker_takes_no_memory_and_does_not_hold_a_close(own) -> None:
    async def main() -> None:
        async with Ends(own) as ends:
            here = await ends.open(stale_s=60.0)
            own.freeze()
            big = AudioStream(data=bytes(100_000))
            for _ in range(2000):
                here.publish_nowait("a", big)
            sent = figures(here).outgoing
            assert sent.bytes_sent < 2 << 20 and sent.waiting <= 256 and sent.dropped > 1500
            async with asyncio.timeout(20.0):
                await here.close()

    run(main())


def test_a_close_that_is_cancelled_leaves_nothing_running(own) -> None:
    async def main() -> None:
        manager = ChannelManager(own.url)
        await manager.open()
        own.freeze()
        await manager.publish("a", 1)
        closing = asyncio.create_task(manager.close())
        await asyncio.sleep(0.05)
        closing.cancel()
        await asyncio.wait([closing])
        await until(lambda: len(asyncio.all_tasks()) == 2)  # this one, and the one that limits its time
        own.thaw()

    run(main())


def test_closing_with_the_broker_away_wakes_a_publisher_that_waits(own) -> None:
    async def main() -> None:
        async with Ends(own) as ends:
            here = await ends.open(max_queue=1, policy="block")
            own.kill()
            await until(lambda: not figures(here).connected)
            await here.publish("a", 1)
            waiting = asyncio.create_task(here.publish("a", 2))
            await asyncio.sleep(0.05)
            async with asyncio.timeout(20.0):
                await here.close()
            with pytest.raises(ConnectionLostError):
                await waiting

    run(main())


def test_a_slow_subscriber_loses_by_its_policy_and_others_nothing(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(), await ends.open()
            stuck, quick = there.subscribe("a", max_queue=10), there.subscribe("a", max_queue=5000)
            await quick.ready()
            for i in range(3000):
                await here.publish("a", i)
            assert await read(quick, 3000) == list(range(3000))
            assert await read(stuck, 10) == list(range(2990, 3000))
            assert stuck.stats().dropped == 2990 and incoming(there).lost == 0

    run(main())


def test_a_blocking_subscriber_elsewhere_sets_the_pace_and_misses_nothing(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(max_queue=20), await ends.open()
            slow = there.subscribe("a", policy="block", max_queue=5)
            await slow.ready()
            published = 0

            async def publish() -> None:
                nonlocal published
                for i in range(2000):
                    await here.publish("a", i)
                    published = i
                    if i < 100:
                        await asyncio.sleep(0.002)

            publishing = asyncio.create_task(publish())
            lane = here._link.transport._lane("a")
            await until(lambda: lane.limit is not None and lane.full)
            stood = published
            await asyncio.sleep(0.7)  # longer than a slow broker is waited for
            assert published <= stood + 1 < 1999, "nobody held the publisher"
            assert await read(slow, 2000) == list(range(2000))
            await publishing
            assert incoming(there).lost == incoming(there).overrun == 0

    run(main())


def test_closing_a_channel_wakes_a_publisher_that_waits_for_room_elsewhere(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(max_queue=5), await ends.open()
            full = there.subscribe("a", policy="block", max_queue=2)
            await full.ready()

            async def publish() -> None:
                while True:
                    await here.publish("a", 1)

            publishing = asyncio.create_task(publish())
            lane = here._link.transport._lane("a")
            await until(lambda: lane.limit is not None and lane.full)
            await here.close_channel("a")
            with pytest.raises(ChannelClosedError):
                await publishing

    run(main())


def test_a_blocking_subscriber_that_dies_holds_a_publisher_no_longer(broker) -> None:
    async def main() -> None:
        async with Ends(broker) as ends:
            here, there = await ends.open(max_queue=5), await ends.open()
            there.subscribe("keep", policy="drop_oldest")
            stuck = there.subscribe("a", policy="block", max_queue=1)
            await stuck.ready()
            for i in range(8):
                await here.publish("a", i)
                await asyncio.sleep(0.02)
            lane = here._link.transport._lane("a")
            await until(lambda: lane.limit is not None)
            there._link.transport._tick.cancel()  # as if its machine were gone: it says nothing more
            there._link.transport._wire.abort(OSError("gone"))
            there._link.transport._link._address.servers = ["nats://127.0.0.1:9"]
            async with asyncio.timeout(LONG_S):
                for i in range(50):
                    await here.publish("a", i)
            lane.limit_by(1, 0, here._link.transport._clock())
            await until(lambda: lane.limit is None)
            stuck.close()

    run(main())


# --- connecting


def test_a_broker_that_is_not_there_is_a_typed_error() -> None:
    async def main() -> None:
        manager = ChannelManager("nats://127.0.0.1:9")
        with pytest.raises(ConnectionLostError, match=r"127\.0\.0\.1:9"):
            await manager.publish("a", 1)
        await manager.close()

    run(main())


def test_a_broker_that_does_not_answer_is_a_typed_error(own) -> None:
    async def main() -> None:
        own.freeze()
        with pytest.raises(ConnectTimeoutError, match="does not answer"):
            async with ChannelManager(own.url, connect_timeout_s=0.2):
                pass

    run(main())


@pytest.mark.parametrize(
    ("arguments", "good", "bad"),
    [
        (
            ("--user", "me", "--pass", SECRET),
            {"user": "me", "password": SECRET},
            {"user": "me", "password": WRONG},
        ),
        (("--auth", SECRET), {"token": SECRET}, {"token": WRONG}),
    ],
)
def test_credentials_open_the_door_and_are_never_told(arguments, good, bad, caplog) -> None:
    async def main(broker: Broker) -> None:
        who = f"me:{SECRET}" if "user" in good else SECRET
        for url, options in ((broker.url, good), (broker.url.replace("//", f"//{who}@"), {})):
            async with ChannelManager(url, **options) as manager:
                sub = manager.subscribe("a")
                await sub.ready()
                assert SECRET not in repr(manager._link.transport) + repr(manager.all_stats())
        for options in (bad, {}):
            with pytest.raises(AuthenticationError) as caught:
                async with ChannelManager(broker.url, **options):
                    pass
            assert SECRET not in str(caught.value) and "wrong" not in str(caught.value)

    with Broker(*arguments) as broker, caplog.at_level(logging.DEBUG):
        run(main(broker))
    assert SECRET not in caplog.text


def test_what_the_broker_does_not_permit_is_counted(caplog) -> None:
    config = 'authorization { users = [{user: a, password: b, permissions: {publish: ">", subscribe: "menura.in.>"}}] }'

    async def main(broker: Broker) -> None:
        async with ChannelManager(broker.url, user="a", password="b") as manager:
            manager.subscribe("a")
            await until(lambda: figures(manager).refusals >= 1)

    with Broker(config=config) as broker:
        run(main(broker))
    assert "permissions violation" in caplog.text


def test_an_address_that_asks_for_tls_tells_no_password_to_a_broker_without(own) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionLostError, match="no TLS"):
            async with ChannelManager(own.url.replace("nats://", f"tls://me:{SECRET}@")):
                pass

    run(main())


def test_tls_is_used_with_the_certificates_given(tmp_path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip

    async def main(broker: Broker) -> None:
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with ChannelManager(broker.url, tls=trusting) as here, ChannelManager(broker.url, tls=trusting) as there:
            sub = there.subscribe("a")
            await sub.ready()
            await here.publish("a", stream(1))
            assert await sub.get(LONG_S) == stream(1)
        with pytest.raises(ConnectionLostError):
            async with ChannelManager(broker.url.replace("nats://", "tls://")):
                pass  # signed by nobody that the system knows

    with Broker("--tls", "--tlscert", str(certificate), "--tlskey", str(key)) as broker:
        run(main(broker))


OTHER = """
import asyncio, sys
from menura.audio.stream import AudioStream
from menura.channels.manager import ChannelManager

async def main():
    async with ChannelManager(sys.argv[1], prefix="two") as channels:
        sub = channels.subscribe("there", max_queue=1000)
        await sub.ready()
        print("ready", flush=True)
        async for stream in sub:
            assert isinstance(stream, AudioStream)
            await channels.publish("back", stream.replaced(metadata={**stream.metadata, "seen": True}))
        await channels.close_channel("back")

asyncio.run(main())
"""


def test_two_processes_talk(broker) -> None:
    async def main() -> None:
        async with ChannelManager(broker.url, prefix="two") as channels:
            sub = channels.subscribe("back", max_queue=1000)
            await sub.ready()
            for i in range(300):
                await channels.publish("there", stream(i))
            await channels.close_channel("there")
            async with asyncio.timeout(LONG_S):
                got = [item async for item in sub]
            assert got == [stream(i).replaced(metadata={"i": i, "seen": True}) for i in range(300)]

    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OTHER, broker.url], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "ready\n"
            run(main())
            assert other.wait(LONG_S) == 0
        finally:
            other.kill()


def test_the_guide_runs_as_printed_and_names_what_there_is(broker) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "channels.md").read_text().split("\n## Across machines")[1]
    code = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    exec(code[0].replace("nats://127.0.0.1:4222", broker.url), {})
    for word in (*NatsOptions.__dataclass_fields__, *FORMATS):
        assert f"`{word}" in guide, word
    for kind in Kind:
        assert f"| {kind.value} {kind.name} |" in guide
    for form, code in FORMATS.items():
        assert f"{code} `{form}`" in guide
