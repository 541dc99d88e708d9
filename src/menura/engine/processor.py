"""Checks and conversions of stretches of audio, each call for itself."""

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio import g711
from menura.audio.block import Samples, remix
from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat, check_channels, check_rate
from menura.audio.pcm import decode, encode, float_to_int16, int16_to_float
from menura.dsp.meter import peak, rms
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from menura.engine.cleaning import clean_whole, integrated_lufs
from menura.engine.config import ProcessingMode
from menura.engine.metadata import AudioMetadata, estimate_snr_db, speech_share
from menura.engine.verdict import ACCEPTED, Inspector, Verdict
from menura.errors import ConfigError, FormatError
from menura.log import get_logger

__all__ = ["AudioProcessor"]

Data = bytes | bytearray | memoryview
SPEECH_SHARE = 0.1


class AudioProcessor:
    """Validation, conversion and analysis of audio bytes.

    Every call stands for itself. For a stream use :class:`AudioEngine`, whose stages keep their state from chunk to
    chunk: a resampler or a noise suppressor that starts anew with every chunk clicks.

    ``validate_format`` and the two ``process_`` methods take any input and never raise for it; the conversions raise
    :class:`FormatError` for bytes that are not what they should be.

    Args:
        config: Of all audio, unless a call says otherwise.
        mode: Reported with the results of ``analyze_audio``.
        logger: Gets a line, at debug level, for each chunk refused.
    """

    def __init__(
        self,
        config: AudioConfig | None = None,
        mode: ProcessingMode = ProcessingMode.BALANCED,
        logger: logging.Logger | None = None,
    ) -> None:
        self.config = config or AudioConfig()
        self.mode = ProcessingMode.of(mode)
        self.logger = logger or get_logger(__name__)
        self._own = Inspector(self.config)
        self._inspectors = {self.config.format: self._own}

    def _inspector(self, encoding: AudioFormat | str | None) -> Inspector:
        if encoding is None:
            return self._own
        wanted = _encoding(encoding)
        if wanted not in self._inspectors:
            self._inspectors[wanted] = Inspector(self.config, wanted)
        return self._inspectors[wanted]

    def inspect(self, audio: Any, expected: AudioFormat | None = None) -> Verdict:
        """What is right or wrong with a chunk, as a value."""
        return self._inspector(expected).inspect(audio)

    def validate_format(self, audio: Any, expected: AudioFormat | None = None) -> tuple[bool, str | None]:
        """Whether this is audio of the right shape, and what there is to say about it.

        Args:
            audio: Anything.
            expected: Encoding, if not that of the configuration.

        Returns:
            ``(False, reason)`` for what is refused: wrong type, empty, odd bytes, wrong length for the channels, too
            long, not finite. ``(True, remark)`` for audio that is clipped, has a DC offset or is silent: a muted
            microphone is not an error. ``(True, None)`` for the rest.
        """
        inspector = self._own if expected is None else self._inspector(expected)
        verdict = inspector.inspect(audio)
        if verdict is Verdict.OK:
            return True, None
        return verdict in ACCEPTED, inspector.explain(verdict, audio)

    def process_realtime(self, audio: Data) -> bytes:
        """The fast lane: the chunk itself if it is valid, nothing (``b""``) if it is not."""
        valid, why = self.validate_format(audio)
        if not valid:
            self.logger.debug("audio refused: %s", why)
            return b""
        return audio if type(audio) is bytes else bytes(audio)

    def process_quality(self, audio: Data, enhance: bool = True, normalize: bool = True) -> tuple[bytes, AudioMetadata]:
        """A whole recording, cleaned and levelled.

        Args:
            audio: All of it; what is invalid comes back as ``b""``, and the metadata's ``verdict`` says why.
            enhance: Suppress noise.
            normalize: Bring the integrated loudness to −20 LUFS, peaks below −1 dBFS.

        Returns:
            As many bytes as went in, aligned with them, and what they are now.
        """
        valid, _ = self.validate_format(audio)
        if valid:
            x = clean_whole(self._block(audio), self.config.sample_rate, enhance=enhance, normalize=normalize)
            audio = encode(x, self.config.stream_format)
            return audio, self.analyze_audio(audio, detailed=True)
        return b"", self.analyze_audio(audio)

    def chunk_audio(self, audio: Data, chunk_duration_ms: int | None = None) -> list[bytes]:
        """Cut audio into chunks of one duration; the last may be shorter, and no byte is lost.

        Raises:
            FormatError: ``audio`` is no whole frames.
            ConfigError: The duration is shorter than a frame.
        """
        size = self.chunk_bytes(chunk_duration_ms)
        self.config.stream_format.frames_in(audio)
        return [bytes(audio[i : i + size]) for i in range(0, len(audio), size)]

    def chunk_bytes(self, chunk_duration_ms: float | None = None) -> int:
        """Bytes of a chunk.

        Raises:
            ConfigError: The duration is shorter than a frame.
        """
        duration_ms = self.config.chunk_duration_ms if chunk_duration_ms is None else chunk_duration_ms
        size = self.config.bytes_for_ms(duration_ms) if 0 < duration_ms < math.inf else 0
        if not size:
            raise ConfigError(f"a chunk lasts at least one frame, not {duration_ms} ms")
        return size

    def calculate_duration(self, audio: Data) -> float:
        """Duration in ms of the whole frames in ``audio``."""
        return self.config.duration_ms(len(audio) // self.config.frame_bytes * self.config.frame_bytes)

    def resample(self, audio: Data, from_rate: int, to_rate: int) -> bytes:
        """Convert a whole recording to another rate, aligned with the input.

        Returns:
            ``floor(frames · to_rate / from_rate)`` frames in the same encoding.

        Raises:
            FormatError: ``audio`` is no whole frames.
            ConfigError: A rate that audio cannot have.
        """
        resampler = Resampler(check_rate(from_rate), check_rate(to_rate), self.config.channels)
        return encode(process_whole(resampler, self._block(audio)), self.config.stream_format)

    def ensure_mono(self, audio: Data, channels: int) -> bytes:
        """The mean of all channels, in the encoding of the configuration.

        Raises:
            FormatError: ``audio`` is no whole frames of so many channels.
        """
        form = StreamFormat(self.config.format, self.config.sample_rate, check_channels(channels))
        if channels == 1:
            form.frames_in(audio)
            return bytes(audio)
        return encode(remix(decode(audio, form), 1), StreamFormat(form.encoding, form.rate))

    def encode(self, pcm: Data, format: AudioFormat) -> bytes:  # noqa: A002 - the field's word for it
        """16-bit PCM to another encoding, sample by sample; G.711 exactly as ITU-T G.191 has it.

        Raises:
            FormatError: An odd number of bytes.
            ConfigError: No such encoding.
        """
        encoder = _ENCODERS.get(format)
        if encoder is None:
            _encoding(format)
        if len(pcm) & 1:
            raise FormatError(f"{len(pcm)} bytes are not whole 16-bit samples: one byte is left over")
        return bytes(pcm) if encoder is None else encoder(np.frombuffer(pcm, "<i2"))

    def decode(self, data: Data, format: AudioFormat) -> bytes:  # noqa: A002
        """Another encoding to 16-bit PCM, the inverse of ``encode``.

        Raises:
            FormatError: ``data`` ends within a sample.
            ConfigError: No such encoding.
        """
        decoder = _DECODERS.get(format)
        if decoder is not None:
            return decoder(data)
        form = StreamFormat(_encoding(format))
        form.frames_in(data)
        return bytes(data)

    def analyze_audio(self, audio: Data, detailed: bool = False) -> AudioMetadata:
        """Properties of audio: size, duration, level and verdict, at a look.

        Args:
            audio: What cannot be read has its verdict, and no levels.
            detailed: Also speech, signal-to-noise ratio and loudness, which take a pass each.
        """
        config = self.config
        verdict = self.inspect(audio)
        size = len(audio) if verdict is not Verdict.WRONG_TYPE else 0
        known: dict[str, Any] = {}
        if verdict.accepted:
            x = self._block(audio)
            known = {
                "peak_amplitude": peak(x),
                "rms_amplitude": rms(x),
                "dc_offset": float(x.mean(dtype=np.float64)),
                "clipped_samples": int(np.count_nonzero(np.abs(x) >= config.max_amplitude)),
            }
            if detailed:
                share = speech_share(bytes(audio), config)
                known |= {
                    "is_speech": share >= SPEECH_SHARE,
                    "signal_to_noise_ratio": estimate_snr_db(x, config.sample_rate),
                    "loudness_lufs": integrated_lufs(x, config.sample_rate),
                }
        return AudioMetadata(
            format=config.format,
            duration_ms=config.duration_ms(size // config.frame_bytes * config.frame_bytes),
            size_bytes=size,
            sample_rate=config.sample_rate,
            channels=config.channels,
            verdict=verdict,
            processing_mode=self.mode,
            **known,
        )

    def _block(self, audio: Data) -> Samples:
        return decode(audio, self.config.stream_format)


def _encoding(value: AudioFormat | str) -> AudioFormat:
    try:
        return AudioFormat(value)
    except ValueError as error:
        raise ConfigError(f"format must be one of {', '.join(AudioFormat)}, not {value!r}") from error


def _floats(pcm: NDArray[np.int16]) -> bytes:
    return int16_to_float(pcm).astype("<f4", copy=False).tobytes()


def _from_floats(data: Data) -> bytes:
    return float_to_int16(decode(data, StreamFormat(AudioFormat.PCM_F32))).astype("<i2", copy=False).tobytes()


_ENCODERS: dict[str, Callable[[NDArray[np.int16]], bytes]] = {
    AudioFormat.G711_ULAW: g711.encode_ulaw,
    AudioFormat.G711_ALAW: g711.encode_alaw,
    AudioFormat.PCM_F32: _floats,
}
_DECODERS: dict[str, Callable[[Data], bytes]] = {
    AudioFormat.G711_ULAW: lambda data: g711.decode_ulaw(data).tobytes(),
    AudioFormat.G711_ALAW: lambda data: g711.decode_alaw(data).tobytes(),
    AudioFormat.PCM_F32: _from_floats,
}
