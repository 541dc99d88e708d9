"""Several sources of streams as one, in sync, with ``async for``."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, TypedDict, Unpack

from menura.audio.stream import AudioStream
from menura.channels.align import MAX_GAP_S, Aligner, InputStats
from menura.channels.mixer import Combine, StreamCombiner, StreamMixer, check_gain
from menura.channels.offload import Offload
from menura.channels.streaming import Streams, streams_of
from menura.channels.timeline import TOLERANCE_S
from menura.clock import Clock, monotonic_s
from menura.errors import StateError
from menura.log import get_logger
from menura.units import ms_to_frames

__all__ = ["Mix", "MixSettings", "combine"]

logger = get_logger(__name__)

MAX_AHEAD_S = 10.0
"""Audio that waits for a slower source, before the faster is read no further."""
ASTRAY_S = 60.0
"""An input further ahead than this is not fast, but of another time: it is waited for, and told of."""
PENDING = 4
"""Streams of one source that wait to be taken in."""


class MixSettings(TypedDict, total=False):
    """How sources are brought together, as keywords.

    ``block_ms``: of every output, 20 by default. ``max_wait_s``: how long a late source is waited for; None, which is
    the default and right for what is not live, is for ever. ``max_gap_s``: longest common silence that is given.
    ``tolerance_s``: by which timestamps may wander. ``limit``: whether a limiter keeps the output below −0.1 dBFS.
    ``format``: of the output, ``pcm_f32le`` by default. ``metadata``: of the output.
    """

    block_ms: float
    max_wait_s: float | None
    max_gap_s: float
    tolerance_s: float
    limit: bool
    format: str
    metadata: dict[str, Any]


def _aligner(rate: int, channels: int, settings: MixSettings) -> Aligner:
    return Aligner(
        rate,
        channels,
        block=ms_to_frames(settings.get("block_ms", 20.0), rate),
        max_wait_s=settings.get("max_wait_s"),
        max_gap_s=settings.get("max_gap_s", MAX_GAP_S),
        tolerance_s=settings.get("tolerance_s", TOLERANCE_S),
    )


def _output(settings: MixSettings) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name in {"limit", "format", "metadata"}}


class _Gathering(AsyncIterable[AudioStream]):
    """Reads sources beside each other, and gives what is made of them. Steps run one after another, not in the loop."""

    def __init__(self, combiner: StreamCombiner, *, hold: bool, clock: Clock) -> None:
        self._combiner = combiner
        self._hold, self._clock = hold, clock
        self._sources: dict[str, Streams] = {}
        self._feeders: dict[str, asyncio.Task[None]] = {}
        self._work: deque[tuple[int, Callable[[], None]]] = deque()
        self._waiting: dict[str, int] = {}
        self._ahead_s: dict[str, float] = {}
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._told: set[str] = set()
        self._running = False

    def _join(self, name: str, source: Streams, step: Callable[[], None]) -> None:
        if name in self._sources:
            raise StateError(f"there is an input {name!r} already")
        self._sources[name] = source
        self._waiting[name] = 0
        self._post(0, step)
        if self._running:
            self._start(name)

    def _post(self, frames: int, step: Callable[[], None]) -> None:
        self._work.append((frames, step))
        self._wake.set()

    def release(self) -> None:
        """End when all sources have ended, from now on."""
        self._hold = False
        self._wake.set()

    def close(self) -> None:
        """Read no more: what was read is still given, then it ends."""
        self.release()
        for task in self._feeders.values():
            task.cancel()

    def stats(self) -> dict[str, InputStats]:
        """Figures of every input."""
        return self._combiner.stats()

    # --- reading

    def _start(self, name: str) -> None:
        task = asyncio.create_task(self._feed(name, self._sources[name]), name=f"menura-mix-{name}")
        self._feeders[name] = task
        task.add_done_callback(lambda task: self._fed(name, task))

    async def _feed(self, name: str, source: Streams) -> None:
        async with aclosing(streams_of(source)) as streams:
            async for stream in streams:
                self._waiting[name] += 1
                self._post(stream.frames, lambda stream=stream: self._take(name, stream))  # type: ignore[misc]
                while self._waiting[name] >= PENDING or self._ahead_s.get(name, 0.0) > MAX_AHEAD_S:
                    self._room.clear()
                    await self._room.wait()

    def _take(self, name: str, stream: AudioStream) -> None:
        self._waiting[name] -= 1
        if name in self._combiner.aligner.inputs and not self._combiner.stats()[name].ended:
            self._combiner.push(name, stream, self._clock())

    def _fed(self, name: str, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if self._feeders.get(name) is not task:
            return  # it was removed

        def finish() -> None:
            if error is not None:
                raise error
            self._combiner.end(name, self._clock())

        del self._feeders[name]
        del self._sources[name]
        self._post(0, finish)

    # --- giving

    def __aiter__(self) -> AsyncGenerator[AudioStream]:
        return self._run()

    async def _run(self) -> AsyncGenerator[AudioStream]:
        if self._running:
            raise StateError("this is read already")
        self._running = True
        offload = Offload(self._clock)
        for name in list(self._sources):
            self._start(name)
        try:
            while self._feeders or self._work or self._hold:
                await self._wait()
                work = [self._work.popleft() for _ in range(len(self._work))]
                for out in await offload.run(sum(frames for frames, _ in work), self._step, work):
                    yield out
                self._room.set()
            for out in await offload.run(1, self._combiner.finish):
                yield out
        finally:
            await self._stop()

    async def _wait(self) -> None:
        """Until there is work, or the next block is due."""
        due_s = self._combiner.aligner.deadline_s()
        if self._work:
            await asyncio.sleep(0)  # more sources may be ready
            return
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due_s is None else max(0.0, due_s - self._clock())):
                await self._wake.wait()

    def _step(self, work: list[tuple[int, Callable[[], None]]]) -> list[AudioStream]:
        for _, step in work:
            step()
        out = self._combiner.pull(self._clock())
        aligner = self._combiner.aligner
        self._ahead_s = {name: aligner.ahead_s(name) for name in aligner.inputs}
        for name in [name for name, ahead_s in self._ahead_s.items() if ahead_s > ASTRAY_S and name not in self._told]:
            self._told.add(name)
            logger.warning(
                "the input %s lies %.0f s ahead of the others: do all sources tell time by one clock?",
                name, self._ahead_s[name],
            )  # fmt: skip
        return out

    async def _stop(self) -> None:
        feeders = list(self._feeders.values())
        for task in feeders:
            task.cancel()
        await asyncio.gather(*feeders, return_exceptions=True)


class Mix(_Gathering):
    """The sum of sources, each with a gain, aligned by their timestamps to the sample: ``async for out in mix``.

    Sources may join and leave while it runs. It ends when all of them have ended, unless ``hold`` is set: then with
    :meth:`close`. A source that fails ends it with its error. One that is faster than the others is read no further
    than 10 s ahead.

    Args:
        rate: Of the output, Hz; sources of other rates are converted.
        channels: Of the output.
        hold: Whether to wait for more sources when all have ended.
        clock: For ``max_wait_s``.
        settings: See :class:`MixSettings`.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        hold: bool = False,
        clock: Clock = monotonic_s,
        **settings: Unpack[MixSettings],
    ) -> None:
        self._mixer = StreamMixer(_aligner(rate, channels, settings), **_output(settings))
        super().__init__(self._mixer, hold=hold, clock=clock)

    def add(self, name: str, source: Streams, gain: float = 1.0) -> None:
        """Read another source from now on, or from the start on.

        Raises:
            StateError: There is one of this name.
            ConfigError: The gain is negative or no number.
        """
        check_gain(gain)
        self._join(name, source, lambda: self._mixer.add(name, gain))

    def set_gain(self, name: str, gain: float) -> None:
        """Turn a source up or down, without a click.

        Raises:
            StateError: There is no such source, or it has ended.
            ConfigError: The gain is negative or no number.
        """
        check_gain(gain)
        self._known(name)
        self._post(0, lambda: self._mixer.set_gain(name, gain))

    def remove(self, name: str) -> None:
        """Read a source no more; what was read of it fades out.

        Raises:
            StateError: There is no such source, or it has ended.
        """
        self._known(name)
        del self._sources[name]
        task = self._feeders.pop(name, None)
        if task is not None:
            task.cancel()
        self._post(0, lambda: self._mixer.remove(name))

    def _known(self, name: str) -> None:
        if name not in self._sources:
            raise StateError(f"there is no input {name!r}; there are {', '.join(self._sources) or 'none'}")


async def combine(
    function: Combine, sources: Sequence[Streams], rate: int, channels: int = 1, **settings: Unpack[MixSettings]
) -> AsyncGenerator[AudioStream]:
    """One source of several, of the same times to the sample: one modulates the other, one is a key to another.

    Args:
        function: Makes a block of one block ``[n, channels]`` of each source, in their order; of any ``n``.
        sources: What gives streams.
        rate: Of the blocks and of the output, Hz.
        channels: Of the blocks.
        settings: See :class:`MixSettings`.
    """
    gathering = _Gathering(
        StreamCombiner(_aligner(rate, channels, settings), function, **_output(settings)),
        hold=False,
        clock=monotonic_s,
    )
    for k, source in enumerate(sources):
        gathering._join(str(k), source, lambda k=k: gathering._combiner.add(str(k)))  # type: ignore[misc]
    async with aclosing(gathering._run()) as streams:
        async for stream in streams:
            yield stream
