"""Where streams come from and where they go besides files: generators, arrays, microphones, loudspeakers."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Protocol, TypedDict, Unpack

from numpy.typing import ArrayLike

from menura.audio.block import Samples, as_block
from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.audio.pcm import encode
from menura.audio.stream import AudioStream
from menura.channels.making import Through
from menura.channels.options import Mismatch
from menura.channels.stages import Gaps, StreamStage
from menura.channels.streaming import Streams, streams_of
from menura.clock import Clock, monotonic_s
from menura.devices.portaudio_oneway import open_input, open_output
from menura.errors import ConfigError
from menura.live.capture import DirectAudioCapture, OpenInput
from menura.live.player import BufferedAudioPlayer, OpenOutput

__all__ = ["Readable", "array_streams", "generate", "microphone", "play"]

CHUNK_S = 0.1
CAPTURE_TOLERANCE_S = 0.02
"""Where a device has lost audio, its times tell how much; they wander by less."""
WARY_S = 1.0
"""A loss is counted before what was captured before it has all been read."""
AHEAD_MS = 500.0


class Readable(Protocol):
    """Gives audio when asked: :class:`~menura.dsp.oscillator.Oscillator`, :class:`~menura.dsp.oscillator.Noise`."""

    rate: int

    def read(self, frames: int) -> Samples:
        """The next frames, ``[frames, channels]``; fewer at the end, none after it."""


class StreamFields(TypedDict, total=False):
    """Fields of streams as keywords."""

    format: str
    metadata: dict[str, Any]


def generate(
    source: Readable,
    seconds: float | None = None,
    *,
    chunk_s: float = CHUNK_S,
    at_s: float = 0.0,
    **fields: Unpack[StreamFields],
) -> Iterator[AudioStream]:
    """Audio of what can be read, as streams with true times.

    Args:
        source: What is read.
        seconds: How long; None for as long as it gives.
        chunk_s: Of each stream but the last.
        at_s: When the first frame is.
        fields: ``format``, ``pcm_f32le`` by default, and ``metadata``.

    Raises:
        ConfigError: ``chunk_s`` or ``seconds`` is not above 0.
    """
    if not chunk_s > 0.0 or (seconds is not None and not seconds >= 0.0):
        raise ConfigError(f"needs chunk_s > 0 and seconds >= 0: {chunk_s=} {seconds=}")
    left = float("inf") if seconds is None else round(seconds * source.rate)
    return _generate(source, left, max(1, round(chunk_s * source.rate)), at_s, {"format": "pcm_f32le", **fields})


def _generate(source: Readable, left: float, step: int, at_s: float, fields: dict[str, Any]) -> Iterator[AudioStream]:
    done, rate = 0, source.rate
    while left > 0:
        x = source.read(int(min(step, left)))
        if not len(x):
            return
        span = (at_s + done / rate, at_s + (done + len(x)) / rate)
        yield AudioStream.from_block(x, rate, timestamp=span, **fields)
        done += len(x)
        left -= len(x)


class _Array:
    def __init__(self, x: Samples, rate: int) -> None:
        self.rate, self._rest = rate, x

    def read(self, frames: int) -> Samples:
        x, self._rest = self._rest[:frames], self._rest[frames:]
        return x


def array_streams(
    x: ArrayLike, rate: int, *, chunk_s: float = CHUNK_S, at_s: float = 0.0, **fields: Unpack[StreamFields]
) -> Iterator[AudioStream]:
    """An array as streams.

    Args:
        x: Floating-point samples in −1…1.
        rate: Hz.
        chunk_s: Of each stream but the last.
        at_s: When the first frame is.
        fields: ``format``, ``pcm_f32le`` by default, and ``metadata``.

    Shape:
        x: ``[frames]`` or ``[frames, channels]``.

    Raises:
        FormatError: ``x`` has another shape or integers.
    """
    return generate(_Array(as_block(x), rate), chunk_s=chunk_s, at_s=at_s, **fields)


async def microphone(
    device: str | int | None = None,
    *,
    rate: int = 48_000,
    channels: int = 1,
    chunk_ms: int = 20,
    zero_s: float | None = None,
    open_port: OpenInput = open_input,
    clock: Clock = monotonic_s,
) -> AsyncGenerator[AudioStream]:
    """What a microphone hears, from the first step on until it is closed.

    Times count the frames, for a device's own wander by tens of milliseconds; where audio was lost they go on by those.

    Args:
        device: Name, part of a name or index; None for the default.
        rate: Hz.
        channels: Of the device.
        chunk_ms: Of each stream.
        zero_s: When time 0 is, by ``clock``: the same for several microphones keeps them in step. By default the first
            frame.
        open_port: Opens it.
        clock: Tells when audio was captured.

    Raises:
        DeviceError: It does not open, or is lost.
    """
    config = AudioConfig(sample_rate=rate, channels=channels, chunk_duration_ms=chunk_ms)
    capture = DirectAudioCapture(config, device, open_port=open_port, clock=clock)
    await asyncio.to_thread(capture.start)
    try:
        chunks = capture.stream()
        begun, next_s, lost, wary_s = False, 0.0, 0, 0.0
        async for data in chunks:
            now_lost = capture.stats().gaps + chunks.dropped
            if now_lost > lost:
                lost, wary_s = now_lost, WARY_S
            zero_s = chunks.captured_s if zero_s is None else zero_s
            start_s = chunks.captured_s - zero_s
            jumps = not begun or (wary_s > 0.0 and abs(start_s - next_s) >= CAPTURE_TOLERANCE_S)
            start_s = start_s if jumps else next_s
            lasts_s = config.duration_ms(len(data)) / 1000.0
            begun, next_s, wary_s = True, start_s + lasts_s, 0.0 if jumps else wary_s - lasts_s
            yield AudioStream(data=data, sample_rate=rate, channels=channels, timestamp=(start_s, next_s))
    finally:
        await asyncio.to_thread(capture.stop)


async def play(
    source: Streams,
    device: str | int | None = None,
    *,
    rate: int | None = None,
    channels: int | None = None,
    prebuffer_ms: float = 40.0,
    open_port: OpenOutput = open_output,
) -> None:
    """Streams on a loudspeaker, one after the other, until they end and all was heard; half a second waits at most.

    Args:
        source: What gives streams; what is missing between them is silence, up to 10 s.
        device: Name, part of a name or index; None for the default.
        rate: Of the device, Hz; that of the first stream by default.
        channels: Of the device; those of the first stream by default.
        prebuffer_ms: What must be there before it begins: as much as streams may be late.
        open_port: Opens it.

    Raises:
        DeviceError: It does not open, or is lost.
        FormatError: A stream has channels that cannot be mapped.
    """
    player: BufferedAudioPlayer | None = None
    stage: StreamStage | None = None
    try:
        async with aclosing(streams_of(source)) as streams:
            async for stream in streams:
                if player is None or stage is None:
                    form = rate or stream.sample_rate, channels or stream.channels
                    stage = StreamStage(Through(*form), gaps=Gaps.FILL, mismatch=Mismatch.CONVERT)
                    player = _player(*form, device, open_port, prebuffer_ms)
                    await asyncio.to_thread(player.start)
                await _queue(player, [piece.block for piece in stage.pieces(stream)])
        if player is not None and stage is not None:
            await _queue(player, [piece.block for piece in stage.rest()])
            player.mark_complete()
            while not await asyncio.to_thread(player.wait, 0.2):
                player.start()  # tells of a lost device
    finally:
        if player is not None:
            await asyncio.to_thread(player.close)


def _player(
    rate: int, channels: int, device: str | int | None, open_port: OpenOutput, prebuffer_ms: float
) -> BufferedAudioPlayer:
    config = AudioConfig(sample_rate=rate, channels=channels, format=AudioFormat.PCM_F32, bit_depth=32)
    return BufferedAudioPlayer(config, device, open_port=open_port, prebuffer_ms=prebuffer_ms)


async def _queue(player: BufferedAudioPlayer, blocks: list[Samples]) -> None:
    second = player.config.sample_rate
    for x in (block[at : at + second] for block in blocks for at in range(0, len(block), second)):
        player.play(encode(x, player.config.stream_format))
        while (over_ms := player.get_metrics()["buffered_ms"] - AHEAD_MS) > 0.0:
            await asyncio.sleep(min(over_ms, AHEAD_MS) / 1000.0)
