"""What the relay costs per 20 ms frame, against a bare uvicorn WebSocket echo of the same frames.

    python -m benchmarks.relay [--quick]

Frames of 24 kHz pcm16: one at a time, as they come in life, and fifty under way, as fast as they are taken, where the
system's share of a frame all but vanishes. Counted is the processor time of the server process alone (user and system,
of the kernel's accounts), per frame; client and provider are processes of their own. Up: a frame comes, an ``append``
goes to the provider. Down: a delta comes, a frame goes to the client. The echo takes a frame and sends it back. Each
row is the median of several turns, taken in turn. Providers send deltas of 100 ms and more: the last row.

Latency is from a frame's sending to its receiving, by the clock that all processes of a machine share, a frame each
10 ms: through the echo and back, through the relay from client to provider or back; each is two hops and one
server. What the relay adds is the difference.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from multiprocessing.connection import Connection

import websockets

from benchmarks.serving import FRAME, cpu_s, send_paced, servers
from benchmarks.tables import machine, number, table

WINDOWS = {"one at a time": 1, "fifty under way": 50}
DOWN_LONG = "relay, down, deltas of 200 ms"
PACE_S = 0.01


async def echo_turn(url: str, pid: int, frames: int, window: int) -> float:
    """Microseconds of the server per frame echoed."""
    async with websockets.connect(url, compression=None, max_size=None) as link:
        for measured in (False, True):
            begun = cpu_s(pid)
            sent = received = 0
            while received < frames:
                while sent < frames and sent - received < window:
                    await link.send(FRAME)
                    sent += 1
                await link.recv()
                received += 1
            if measured:
                return 1e6 * (cpu_s(pid) - begun) / frames
    raise AssertionError


async def _begin(url: str) -> websockets.ClientConnection:
    link = await websockets.connect(url, compression=None, max_size=None)
    await link.send(json.dumps({"action": "start"}))
    while json.loads(await link.recv()) != {"type": "provider", "state": "connected"}:
        pass
    return link


async def up_turn(url: str, pid: int, frames: int, window: int, wire: Connection) -> float:
    """Microseconds of the relay per frame that went up."""
    link = await _begin(url)
    arrived = 0
    try:
        for part in (1, 2):
            begun = cpu_s(pid)
            for i in range(frames * (part - 1), frames * part):
                await link.send(FRAME)
                while i + 1 - arrived >= window or wire.poll():
                    await asyncio.sleep(0)  # what was sent must leave
                    arrived, _ = wire.recv()
            while arrived < frames * part:
                arrived, _ = wire.recv()
        return 1e6 * (cpu_s(pid) - begun) / frames
    finally:
        await link.close()


async def down_turn(url: str, pid: int, frames: int, window: int, go: Connection, batch: int = 1) -> float:
    """Microseconds of the relay per frame that came down, in deltas of so many frames."""
    link = await _begin(url)
    try:
        for _ in range(2):
            begun = cpu_s(pid)
            metadata = {"frames": str(frames // batch), "window": str(window), "batch": str(batch)}
            await link.send(json.dumps({"type": "response.create", "response": {"metadata": metadata}}))
            size = 0
            while size < frames * len(FRAME):
                message = await link.recv()
                if isinstance(message, bytes):
                    size += len(message)
                    go.send(size // (batch * len(FRAME)))
        return 1e6 * (cpu_s(pid) - begun) / frames
    finally:
        await link.close()


async def echo_latency(url: str, frames: int, pace_s: float) -> list[float]:
    """Milliseconds of each frame through the echo and back."""
    async with websockets.connect(url, compression=None, max_size=None) as link:
        waits = []
        for i in range(frames):
            at_s = await send_paced(link, FRAME, i, pace_s)
            await link.recv()
            waits.append(1e3 * (time.perf_counter() - at_s))
        return waits


async def up_latency(url: str, frames: int, pace_s: float, wire: Connection) -> list[float]:
    """Milliseconds of each frame from client to provider."""
    link = await _begin(url)
    try:
        sent = [await send_paced(link, FRAME, i, pace_s) for i in range(frames)]
        return [1e3 * (wire.recv()[1] - at_s) for at_s in sent]
    finally:
        await link.close()


async def down_latency(url: str, frames: int, pace_s: float, wire: Connection) -> list[float]:
    """Milliseconds of each frame from provider to client."""
    link = await _begin(url)
    try:
        metadata = {"frames": str(frames), "window": "1", "batch": "1", "pace_s": str(pace_s)}
        await link.send(json.dumps({"type": "response.create", "response": {"metadata": metadata}}))
        received = []
        while len(received) < frames:
            if isinstance(await link.recv(), bytes):
                received.append(time.perf_counter())
        return [1e3 * (to_s - from_s) for from_s, to_s in zip(wire.recv(), received, strict=True)]
    finally:
        await link.close()


def latencies(urls: tuple[str, str], heard: Connection, frames: int, turns: int) -> list[list[str]]:
    """Rows of the table of latencies."""
    found: dict[str, list[float]] = {"bare echo": [], "relay, up": [], "relay, down": []}
    for _ in range(turns):
        found["bare echo"] += asyncio.run(echo_latency(urls[0], frames, PACE_S))
        found["relay, up"] += asyncio.run(up_latency(urls[1], frames, PACE_S, heard))
        found["relay, down"] += asyncio.run(down_latency(urls[1], frames, PACE_S, heard))
    marks = {server: [quantile(waits, share) for share in (0.5, 0.99)] for server, waits in found.items()}
    base = marks["bare echo"]
    added = {server: [ms - least for ms, least in zip(both, base, strict=True)] for server, both in marks.items()}
    return [[server, *(number(ms, 3) for ms in (*marks[server], *added[server]))] for server in marks]


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share stays below."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few frames, few turns")
    quick = parser.parse_args().quick
    frames, turns = (500, 3) if quick else (2000, 7)
    rows = []
    with servers("bytes") as there:
        urls, pids, heard, go = (there.echo, f"{there.relay}/ws/relay"), there.pids, there.heard, there.go
        for name, window in WINDOWS.items():
            times: dict[str, list[float]] = {"bare echo": [], "relay, up": [], "relay, down": [], DOWN_LONG: []}
            for _ in range(turns):
                times["bare echo"].append(asyncio.run(echo_turn(urls[0], pids[0], frames, window)))
                times["relay, up"].append(asyncio.run(up_turn(urls[1], pids[1], frames, window, heard)))
                times["relay, down"].append(asyncio.run(down_turn(urls[1], pids[1], frames, window, go)))
                times[DOWN_LONG].append(asyncio.run(down_turn(urls[1], pids[1], frames, window, go, batch=10)))
            rows += _rows(name, times)
        waits = latencies(urls, heard, *((100, 3) if quick else (500, 5)))
    print(f"Processor time of the server per 20 ms frame of 24 kHz pcm16; {machine()}")
    print(table(["frames", "server", "µs", "least", "most", "ratio"], rows))
    print(f"\nMilliseconds from sending to receiving, a frame each {1e3 * PACE_S:g} ms, and what the relay adds")
    print(table(["server", "p50", "p99", "p50 added", "p99 added"], waits))


def _rows(name: str, times: dict[str, list[float]]) -> list[list[str]]:
    base = statistics.median(times["bare echo"])
    cells = [(server, statistics.median(values), min(values), max(values)) for server, values in times.items()]
    return [
        [name, server, number(middle, 1), number(least, 1), number(most, 1), number(middle / base, 2)]
        for server, middle, least, most in cells
    ]


if __name__ == "__main__":
    main()
