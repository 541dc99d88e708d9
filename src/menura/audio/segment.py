"""pydub's ``AudioSegment`` to ``AudioStream`` and back, without loss where pydub can hold it."""

import sys
import warnings
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from menura.audio.samples import from_samples, to_samples
from menura.audio.stream import AudioStream
from menura.errors import FormatError
from menura.extras import need

__all__ = ["Segment", "from_segment", "to_segment"]

_FORMAT = {1: "pcm_u8", 2: "pcm_s16le", 3: "pcm_s24le", 4: "pcm_s32le"}


class Segment(Protocol):
    """What is read of an ``AudioSegment``: whole numbers, signed, little-endian, 8 bits too."""

    raw_data: bytes
    frame_rate: int
    channels: int
    sample_width: int


def _flip(data: bytes) -> bytes:
    """8 bits signed to unsigned or back: pydub holds them signed, WAV and ``pcm_u8`` unsigned."""
    return (np.frombuffer(data, np.uint8) ^ np.uint8(0x80)).tobytes()


def from_segment(segment: Segment, **fields: Any) -> AudioStream:
    """The stream of a segment, bit for bit in the width it has; its timestamp begins at 0 unless given.

    Args:
        segment: An ``AudioSegment``.
        fields: Others of the stream, such as ``timestamp`` and ``metadata``.

    Raises:
        FormatError: ``Unsupported sample_width``.
        pydantic.ValidationError: A ``ValueError`` that names the field.
    """
    width = segment.sample_width
    if width not in _FORMAT:
        raise FormatError(f"Unsupported sample_width: {width}; a segment has 1, 2, 3 or 4 bytes a sample")
    data = _flip(segment.raw_data) if width == 1 else segment.raw_data
    stream = AudioStream(
        data=data, sample_rate=segment.frame_rate, channels=segment.channels, format=_FORMAT[width], **fields
    )
    return stream if "timestamp" in fields else stream.replaced(timestamp=(0.0, stream.duration_seconds()))


def _pydub() -> ModuleType:
    if "pydub" in sys.modules:
        return sys.modules["pydub"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "Couldn't find ff", RuntimeWarning)  # wanted for files only
        warnings.filterwarnings("ignore", "(invalid|.*is an invalid) escape sequence")
        return need("pydub", extra="pydub")


def to_segment(stream: AudioStream) -> Any:
    """The ``AudioSegment`` of a stream: 8 and 16 bits as they are, 24 and 32 bits and floats as 32 bits.

    Floats are rounded and clipped at full scale; NaN becomes silence.

    Raises:
        MissingExtraError: pydub is not installed.
    """
    data, width = stream.data, stream.sample_width
    if stream.format == "pcm_u8":
        data = _flip(data)
    elif width > 2 and stream.format != "pcm_s32le":
        data, width = from_samples(to_samples(data, stream.format, "float64"), "pcm_s32le"), 4
    return _pydub().AudioSegment(data=data, sample_width=width, frame_rate=stream.sample_rate, channels=stream.channels)
