"""How many live sessions one server carries: 20 ms frames of 48 kHz pcm16 sent on the clock by N clients.

    python -m benchmarks.server [--quick] [--voice ID] [--url ws://…/ws/realtime-control]

Starts a server of its own unless told one, and a bare WebSocket echo to compare with. Turn-around is from sending a
frame to holding as many samples as were sent: network, queue, work, not the voice's own latency (its silence travels at
once). The clients run on the same machine and take their share of its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import websockets

from benchmarks import corpus
from benchmarks.tables import machine, number, table

RATE = 48_000
FRAME_BYTES = 2 * RATE // 50
SETTLE_S = 1.0


@dataclass
class Client:
    """One session's counts."""

    sent_at: list[float] = field(default_factory=list)
    turnaround_ms: list[float] = field(default_factory=list)
    received: int = 0

    def hear(self, data: bytes) -> None:
        """Count what came; every frame now complete has its time."""
        self.received += len(data)
        now = time.perf_counter()
        while len(self.turnaround_ms) < min(self.received // FRAME_BYTES, len(self.sent_at)):
            self.turnaround_ms.append(1e3 * (now - self.sent_at[len(self.turnaround_ms)]))


async def _start_voice(link: websockets.ClientConnection, voice: str) -> None:
    audio = {"source": "client", "sample_rate": RATE, "format": "pcm16"}
    await link.send(json.dumps({"action": "selectVoice", "voiceId": voice}))
    await link.send(json.dumps({"action": "start", "audio": audio}))
    while True:
        reply = json.loads(await asyncio.wait_for(link.recv(), 10))
        if reply.get("type") == "error":
            raise RuntimeError(reply["error"])
        if reply.get("type") == "status":
            return


async def _listen(link: websockets.ClientConnection, client: Client) -> None:
    with suppress(websockets.ConnectionClosed):
        async for message in link:
            if isinstance(message, bytes):
                client.hear(message)


async def session(url: str, voice: str | None, speech: bytes, seconds: float, start_at: float) -> Client:
    """One client that sends on the clock."""
    client = Client()
    async with websockets.connect(url, compression=None, max_size=None) as link:
        if voice:
            await _start_voice(link, voice)
        listening = asyncio.create_task(_listen(link, client))
        began = time.perf_counter() + start_at
        for i in range(int(seconds * 50)):
            await asyncio.sleep(max(0.0, began + i / 50 - time.perf_counter()))
            at = i * FRAME_BYTES % (len(speech) - FRAME_BYTES)
            client.sent_at.append(time.perf_counter())
            await link.send(speech[at : at + FRAME_BYTES])
        await asyncio.sleep(0.5)
        listening.cancel()
    return client


async def load(url: str, voice: str | None, count: int, seconds: float) -> list[str]:
    """Cells of one row: p50, p99, worst turn-around, and frames that never came back."""
    speech = np.concatenate([one.audio for one in corpus.fixtures(RATE, 4)])
    data = (speech * 32767).astype("<i2").tobytes()
    waits = (0.02 * i / count for i in range(count))
    clients = await asyncio.gather(*(session(url, voice, data, seconds, wait) for wait in waits))
    settled = [client.turnaround_ms[int(SETTLE_S * 50) :] for client in clients]
    times = np.array([ms for one in settled for ms in one] or [np.nan])
    missing = sum(len(client.sent_at) - len(client.turnaround_ms) for client in clients)
    p50, p99 = np.percentile(times, [50, 99])
    return [str(count), number(float(p50), 2), number(float(p99), 2), number(float(times.max())), str(missing)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _echo(port: int) -> None:
    async def answer(link: websockets.ServerConnection) -> None:
        with suppress(websockets.ConnectionClosed):
            async for message in link:
                await link.send(message)

    async def run() -> None:
        async with websockets.serve(answer, "127.0.0.1", port, compression=None):
            await asyncio.Future()

    asyncio.run(run())


def _await_port(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.1)
    raise RuntimeError("the server did not start")


def _echo_server(port: int) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=_echo, args=(port,), daemon=True)
    process.start()
    return process


def _menura_server(port: int) -> subprocess.Popen[bytes]:
    """menura as installed beside the benchmarks' own environment, or in it."""
    own = Path(__file__).parent.parent / ".venv" / "bin" / "python"
    run = f"from menura.cli.serve import run_server; run_server('127.0.0.1', {port})"
    return subprocess.Popen([str(own if own.exists() else sys.executable), "-c", run], stdout=subprocess.DEVNULL)


def ladder(name: str, url: str, voice: str | None, counts: list[int], seconds: float) -> list[list[str]]:
    """More and more sessions until the 99th percentile passes one frame (20 ms) or frames are lost."""
    rows = []
    for count in counts:
        cells = asyncio.run(load(url, voice, count, seconds))
        rows.append([name, *cells])
        if not float(cells[2]) < 20.0 or cells[-1] != "0":
            break
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few sessions, a few seconds")
    parser.add_argument("--voice", default="natural-woman", metavar="ID")
    parser.add_argument("--seconds", type=float, default=8.0, metavar="S", help="of speech in each session")
    parser.add_argument("--url", help="a server that already runs")
    arguments = parser.parse_args()
    counts = [1, 10] if arguments.quick else [1, 10, 25, 50, 75, 100, 150, 200, 300]
    seconds = 3.0 if arguments.quick else arguments.seconds
    print(f"Live sessions, 20 ms frames of 48 kHz pcm16; {machine()}")
    rows = []
    port = _free_port()
    echo = _echo_server(port)
    try:
        _await_port(port)
        rows += ladder("bare echo", f"ws://127.0.0.1:{port}", None, counts, seconds)
    finally:
        echo.terminate()
    if arguments.url:
        rows += ladder(arguments.voice, arguments.url, arguments.voice, counts, seconds)
    else:
        port = _free_port()
        server = _menura_server(port)
        try:
            _await_port(port)
            url = f"ws://127.0.0.1:{port}/ws/realtime-control"
            rows += ladder(arguments.voice, url, arguments.voice, counts, seconds)
        finally:
            server.terminate()
    print(table(["server", "sessions", "p50 ms", "p99 ms", "max ms", "frames missing"], rows))


if __name__ == "__main__":
    main()
