"""What a channel lets in: audio as its options say, converted where they say so."""

import threading
from operator import attrgetter

from menura.audio.block import Samples, remix
from menura.audio.format import check_rate
from menura.audio.stream import UNTIMED, AudioStream
from menura.channels.fit import Fit
from menura.channels.options import ChannelOptions, Mismatch
from menura.errors import ConfigError, FormatError

__all__ = ["Gate"]

RESTART_S = 0.05
"""Jump of the timestamps that begins a new piece of audio; smaller ones are jitter of the source's clock."""


class _Resampling:
    """One piece of audio on its way to another rate: aligned in time, with what is held given out at its end."""

    def __init__(self, first: AudioStream, rate: int, channels: int) -> None:
        try:
            check_rate(first.sample_rate)
        except ConfigError as error:
            raise FormatError(f"sample_rate: cannot be converted: {error}") from error
        self.source = (first.sample_rate, first.channels)
        self.last = first
        self._rate, self._channels = rate, channels
        self._fit = Fit(rate, min(channels, first.channels))
        self._taken = self._made = 0
        self._begin_s = first.timestamp[0]
        self._due_s = (self._begin_s, self._begin_s)  # as the timestamps tell, and as the samples do

    def follows(self, stream: AudioStream) -> bool:
        """Whether it is the same piece that goes on."""
        start_s = stream.timestamp[0] or self._due_s[0]  # one that begins at 0 tells no time
        near = any(abs(start_s - due_s) < RESTART_S for due_s in self._due_s)
        return near and (stream.sample_rate, stream.channels) == self.source

    def process(self, stream: AudioStream, form: str) -> list[AudioStream]:
        """Convert the next stream."""
        start_s, end_s = stream.timestamp
        if start_s:
            self._begin_s = start_s - self._taken / stream.sample_rate
        else:
            start_s, end_s = self._due_s[0], self._due_s[0] + end_s
        by_samples_s = start_s + stream.duration_seconds()
        self._due_s = (end_s if end_s > start_s else by_samples_s, by_samples_s)
        self._taken += stream.frames
        self.last = stream
        return self._dress(self._fit.push(stream.to_block(), stream.sample_rate), form)

    def flush(self, form: str) -> list[AudioStream]:
        """Give out what is held."""
        return self._dress(self._fit.flush(), form)

    def _dress(self, y: Samples, form: str) -> list[AudioStream]:
        if not len(y):
            return []
        start_s = self._begin_s + self._made / self._rate
        self._made += len(y)
        end_s = self._begin_s + self._made / self._rate
        return [
            AudioStream.from_block(
                remix(y, self._channels),
                self._rate,
                format=form,
                timestamp=(start_s, end_s) if self.last.timed else UNTIMED,
                metadata=self.last.metadata,
            )
        ]


class Gate:
    """Checks audio for a channel and converts it; one source at a time, for the converter has a memory.

    Another rate is made with a delay of at most 5 ms that the timestamps take into account: the first stream is so
    much shorter, and ``flush`` gives the rest. Streams follow each other without a click until the source's rate or
    channels change, or its timestamps jump. A resampled stream's timestamp spans its samples.

    Args:
        name: Of the channel.
        options: What it carries.
    """

    def __init__(self, name: str, options: ChannelOptions) -> None:
        self._name, self._options = name, options
        self._convert = options.mismatch == Mismatch.CONVERT
        self._want = tuple(
            (field, value)
            for field in ("sample_rate", "channels", "format")
            if (value := getattr(options, field)) is not None
        )
        # attrgetter gives a value for one name, a tuple for several: the same on both sides
        self._look = attrgetter(*(field for field, _ in self._want)) if self._want else None
        self._wanted = self._want[0][1] if len(self._want) == 1 else tuple(value for _, value in self._want)
        self._resampling: _Resampling | None = None
        self.lock = threading.RLock()
        self.converted = 0

    @property
    def busy(self) -> bool:
        """Whether another thread is converting now."""
        free = self.lock.acquire(blocking=False)
        if free:
            self.lock.release()
        return not free

    def fits(self, stream: AudioStream) -> bool:
        """Whether it may pass as it is."""
        return self._look is None or self._look(stream) == self._wanted

    def is_open(self, stream: AudioStream) -> bool:
        """Whether there is nothing to do but let it pass."""
        return self._resampling is None and not self._options.strict_timestamps and self.fits(stream)

    def admit(self, stream: AudioStream) -> list[AudioStream]:
        """What goes into the channel for this stream.

        Raises:
            FormatError: It does not fit, and is not to be converted, or cannot be.
        """
        if self._options.strict_timestamps:
            stream.check_timestamp()
        if self.fits(stream):
            return [*self.flush(), stream] if self._resampling else [stream]
        if not self._convert:
            raise FormatError(self._complaint(stream))
        form = self._options.format or stream.format
        channels = self._options.channels or stream.channels
        rate = self._options.sample_rate or stream.sample_rate
        if 1 not in (channels, stream.channels) and channels != stream.channels:
            raise FormatError(self._complaint(stream) + "; neither is mono, so how to remix would be a guess")
        if rate == stream.sample_rate:
            block = remix(stream.samples("float64" if form == "pcm_s32le" else "float32"), channels)
            recoded = AudioStream.from_block(
                block, rate, format=form, timestamp=stream.timestamp, metadata=stream.metadata
            )
            self.converted += 1
            return [*self.flush(), recoded]
        done: list[AudioStream] = []
        if self._resampling is None or not self._resampling.follows(stream):
            anew = _Resampling(stream, rate, channels)  # first: what cannot be converted leaves all as it is
            done, self._resampling = self.flush(), anew
        self.converted += 1
        return done + self._resampling.process(stream, form)

    def flush(self) -> list[AudioStream]:
        """What the converter still holds; then it is as new."""
        held, self._resampling = self._resampling, None
        return held.flush(self._options.format or held.last.format) if held else []

    def _complaint(self, stream: AudioStream) -> str:
        field, value = next((field, value) for field, value in self._want if getattr(stream, field) != value)
        how = "" if self._convert else "; convert it, or create the channel with mismatch='convert'"
        return f"{field}: channel {self._name!r} carries {value}, not {getattr(stream, field)}{how}"
