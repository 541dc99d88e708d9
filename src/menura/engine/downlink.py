"""The way down: a provider's audio to the listener."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from menura.audio.block import Samples, remix, silence
from menura.audio.config import AudioConfig
from menura.audio.format import StreamFormat
from menura.audio.ogg import BOS
from menura.audio.opus import OggOpusDecoder, OpusDecoder
from menura.audio.pcm import decode, encode
from menura.audio.webm import WebmOpusDecoder
from menura.dsp.resample import Resampler
from menura.engine.playback import Playback, PlaybackEvent, PlaybackPosition
from menura.engine.verdict import ACCEPTED, OGG, WEBM, Inspector, Verdict, is_bytes
from menura.errors import ConfigError, FormatError
from menura.units import ms_to_frames

__all__ = ["Downlink"]

Data = bytes | bytearray | memoryview
OPUS = "opus"
"""Bare packets, one a call: their bytes do not tell them from samples. Ogg and WebM are recognised by themselves."""


class _Incoming:
    """Bytes of a provider as blocks: samples of the configured format, Opus in Ogg or WebM, or bare packets."""

    def __init__(self, config: AudioConfig) -> None:
        self.config = config
        self.form = config.stream_format
        self.inspector = Inspector(config)
        self.refused: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        self._container: OggOpusDecoder | WebmOpusDecoder | None = None
        self._packets: OpusDecoder | None = None
        self._broken_off = False  # a container failed or was interrupted: what comes is its rest, or begins anew

    def interrupt(self) -> None:
        """The next piece may begin another stream, though this one has not ended; its rest is no samples."""
        self._packets = None
        self._broken_off = self._broken_off or self._container is not None

    def take(self, audio: Any, encoding: str | None) -> Data | Samples | None:
        """What a piece is: samples, as they came; Opus, as a block at the configuration's rate; ``None`` if it was
        refused, which is counted."""
        opus = encoding == OPUS
        if encoding is None:
            opus = self._container is not None or self._broken_off  # the next piece of a stream
        elif not opus and encoding != self.config.format:
            raise ConfigError(f"format of a provider's audio is {self.config.format} or {OPUS}, not {encoding!r}")
        if not opus:
            verdict = self.inspector.inspect(audio)
            if verdict in ACCEPTED:
                samples: Data = audio
                return samples
            if encoding is not None or verdict is not Verdict.OPUS:
                self.refuse(verdict)
                return None
        return self._decode_opus(audio, bare=encoding == OPUS)

    def decode(self, audio: Any, encoding: str | None) -> Samples | None:
        """A block at the configuration's rate; ``None`` if it was refused, which is counted."""
        taken = self.take(audio, encoding)
        return taken if taken is None or isinstance(taken, np.ndarray) else decode(taken, self.form)

    def _decode_opus(self, audio: Any, *, bare: bool) -> Samples | None:
        if not is_bytes(audio):
            self.refuse(Verdict.WRONG_TYPE)
            return None
        data = bytes(audio)
        try:
            self._begin(data)
            if self._container is not None:
                return self._container.decode(data)
            if self._broken_off and not bare:
                raise FormatError("the rest of a stream that could not be decoded")
            self._packets = self._packets or OpusDecoder(self.form.rate, self.form.channels)
            return self._packets.decode(data)
        except FormatError:
            self.refuse(Verdict.OPUS)
            failed = self._container is not None or self._broken_off
            self.reset()  # what comes next is looked at afresh, but the rest of a container would be noise as samples
            self._broken_off = failed
            return None

    def _begin(self, data: bytes) -> None:
        """Have a decoder where a container begins: the first, or one after a break."""
        begins = data.startswith(WEBM) or (data.startswith(OGG) and bool(data[5:6] and data[5] & BOS))
        if self._broken_off and begins:
            self.reset()
        if self._container is None and data.startswith(WEBM):
            self._container = WebmOpusDecoder(self.form.rate, self.form.channels)
        elif self._container is None and data.startswith(OGG):
            self._container = OggOpusDecoder(self.form.rate, self.form.channels)

    def rest(self) -> Samples:
        """What decoders still hold; the next audio begins a new stream."""
        parts = [silence(0, self.form.channels)]
        for decoder in (self._container, self._packets):
            try:
                if decoder is not None:
                    parts.append(decoder.flush())
            except FormatError:
                self.refuse(Verdict.OPUS)
        self.reset()
        return np.concatenate(parts)

    def refuse(self, verdict: Verdict) -> None:
        self.refused[verdict.value] = self.refused.get(verdict.value, 0) + 1


