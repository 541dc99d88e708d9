"""Audio streams from and to numpy and pydub, and the channels they travel on."""

import asyncio
import operator
from collections.abc import AsyncGenerator, Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from menura.audio.format import MAX_CHANNELS
from menura.audio.samples import to_samples
from menura.audio.segment import Segment, from_segment, to_segment
from menura.audio.stream import AudioStream
from menura.channels.making import AnyStage
from menura.channels.manager import ChannelManager
from menura.channels.streaming import StageSettings, Streams, process
from menura.errors import FormatError

__all__ = ["ProcessingContext"]

T = TypeVar("T")

OFFLOAD_SAMPLES = 1 << 18
"""More are converted in a thread, so that the loop goes on: about 1 ms of work."""


async def _done(samples: int, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if samples > OFFLOAD_SAMPLES else work()


class ProcessingContext:
    """What a step that works on audio needs: conversions, and the channels to others.

    Its methods may be called in any loop; what is long is converted in a thread. ``async with`` closes its channels.

    Args:
        channels: The manager of its channels; by default one of its own, made when it is first asked for.
    """

    def __init__(self, channels: ChannelManager | None = None) -> None:
        self._channels = channels

    def get_channel_manager(self) -> ChannelManager:
        """The manager of this context's channels, always the same."""
        if self._channels is None:
            self._channels = ChannelManager()
        return self._channels

    async def audio_stream_from_numpy(
        self,
        data: ArrayLike,
        sample_rate: int,
        channels: int = 1,
        timestamp: tuple[float, float] | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        format: str = "pcm_s16le",  # noqa: A002  (the field's name)
    ) -> AudioStream:
        """Make a stream of an array.

        ``int16`` is taken as it is. ``float32`` and ``float64`` in −1…1 are scaled by 32768, rounded and clipped; NaN
        becomes silence.

        Args:
            data: Samples.
            sample_rate: Hz.
            channels: Interleaved in a flat array; of an array with two dimensions its columns, whatever this says,
                unless it says another number above 1.
            timestamp: Start and end, seconds; by default from 0 for as long as the samples last.
            metadata: Whatever travels along.
            format: What the stream holds: ``pcm_f32le`` keeps floats as they are, values beyond ±1 too.

        Shape:
            data: ``[frames · channels]`` interleaved, or ``[frames, channels]``.

        Raises:
            FormatError: ``Unsupported dtype``, or a shape that does not fit ``channels``.
            pydantic.ValidationError: A ``ValueError`` that names the field.
        """
        block = _by_frame(np.asarray(data), channels)
        fields: dict[str, Any] = {"format": format, "metadata": metadata}
        if timestamp is not None:
            fields["timestamp"] = timestamp
        rate = _whole("sample_rate", sample_rate)
        return await _done(block.size, lambda: AudioStream.from_block(block, rate, **fields))

    async def audio_stream_to_numpy(
        self,
        stream: AudioStream,
        dtype: DTypeLike = "float32",
        *,
        layout: Literal["interleaved", "frames"] = "interleaved",
    ) -> NDArray[Any]:
        """The samples of a stream, as an array of its own.

        Args:
            stream: Of any format.
            dtype: ``int16``, or −1…1 as ``float32`` or ``float64``.
            layout: ``"interleaved"`` for ``[frames · channels]``, ``"frames"`` for ``[frames, channels]``.

        Raises:
            FormatError: ``Unsupported dtype``, or an unknown layout.
        """
        if layout not in {"interleaved", "frames"}:
            raise FormatError(f"layout: must be 'interleaved' or 'frames', not {layout!r}")
        total = stream.frames * stream.channels
        flat = await _done(total, lambda: to_samples(stream.data, stream.format, dtype))
        return flat if layout == "interleaved" else flat.reshape(-1, stream.channels)

    async def audio_stream_from_segment(
        self,
        audio_segment: Segment,
        timestamp: tuple[float, float] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> AudioStream:
        """The stream of a pydub ``AudioSegment``, bit for bit in the width it has.

        Args:
            audio_segment: 8, 16, 24 or 32 bits.
            timestamp: Start and end, seconds; by default from 0 for as long as the samples last.
            metadata: Whatever travels along.

        Raises:
            FormatError: ``Unsupported sample_width``.
            pydantic.ValidationError: A ``ValueError`` that names the field.
        """
        fields: dict[str, Any] = {"metadata": metadata}
        if timestamp is not None:
            fields["timestamp"] = timestamp
        return await _done(len(audio_segment.raw_data), lambda: from_segment(audio_segment, **fields))

    async def audio_stream_to_segment(self, stream: AudioStream) -> Any:
        """The pydub ``AudioSegment`` of a stream: 8 and 16 bits as they are, all else as 32 bits.

        Raises:
            MissingExtraError: pydub is not installed.
        """
        return await _done(len(stream.data), lambda: to_segment(stream))

    @overload
    def process(
        self, source: AudioStream, stage: AnyStage, **settings: Unpack[StageSettings]
    ) -> Coroutine[Any, Any, AudioStream]: ...
    @overload
    def process(
        self, source: Streams, stage: AnyStage, **settings: Unpack[StageSettings]
    ) -> AsyncGenerator[AudioStream]: ...
    def process(
        self, source: AudioStream | Streams, stage: AnyStage, **settings: Unpack[StageSettings]
    ) -> Coroutine[Any, Any, AudioStream] | AsyncGenerator[AudioStream]:
        """``await process(stream, chain)``, or ``async for out in process(source, chain)``: see :func:`process`.

        As many frames come out as go in, each at its own time; what takes time runs in a thread.

        Args:
            source: A stream; or what gives streams, such as a subscription.
            stage: A stage or chain; a voice or its id; or what makes a stage of a rate and a number of channels.
            settings: As :class:`~menura.channels.stages.StreamStage` takes them.

        Raises:
            FormatError: A stream does not fit the stage, and ``mismatch`` is ``"error"``.
            ModelError, VoiceNotFoundError: The stage cannot be built.
        """
        return process(source, stage, **settings)

    async def close(self) -> None:
        """Close the channels."""
        if self._channels is not None:
            await self._channels.close()

    async def __aenter__(self) -> Self:
        await self.get_channel_manager().open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _whole(field: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise FormatError(f"{field}: must be a whole number, not {value!r}") from None


def _by_frame(data: NDArray[Any], channels: int) -> NDArray[Any]:
    channels = _whole("channels", channels)
    if not 1 <= channels <= MAX_CHANNELS:
        raise FormatError(f"channels: must be from 1 to {MAX_CHANNELS}, not {channels}")
    if data.ndim == 1:
        if len(data) % channels:
            raise FormatError(f"data: {len(data)} samples are not whole frames of {channels} channels")
        return data.reshape(-1, channels)
    if data.ndim != 2:
        raise FormatError(f"data: needs [frames · channels] or [frames, channels], not {list(data.shape)}")
    if data.shape[1] != channels and channels != 1:
        raise FormatError(f"data: {list(data.shape)} does not have {channels} channels in its second dimension")
    if not 1 <= data.shape[1] <= MAX_CHANNELS:
        raise FormatError(f"data: {list(data.shape)} is not [frames, channels]: transpose it")
    return data
