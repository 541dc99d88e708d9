"""Frames between machines, as bytes: the layout stands in ``docs/channels.md``.

A frame is a header of 24 bytes and a body. Audio travels as raw PCM behind 24 more bytes that say how to read it;
other messages as JSON, or as plain bytes. Nothing here waits or connects.
"""

import math
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple, Union

import numpy as np
from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from menura.audio.format import MAX_CHANNELS
from menura.audio.stream import AudioStream
from menura.errors import ConfigError, FormatError, ProtocolError

__all__ = ["HEADER_BYTES", "VERSION", "Frame", "Kind", "decode", "encode", "encode_message", "message_reader"]

MAGIC: Final = b"mC"
VERSION: Final = 1
_HEADER: Final = struct.Struct("<2sBBBBBxQQ")
_AUDIO: Final = struct.Struct("<2sBBBBBxQQIIdd")
_AUDIO_REST: Final = struct.Struct("<IIdd")
HEADER_BYTES: Final = _HEADER.size
FORMATS: Final = {"pcm_s16le": 1, "pcm_f32le": 2, "pcm_u8": 3, "pcm_s24le": 4, "pcm_s32le": 5}
"""Codes of sample formats; a code once given is never given again."""
_WIDTHS: Final = {1: ("pcm_s16le", 2), 2: ("pcm_f32le", 4), 3: ("pcm_u8", 1), 4: ("pcm_s24le", 3), 5: ("pcm_s32le", 4)}


class Kind(IntEnum):
    """What a frame is."""

    AUDIO = 1
    """An :class:`AudioStream`."""
    JSON = 2
    """Any other message that has a JSON form."""
    BYTES = 3
    """A message of plain bytes."""
    END = 4
    """The channel is closed: nothing follows."""
    LEAVE = 5
    """This publisher says goodbye; the channel stays."""
    HELLO = 6
    """A subscriber asks publishers for what they keep; answered where the message says."""
    WELCOME = 7
    """A publisher's answer is complete."""
    CREDIT = 8
    """A subscriber that wants to miss nothing says up to which sequence it has room."""


MAX_STREAM_RATE: Final = 768_000
_KINDS: Final = {int(kind): kind for kind in Kind}
REPLAYED: Final = 1
"""Flag: kept by the publisher, and sent again on request."""


class Frame(NamedTuple):
    """A frame as it came.

    Attributes:
        kind: What it is.
        publisher: Random number of one publisher from its first frame to its end; a restart has another.
        sequence: Counts the publisher's frames of one channel, from 1.
        flags: 1: replayed.
        body: An :class:`AudioStream` of audio, else the bytes after the header.
    """

    kind: Kind
    publisher: int
    sequence: int
    flags: int
    body: Any


def encode(kind: Kind, publisher: int, sequence: int, body: bytes = b"", flags: int = 0) -> bytes:
    """A frame of any kind but audio.

    >>> encode(Kind.END, publisher=1, sequence=2).hex(" ", 8)
    '6d43010400000000 0100000000000000 0200000000000000'
    """
    return _HEADER.pack(MAGIC, VERSION, kind, flags, 0, 0, publisher, sequence) + body


def _encode_audio(stream: AudioStream, publisher: int, sequence: int) -> bytes:
    metadata = _to_json(stream.metadata, "metadata") if stream.metadata else b""
    start, end = stream.timestamp
    head = _AUDIO.pack(
        MAGIC, VERSION, 1, 0, stream.channels, FORMATS[stream.format], publisher, sequence,
        stream.sample_rate, len(metadata), start, end,
    )  # fmt: skip
    return head + metadata + stream.data if metadata else head + stream.data


def encode_message(message: Any, publisher: int, sequence: int) -> bytes:
    """A message as a frame: an :class:`AudioStream` as audio, ``bytes`` as they are, all else as JSON.

    Raises:
        FormatError: It has no JSON form.
    """
    kind = type(message)
    if kind is AudioStream:
        return _encode_audio(message, publisher, sequence)
    if kind in (bytes, bytearray, memoryview):
        return encode(Kind.BYTES, publisher, sequence, bytes(message))
    return encode(Kind.JSON, publisher, sequence, _to_json(message, "the message"))


def _to_json(value: Any, what: str) -> bytes:
    try:
        if isinstance(value, BaseModel):
            return value.model_dump_json().encode()
        return to_json(value, inf_nan_mode="constants", fallback=_to_plain)
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"{what} has no JSON form, so it cannot leave this machine: {error}") from error


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"there is none of {type(value).__name__}")