class Downlink:
    """A provider's audio, prepared for the client or queued for a listener whose position is known.

    Args:
        config: What the provider sends: samples in this format, or Opus.
        client: What the client is sent.
    """

    def __init__(self, config: AudioConfig, client: StreamFormat) -> None:
        self.config, self.client = config, client
        self._passes = config.stream_format == client
        self.playback = Playback(config, form=client if self._passes else None)
        self._prepared, self._queued = _Incoming(config), _Incoming(config)
        self._to_client = self._converter()
        self._from_queue = self._converter()
        self._tail = False

    def _converter(self) -> Resampler:
        return Resampler(self.config.sample_rate, self.client.rate, self.client.channels)

    def _encode(self, x: Samples, converter: Resampler) -> bytes:
        return encode(converter.process(remix(x, self.client.channels)), self.client)

    def prepare(self, audio: Any, encoding: str | None = None) -> bytes:
        """Audio of the provider as the client wants it, at once; ``b""`` for what is refused."""
        taken = self._prepared.take(audio, encoding)
        if taken is None:
            return b""
        if isinstance(taken, np.ndarray):
            return self._encode(taken, self._to_client)
        if self._passes:
            return taken if type(taken) is bytes else bytes(taken)
        return self._encode(decode(taken, self.config.stream_format), self._to_client)

    def finish(self) -> bytes:
        """What decoding and rate conversion of ``prepare`` still hold; the next audio begins a new stream."""
        rest = self._encode(self._prepared.rest(), self._to_client)
        return rest + encode(self._to_client.flush(), self.client)

    def queue(self, audio: Any, item_id: str | None = None, encoding: str | None = None) -> None:
        """Queue audio of the provider; what is refused is left out.

        Raises:
            LimitError: More than ten minutes wait already; nothing was queued.
        """
        taken = self._queued.take(audio, encoding)
        if taken is None:
            return
        if isinstance(taken, np.ndarray):
            self.playback.queue(taken, item_id)
        elif self._passes:
            self.playback.queue_bytes(taken if type(taken) is bytes else bytes(taken), item_id)
        else:
            self.playback.queue(decode(taken, self.config.stream_format), item_id)

    def decode(self, audio: Any, encoding: str | None = None) -> Samples | None:
        """Audio of the provider as a block, for another queue than this; ``None`` if it was refused."""
        return self._queued.decode(audio, encoding)

    def rest(self) -> Samples:
        """What a decoder still holds at the end of a reply."""
        return self._queued.rest()

    def complete(self) -> None:
        """No more comes."""
        rest = self.rest()
        if len(rest):
            self.playback.queue(rest)
        self.playback.complete()

    def interrupt(self, force: bool) -> PlaybackPosition:
        """Stop what is heard; see :meth:`Playback.interrupt`."""
        self._queued.interrupt()
        return self.playback.interrupt(force)

    def stop(self) -> PlaybackPosition | None:
        """End all that is heard or waits: a client threw away what it was given. What it has heard of the item that
        was being heard; ``None`` if none was."""
        before = self.playback.position()
        self._queued.interrupt()
        self.playback.retract()
        heard = self.playback.interrupt(fade=False)
        if self._tail:
            self._tail = False
            self._from_queue.flush()  # of what was thrown away
        return None if before.finished or not (before.played_ms + before.end_ms) else heard

    def _frames(self, duration_ms: float) -> int:
        if not math.isfinite(duration_ms):
            raise ConfigError(f"a duration is a number of milliseconds, not {duration_ms!r}")
        return ms_to_frames(duration_ms, self.config.sample_rate)

    def set_latency(self, latency_ms: float) -> None:
        """How long after ``read`` audio is heard."""
        self.playback.set_output_latency(self._frames(latency_ms))

    def read(self, duration_ms: float | None = None) -> bytes:
        """The next of the queue, at most so much, a chunk by default, in the client's format."""
        frames = self._frames(self.config.chunk_duration_ms if duration_ms is None else duration_ms)
        if self._passes:
            return self.playback.read_bytes(frames)
        x = self.playback.read(frames, pad=False)
        if len(x):
            self._tail = True
            return self._encode(x, self._from_queue)
        if not self._tail:
            return b""
        self._tail = False  # the queue ran dry: what rate conversion still holds is heard as well
        return encode(self._from_queue.flush(), self.client)

    def events(self) -> list[PlaybackEvent]:
        """What the listener has heard begin and end."""
        return self.playback.events()

    @property
    def refused(self) -> dict[str, int]:
        """Pieces refused, by reason."""
        refused = {**self._prepared.refused}
        for verdict, count in self._queued.refused.items():
            refused[verdict] = refused.get(verdict, 0) + count
        return refused

    def figures(self) -> dict[str, Any]:
        """For ``get_metrics``."""
        return asdict(self.playback.stats()) | {"refused": self.refused}
