"""A stage over AudioStreams: their timestamps and metadata stay with the audio they belong to."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from menura.audio.block import Samples, silence
from menura.audio.format import MAX_RATE, MIN_RATE
from menura.audio.stream import AudioStream
from menura.channels.fit import Fit
from menura.channels.making import AnyStage, build, channels_of
from menura.channels.options import Mismatch
from menura.channels.origin import Origin, Origins, Piece
from menura.channels.timeline import RESTART_S, TOLERANCE_S, Placed, Timeline
from menura.dsp.stage import Stage
from menura.errors import ConfigError, FormatError

__all__ = ["Gaps", "StreamStage", "StreamStageStats", "to_stream"]

SLICE = 65_536
"""Frames processed at a time, so that memory stays small however long a stream."""


class Gaps(StrEnum):
    """What is done where the timestamps of a stream jump.

    ``RESET``: what came before is finished, and the stage begins anew. ``FILL``: what is missing is silence, what is
    there twice is dropped; a gap beyond ``max_fill_s``, or a second back, is a reset. ``IGNORE``: the audio is one
    piece all the same.
    """

    RESET = "reset"
    FILL = "fill"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class StreamStageStats:
    """What a :class:`StreamStage` has done.

    Attributes:
        frames_in: Taken, at their own rate.
        frames_out: Given.
        gaps: Times that nothing was there.
        overlaps: Times that a stream began before the end of the one before.
        filled_frames: Silence put into gaps, at the rate of the input.
        dropped_frames: Left out because they were there twice.
        resets: Times the stage began anew.
        conversions: Times a stream came in another rate or with other channels than the one before.
    """

    frames_in: int = 0
    frames_out: int = 0
    gaps: int = 0
    overlaps: int = 0
    filled_frames: int = 0
    dropped_frames: int = 0
    resets: int = 0
    conversions: int = 0


class StreamStage:
    """Runs a stage on one stream after another.

    Every frame that comes out has the time of the frame that it was made of: the stage's latency is taken off, its rest
    comes with :meth:`flush`, and as many frames come out as went in. Times are carried as the inputs tell them, jitter
    and all. What comes out of one call is cut where inputs with other metadata or formats meet, and where times jump.

    Args:
        stage: A stage; a voice or its id, or a function, of which a stage is made that fits the first stream.
        gaps: What to do where timestamps jump.
        tolerance_s: Smaller jumps are none.
        max_fill_s: Longest gap that is filled.
        mismatch: A stream that does not have the stage's rate and channels is refused, or converted.
        whole: Give back one stream for each that came, as long as that, as soon as all of it is there; else whatever
            there is, which is sooner.
        format: Of what comes out; that of the input by default.

    >>> from menura.dsp.dynamics import Limiter
    >>> limit = StreamStage(Limiter(48_000), whole=True)
    >>> first = limit.process(AudioStream.from_block(silence(480), 48_000, timestamp=(7.0, 7.01)))
    >>> [(stream.frames, stream.timestamp) for stream in first + limit.flush()]
    [(480, (7.0, 7.01))]
    """

    def __init__(
        self,
        stage: AnyStage,
        *,
        gaps: Gaps | str = Gaps.RESET,
        tolerance_s: float = TOLERANCE_S,
        max_fill_s: float = 10.0,
        mismatch: Mismatch | str = Mismatch.ERROR,
        whole: bool = False,
        format: str | None = None,  # noqa: A002 - the field's name
    ) -> None:
        self._given = stage
        self._channels: int | None = None
        self._gaps = _gaps(gaps)
        self._max_fill_s = max_fill_s
        self._mismatch = _mismatch(mismatch)
        self._whole, self._format = whole, format
        self._timeline = Timeline(tolerance_s)
        self._counts: Counter[str] = Counter()
        self._stage: Stage | None = stage if isinstance(stage, Stage) and not isinstance(stage, type) else None
        self._restart()

    def _restart(self) -> None:
        self._fit: Fit | None = None
        self._origins: Origins | None = None
        self._source = (0, 0)  # rate and channels of the last stream
        self._base = self._offset = 0
        self._skip = 0

    @property
    def stage(self) -> Stage | None:
        """The stage that runs; None until the first stream says which."""
        return self._stage

    @property
    def latency_s(self) -> float:
        """How far what comes out lies behind what went in; 0 until the first stream, where that decides."""
        return 0.0 if self._stage is None else self._stage.latency / self._stage.rate_out

    def stats(self) -> StreamStageStats:
        """Figures so far."""
        return StreamStageStats(**self._counts)

    def process(self, stream: AudioStream) -> list[AudioStream]:
        """Process the next stream.

        Returns:
            What there is of this and earlier ones, oldest first; none is empty unless its input was.

        Raises:
            FormatError: It has another rate or other channels than the stage, and ``mismatch`` is ``"error"``; or
                channels that cannot be mapped. The stage is as before.
            ModelError, VoiceNotFoundError: The stage cannot be built.
        """
        return self._streams(self.pieces(stream))

    def flush(self) -> list[AudioStream]:
        """The rest; then be as new. Figures stay."""
        return self._streams(self.rest())

    def reset(self) -> None:
        """Forget all audio; figures stay."""
        if self._stage is not None:
            self._stage.reset()
        self._timeline.restart()
        self._restart()

    def pieces(self, stream: AudioStream) -> list[Piece]:
        """As :meth:`process`, before it is bytes again."""
        self._prepare(stream)
        placed = self._timeline.place(stream)
        drop = 0
        done: list[Piece] = []
        if placed.gap_s:
            drop, done = self._jump(stream, placed)
            if drop > stream.frames or drop == stream.frames > 0:
                self._count(dropped_frames=stream.frames, frames_in=stream.frames)
                return done
            placed = placed._replace(start_s=placed.start_s + drop / stream.sample_rate)
            placed = placed._replace(end_s=max(placed.start_s, placed.end_s))
        x = stream.to_block()
        if drop:
            stream = _cut(stream, drop)
        self._timeline.take(stream, placed)
        self._count(frames_in=len(x), dropped_frames=drop)
        return done + self._feed(x[drop:], stream.sample_rate, placed, stream)

    def rest(self) -> list[Piece]:
        """As :meth:`flush`, before it is bytes again."""
        done = self._finish()
        self._timeline.restart()
        return done

    # --- the format

    def _prepare(self, stream: AudioStream) -> None:
        """Have a stage that this stream fits, or can be made to fit."""
        rate, channels = stream.sample_rate, stream.channels
        if not MIN_RATE <= rate <= MAX_RATE:
            raise FormatError(f"the sample rate must be {MIN_RATE} to {MAX_RATE} Hz, the stream has {rate}")
        stage = self._stage or build(self._given, rate, channels)
        own = self._channels or channels_of(stage) or channels
        if self._mismatch is Mismatch.ERROR and (rate, channels) != (stage.rate_in, own):
            raise FormatError(
                f"the stage takes {stage.rate_in} Hz and {own} channels, the stream has {rate} Hz and {channels}: "
                "mismatch='convert' makes it fit"
            )
        if channels != own and own > 1 < channels:
            raise FormatError(f"cannot map {channels} channels to {own}: mix to mono first")
        self._stage, self._channels = stage, own
        if self._origins is None:
            self._skip = stage.latency
            self._fit = Fit(stage.rate_in, own)
            self._origins = Origins(stage.rate_in, stage.rate_out, self._timeline.tolerance_s, whole=self._whole)
        if self._source != (rate, channels):
            self._turn(rate, channels, stage)

    def _turn(self, rate: int, channels: int, stage: Stage) -> None:
        """From here on the input has another format."""
        was = self._source[0]
        if was:
            self._count(conversions=1)
        if was != rate:
            self._base += self._offset * stage.rate_in // was if was else 0
            self._offset = 0
        self._source = (rate, channels)

    # --- jumps

    def _jump(self, stream: AudioStream, placed: Placed) -> tuple[int, list[Piece]]:
        """Act on a jump: frames of the stream to drop, and what comes before it."""
        self._count(gaps=int(placed.gap_s > 0.0), overlaps=int(placed.gap_s < 0.0))
        if self._gaps is Gaps.IGNORE:
            return 0, []
        frames = round(abs(placed.gap_s) * stream.sample_rate)
        back_s = min(RESTART_S, self._max_fill_s)
        if self._gaps is Gaps.RESET or not -back_s <= placed.gap_s <= self._max_fill_s:
            done = self._finish()
            self._prepare(stream)
            self._count(resets=1)
            return 0, done
        if placed.gap_s < 0.0:
            return frames, []
        self._count(filled_frames=frames)
        gap = Placed(placed.start_s - placed.gap_s, placed.start_s, 0.0)
        return 0, self._feed(silence(frames, stream.channels), stream.sample_rate, gap, stream)

    # --- the stage

    def _feed(self, x: Samples, rate: int, placed: Placed, stream: AudioStream) -> list[Piece]:
        assert self._fit is not None
        assert self._origins is not None
        assert self._stage is not None
        self._origins.add(
            Origin(self._base, self._offset, len(x), rate, placed.start_s, placed.end_s, stream.format, stream.metadata)
        )
        self._offset += len(x)
        slices = [x[i : i + SLICE] for i in range(0, len(x), SLICE)]
        return self._give([self._stage.process(self._fit.push(part, rate)) for part in slices])

    def _finish(self) -> list[Piece]:
        if self._origins is None or self._fit is None or self._stage is None:
            return []
        last = self._fit.flush()
        parts = [self._stage.process(last)] if len(last) else []
        done = self._give([*parts, self._stage.flush()], last=True)
        self._restart()
        return done

    def _give(self, parts: list[Samples], *, last: bool = False) -> list[Piece]:
        """Take off the latency, and cut."""
        assert self._origins is not None
        kept = []
        for part in parts:
            skip = min(self._skip, len(part))
            self._skip -= skip
            if skip < len(part):
                kept.append(part[skip:])
        y = kept[0] if len(kept) == 1 else np.concatenate(kept) if kept else silence(0, self._channels or 1)
        pieces = self._origins.cut(y, last=last)
        self._count(frames_out=sum(len(piece.block) for piece in pieces))
        return pieces

    def _streams(self, pieces: list[Piece]) -> list[AudioStream]:
        rate = self._stage.rate_out if self._stage is not None else 1
        return [to_stream(piece, rate, self._format) for piece in pieces]

    def _count(self, **counts: int) -> None:
        for name, count in counts.items():
            self._counts[name] += count


def to_stream(piece: Piece, rate: int, format: str | None = None) -> AudioStream:  # noqa: A002 - the field's name
    """A piece as a stream, encoded as its input was or as ``format`` says."""
    return AudioStream.from_block(
        piece.block,
        rate,
        format=format or piece.format,
        timestamp=(piece.start_s, max(piece.start_s, piece.end_s)),
        metadata=piece.metadata,
    )


def _cut(stream: AudioStream, drop: int) -> AudioStream:
    """A stream without its first frames."""
    return stream.model_copy(update={"data": stream.data[drop * stream.sample_width * stream.channels :]})


def _gaps(value: Gaps | str) -> Gaps:
    try:
        return Gaps(value)
    except ValueError:
        raise ConfigError(f"gaps is one of {', '.join(Gaps)}, not {value!r}") from None


def _mismatch(value: Mismatch | str) -> Mismatch:
    try:
        return Mismatch(value)
    except ValueError:
        raise ConfigError(f"mismatch is one of {', '.join(Mismatch)}, not {value!r}") from None
