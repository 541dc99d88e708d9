"""From the stream buffer to the stages: whole chunks, when they are complete or when they are due."""

from contextlib import AbstractContextManager
from typing import Any

from menura.audio.config import AudioConfig
from menura.clock import Clock
from menura.engine.buffer import AudioStreamBuffer, Data
from menura.engine.config import BufferConfig, ProcessingMode
from menura.errors import ConfigError

__all__ = ["Feed"]

MOST_DUE_S = 1.0


class Feed:
    """A stream buffer that is read either as it fills, or by the clock.

    Without jitter mode each addition gives the chunks it completes. In jitter mode it gives what is due since the first
    one, so that the pace is even although additions come when the network lets them; once ``read`` was called, only
    that gives audio.

    Args:
        config: Of the buffer.
        audio_config: Of the audio.
        mode: Told in the buffer's figures.
        lock: The buffer's.
        clock: For what is due.

    Raises:
        ConfigError: The buffer does not hold one chunk, so that there would never be one.
    """

    def __init__(
        self,
        config: BufferConfig,
        audio_config: AudioConfig,
        mode: ProcessingMode,
        *,
        lock: AbstractContextManager[Any],
        clock: Clock,
    ) -> None:
        self.buffer = AudioStreamBuffer(config, audio_config, mode, lock=lock, clock=clock)
        self._config, self._clock = audio_config, clock
        self._chunk = audio_config.bytes_for_ms(audio_config.chunk_duration_ms)
        if self.buffer.capacity < self._chunk:
            raise ConfigError(
                f"a buffer of {audio_config.duration_ms(self.buffer.capacity):g} ms never holds a chunk of "
                f"{audio_config.chunk_duration_ms} ms: raise max_duration_ms or max_size_bytes, or take shorter chunks"
            )
        self._pulled = False
        self._given = 0
        self._began_s: float | None = None

    def add(self, audio: Data) -> bytes | None:
        """Add audio; returns the whole chunks to be processed now."""
        self.buffer.add_audio(audio)
        if self._pulled:
            return None
        ready = self.buffer.get_available_bytes() if self.buffer.jitter is None else self._due()
        whole = ready // self._chunk * self._chunk
        self._given += whole
        return self.buffer.get_chunk(whole) if whole else None

    def read(self, duration_ms: float | None) -> bytes | None:
        """Exactly so much audio, a chunk by default; ``None`` before the first.

        Raises:
            ConfigError: The duration is none, or longer than one call may bring.
        """
        if duration_ms is not None and not 0.0 < duration_ms <= self._config.max_chunk_ms:
            raise ConfigError(f"a read is more than 0 and at most {self._config.max_chunk_ms} ms, not {duration_ms!r}")
        self._pulled = True
        return self.buffer.get_chunk(self._chunk if duration_ms is None else self._config.bytes_for_ms(duration_ms))

    def _due(self) -> int:
        """Bytes due by the clock. Of a pause longer than a second, one second: the rest is let go."""
        now, rate, frame = self._clock(), self._config.sample_rate, self._config.frame_bytes
        if self._began_s is None:
            self._began_s = now
        due = int((now - self._began_s) * rate) * frame - self._given
        most = int(MOST_DUE_S * rate) * frame
        if due > most:
            self._given += due - most
        return min(due, most)
