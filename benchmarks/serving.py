"""A bare echo, the relay and a provider, each in a process of its own: what the relay's benchmarks have in common."""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import websockets

FRAME = os.urandom(960)
KEY = "sk-benchmark-0000"
DELTA = {"type": "response.output_audio.delta", "event_id": "e", "output_index": 0, "content_index": 0}


@dataclass(frozen=True)
class Servers:
    """Three servers that run.

    Attributes:
        echo: Address of the bare one.
        relay: Address of menura's, without a path.
        pids: Of the two.
        heard: Where the provider says how much audio came, and when.
        go: By which it is told how many deltas were taken.
    """

    echo: str
    relay: str
    pids: tuple[int, int]
    heard: Connection
    go: Connection


@contextmanager
def servers(kind: str) -> Iterator[Servers]:
    """Start them; ``kind`` of message, ``bytes`` or ``text``, is what the echo takes."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    listeners = [_listener() for _ in range(3)]
    echo, relay, provider = (f"ws://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners)
    heard, hears = context.Pipe(False)
    goes, go = context.Pipe(False)
    jobs = [
        (_echo, (listeners[0], kind)),
        (_relay, (listeners[1], f"{provider}/v1")),
        (_provider, (listeners[2], hears, goes)),
    ]
    processes = [context.Process(target=job, args=of, daemon=True) for job, of in jobs]
    for process in processes:
        process.start()
    try:
        yield Servers(echo, relay, (processes[0].pid or 0, processes[1].pid or 0), heard, go)
    finally:
        for process in processes:
            process.terminate()


def _listener() -> socket.socket:
    # the protocol must be named: asyncio switches Nagle's delay off only where it reads TCP
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def _echo(listener: socket.socket, kind: str) -> None:
    """The bare server: uvicorn, one coroutine, no framework."""

    async def app(scope: dict, receive, send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", kind: message[kind]})

    _serve(app, listener)


def _relay(listener: socket.socket, provider: str) -> None:
    from menura.server.app import create_app
    from menura.server.relay_options import RelayOptions, RelaySettings

    options = RelayOptions(pace="at_once", max_unread_ms=600_000.0, max_reply_ms=600_000.0)
    _serve(create_app(relay=RelaySettings(provider, KEY, options=options)), listener)


def _serve(app: object, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app, log_level="error", ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off", ws_max_queue=64
    )
    uvicorn.Server(config).run(sockets=[listener])


async def _answer(
    link: websockets.ServerConnection, metadata: dict[str, str], number: int, go: Connection, wire: Connection
) -> None:
    delta = base64.b64encode(FRAME * int(metadata["batch"])).decode()
    text = json.dumps(DELTA | {"response_id": f"r{number}", "item_id": f"i{number}", "delta": delta})
    frames, window, taken = int(metadata["frames"]), int(metadata["window"]), 0
    if "pace_s" in metadata:
        wire.send([await send_paced(link, text, i, float(metadata["pace_s"])) for i in range(frames)])
        return
    for i in range(frames):
        await link.send(text)
        await asyncio.sleep(0)  # it must leave
        while i + 1 - taken >= window and taken < frames:
            taken = go.recv()
    while taken < frames:
        taken = go.recv()


async def send_paced(link: object, message: str | bytes, i: int, pace_s: float) -> float:
    """Send a message after a pause, and give the time at which it was; not in step with anything."""
    await asyncio.sleep(pace_s * (0.75 + 0.5 * (i * 0.618 % 1.0)))
    at_s = time.perf_counter()
    await link.send(message)  # type: ignore[attr-defined]
    return at_s


def _provider(listener: socket.socket, wire: Connection, go: Connection) -> None:
    """Takes audio and says how much of it came; sends an answer's deltas as ``go`` says how many were taken."""

    async def serve(link: websockets.ServerConnection) -> None:
        await link.send('{"type":"session.created","event_id":"e","session":{"id":"s"}}')
        count = answers = 0
        with suppress(websockets.ConnectionClosed):
            async for message in link:
                if message.startswith('{"type":"input_audio_buffer.append"'):
                    at_s = time.perf_counter()
                    count += 1
                    wire.send((count, at_s))
                elif '"session.update"' in message:
                    await link.send('{"type":"session.updated","event_id":"e","session":{"id":"s"}}')
                elif '"response.create"' in message:
                    answers += 1
                    await _answer(link, json.loads(message)["response"]["metadata"], answers, go, wire)

    async def run() -> None:
        async with websockets.serve(serve, sock=listener, compression=None, max_size=None, ping_interval=None):
            await asyncio.Future()

    asyncio.run(run())


def cpu_s(pid: int) -> float:
    """Processor time a process has used, of all its threads."""
    accounts = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(account.read_text().split()[0]) for account in accounts) / 1e9
