"""What a channel across machines costs, beside bare nats-py carrying the same bytes; its delay; its memory.

    python -m benchmarks.channels_nats [--quick]

Needs ``nats-server``. Publisher, receiver and broker are processes of their own, on this machine's loopback. A message
is 20 ms of 48 kHz mono pcm_s16le: 1968 bytes with its header. Counted is the processor time (user and system, of the
kernel's accounts) of the publishing and of the receiving process, per message; rounds of all rows take turns, figures
are medians. Bare nats-py reads by its callback, which is its quickest way, or by ``async for`` over ``messages``, which
is how a channel is read. *In bursts*: as fast as the receiver takes them, fifty at a time. *Paced*: 100 subjects, 50
messages a second each; there a message is its own wake-up on both sides, and the delay from ``publish`` to the reader
is measured.

A stuck subscriber reads nothing; a broker that is frozen takes nothing: memory is the process' resident set after a
tenth of the messages and after all.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.tables import machine, number, table
from menura.audio.stream import AudioStream
from menura.channels.manager import ChannelManager
from menura.channels.wire import encode_message
from tests.broker import Broker

PCM = bytes(1920)
RAW_CALLBACK, RAW_LOOP, OURS = "nats-py, callback", "nats-py, async for", "channel"
ROWS = (RAW_CALLBACK, RAW_LOOP, OURS)
CHANNELS, PER_SECOND = 100, 50
BURST = 50
CLOCK = struct.Struct("<d")


ITEM = AudioStream(data=PCM, sample_rate=48_000)


def item(now_s: float = 0.0) -> AudioStream:
    return ITEM.model_copy(update={"timestamp": (now_s, now_s + 0.02)})


FRAME = encode_message(item(1.0), 1, 1)


def cpu_s() -> float:
    """Processor time of this process, of all its threads."""
    accounts = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(account.read_text().split()[0]) for account in accounts) / 1e9


def rss_mb() -> float:
    """Resident set of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Ours:
    """A process' end: channels."""

    def __init__(self, url: str) -> None:
        self._manager = ChannelManager(url, max_queue=10_000)

    async def __aenter__(self) -> Ours:
        await self._manager.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._manager.close()

    async def prepare(self, names: list[str]) -> None:
        for name in names:
            await self._manager.create_channel(name, AudioStream)

    async def publish(self, name: str, now_s: float) -> None:
        await self._manager.publish(name, item(now_s))

    async def burst(self, name: str, stream: Any) -> None:
        for _ in range(BURST):
            await self._manager.publish(name, stream)

    message = staticmethod(lambda: item(1.0))

    async def listen(self, names: list[str], take: Callable[[float], None]) -> list[asyncio.Task[None]]:
        async def read(subscription: Any) -> None:
            async for stream in subscription:
                take(stream.timestamp[0])

        subscriptions = [self._manager.subscribe(name, max_queue=100_000) for name in names]
        for subscription in subscriptions:
            await subscription.ready()
        return [asyncio.create_task(read(subscription)) for subscription in subscriptions]