_frame = Frame._make


def decode(data: bytes) -> Frame:
    """Read a frame.

    Raises:
        ProtocolError: These bytes are no frame of ours, of another version, or damaged.
    """
    if len(data) < HEADER_BYTES or data[:2] != MAGIC:
        raise ProtocolError("no frame of a channel")
    if data[2] != VERSION:
        raise ProtocolError(f"a frame of version {data[2]}; this is version {VERSION}")
    _, _, code, flags, channels, encoding, publisher, sequence = _HEADER.unpack_from(data)
    if code == 1:
        return _frame((Kind.AUDIO, publisher, sequence, flags, _decode_audio(data, channels, encoding)))
    kind = _KINDS.get(code)
    if kind is None:
        raise ProtocolError(f"no kind of frame has the number {code}")
    return _frame((kind, publisher, sequence, flags, data[HEADER_BYTES:]))


def _decode_audio(data: bytes, channels: int, encoding: int) -> AudioStream:
    if len(data) < _AUDIO.size or encoding not in _WIDTHS:
        raise ProtocolError("an audio frame is cut off, or of an unknown sample format")
    rate, size, start, end = _AUDIO_REST.unpack_from(data, HEADER_BYTES)
    first = _AUDIO.size + size
    name, width = _WIDTHS[encoding]
    samples = data[first:]
    if (
        first > len(data)
        or not 0 < channels <= MAX_CHANNELS
        or not 0 < rate <= MAX_STREAM_RATE
        or len(samples) % (width * channels)
        or not -math.inf < start <= end < math.inf
    ):
        raise ProtocolError(
            f"an audio frame is damaged: {len(samples)} bytes, {rate} Hz, {channels} channels, timestamp {start}, {end}"
        )
    metadata = _read_metadata(data[_AUDIO.size : first]) if size else {}
    return _checked_stream(samples, rate, channels, width, name, (start, end), metadata)


def _read_metadata(data: bytes) -> dict[str, Any]:
    try:
        metadata = from_json(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"an audio frame is damaged: metadata: {_first_line(error)}") from None
    if not isinstance(metadata, dict):
        raise ProtocolError("an audio frame is damaged: its metadata is not an object")
    return metadata


_FIELDS: Final = set(AudioStream.model_fields)
_new, _set = object.__new__, object.__setattr__


def _checked_stream(
    data: bytes, rate: int, channels: int, width: int, name: str, timestamp: tuple[float, float], metadata: Any
) -> AudioStream:
    """A stream of values that were checked; as ``model_construct`` does it, in a third of the time."""
    stream = _new(AudioStream)
    fields = {
        "type": "audio_stream", "data": data, "sample_rate": rate, "channels": channels, "sample_width": width,
        "format": name, "timestamp": timestamp, "metadata": metadata,
    }  # fmt: skip
    _set(stream, "__dict__", fields)
    _set(stream, "__pydantic_fields_set__", _FIELDS)
    _set(stream, "__pydantic_extra__", None)
    _set(stream, "__pydantic_private__", None)
    return stream


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'stream'}: {first['msg']}"
    return str(error).splitlines()[0]


Reader = Callable[[Frame], Any]


def message_reader(message_type: Any = None) -> Reader:
    """A function that gives the message of a frame.

    Args:
        message_type: What JSON is read into: a pydantic model, a dataclass, or any type pydantic understands, or
            several. None leaves plain values.

    The function raises :class:`ProtocolError` for JSON that is none, or does not fit.

    Raises:
        ConfigError: JSON cannot be read into this.
    """
    kinds = message_type if isinstance(message_type, tuple) else (message_type,)
    kinds = tuple(kind for kind in kinds if kind not in (None, AudioStream, bytes, object, Any))
    adapter: TypeAdapter[Any] | None = None
    if kinds:
        try:
            adapter = TypeAdapter(Union[kinds])  # type: ignore[arg-type]  # noqa: UP007
        except PydanticSchemaGenerationError as error:
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(
                f"message_type: {names} has no JSON form, so it cannot travel between machines"
            ) from error

    def read(frame: Frame) -> Any:
        if frame.kind is not Kind.JSON:
            return frame.body
        try:
            return from_json(frame.body) if adapter is None else adapter.validate_json(frame.body)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"a message does not fit the channel: {_first_line(error)}") from None

    return read
