"""A relay on a real socket within this process, so that what it leaves behind can be looked at."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import uvicorn
from fastapi import FastAPI
from websockets.sync.client import connect

from menura.server.access import Gate
from menura.server.app import create_app
from menura.server.limits import Session
from menura.server.relay_options import RelayOptions, RelaySettings
from tests.client.ears import KEY
from tests.client.faults import TIMEOUT_S

LASTING = {"Catalogue.watch", "Rest.watch", "Roster.watch", "LifespanOn.main"}
"""Tasks that a server has for as long as it runs."""


class Served:
    """A server in a thread."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.loop: asyncio.AbstractEventLoop | None = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/ws/relay"
        config = uvicorn.Config(app, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=2)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self.server.serve(sockets=[self.listener])

    def tasks(self) -> set[str]:
        """What runs in the server's loop now, by name of its function."""

        async def look() -> set[str]:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            return {task.get_coro().__qualname__ for task in tasks if task is not None}

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(look(), self.loop).result(TIMEOUT_S)

    def until_idle(self, idle: set[str]) -> None:
        """Wait until nothing runs but what ran before."""

        def names() -> set[str]:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            return {task.get_coro().__qualname__ for task in tasks if task is not None} - LASTING

        async def wait() -> None:
            while names() - idle or self.app.state.relays.clients:
                await asyncio.sleep(0.01)

        assert self.loop is not None
        try:
            asyncio.run_coroutine_threadsafe(wait(), self.loop).result(TIMEOUT_S)
        except TimeoutError:
            raise AssertionError(f"still running: {self.tasks() - idle}") from None

    @property
    def sessions(self) -> list[Session]:
        """Sockets that are open."""
        layer = self.app.middleware_stack
        while not isinstance(layer, Gate):
            layer = layer.app  # type: ignore[union-attr]
        return layer.limiter.open_sessions()

    @property
    def engines(self) -> int:
        return len(self.app.state.engines._engines)


@contextmanager
def serving(
    provider_url: str, *, session: Any = None, max_clients: int = 32, settings: Any = None, **options: Any
) -> Iterator[Served]:
    relay = RelaySettings(
        provider_url,
        KEY,
        "m",
        session=session,
        options=RelayOptions(**options),
        max_clients=max_clients,
        **(settings or {}),
    )
    served = Served(create_app(relay=relay))
    served.thread.start()
    try:
        yield served
    finally:
        served.server.should_exit = True
        served.thread.join(TIMEOUT_S)
        served.listener.close()


class Caller:
    """A client of ``/ws/relay``; everything it gets is kept."""

    def __init__(self, url: str, **options: Any) -> None:
        self._connecting = connect(url, max_size=None, compression=None, **options)
        self.audio = bytearray()
        self.events: list[dict[str, Any]] = []
        self.texts: list[str] = []

    def __enter__(self) -> Self:
        self.socket = self._connecting.__enter__()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._connecting.__exit__(*reason)

    def next(self) -> dict[str, Any] | bytes:
        message = self.socket.recv(TIMEOUT_S)
        if isinstance(message, bytes):
            self.audio += message
            return message
        self.texts.append(message)
        self.events.append(json.loads(message))
        return self.events[-1]

    def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a type."""
        while True:
            event = self.next()
            if isinstance(event, dict) and event["type"] == kind and fields.items() <= event.items():
                return event

    def hear(self, size: int) -> bytes:
        """Wait until so much audio has come in all."""
        while len(self.audio) < size:
            self.next()
        return bytes(self.audio)

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def start(self, rate: int = 24_000, form: str = "pcm16", **fields: Any) -> dict[str, Any]:
        self.say(action="start", audio={"source": "client", "sample_rate": rate, "format": form}, **fields)
        started = self.until("started")
        self.until("provider", state="connected")
        return started
