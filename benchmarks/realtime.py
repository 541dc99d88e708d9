"""What ``/v1/realtime`` costs per 20 ms frame, against a bare uvicorn WebSocket echo of the same events.

    python -m benchmarks.realtime [--quick]

As ``benchmarks.relay``, with a client of the Realtime API: frames of 24 kHz pcm16 are ``append`` events on their way up
and deltas on their way down, one at a time. The echo takes such an event and sends it back without reading it; the
relay reads it, decodes and checks the audio, and says it again to the other side.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import statistics
from multiprocessing.connection import Connection

import websockets

from benchmarks.serving import FRAME, cpu_s, servers
from benchmarks.tables import machine, number, table

APPEND = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(FRAME).decode()})


async def echo_turn(url: str, pid: int, frames: int) -> float:
    """Microseconds of the server per event echoed."""
    async with websockets.connect(url, compression=None, max_size=None) as link:
        for measured in (False, True):
            begun = cpu_s(pid)
            for _ in range(frames):
                await link.send(APPEND)
                await link.recv()
            if measured:
                return 1e6 * (cpu_s(pid) - begun) / frames
    raise AssertionError


async def _begin(url: str) -> websockets.ClientConnection:
    link = await websockets.connect(url, compression=None, max_size=None)
    assert json.loads(await link.recv())["type"] == "session.created"
    return link


async def up_turn(url: str, pid: int, frames: int, wire: Connection) -> float:
    """Microseconds of the relay per frame that went up."""
    async with await _begin(url) as link:
        for part in (1, 2):
            begun = cpu_s(pid)
            for i in range(frames * (part - 1), frames * part):
                await link.send(APPEND)
                arrived = 0
                while arrived <= i:
                    await asyncio.sleep(0)  # what was sent must leave
                    arrived, _ = wire.recv()
        return 1e6 * (cpu_s(pid) - begun) / frames


async def down_turn(url: str, pid: int, frames: int, go: Connection, batch: int) -> float:
    """Microseconds of the relay per frame that came down, in deltas of so many frames."""
    async with await _begin(url) as link:
        for _ in range(2):
            begun = cpu_s(pid)
            metadata = {"frames": str(frames // batch), "window": "1", "batch": str(batch)}
            await link.send(json.dumps({"type": "response.create", "response": {"metadata": metadata}}))
            for taken in range(1, frames // batch + 1):
                while '"response.output_audio.delta"' not in await link.recv():
                    pass
                go.send(taken)
        return 1e6 * (cpu_s(pid) - begun) / frames


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few frames, few turns")
    frames, turns = (500, 3) if parser.parse_args().quick else (2000, 7)
    times: dict[str, list[float]] = {"bare echo": [], "up": [], "down": [], "down, deltas of 200 ms": []}
    with servers("text") as there:
        url, (echo, relay) = f"{there.relay}/v1/realtime", there.pids
        for _ in range(turns):
            times["bare echo"].append(asyncio.run(echo_turn(there.echo, echo, frames)))
            times["up"].append(asyncio.run(up_turn(url, relay, frames, there.heard)))
            times["down"].append(asyncio.run(down_turn(url, relay, frames, there.go, 1)))
            times["down, deltas of 200 ms"].append(asyncio.run(down_turn(url, relay, frames, there.go, 10)))
    base = statistics.median(times["bare echo"])
    middles = {name: statistics.median(values) for name, values in times.items()}
    rows = [[name, number(us, 1), number(us / base, 2)] for name, us in middles.items()]
    print(f"Processor time of the server per 20 ms frame of 24 kHz pcm16, one at a time; {machine()}")
    print(table(["server", "µs", "ratio"], rows))


if __name__ == "__main__":
    main()
