"""What a channel costs within a process, beside bare queues and other packages.

    python -m benchmarks.channels [--quick]

An item is 20 ms of 48 kHz mono pcm_s16le, one object published again and again. Publisher and readers are tasks of one
loop; the clock runs from the first publish until every reader has ended. Rounds of all rows take turns; each figure is
the median. asyncio.Queue carries to one reader and checks nothing; fan-out by it is a queue a reader. broadcaster's
in-memory backend is unbounded and carries strings elsewhere; here it carries the object. One at a time: the next item
is published when the last was read, which is one wake-up each, mostly the loop's own cost.

A stuck subscriber reads nothing of a million new streams: memory is the process' resident set and the interpreter's
allocated blocks after a tenth of them and after all.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import machine, number, table
from menura import AudioStream, ChannelManager

ITEM = AudioStream(data=bytes(1920), sample_rate=48_000, timestamp=(0.0, 0.02))
END = object()
Run = Callable[[int, int], Awaitable[float]]


async def _timed(publish: Callable[[], Awaitable[None]], reads: list[Awaitable[int]], count: int) -> float:
    """Seconds from the first publish until all have read all."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    await asyncio.sleep(0)
    begun = time.perf_counter()
    await publish()
    got = await asyncio.gather(*tasks)
    took = time.perf_counter() - begun
    if set(got) != {count}:
        raise AssertionError(f"read {got} of {count}")
    return took


def menura(policy: str, **settings: Any) -> Run:
    """Our channel, its audio typed and its gaps counted."""

    async def run(count: int, readers: int) -> float:
        async with ChannelManager() as manager:
            await manager.create_channel("audio", AudioStream, **settings)

            async def read(subscription: Any) -> int:
                total = 0
                async for _ in subscription:
                    total += 1
                return total

            async def publish() -> None:
                for _ in range(count):
                    await manager.publish("audio", ITEM)
                await manager.close_channel("audio")

            subscriptions = [manager.subscribe("audio", str(i), policy=policy) for i in range(readers)]
            return await _timed(publish, [read(each) for each in subscriptions], count)

    return run


async def queues(count: int, readers: int) -> float:
    """asyncio.Queue, one a reader."""
    all_queues: list[asyncio.Queue[Any]] = [asyncio.Queue(256) for _ in range(readers)]

    async def read(queue: asyncio.Queue[Any]) -> int:
        total = 0
        while await queue.get() is not END:
            total += 1
        return total

    async def publish() -> None:
        for i in range(count + 1):
            for queue in all_queues:
                await queue.put(ITEM if i < count else END)

    return await _timed(publish, [read(queue) for queue in all_queues], count)


async def anyio_streams(count: int, readers: int) -> float:
    """anyio's memory object streams, one a reader."""
    import anyio

    ends = [anyio.create_memory_object_stream[Any](256) for _ in range(readers)]

    async def read(receive: Any) -> int:
        total = 0
        async for _ in receive:
            total += 1
        return total

    async def publish() -> None:
        for _ in range(count):
            for send, _receive in ends:
                await send.send(ITEM)
        for send, receive in ends:
            send.close()
            receive  # noqa: B018

    took = await _timed(publish, [read(receive) for _, receive in ends], count)
    for _, receive in ends:
        receive.close()
    return took


async def broadcaster_memory(count: int, readers: int) -> float:
    """broadcaster over its in-memory backend."""
    from broadcaster import Broadcast

    async with Broadcast("memory://") as broadcast:
        ready = asyncio.Barrier(readers + 1)

        async def read() -> int:
            total = 0
            async with broadcast.subscribe(channel="audio") as subscriber:
                await ready.wait()
                async for _ in subscriber:
                    total += 1
                    if total == count:
                        break
            return total

        async def publish() -> None:
            await ready.wait()
            for i in range(count):
                await broadcast.publish(channel="audio", message=ITEM)
                if not i % 128:
                    await asyncio.sleep(0)

        return await _timed(publish, [read() for _ in range(readers)], count)


async def from_thread(count: int, _readers: int) -> float:
    """A thread publishes with backpressure to a reader in the loop."""
    manager = ChannelManager()
    await manager.create_channel("audio", AudioStream)
    subscription = manager.subscribe("audio", policy="block")

    def publish() -> None:
        for _ in range(count):
            manager.publish_threadsafe("audio", ITEM)

    thread = threading.Thread(target=publish)
    begun = time.perf_counter()
    thread.start()
    for _ in range(count):
        await subscription.get()
    took = time.perf_counter() - begun
    thread.join()
    return took


async def one_at_a_time(count: int, _readers: int) -> float:
    """Publish, wait for the reader's word, publish."""
    manager = ChannelManager()
    there, back = manager.subscribe("there"), manager.subscribe("back")

    async def echo() -> None:
        async for item in there:
            await manager.publish("back", item)

    task = asyncio.create_task(echo())
    begun = time.perf_counter()
    for _ in range(count):
        await manager.publish("there", ITEM)
        await anext(back)
    took = (time.perf_counter() - begun) / 2
    await manager.close()
    await task
    return took


