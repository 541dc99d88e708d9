"""Audio through stages with ``await`` and ``async for``."""

from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Generator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, TypedDict, Unpack, overload

import numpy as np

from menura.audio.block import silence
from menura.audio.stream import AudioStream
from menura.channels.making import AnyStage
from menura.channels.offload import Offload
from menura.channels.options import Mismatch
from menura.channels.origin import Piece
from menura.channels.stages import Gaps, StreamStage, to_stream

__all__ = ["StageSettings", "Streams", "process", "streams_of"]

Streams = AsyncIterable[AudioStream] | Iterable[AudioStream]

PART_S = 1.0
"""A long stream is processed in parts, so that other work and a cancellation come in between."""


class StageSettings(TypedDict, total=False):
    """The settings of :class:`~menura.channels.stages.StreamStage` as keywords."""

    gaps: Gaps | str
    tolerance_s: float
    max_fill_s: float
    mismatch: Mismatch | str
    whole: bool
    format: str | None


@overload
def process(
    source: AudioStream, stage: AnyStage, **settings: Unpack[StageSettings]
) -> Coroutine[Any, Any, AudioStream]: ...
@overload
def process(source: Streams, stage: AnyStage, **settings: Unpack[StageSettings]) -> AsyncGenerator[AudioStream]: ...
def process(
    source: AudioStream | Streams, stage: AnyStage, **settings: Unpack[StageSettings]
) -> Coroutine[Any, Any, AudioStream] | AsyncGenerator[AudioStream]:
    """Process one stream, ``await process(stream, chain)``, or many, ``async for out in process(source, chain)``.

    As many frames come out as go in, each at its own time: the stage's latency is taken off. Work that takes time runs
    in a thread. Of many streams, what is ready is given at once, and the rest when ``source`` ends; a stage is as new
    at the end, however that comes.

    Args:
        source: A stream; or what gives streams, with ``async for`` or ``for``, whose rest is closed with the generator
            if it is a generator too.
        stage: A stage or chain; a voice or its id; or what makes a stage of a rate and a number of channels.
        settings: As :class:`~menura.channels.stages.StreamStage` takes them.

    Raises:
        FormatError: A stream does not fit the stage, and ``mismatch`` is ``"error"``.
        ModelError, VoiceNotFoundError: The stage cannot be built.
    """
    if isinstance(source, AudioStream):
        return _one(source, stage, settings)
    return _many(source, StreamStage(stage, **settings))


async def _one(source: AudioStream, stage: AnyStage, settings: StageSettings) -> AudioStream:
    at_once: StageSettings = {**settings, "whole": False}
    runner = StreamStage(stage, **at_once)
    offload = Offload()
    pieces: list[Piece] = []
    try:
        for part in _parts(source):
            pieces += await offload.run(part.frames, runner.pieces, part)
        pieces += await offload.run(1, runner.rest)
    finally:
        runner.reset()
    rate = source.sample_rate if runner.stage is None else runner.stage.rate_out
    return await offload.run(source.frames, _joined, pieces, source, rate, settings.get("format"))


def _parts(stream: AudioStream) -> Iterator[AudioStream]:
    step = max(1, round(PART_S * stream.sample_rate))
    if stream.frames <= step:
        yield stream
        return
    (start_s, end_s), frames, size = stream.timestamp, stream.frames, stream.sample_width * stream.channels
    end_s = end_s if end_s > start_s else start_s + stream.duration_seconds()
    for at in range(0, frames, step):
        end = min(at + step, frames)
        span = tuple(start_s + (end_s - start_s) * (k / frames) for k in (at, end))
        yield stream.model_copy(update={"data": stream.data[at * size : end * size], "timestamp": span})


def _joined(pieces: list[Piece], source: AudioStream, rate: int, form: str | None) -> AudioStream:
    blocks = [piece.block for piece in pieces if len(piece.block)]
    block = np.concatenate(blocks) if blocks else silence(0, source.channels)
    return to_stream(Piece(block, *source.timestamp, source.format, source.metadata), rate, form)


async def _many(source: Streams, runner: StreamStage) -> AsyncGenerator[AudioStream]:
    offload = Offload()
    try:
        async with aclosing(streams_of(source)) as streams:
            async for stream in streams:
                for out in await offload.run(stream.frames, runner.process, stream):
                    yield out
        for out in await offload.run(1, runner.flush):
            yield out
    finally:
        runner.reset()


async def streams_of(source: Streams) -> AsyncGenerator[AudioStream]:
    """Whatever gives streams, for ``async for``: what gives them without waiting runs beside the event loop.

    A generator is closed with this one.
    """
    if isinstance(source, AsyncGenerator):
        async with aclosing(source):
            async for stream in source:
                yield stream
    elif isinstance(source, AsyncIterable):
        async for stream in source:
            yield stream
    else:
        given, offload = iter(source), Offload()
        try:
            while (stream := await offload.run(1, _next, given)) is not None:
                yield stream
        finally:
            if isinstance(given, Generator):
                given.close()


def _next(streams: Iterator[AudioStream]) -> AudioStream | None:
    return next(streams, None)
