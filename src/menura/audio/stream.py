"""A stretch of audio as a value that travels: raw PCM bytes with what is needed to read them."""

import base64
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    field_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, to_jsonable_python

from menura.audio.block import Samples
from menura.audio.format import MAX_CHANNELS
from menura.audio.samples import FORMATS, from_samples, to_samples
from menura.errors import FormatError

__all__ = ["FORMATS", "AudioStream"]

UNTIMED = (0.0, 0.0)
SHOWN = 16
"""Bytes of data that ``repr`` shows; of more it tells the number."""
_WIDTH = {name: pcm.width for name, pcm in FORMATS.items()}


def _to_bytes(value: Any) -> Any:
    if isinstance(value, str):
        return base64.b64decode(value, validate=True)
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def _to_int(value: Any) -> Any:
    return int(value) if isinstance(value, np.integer) else value


def _in_order(timestamp: tuple[float, float]) -> tuple[float, float]:
    start, end = timestamp
    if not -math.inf < start <= end < math.inf:  # false for NaN too
        raise ValueError(f"timestamp: needs finite start <= end, not {timestamp}")
    return timestamp


def _wrong(field: str, text: str, value: Any) -> ValidationError:
    """What is wrong with a field in the light of others, told as of this field."""
    error = PydanticCustomError("value_error", "{text}", {"text": f"{field}: {text}"})
    return ValidationError.from_exception_data("AudioStream", [{"type": error, "loc": (field,), "input": value}])


class _Shown:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def __repr__(self) -> str:
        return repr(self._data) if len(self._data) <= SHOWN else f"<{len(self._data)} bytes>"


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise FormatError(f"metadata: {type(value).__name__} cannot be written as JSON")


_Bytes = Annotated[
    bytes,
    BeforeValidator(_to_bytes),
    PlainSerializer(lambda data: base64.b64encode(data).decode("ascii"), when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


_Int = Annotated[int, BeforeValidator(_to_int)]


class AudioStream(BaseModel):
    """Audio samples in memory; in JSON, ``data`` is base64.

    It is frozen, for one stream may be on its way to many: :meth:`replaced` makes another. Whoever changes
    ``metadata`` in place changes it for all of them.

    Attributes:
        data: Raw little-endian PCM, channels interleaved, whole frames only.
        sample_rate: Hz.
        channels: 1 to 8.
        sample_width: Bytes per sample, which ``format`` must agree with; by default ``format``'s.
        format: ``pcm_u8``, ``pcm_s16le``, ``pcm_s24le``, ``pcm_s32le`` or ``pcm_f32le``, FFmpeg's names.
        timestamp: Start and end, seconds. It may span more or less than the samples do; ``(0.0, 0.0)`` says nothing.
        metadata: Whatever travels along; for JSON, what JSON has, and numpy's scalars and arrays.

    Raises:
        pydantic.ValidationError: A ``ValueError`` that names the field.

    >>> AudioStream(data=bytes(88200)).duration_seconds()
    1.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["audio_stream"] = "audio_stream"
    data: _Bytes = b""
    sample_rate: _Int = Field(default=44_100, ge=1, le=768_000, strict=True)
    channels: _Int = Field(default=1, ge=1, le=MAX_CHANNELS, strict=True)
    sample_width: _Int = Field(default=2, strict=True)
    format: Literal["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"] = "pcm_s16le"
    timestamp: Annotated[tuple[float, float], AfterValidator(_in_order)] = UNTIMED
    metadata: Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        width = _WIDTH[self.format]
        if self.sample_width != width:
            if "sample_width" in self.model_fields_set:
                text = f"{self.format} has {width} bytes a sample, not {self.sample_width}"
                raise _wrong("sample_width", text, self.sample_width)
            self.__dict__["sample_width"] = width
        if len(self.data) % (width * self.channels):
            text = f"{len(self.data)} bytes are not whole frames of {width * self.channels} bytes"
            raise _wrong("data", text, self.data)
        return self

    @field_serializer("metadata", when_used="json")
    def _plain(self, metadata: dict[str, Any]) -> Any:
        try:
            return to_jsonable_python(metadata, fallback=_to_plain)
        except ValueError as error:  # pydantic's, of a circle, and of text that is none
            raise FormatError(f"metadata: cannot be written as JSON: {error}") from error

    def __hash__(self) -> int:
        return hash((self.data, self.sample_rate, self.channels, self.format, self.timestamp))

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, _Shown(value) if name == "data" else value

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.data) // (self.sample_width * self.channels)

    @property
    def timed(self) -> bool:
        """Whether ``timestamp`` says anything."""
        return self.timestamp != UNTIMED

    def duration_seconds(self) -> float:
        """Duration of the samples, whatever the timestamp says."""
        return self.frames / self.sample_rate

    def check_timestamp(self, tolerance_s: float = 0.0) -> Self:
        """Return the stream if its timestamp spans what its samples last, within a frame and ``tolerance_s``.

        Raises:
            FormatError: It does not.
        """
        start, end = self.timestamp
        span_s, lasts_s = end - start, self.duration_seconds()
        if abs(span_s - lasts_s) > tolerance_s + 1.0 / self.sample_rate:
            raise FormatError(f"timestamp: {self.timestamp} spans {span_s:.6f} s, the samples last {lasts_s:.6f} s")
        return self

    def replaced(self, **changes: Any) -> Self:
        """The same with other values in some fields, checked like any.

        Raises:
            pydantic.ValidationError: A ``ValueError`` that names the field.

        >>> AudioStream(data=bytes(4)).replaced(timestamp=(1.0, 2.0)).timestamp
        (1.0, 2.0)
        """
        fields = self.__dict__ | changes
        if "format" in changes and "sample_width" not in changes:
            del fields["sample_width"]
        return type(self)(**fields)

    def samples(self, dtype: DTypeLike = "float32") -> NDArray[Any]:
        """The samples as ``[frames, channels]``, a copy: ``int16``, or −1…1 as ``float32`` or ``float64``.

        Raises:
            FormatError: ``Unsupported dtype``.
        """
        return to_samples(self.data, self.format, dtype).reshape(-1, self.channels)

    def to_block(self) -> Samples:
        """The samples as float32 ``[frames, channels]`` in −1…1."""
        return self.samples()

    @classmethod
    def from_block(cls, x: NDArray[Any], sample_rate: int, **fields: Any) -> Self:
        """Make a stream of a block; its timestamp begins at 0 unless given.

        Shape:
            x: ``[frames, channels]``, ``int16``, or floats in −1…1; rounded and clipped to 16 bits unless ``format``
                is another.

        Raises:
            FormatError: ``x`` is not two-dimensional, or ``Unsupported dtype``.
            pydantic.ValidationError: A ``ValueError`` that names the field.
        """
        if x.ndim != 2:
            raise FormatError(f"a block has the shape [frames, channels], not {list(x.shape)}")
        form = fields.get("format", "pcm_s16le")
        if not isinstance(form, str) or form not in FORMATS:
            raise FormatError(f"format: must be one of {', '.join(FORMATS)}, not {form!r}")
        if "timestamp" not in fields:
            told = isinstance(sample_rate, int | np.integer) and sample_rate > 0
            fields["timestamp"] = (0.0, len(x) / int(sample_rate)) if told else UNTIMED
        return cls(data=from_samples(x, form), sample_rate=sample_rate, channels=x.shape[1], **fields)