async def queue_one_at_a_time(count: int, _readers: int) -> float:
    """The same with two queues."""
    there: asyncio.Queue[Any] = asyncio.Queue()
    back: asyncio.Queue[Any] = asyncio.Queue()

    async def echo() -> None:
        while True:
            await back.put(await there.get())

    task = asyncio.create_task(echo())
    begun = time.perf_counter()
    for _ in range(count):
        await there.put(ITEM)
        await back.get()
    took = (time.perf_counter() - begun) / 2
    task.cancel()
    return took


async def converting(count: int, _readers: int) -> float:
    """44.1 kHz into a channel of 48 kHz."""
    manager = ChannelManager()
    await manager.create_channel("audio", sample_rate=48_000, mismatch="convert")
    subscription = manager.subscribe("audio")
    noise = np.random.default_rng(0).normal(0, 0.1, (882, 1)).astype(np.float32)
    item = AudioStream.from_block(noise, 44_100, timestamp=(0.0, 0.0))
    begun = time.perf_counter()
    for _ in range(count):
        await manager.publish("audio", item)
        await subscription.get()
    return time.perf_counter() - begun


async def constructing(count: int, _readers: int) -> float:
    """An AudioStream from its fields, all checked."""
    data = bytes(1920)
    begun = time.perf_counter()
    for _ in range(count):
        AudioStream(data=data, sample_rate=48_000, timestamp=(0.0, 0.02), metadata={"source": "me"})
    return time.perf_counter() - begun


def medians(runs: dict[str, Run], count: int, readers: int, rounds: int) -> dict[str, float]:
    """Median microseconds an item of each."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            gc.collect()
            times[name].append(1e6 * asyncio.run(run(count, readers)) / count)
    return {name: statistics.median(each) for name, each in times.items()}


def throughput(quick: bool) -> str:
    """One subscriber."""
    runs: dict[str, Run] = {
        "asyncio.Queue, bare": queues,
        "anyio memory stream": anyio_streams,
        "menura, drop_oldest": menura("drop_oldest"),
        "menura, block": menura("block"),
        "menura, format checked": menura("drop_oldest", sample_rate=48_000, channels=1, format="pcm_s16le"),
        "menura, from a thread, block": from_thread,
    }
    if find_spec("broadcaster"):
        runs["broadcaster, memory"] = broadcaster_memory
    alone: dict[str, Run] = {
        "asyncio.Queue, one at a time": queue_one_at_a_time,
        "menura, one at a time": one_at_a_time,
        "menura, 44.1 to 48 kHz": converting,
        "AudioStream made and checked": constructing,
    }
    rounds = 3 if quick else 9
    found = medians(runs, 20_000 if quick else 100_000, 1, rounds)
    found |= medians(alone, 5000 if quick else 20_000, 1, rounds)
    rows = [[name, number(us, 2), f"{1e6 / us:,.0f}"] for name, us in found.items()]
    return table(["one subscriber", "µs an item", "items a second"], rows)


def fan_out(quick: bool) -> str:
    """1, 10, 100 subscribers."""
    rows = []
    runs: dict[str, Run] = {"asyncio.Queue a reader": queues, "menura": menura("drop_oldest")}
    sizes = (1, 10, 100)
    found = {size: medians(runs, (20_000 if quick else 100_000) // size, size, 3 if quick else 7) for size in sizes}
    for name in runs:
        per = [found[size][name] / size for size in sizes]
        rows.append([name, *(number(found[size][name], 1) for size in sizes), *(number(each, 2) for each in per)])
    head = ["subscribers", *map(str, sizes), *(f"µs each of {size}" for size in sizes)]
    return table(head, rows)


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def stuck(quick: bool) -> str:
    """Memory with a subscriber that reads nothing."""
    rows = []
    for policy in ("drop_oldest", "drop_newest", "latest", "error"):
        manager = ChannelManager()
        subscription = manager.subscribe("audio", policy=policy)
        count = 100_000 if quick else 1_000_000
        marks = []
        for i in range(count):
            at = i * 0.02
            manager.publish_nowait("audio", AudioStream(data=bytes(1920), timestamp=(at, at + 0.02)))
            if i in {count // 10, count - 1}:
                gc.collect()
                marks.append((_resident_mib(), sys.getallocatedblocks()))
        stats = subscription.stats()
        (before, blocks), (after, blocks_after) = marks
        rows.append(
            [policy, f"{stats.received:,}", f"{stats.dropped:,}", str(stats.queued), number(before), number(after),
             number(after - before), f"{blocks_after - blocks:+}"]
        )  # fmt: skip
    head = ["stuck", "received", "dropped", "queued", "MiB at 10 %", "MiB at the end", "more", "blocks more"]
    return table(head, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer items, fewer rounds")
    quick = parser.parse_args().quick
    print(machine())
    for part in (throughput, fan_out, stuck):
        print()
        print(part(quick))


if __name__ == "__main__":
    main()
