"""A stretch of audio as a value that travels: raw PCM bytes with what is needed to read them."""

import base64
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from menura.audio.block import Samples
from menura.audio.format import MAX_CHANNELS, AudioFormat, StreamFormat
from menura.audio.pcm import decode, encode
from menura.errors import FormatError

__all__ = ["AudioStream"]

_ENCODING = {"pcm_s16le": AudioFormat.PCM16, "pcm_f32le": AudioFormat.PCM_F32}


def _from_base64(value: Any) -> Any:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


_Bytes = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda data: base64.b64encode(data).decode("ascii"), when_used="json"),
]


class AudioStream(BaseModel):
    """Audio samples in memory; in JSON, ``data`` is base64.

    Attributes:
        data: Raw little-endian PCM, channels interleaved, whole frames only.
        sample_rate: Hz.
        sample_width: Bytes per sample, which ``format`` must agree with.
        timestamp: Start and end, seconds. It may span more or less than the samples do.
        metadata: Whatever travels along.

    Raises:
        pydantic.ValidationError: A ``ValueError`` that names the field.

    >>> AudioStream(data=bytes(88200)).duration_seconds()
    1.0
    """

    model_config = ConfigDict(extra="forbid")

    type: Literal["audio_stream"] = "audio_stream"
    data: _Bytes = b""
    sample_rate: int = Field(default=44_100, ge=1, le=768_000, strict=True)
    channels: int = Field(default=1, ge=1, le=MAX_CHANNELS, strict=True)
    sample_width: int = 2
    format: Literal["pcm_s16le", "pcm_f32le"] = "pcm_s16le"
    timestamp: tuple[float, float] = (0.0, 0.0)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> "AudioStream":
        width = _ENCODING[self.format].width
        if self.sample_width != width:
            raise ValueError(f"sample_width: {self.format} has {width} bytes a sample, not {self.sample_width}")
        if len(self.data) % (width * self.channels):
            raise ValueError(f"data: {len(self.data)} bytes are not whole frames of {width * self.channels} bytes")
        start, end = self.timestamp
        if not (np.isfinite(start) and np.isfinite(end) and start <= end):
            raise ValueError(f"timestamp: needs finite start <= end, not {self.timestamp}")
        return self

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.data) // (self.sample_width * self.channels)

    def duration_seconds(self) -> float:
        """Duration of the samples, whatever the timestamp says."""
        return self.frames / self.sample_rate

    def to_block(self) -> Samples:
        """The samples as float32 ``[frames, channels]`` in −1…1."""
        flat = decode(self.data, StreamFormat(_ENCODING[self.format]))
        return flat.reshape(-1, self.channels)

    @classmethod
    def from_block(cls, x: NDArray[np.float32], sample_rate: int, **fields: Any) -> "AudioStream":
        """Make a stream of a block.

        Shape:
            x: ``[frames, channels]`` in −1…1; rounded and clipped to 16 bits unless ``format="pcm_f32le"``.

        Raises:
            FormatError: ``x`` is not two-dimensional.
        """
        if x.ndim != 2:
            raise FormatError(f"a block has the shape [frames, channels], not {list(x.shape)}")
        encoding = _ENCODING[fields.get("format", "pcm_s16le")]
        data = encode(np.ascontiguousarray(x).reshape(-1, 1), StreamFormat(encoding))
        fields = {"timestamp": (0.0, len(x) / sample_rate), "sample_width": encoding.width} | fields
        return cls(data=data, sample_rate=sample_rate, channels=x.shape[1], **fields)
