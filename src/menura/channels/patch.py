"""Sources, stages, mixers and sinks, joined by channels and run together."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Self, Unpack

from menura.audio.stream import AudioStream
from menura.channels.making import AnyStage
from menura.channels.manager import ChannelManager
from menura.channels.mixer import Combine
from menura.channels.mixing import Mix, MixSettings, combine
from menura.channels.options import Policy
from menura.channels.part import Part, PartStats, Reader
from menura.channels.recording import RecordSettings, record
from menura.channels.streaming import StageSettings, Streams, process, streams_of
from menura.channels.subscription import Subscription
from menura.errors import ConfigError, StateError
from menura.log import get_logger

__all__ = ["Patch"]

logger = get_logger(__name__)

MAX_QUEUE = 16


class Patch:
    """Parts that give, change, mix and take audio, and the channels between them, as cables join modules.

    Parts are named first, then :meth:`run` runs them until all have ended, or ``async with`` for as long as its body
    lasts. All subscriptions are made before the first part begins, so that nothing is lost. The end travels along: when
    all parts that write to a channel have ended, it is closed, and who reads it gives its rest and ends too.

    A part that fails ends all others, what was recorded is kept, and its error is raised by :meth:`run`, :meth:`wait`,
    :meth:`stop` or the end of ``async with``, with the part's name as a note. With ``isolate`` only that part ends, as
    if what it reads had ended; its error is logged and kept in :attr:`errors`.

    Args:
        channels: Where the channels are; by default in a manager of its own.
        policy: Of every subscription. ``block`` loses nothing, and the slowest sets the pace; for live audio
            ``drop_oldest``.
        max_queue: Streams that wait for a part.
        keep: Channels that are left open, for others write to them too; who reads them here ends with :meth:`stop`.
        isolate: Whether parts go on without one that failed.

    >>> from menura.channels.sources import generate
    >>> from menura.dsp.delay import Echo
    >>> from menura.dsp.oscillator import Oscillator
    >>> patch = Patch()
    >>> heard = []
    >>> patch.source(generate(Oscillator(8000, 220.0), seconds=1.0), to="tone")
    >>> patch.stage("tone", Echo, to="echo")
    >>> patch.sink("echo", heard.append)
    >>> asyncio.run(patch.run())
    >>> sum(stream.frames for stream in heard)
    8000
    """

    def __init__(
        self,
        channels: ChannelManager | None = None,
        *,
        policy: Policy | str = Policy.BLOCK,
        max_queue: int = MAX_QUEUE,
        keep: Collection[str] = (),
        isolate: bool = False,
    ) -> None:
        self.channels = channels or ChannelManager()
        self._own = channels is None
        self._policy, self._max_queue = policy, max_queue
        self._keep, self._isolate = frozenset(keep), isolate
        self._parts: list[Part] = []
        self._mixes: list[Mix] = []
        self._writers: Counter[str] = Counter()
        self._failed: Part | None = None
        self._started = self._stopping = False

    # --- the parts

    def _add(self, kind: str, reads: Sequence[str], writes: str | None, make: Callable[..., Any]) -> None:
        if self._started:
            raise StateError("parts are named before the patch is started")
        name = " → ".join(part for part in (" + ".join(reads), kind, writes) if part)
        same = sum(part.name.split(" #")[0] == name for part in self._parts)
        name += f" #{same + 1}" if same else ""
        self._parts.append(Part(name, tuple(reads), writes, make))

    def source(self, streams: Streams, *, to: str) -> None:
        """Write streams to a channel: a generator, a file, a microphone, a subscription of another manager."""
        self._add("source", (), to, lambda: streams)

    def stage(self, source: str, stage: AnyStage, *, to: str, **settings: Unpack[StageSettings]) -> None:
        """Run a stage, chain or voice from one channel to another: see :func:`~menura.channels.streaming.process`."""
        kind = stage if isinstance(stage, str) else getattr(stage, "__name__", type(stage).__name__)
        self._add(kind, (source,), to, lambda reader: process(reader, stage, **settings))

    def mix(
        self,
        sources: Sequence[str] | Mapping[str, float],
        rate: int,
        channels: int = 1,
        *,
        to: str,
        hold: bool = False,
        **settings: Unpack[MixSettings],
    ) -> Mix:
        """Add channels in sync, with their gains if these are given.

        Returns:
            The mixer, whose gains can be turned while it runs, and which others may join.
        """
        mix = Mix(rate, channels, hold=hold, **settings)
        gains = dict(sources) if isinstance(sources, Mapping) else dict.fromkeys(sources, 1.0)

        def make(*readers: Reader) -> Mix:
            for reader, (name, gain) in zip(readers, gains.items(), strict=True):
                mix.add(name, reader, gain)
            return mix

        self._mixes.append(mix)
        self._add("mix", tuple(gains), to, make)
        return mix

    def combine(
        self,
        sources: Sequence[str],
        function: Combine,
        rate: int,
        channels: int = 1,
        *,
        to: str,
        **settings: Unpack[MixSettings],
    ) -> None:
        """Make one channel of several in sync, block by block: see :func:`~menura.channels.mixing.combine`."""
        kind = getattr(function, "__name__", "combine").replace("<lambda>", "combine")
        self._add(kind, sources, to, lambda *readers: combine(function, readers, rate, channels, **settings))

    def sink(self, source: str, take: Callable[[AudioStream], Awaitable[object] | object]) -> None:
        """Call something with every stream of a channel, in the event loop; what it returns is awaited if it can be."""

        async def consume(reader: Reader) -> None:
            async for stream in reader:
                result = take(stream)
                if isinstance(result, Awaitable):
                    await result

        self._add("sink", (source,), None, consume)

    def record(self, source: str, path: Any, **settings: Unpack[RecordSettings]) -> None:
        """Write a channel to a file: see :func:`~menura.channels.recording.record`."""
        self._add(f"record {path}", (source,), None, lambda reader: record(reader, path, **settings))

    def consume(self, source: str, take: Callable[[Streams], Awaitable[object]]) -> None:
        """Give a channel as a whole to what reads streams, such as :func:`~menura.channels.sources.play`."""
        self._add(getattr(take, "__name__", "consume"), (source,), None, take)

    # --- running them

    async def start(self) -> None:
        """Subscribe, then let all parts begin.

        Raises:
            StateError: It was started before.
            ConfigError: Parts form a circle, which would never end: feedback belongs into a stage.
            ConnectionLostError: The channels cannot be reached.
        """
        if self._started:
            raise StateError("a patch runs once: make another")
        self._check_circles()
        self._started = True
        for name in dict.fromkeys(part.writes for part in self._parts if part.writes is not None):
            with suppress(StateError):  # it is there already, with settings of its own
                await self.channels.create_channel(name, AudioStream)
        for part in self._parts:
            if part.writes is not None:
                self._writers[part.writes] += 1
        try:
            for part in self._parts:
                part.readers = tuple(Reader(self._subscribe(name, part.name)) for name in part.reads)
            await asyncio.gather(*(reader.subscription.ready() for part in self._parts for reader in part.readers))
            for part in self._parts:
                part.task = asyncio.create_task(self._run_part(part), name=f"menura-patch {part.name}")
            await asyncio.sleep(0)  # a task that is cancelled before its first step never comes to closing its channel
        except BaseException:
            self._abort()
            for reader in (reader for part in self._parts for reader in part.readers):
                reader.subscription.close()
            raise

    def _subscribe(self, channel: str, part: str) -> Subscription:
        return self.channels.subscribe(channel, part, policy=self._policy, max_queue=self._max_queue)

    def _check_circles(self) -> None:
        ways: dict[str, set[str]] = {}
        for part in self._parts:
            for name in part.reads:
                ways.setdefault(name, set()).update({part.writes} if part.writes is not None else ())
        for begin in ways:
            seen, todo = set[str](), [begin]
            while todo:
                for name in ways.get(todo.pop(), set()) - seen:
                    if name == begin:
                        raise ConfigError(f"channel {begin!r} is made of itself: feedback belongs into a stage")
                    seen.add(name)
                    todo.append(name)

    async def _run_part(self, part: Part) -> None:
        try:
            await self._work(part)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # nobody asked for it: the part itself has raised it
                failure = StateError("what it waited for was cancelled")
                failure.__cause__ = error
                self._fail(part, failure)
            elif not part.stopping:
                raise
        except Exception as error:
            self._fail(part, error)
        finally:
            for reader in part.readers:
                reader.subscription.close()
            await self._end_output(part)

    async def _work(self, part: Part) -> None:
        made = part.make(*part.readers)
        if part.writes is None:
            await made
            return
        async with aclosing(streams_of(made)) as streams:
            async for stream in streams:
                await self.channels.publish(part.writes, stream)
                part.streams += 1
                part.audio_s += stream.duration_seconds()

    def _fail(self, part: Part, error: Exception) -> None:
        part.error = error
        error.add_note(f"in the part {part.name!r} of a patch")
        logger.warning("the part %s has failed: %s", part.name, part.error)
        if self._isolate:
            return
        if self._failed is None:
            self._failed = part
        self._abort()

    def _abort(self) -> None:
        for part in self._parts:
            if part.task is not None and part.task is not asyncio.current_task():
                part.task.cancel()

    async def _end_output(self, part: Part) -> None:
        if part.writes is None:
            return
        self._writers[part.writes] -= 1
        if self._writers[part.writes]:
            return
        if part.writes not in self._keep:
            await self.channels.close_channel(part.writes)
        elif self._stopping:
            self._finish_readers(part.writes)

    async def wait(self) -> None:
        """Wait until all parts have ended.

        Raises:
            Exception: What the first part to fail has raised, unless ``isolate`` is set.
        """
        tasks = [part.task for part in self._parts if part.task is not None]
        try:
            await asyncio.wait(tasks) if tasks else None
        except asyncio.CancelledError:
            self._abort()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        if self._own:
            await self.channels.close()
        if self._failed is not None and self._failed.error is not None:
            raise self._failed.error

    async def run(self) -> None:
        """Start, and wait until all parts have ended.

        Raises:
            Exception: What the first part to fail has raised, unless ``isolate`` is set.
        """
        await self.start()
        await self.wait()

    def _finish_readers(self, channel: str) -> None:
        for part in self._parts:
            for reader in part.readers:
                if reader.subscription.name == channel:
                    reader.finish()

    async def stop(self) -> None:
        """End the sources, and what comes from elsewhere after what is queued; then wait until all has run through.

        Raises:
            Exception: What the first part to fail has raised, unless ``isolate`` is set.
        """
        self._stopping = True
        for part in self._parts:
            if not part.reads and part.task is not None:
                part.stopping = True
                part.task.cancel()
            for name in part.reads:
                if not self._writers[name]:
                    self._finish_readers(name)
        for mix in self._mixes:
            mix.release()
        await self.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.stop()
            return
        self._abort()
        with suppress(Exception):
            await self.wait()

    # --- what it tells

    def stats(self) -> dict[str, PartStats]:
        """Figures of every part by its name."""
        return {part.name: part.stats() for part in self._parts}

    @property
    def errors(self) -> dict[str, Exception]:
        """What parts that failed have raised."""
        return {part.name: part.error for part in self._parts if part.error is not None}
