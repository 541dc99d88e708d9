"""Is this audio, and is anything wrong with it? Every case has its own name."""

from ctypes import addressof, c_char_p, c_double, c_int32, c_int64, c_void_p
from enum import StrEnum
from typing import Any

import numpy as np

from menura.audio import g711
from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.audio.pcm import float_to_int16
from menura.dsp.native import declare, pointer

__all__ = ["ACCEPTED", "OGG", "WEBM", "Inspector", "Verdict", "is_bytes"]

_PROTOTYPE = [c_int64, c_void_p, c_void_p]
_inspect_bytes = declare("mn_inspect_pcm16", [c_char_p, *_PROTOTYPE], c_int32)
_inspect_at = declare("mn_inspect_pcm16", [c_void_p, *_PROTOTYPE], c_int32)

CLIPPED_SHARE = 0.005
"""More samples at full scale than that, and more than two, are audible as distortion."""
OFFSET, OFFSET_TO_LEVEL = 0.03, 0.3
"""A mean this large, in itself and beside the level, is no low voice but a constant offset."""


def is_bytes(data: Any) -> bool:
    """Whether this is bytes in a row, as they came: no view of wider items, none with gaps, none released."""
    if isinstance(data, bytes | bytearray):
        return True
    if not isinstance(data, memoryview):
        return False
    try:
        return data.c_contiguous and data.ndim == 1 and data.format in ("B", "b", "c")
    except ValueError:  # it was released
        return False


class Verdict(StrEnum):
    """What was found. ``CLIPPED``, ``DC_OFFSET`` and ``SILENCE`` are sound worth knowing of; ``OPUS`` is no samples."""

    OK = "ok"
    WRONG_TYPE = "wrong_type"
    EMPTY = "empty"
    ODD_BYTES = "odd_bytes"
    PARTIAL_FRAME = "partial_frame"
    TOO_LONG = "too_long"
    NOT_FINITE = "not_finite"
    CLIPPED = "clipped"
    DC_OFFSET = "dc_offset"
    SILENCE = "silence"
    OPUS = "opus"

    @property
    def accepted(self) -> bool:
        """Whether it is samples of the right shape."""
        return self in ACCEPTED


ACCEPTED = frozenset({Verdict.OK, Verdict.CLIPPED, Verdict.DC_OFFSET, Verdict.SILENCE})
"""Samples of the right shape."""
_REMARKS = (Verdict.OK, Verdict.CLIPPED, Verdict.DC_OFFSET, Verdict.SILENCE, Verdict.OPUS)
OGG, WEBM = b"OggS\0", b"\x1a\x45\xdf\xa3"
"""How a page of Ogg and a file of WebM begin."""
_INT16 = {AudioFormat.G711_ULAW: g711.decode_ulaw, AudioFormat.G711_ALAW: g711.decode_alaw}


class Inspector:
    """Judges chunks by the settings of a session; the figures are those of the last accepted chunk.

    Attributes:
        max_bytes: Longest chunk accepted.
    """

    def __init__(self, config: AudioConfig, encoding: AudioFormat | None = None) -> None:
        self.config = config
        self._encoding = encoding or config.format
        self._width = self._encoding.width
        self._frame = self._width * config.channels
        self._pcm16 = self._encoding is AudioFormat.PCM16
        self.max_bytes = config.max_chunk_ms * config.sample_rate // 1000 * self._frame
        clip = max(1, int(config.max_amplitude * 32768))
        self._limits = (c_double * 5)(clip, CLIPPED_SHARE, OFFSET, OFFSET_TO_LEVEL, config.min_amplitude * 32768)
        self._figures = (c_double * 7)()
        self._limits_at, self._figures_at = addressof(self._limits), addressof(self._figures)

    @property
    def level(self) -> float:
        """RMS, 0…1."""
        return self._figures[4]

    @property
    def peak(self) -> float:
        """Largest magnitude, 0…1."""
        return self._figures[2] / 32768.0

    @property
    def mean(self) -> float:
        """Constant offset, −1…1."""
        return self._figures[5]

    @property
    def clipped(self) -> int:
        """Samples at or above ``max_amplitude``."""
        return int(self._figures[3])

    def inspect(self, data: Any) -> Verdict:
        """Judge a chunk; never raises, whatever ``data`` is."""
        if type(data) is bytes and self._pcm16:
            size = len(data)
            if size and not size % self._frame and size <= self.max_bytes:
                return _REMARKS[_inspect_bytes(data, size >> 1, self._limits_at, self._figures_at)]
        verdict = self._shape(data)
        return self._content(data) if verdict is Verdict.OK else verdict

    def _shape(self, data: Any) -> Verdict:
        if not is_bytes(data):
            return Verdict.WRONG_TYPE
        size = len(data)
        if not size:
            return Verdict.EMPTY
        if size > len(OGG) and bytes(data[:5]).startswith((OGG, WEBM)):
            return Verdict.OPUS
        if size % self._width:
            return Verdict.ODD_BYTES
        if size % self._frame:
            return Verdict.PARTIAL_FRAME
        return Verdict.TOO_LONG if size > self.max_bytes else Verdict.OK

    def _content(self, data: bytes | bytearray | memoryview) -> Verdict:
        if self._encoding is AudioFormat.PCM_F32:
            samples = np.frombuffer(data, "<f4")
            if not np.isfinite(samples).all():
                return Verdict.NOT_FINITE
            pcm = float_to_int16(samples)
        else:
            decode = _INT16.get(self._encoding)
            pcm = decode(data) if decode else np.frombuffer(data, "<i2")
        return _REMARKS[_inspect_at(pointer(pcm), len(pcm), self._limits_at, self._figures_at)]

    def explain(self, verdict: Verdict, data: Any) -> str | None:
        """What to tell whoever sent the chunk; ``None`` where nothing is to be told.

        ``verdict`` is what ``inspect`` just said about ``data``.
        """
        if verdict is Verdict.OK:
            return None
        size = len(data) if verdict is not Verdict.WRONG_TYPE else 0
        name, frame = self._encoding, self._frame
        config = self.config
        return {
            Verdict.WRONG_TYPE: f"wrong type: audio comes as bytes, not {type(data).__name__}",
            Verdict.EMPTY: "empty: there are no bytes",
            Verdict.ODD_BYTES: f"odd bytes: {size} bytes are not whole {self._width}-byte {name} samples; one was cut",
            Verdict.PARTIAL_FRAME: f"wrong length for {config.channels} channels: {size} bytes are not whole frames "
            f"of {frame} bytes",
            Verdict.TOO_LONG: f"too long: {config.duration_ms(size):.0f} ms in one call, "
            f"at most {config.max_chunk_ms}; send it in chunks",
            Verdict.NOT_FINITE: "not finite: samples are NaN or infinite",
            Verdict.CLIPPED: f"clipped: {self.clipped} samples at or above {config.max_amplitude:g} of full scale",
            Verdict.DC_OFFSET: f"DC offset: the mean is {self.mean:+.3f} of full scale",
            Verdict.OPUS: "Opus: decode it with prepare_for_playback or queue_playback",
            Verdict.SILENCE: f"silence: the peak is {self.peak:.4f}, below {config.min_amplitude:g}",
        }[verdict]