class Bare:
    """A process' end: nats-py."""

    def __init__(self, url: str, *, loop: bool) -> None:
        self._url, self._loop = url, loop

    async def __aenter__(self) -> Bare:
        import nats

        self._client = await nats.connect(self._url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def prepare(self, names: list[str]) -> None:
        """There is nothing to say of a subject."""

    async def publish(self, name: str, now_s: float) -> None:
        await self._client.publish(name, FRAME[:32] + CLOCK.pack(now_s) + FRAME[40:])

    async def burst(self, name: str, frame: bytes) -> None:
        for _ in range(BURST):
            await self._client.publish(name, frame)

    message = staticmethod(lambda: FRAME)

    async def listen(self, names: list[str], take: Callable[[float], None]) -> list[asyncio.Task[None]]:
        async def called(message: Any) -> None:
            take(CLOCK.unpack_from(message.data, 32)[0])

        async def read(subscription: Any) -> None:
            async for message in subscription.messages:
                take(CLOCK.unpack_from(message.data, 32)[0])

        limits = {"pending_msgs_limit": 1_000_000, "pending_bytes_limit": 0}
        callback = {} if self._loop else {"cb": called}
        subscriptions = [await self._client.subscribe(name, **callback, **limits) for name in names]
        await self._client.flush()
        return [asyncio.create_task(read(each)) for each in subscriptions] if self._loop else []


def make(row: str, url: str) -> Any:
    return Ours(url) if row == OURS else Bare(url, loop=row == RAW_LOOP)


async def _receive(
    row: str, url: str, names: list[str], counts: tuple[int, int], wire: Connection, told: Connection
) -> None:
    """Tells the publisher of every burst that came; at the end, processor seconds and delays of the second part."""
    warm, total = counts[0], sum(counts)
    got, begun = 0, 0.0
    delays: list[float] = []
    done = asyncio.Event()

    def take(sent_s: float) -> None:
        nonlocal got, begun
        got += 1
        if got == warm:
            begun = cpu_s()
        if got > warm and len(names) > 1:
            delays.append(time.time() - sent_s)
        if len(names) == 1 and not got % BURST:
            wire.send_bytes(b"x")
        if got == total:
            done.set()

    async with make(row, url) as end:
        tasks = await end.listen(names, take)
        told.send("ready")
        try:
            async with asyncio.timeout(120.0):
                await done.wait()
        finally:
            told.send((cpu_s() - begun, sorted(delays), got))
        for task in tasks:
            task.cancel()


def receiver(*arguments: Any) -> None:
    asyncio.run(_receive(*arguments))


async def _burst(row: str, url: str, counts: tuple[int, int], wire: Connection, told: Connection) -> None:
    room = asyncio.Semaphore(8)

    def heard() -> None:
        while wire.poll():
            wire.recv_bytes()
            room.release()

    asyncio.get_running_loop().add_reader(wire.fileno(), heard)
    async with make(row, url) as end:
        await end.prepare(["a"])
        message, begun = end.message(), 0.0
        bursts = [count // BURST for count in counts]
        for i in range(sum(bursts)):
            if i == bursts[0]:
                begun = cpu_s()
            await room.acquire()
            await end.burst("a", message)
            await asyncio.sleep(0)
        told.send(cpu_s() - begun)
        for _ in range(8):
            await room.acquire()  # all of it came


async def _pace(row: str, url: str, names: list[str], counts: tuple[int, int], told: Connection) -> None:
    async with make(row, url) as end:
        await end.prepare(names)
        start, begun = time.perf_counter(), 0.0
        for i in range(sum(counts)):
            if i == counts[0]:
                begun = cpu_s()
            wait_s = start + i / (PER_SECOND * len(names)) - time.perf_counter()
            if wait_s > 0.0:
                await asyncio.sleep(wait_s)
            await end.publish(names[i % len(names)], time.time())
        await asyncio.sleep(0.2)
        told.send(cpu_s() - begun)


def publisher(
    row: str, url: str, names: list[str], counts: tuple[int, int], wire: Connection, told: Connection
) -> None:
    job = _burst(row, url, counts, wire, told) if len(names) == 1 else _pace(row, url, names, counts, told)
    asyncio.run(job)


def turn(row: str, url: str, names: list[str], counts: tuple[int, int]) -> tuple[float, float, list[float]]:
    """Microseconds a message of the publishing and of the receiving process, and the delays in seconds."""
    context = multiprocessing.get_context("spawn")
    there, here = context.Pipe()
    found, finds = context.Pipe(False)
    told, tell = context.Pipe(False)
    receiving = context.Process(target=receiver, args=(row, url, names, counts, there, finds))
    receiving.start()
    assert found.recv() == "ready"
    # the publisher reads the receiver's word itself: nothing in between takes time
    sending = context.Process(target=publisher, args=(row, url, names, counts, here, tell))
    sending.start()
    sent_s = told.recv()
    sending.join()
    seconds, delays, got = found.recv()
    receiving.join()
    if got != sum(counts):
        raise AssertionError(f"{row}: {got} of {sum(counts)} came")
    return 1e6 * sent_s / counts[1], 1e6 * seconds / counts[1], delays


def costs(url: str, names: list[str], counts: tuple[int, int], turns: int) -> list[list[str]]:
    """Rows of a table, beside the quickest bare one."""
    found: dict[str, list[tuple[float, float, list[float]]]] = {row: [] for row in ROWS}
    for _ in range(turns):
        for row in ROWS:
            found[row].append(turn(row, url, names, counts))
    middle = {row: [statistics.median(each[k] for each in found[row]) for k in (0, 1)] for row in ROWS}
    lines = []
    for row in ROWS:
        both = sum(middle[row])
        cells = [row, *(number(cost, 1) for cost in (*middle[row], both))]
        cells += [number(both / sum(middle[bare]), 2) for bare in (RAW_CALLBACK, RAW_LOOP)]
        if found[row][0][2]:
            for share in (500, 990, 999):
                delay_s = statistics.median(delays[len(delays) * share // 1000] for *_, delays in found[row])
                cells.append(number(1000.0 * delay_s, 2))
        lines.append(cells)
    return lines


async def _stuck(url: str, count: int, *, freeze: Callable[[], None] | None) -> tuple[float, float]:
    """Resident set after a tenth and after all, publisher and stuck subscriber being one process."""
    async with ChannelManager(url, stale_s=600.0) as here, ChannelManager(url, stale_s=600.0) as there:
        subscription = there.subscribe("a")
        await subscription.ready()
        if freeze is not None:
            freeze()
        first = 0.0
        for i in range(count):
            if i == count // 10:
                first = rss_mb()
            here.publish_nowait("a", item(float(i)))
            if not i % 20:
                await asyncio.sleep(0)
        return first, rss_mb()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few messages, few turns")
    quick = parser.parse_args().quick
    turns, burst, pace_s = (2, 5000, 2) if quick else (5, 20_000, 3)
    names = [f"c{i}" for i in range(CHANNELS)]
    head = ["", "publish", "receive", "both", "÷ callback", "÷ async for"]
    print(f"Processor time a message, µs; {machine()}\n")
    with Broker() as broker:
        print(table(head, costs(broker.url, ["a"], (BURST * 20, burst), turns), "in bursts"), "\n")
        paced = costs(broker.url, names, (CHANNELS * PER_SECOND, CHANNELS * PER_SECOND * pace_s), turns)
        delays = ["p50 ms", "p99 ms", "p99.9 ms"]
        print(table([*head, *delays], paced, f"paced: {CHANNELS} channels, {PER_SECOND} a second"), "\n")
    count = 20_000 if quick else 1_000_000
    rows = []
    work: list[tuple[str, Callable[[Broker], Awaitable[tuple[float, float]]]]] = [
        ("subscriber stuck", lambda broker: _stuck(broker.url, count, freeze=None)),
        ("broker frozen", lambda broker: _stuck(broker.url, count, freeze=broker.freeze)),
    ]
    for name, run in work:
        with Broker() as broker:
            first, last = asyncio.run(run(broker))
        rows.append([name, number(first, 1), number(last, 1)])
    print(table(["memory, MB", "after a tenth", f"after {count}"], rows))


if __name__ == "__main__":
    sys.exit(main())
