"""A voice between two channels: what is said into one is heard from the other, changed."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypedDict, TypeVar, Unpack

import numpy as np

from menura.audio.block import Samples
from menura.audio.stream import AudioStream
from menura.channels.manager import ChannelManager
from menura.channels.options import Mismatch, Policy
from menura.channels.stages import Gaps, StreamStage, StreamStageStats
from menura.channels.stats import SubscriptionStats
from menura.errors import ChannelClosedError, ConfigError, FormatError
from menura.live.making import make_stage
from menura.live.session import SessionStats, VoiceSession
from menura.live.strand import Strand
from menura.log import get_logger
from menura.units import ms_to_frames
from menura.voices.build import VoiceStage
from menura.voices.builtin import find_voice
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["ChannelVoice", "ChannelVoiceSettings", "ChannelVoiceStats"]

_log = get_logger(__name__)
T = TypeVar("T")
EDGE_MS: Final = 5.0
"""Fade where one voice ends and another begins, because their delays differ."""


class ChannelVoiceSettings(TypedDict, total=False):
    """More settings of a :class:`ChannelVoice`.

    Attributes:
        policy: What happens to audio when the voice is too slow; ``"drop_oldest"``.
        max_queue: Streams that wait for it; 50.
        max_fill_s: Longest gap that is filled with silence; 0.2.
        end_sink: Whether the sink is closed when the source is; yes.
    """

    policy: str
    max_queue: int
    max_fill_s: float
    end_sink: bool


@dataclass(frozen=True, slots=True)
class ChannelVoiceStats:
    """Figures of a voice between two channels.

    Attributes:
        voice: Its id.
        streams_in: Streams taken from the source.
        streams_out: Streams published.
        refused: Items left out because they are no audio, or audio that cannot be mapped.
        stage: Gaps filled, resets, frames; see :class:`StreamStageStats`.
        session: Levels, delay and processing time; ``None`` before the first stream.
        source: Of the subscription: what was dropped because this was too slow.
    """

    voice: str
    streams_in: int
    streams_out: int
    refused: int
    stage: StreamStageStats
    session: SessionStats | None
    source: SubscriptionStats


class _SessionStage:
    """A session as a stage; its voice has one delay as long as this lives."""

    def __init__(self, session: VoiceSession, *, rises: bool) -> None:
        self.session = session
        self.rate_in = self.rate_out = session.rate
        self.channels = session.channels
        self.latency = session.latency
        self._edge = ms_to_frames(EDGE_MS, session.rate)
        self._rises = rises
        self.falls = False

    def process(self, x: Samples) -> Samples:
        if self._rises and len(x):
            self._rises = False
            x = _faded(x, self._edge, end=False)
        return self.session.process(x)

    def flush(self) -> Samples:
        y = self.session.finish()
        return _faded(y, self._edge, end=True) if self.falls else y

    def reset(self) -> None:
        self.session.finish()


def _faded(x: Samples, edge: int, *, end: bool) -> Samples:
    count = min(edge, len(x))
    gain = ((np.arange(count, dtype=np.float32) + 0.5) / max(1, count))[:, None]
    y = x.copy()
    if count and end:
        y[-count:] *= gain[::-1]
    else:
        y[:count] *= gain
    return y


class ChannelVoice:
    """Takes audio from a channel, changes the voice, and publishes to another channel.

    As many frames come out as went in, each at its own time: the timestamp tells when it was said, not when it was
    done, so that who receives it knows the whole delay; of that the voice makes ``stats().session.latency_ms``, which
    every stream also tells as ``voice_latency_ms`` in its metadata, beside ``voice``. The other fields of the metadata
    and the format of the samples stay. The work is done on threads, never in the event loop.

    What is missing, by the timestamps, is silence up to ``max_fill_s``: what comes out has the same length. After a
    longer gap the voice begins anew, and knows the speaker no more.

    The voice counts what is published on ``source`` from its construction.

    Args:
        channels: In a process or across machines.
        source: Channel of the audio.
        sink: Channel of the changed audio.
        voice: To begin with; a voice or its id.
        parameters: The user's settings to begin with.
        pool: Threads that many voices may share; its own by default.
        settings: See :class:`ChannelVoiceSettings`.

    Raises:
        ConfigError: ``source`` and ``sink`` are one channel.
        VoiceNotFoundError: There is no such voice.
    """

    def __init__(
        self,
        channels: ChannelManager,
        source: str,
        sink: str,
        voice: Voice | str = "natural-woman",
        *,
        parameters: VoiceParameters | None = None,
        pool: Executor | None = None,
        **settings: Unpack[ChannelVoiceSettings],
    ) -> None:
        if source == sink:
            raise ConfigError(
                f"a voice would hear itself: it goes from one channel to another, not from {source!r} to it"
            )
        self.voice = find_voice(voice) if isinstance(voice, str) else voice
        self._parameters = parameters or VoiceParameters()
        self._channels, self._source, self._sink = channels, source, sink
        self._end_sink = settings.get("end_sink", True)
        self._max_fill_s = settings.get("max_fill_s", 0.2)
        self._own: Executor | None = None
        if pool is None:
            pool = self._own = ThreadPoolExecutor(1, thread_name_prefix="menura-voice")
        self._strand = Strand(pool)
        self._order = asyncio.Lock()
        self._stage: _SessionStage | None = None
        self._stream = self._new_stream(None)
        self._past = StreamStageStats()
        self._in = self._out = self._refused = 0
        self._rest: deque[Any] = deque()  # what was queued when it was told to finish
        policy, max_queue = settings.get("policy", Policy.DROP_OLDEST), settings.get("max_queue", 50)
        self._subscription = channels.subscribe(source, f"voice to {sink}", policy=policy, max_queue=max_queue)

    async def ready(self) -> None:
        """Wait until what is published on other machines comes too."""
        await self._subscription.ready()

    # --- settings

    async def switch(self, voice: Voice | str, parameters: VoiceParameters | None = None) -> None:
        """Change to another voice: in a crossfade where both have the same delay, else one after the other.

        Raises:
            VoiceNotFoundError: There is no such voice.
            ModelError: It cannot be built; the voice is as before.
        """
        chosen = find_voice(voice) if isinstance(voice, str) else voice
        settings = parameters or self._parameters
        stage = self._stage
        if stage is None:
            self.voice, self._parameters = chosen, settings
            return
        built = await asyncio.to_thread(
            make_stage, chosen, stage.rate_in, stage.channels, parameters=settings,
            speaker_hz=stage.session.stats().speaker_hz,
        )  # fmt: skip
        await self._give(lambda: self._change(built, chosen, settings))

    @property
    def parameters(self) -> VoiceParameters:
        """The settings as they are."""
        return self._parameters

    def set(self, parameters: VoiceParameters) -> None:
        """Turn the settings. Any thread."""
        self._parameters = parameters
        if self._stage is not None:
            self._stage.session.set(parameters)

    # --- the work, on the strand

    def _new_stream(self, session: VoiceSession | None) -> StreamStage:
        def make(rate: int, channels: int) -> _SessionStage:
            began = session or VoiceSession(make_stage(self.voice, rate, channels, parameters=self._parameters))
            self._stage = _SessionStage(began, rises=session is not None)
            return self._stage

        return StreamStage(make, gaps=Gaps.FILL, max_fill_s=self._max_fill_s, mismatch=Mismatch.CONVERT)

    def _change(self, built: VoiceStage, voice: Voice, parameters: VoiceParameters) -> list[AudioStream]:
        stage = self._stage
        assert stage is not None
        done: list[AudioStream] = []
        if built.latency == stage.latency:
            stage.session.switch(built)
        else:
            stage.falls = True
            done = self._named(self._stream.flush())
            self._past = _sum(self._past, self._stream.stats())
            self._stream = self._new_stream(VoiceSession(built))
        self.voice, self._parameters = voice, parameters
        return done

    def _named(self, streams: list[AudioStream]) -> list[AudioStream]:
        if not streams or self._stage is None:
            return streams
        told = {"voice": self.voice.id, "voice_latency_ms": self._stage.session.stats().latency_ms}
        return [stream.model_copy(update={"metadata": {**stream.metadata, **told}}) for stream in streams]

    async def _work(self, job: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = job()
            except BaseException as error:
                loop.call_soon_threadsafe(_fail, done, error)
            else:
                loop.call_soon_threadsafe(_succeed, done, result)

        self._strand.post(run)
        return await done

    # --- the loop

    async def run(self) -> None:
        """Change what comes until the source is closed; then give the rest, and close the sink.

        Raises:
            ModelError: The voice cannot be built.
            ConnectionLostError: The channels were closed meanwhile.
        """
        try:
            async for item in self._subscription:
                await self._take(item)
            while self._rest:
                await self._take(self._rest.popleft())
            await self._give(lambda: self._named(self._stream.flush()))
            if self._end_sink:
                await self._channels.close_channel(self._sink)
        finally:
            self.close()

    async def _take(self, item: object) -> None:
        if not isinstance(item, AudioStream):
            self._refuse(f"{type(item).__name__} is not audio")
            return
        self._in += 1
        try:
            await self._give(lambda: self._named(self._stream.process(item)))
        except FormatError as error:
            self._refuse(str(error))

    def _refuse(self, why: str) -> None:
        if not self._refused:
            _log.warning("channel %r: left out: %s (more of this is only counted)", self._source, why)
        self._refused += 1

    async def _give(self, job: Callable[[], list[AudioStream]]) -> None:
        """Publish what a job gives, before what a later one does."""
        async with self._order:
            for stream in await self._work(job):
                self._out += 1
                await self._channels.publish(self._sink, stream)

    def finish(self) -> None:
        """Take no more than is queued: a ``run`` ends after that."""
        with suppress(ChannelClosedError):
            while (item := self._subscription.get_nowait()) is not None:
                self._rest.append(item)
        self._subscription.close()

    def close(self) -> None:
        """Take no more; a ``run`` ends."""
        self._subscription.close()
        if self._own is not None:
            self._own.shutdown(wait=False)

    def stats(self) -> ChannelVoiceStats:
        """Figures now."""
        return ChannelVoiceStats(
            self.voice.id, self._in, self._out, self._refused, _sum(self._past, self._stream.stats()),
            self._stage.session.stats() if self._stage else None, self._subscription.stats(),
        )  # fmt: skip


def _sum(a: StreamStageStats, b: StreamStageStats) -> StreamStageStats:
    return StreamStageStats(**{name: getattr(a, name) + getattr(b, name) for name in StreamStageStats.__slots__})


def _succeed(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
