"""Files through a voice, in bounded memory, with length and alignment kept."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from menura.audio.block import Samples
from menura.audio.files import AudioReader, AudioWriter
from menura.audio.format import check_channels, check_rate
from menura.errors import ConfigError, FileError
from menura.live.making import make_stage
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["convert", "stream_through"]

Progress = Callable[[int, int | None], None]
"""Called with the frames done so far and the frames in all, if known."""


def stream_through(
    blocks: Iterator[Samples], voice: Voice, rate: int, channels: int, parameters: VoiceParameters | None = None
) -> Iterator[Samples]:
    """Blocks through a voice with its latency taken off: as many frames come out as went in, in place.

    The same stage as a live session runs: what a session returns, ``latency`` frames earlier.
    """
    stage = make_stage(voice, rate, channels, parameters=parameters, live=False)
    skip = stage.latency
    for block in blocks:
        y = stage.process(block)
        yield y[skip:]
        skip = max(0, skip - len(y))
    yield stage.flush()[skip:]


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    voice: Voice,
    *,
    parameters: VoiceParameters | None = None,
    progress: Progress | None = None,
) -> int:
    """Convert one file.

    Args:
        source: Any file that holds audio.
        target: Its ending chooses the format; rate and channels stay as they are.
        voice: Into which voice.
        progress: Told after each block.

    Returns:
        Frames written: as many as ``source`` has.

    Raises:
        FileError: One of the files cannot be read or written; ``target`` is then as before.
        ModelError: The voice cannot be built.
    """
    done = 0
    with AudioReader(source) as reader:
        try:
            check_rate(reader.rate)
            check_channels(reader.channels)
        except ConfigError as error:
            raise FileError(f"{source}: {error}") from None
        if Path(target).exists() and Path(target).samefile(source):
            raise FileError(f"{target}: is the input itself; choose another output")
        with AudioWriter(target, reader.rate, reader.channels) as writer:
            for y in stream_through(iter(reader), voice, reader.rate, reader.channels, parameters):
                writer.write(y)
                done += len(y)
                if progress:
                    progress(done, reader.frames)
    return done
