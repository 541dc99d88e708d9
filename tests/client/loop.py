"""What serves in an event loop of its own, on a thread, from ``with`` to its end."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Self

TIMEOUT_S = 20.0


class Looped:
    """A server of a test: subclasses say in :meth:`opened` what is there while it lives."""

    def __init__(self) -> None:
        self._up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._main(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._over.set)
        self._thread.join(TIMEOUT_S)

    def opened(self) -> AbstractAsyncContextManager[int]:
        """What is there while this lives; the port it is heard on."""
        raise NotImplementedError

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop, from any thread."""
        self._loop.call_soon_threadsafe(function)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with self.opened() as self.port:
            self._up.set()
            await self._over.wait()
