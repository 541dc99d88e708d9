"""Files as streams, in bounded memory however long, and streams at the pace of time."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypedDict, Unpack

from menura.audio.block import Samples
from menura.audio.files import AudioReader
from menura.audio.samples import FORMATS
from menura.audio.stream import AudioStream
from menura.channels.streaming import Streams, streams_of
from menura.channels.timeline import Timeline
from menura.clock import Clock, monotonic_s
from menura.dsp.framer import Framer
from menura.errors import ConfigError, FileError

__all__ = ["PlaySettings", "file_streams", "paced", "play_file"]

CHUNK_S = 0.1
LATE_S = 1.0
"""Beyond this a paced source does not catch up: a second of audio at once serves nobody."""


class PlaySettings(TypedDict, total=False):
    """The settings of :func:`file_streams` as keywords."""

    chunk_s: float
    start_s: float
    stop_s: float | None
    loop: bool
    at_s: float
    format: str


def file_streams(
    path: str | os.PathLike[str],
    *,
    chunk_s: float = CHUNK_S,
    start_s: float = 0.0,
    stop_s: float | None = None,
    loop: bool = False,
    at_s: float = 0.0,
    format: str = "pcm_s16le",  # noqa: A002 - the field's name
) -> Iterator[AudioStream]:
    """A file of any kind as streams, one after another.

    Args:
        path: Its name without folders travels in ``metadata["source"]``.
        chunk_s: Of each stream but the last.
        start_s: What to pass over at its beginning.
        stop_s: Where to stop, in the file's time; None for its end.
        loop: Begin again, without a seam, for ever.
        at_s: When the first frame is; times go on from there, also where it begins again.
        format: Of the streams.

    Raises:
        FileError: It cannot be read, or is damaged from here on.
        ConfigError: A setting has a value it cannot have.
    """
    stop = float("inf") if stop_s is None else stop_s
    if not (chunk_s > 0.0 and 0.0 <= start_s < stop) or format not in FORMATS:
        raise ConfigError(
            f"needs chunk_s > 0, 0 <= start_s < stop_s, format of {', '.join(FORMATS)}: "
            f"{chunk_s=} {start_s=} {stop_s=} {format=}"
        )
    return _file_streams(Path(path), (start_s, stop), chunk_s, at_s, {"format": format}, loop=loop)


def _file_streams(
    path: Path, span_s: tuple[float, float], chunk_s: float, at_s: float, fields: dict[str, Any], *, loop: bool
) -> Iterator[AudioStream]:
    framer: Framer | None = None
    done, rate, begun = 0, 0, -1
    fields = {**fields, "metadata": {"source": path.name}}
    while loop or begun < 0:
        if begun == done and framer is not None and not framer.held:
            raise FileError(f"{path}: there is nothing to repeat")
        begun = done
        for x, file_rate in _span(path, *span_s):
            if framer is None:
                rate = file_rate
                framer = Framer(max(1, round(chunk_s * rate)), channels=x.shape[1])
            if file_rate != rate:
                raise FileError(f"{path}: has changed while it was read")
            for block in framer.push(x):
                yield _stamped(block, done, rate, at_s, fields)
                done += len(block)
        if framer is None:
            break
    if framer is not None and framer.held:
        yield _stamped(framer.rest(), done, rate, at_s, fields)


def _stamped(block: Samples, first: int, rate: int, at_s: float, fields: dict[str, Any]) -> AudioStream:
    span = (at_s + first / rate, at_s + (first + len(block)) / rate)
    return AudioStream.from_block(block, rate, timestamp=span, **fields)


def _span(path: Path, start_s: float, stop_s: float) -> Iterator[tuple[Samples, int]]:
    """Blocks of a part of a file, with its rate."""
    with AudioReader(path) as first:
        rate = first.rate
    left = float("inf") if stop_s == float("inf") else round(stop_s * rate) - round(start_s * rate)
    with AudioReader(path, start=round(start_s * rate)) as reader:
        for block in reader:
            part = block if left >= len(block) else block[: int(left)]
            yield part, rate
            left -= len(part)
            if left <= 0:
                return


async def play_file(
    path: str | os.PathLike[str], *, pace: float | None = None, **settings: Unpack[PlaySettings]
) -> AsyncGenerator[AudioStream]:
    """A file as streams, read beside the event loop.

    Args:
        path: Any file that holds audio.
        pace: 1 for real time, 2 for twice as fast; None for as fast as who takes them.
        settings: As :func:`file_streams` takes them.

    Raises:
        FileError: It cannot be read, or is damaged from here on.
    """
    source = streams_of(file_streams(path, **settings))
    async with aclosing(source if pace is None else paced(source, pace)) as out:
        async for stream in out:
            yield stream


async def paced(
    source: Streams,
    pace: float = 1.0,
    *,
    clock: Clock = monotonic_s,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[AudioStream]:
    """Streams no sooner than their time: each when its first frame is due, counted from the first stream.

    The schedule is absolute, so that it does not drift; who takes them late gets the next ones at once, up to a second
    of them, beyond which the schedule begins anew. It begins anew too where times jump back.

    Args:
        source: Their timestamps or, where these say nothing, their durations tell the time.
        pace: 1 for real time.
        clock: Tells the time.
        sleep: Waits.

    Raises:
        ConfigError: The pace is not above 0.
    """
    if not 0.0 < pace < float("inf"):
        raise ConfigError(f"a pace is above 0, not {pace}")
    timeline = Timeline()
    zero_s: float | None = None  # when time 0 of the streams is, by the clock
    async with aclosing(streams_of(source)) as streams:
        async for stream in streams:
            placed = timeline.take(stream)
            now_s, at_s = clock(), placed.start_s / pace
            if zero_s is None or placed.gap_s < 0.0 or now_s - (zero_s + at_s) > LATE_S:
                zero_s = now_s - at_s
            while (wait_s := zero_s + at_s - clock()) > 0.0:
                await sleep(wait_s)
            yield stream
