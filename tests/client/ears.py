"""What a connection tells, in a form that tests can wait for."""

import asyncio
import queue
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from menura.client.connection import RealtimeConnectionManager
from menura.client.link import Timing
from menura.client.options import ConnectionState
from menura.clock import monotonic_s
from menura.protocol.realtime_server import ServerEvent
from tests.client.faults import TIMEOUT_S

KEY = "sk-proj-Secret/with+odd=characters"


class Ears:
    """Everything that a connection tells."""

    def __init__(self, manager: RealtimeConnectionManager) -> None:
        self.events: queue.Queue[ServerEvent] = queue.Queue()
        self.states: queue.Queue[ConnectionState] = queue.Queue()
        self.errors: queue.Queue[Exception] = queue.Queue()
        manager.on_event(self.events.put)
        manager.on_state_change(self.states.put)
        manager.on_error(self.errors.put)

    def until(self, kind: str) -> ServerEvent:
        """The next event of a type."""
        while True:
            event = self.events.get(timeout=TIMEOUT_S)
            if event.type == kind:
                return event

    def until_state(self, state: ConnectionState) -> None:
        while self.states.get(timeout=TIMEOUT_S) is not state:
            pass


class Pauses:
    """Waits that take no time, and are written down."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.held = threading.Event()
        self.held.set()

    async def __call__(self, duration_s: float) -> None:
        self.waits.append(duration_s)
        await asyncio.sleep(0)
        while not self.held.is_set():
            await asyncio.sleep(0.005)


@contextmanager
def connected(url: str, *, clock: Any = monotonic_s, pauses: Pauses | None = None, **settings: Any) -> Iterator[Any]:
    """A connection that is up, and what it tells."""
    timing = Timing(clock, pauses or Pauses(), random.Random(0))
    manager = RealtimeConnectionManager(KEY, url=url, timing=timing, **settings)
    ears = Ears(manager)
    manager.start(TIMEOUT_S)
    try:
        yield manager, ears
    finally:
        manager.stop()
