"""What a listener is about to hear, and what has really been heard of it."""

import numpy as np

from menura.audio.block import Samples, finite, silence
from menura.audio.config import AudioConfig
from menura.audio.format import StreamFormat
from menura.audio.pcm import encode
from menura.dsp.fade import fade_in_curve
from menura.engine.declick import Declick
from menura.engine.ledger import Item, Ledger
from menura.engine.packed import Packed
from menura.engine.pages import Pages
from menura.engine.position import PlaybackEvent, PlaybackEventKind, PlaybackPosition, PlaybackStats
from menura.errors import ConfigError, FormatError, LimitError
from menura.units import frames_to_ms, ms_to_frames

__all__ = ["Playback", "PlaybackEvent", "PlaybackEventKind", "PlaybackPosition", "PlaybackStats"]

MAX_BYTES = 64 * 1024 * 1024
MAX_ITEMS = 4096
"""Items queued at once: a reply has one or a few."""
FADE_MS = 5.0
MAX_GRACE_MS = 500.0
"""A longer chunk is cut on this grid: whoever interrupts does not wait longer."""


class Playback:
    """Queue of what is to be heard, with positions that are true.

    Providers send a reply far faster than it is heard, and truncate it at what was heard when the listener interrupts.
    So each frame is counted: queued, handed out by :meth:`read`, heard. It is heard when the device has played it: as
    many frames after it was handed out as :meth:`set_output_latency` says, or when :meth:`played` or
    :meth:`report_played` tell. A position never exceeds what was handed out and never goes back.

    Where an item runs dry while it is padded, the last sample fades to silence and what comes later fades in.

    Args:
        config: Rate and channels of the audio; ``chunk_duration_ms`` is the grid on which a soft interruption ends.
        max_ms: Most audio that waits; 64 MiB is the limit as well.
        prebuffer_ms: What must wait before an item begins, or goes on after a gap, unless it is complete.
        reported: Positions come from :meth:`played` and :meth:`report_played` alone; so they do from the first of
            these calls on.
        form: Samples are kept in this encoding: :meth:`queue_bytes` and :meth:`read_bytes` take and give them as they
            are.

    Raises:
        ConfigError: An argument is out of range.

    >>> playback = Playback(AudioConfig(sample_rate=8000))
    >>> playback.queue(np.full((800, 1), 0.5, np.float32), "item_1")
    800
    >>> playback.set_output_latency(160)
    >>> len(playback.read(400))
    400
    >>> position = playback.interrupt()
    >>> position.played_ms, position.pending_ms, position.queued_ms, position.discarded_ms
    (30.0, 20.0, 5.0, 45.0)
    """

    def __init__(
        self,
        config: AudioConfig,
        *,
        max_ms: float = 600_000.0,
        prebuffer_ms: float = 0.0,
        reported: bool = False,
        form: StreamFormat | None = None,
    ) -> None:
        if not (max_ms > 0.0 and 0.0 <= prebuffer_ms < max_ms):
            raise ConfigError(f"need 0 <= prebuffer_ms < max_ms, not {prebuffer_ms} and {max_ms}")
        self.rate, self.channels = config.sample_rate, config.channels
        self._capacity = int(min(max_ms * self.rate / 1000.0, MAX_BYTES / (4 * self.channels)))
        self._prebuffer = ms_to_frames(prebuffer_ms, self.rate)
        self._always_reported = reported
        self._form = form
        self._fade = ms_to_frames(FADE_MS, self.rate)
        self._grid = max(self._fade, ms_to_frames(min(config.chunk_duration_ms, MAX_GRACE_MS), self.rate))
        self.reset()

    def reset(self) -> None:
        """Forget everything, positions and counts too."""
        self._packed = None if self._form is None else Packed(self._form)
        self._store: Pages | Packed = Pages(self.channels) if self._packed is None else self._packed
        self._ledger = Ledger(self.rate)
        self._declick = Declick(self._fade, self.channels)
        self._latency = 0
        self._reported = self._always_reported
        self._gaps = self._gap_frames = 0
        self._flowing = False
        self._ending: int | None = None  # frames left until an interruption's silence
        self._ending_fade = 0

    # --- what comes in

    def queue(self, x: Samples, item_id: str | None = None) -> int:
        """Add audio at the end.

        Another ``item_id`` begins another item, which ends the one before. Without an id it belongs to the item that
        is open, or begins one. An item's audio comes in one stretch; what comes for an interrupted one is discarded.

        Shape:
            x: ``[n, channels]`` in −1…1; copied.

        Returns:
            Frames that will be heard: ``n``, or 0 if the item was interrupted.

        Raises:
            FormatError: Wrong channels.
            LimitError: It does not fit; nothing was queued.
        """
        if x.ndim != 2 or x.shape[1] != self.channels:
            raise FormatError(f"expected [frames, {self.channels}], got {list(x.shape)}")
        item = self._admit(len(x), item_id)
        if item is None:
            return 0
        self._store.write(finite(x))
        item.queued += len(x)
        return len(x)

    def queue_bytes(self, data: bytes, item_id: str | None = None) -> int:
        """As :meth:`queue`, with whole frames in the encoding of ``form``."""
        assert self._packed is not None
        frames = len(data) // self._packed.frame_bytes
        item = self._admit(frames, item_id)
        if item is None:
            return 0
        self._packed.write_bytes(data)
        item.queued += frames
        return frames

    def _admit(self, frames: int, item_id: str | None) -> Item | None:
        """The item that so much audio belongs to; None if it was interrupted."""
        known = None if item_id is None else self._ledger.find(item_id)
        if known is not None and known.interrupted:
            self._ledger.discard(known, frames)
            return None
        if len(self._store) + frames > self._capacity:
            raise LimitError(
                f"playback is full: {frames_to_ms(frames, self.rate):.0f} ms do not fit into "
                f"{frames_to_ms(self._capacity - len(self._store), self.rate):.0f} ms; send no faster than it is heard"
            )
        return self._open_item(item_id)

    def _open_item(self, item_id: str | None) -> Item:
        items = self._ledger.items
        last = items[-1] if items else None
        if last is not None and not last.interrupted:
            if item_id is None and not last.complete:
                return last
            if item_id is not None and item_id == last.id:
                last.complete = False
                return last
        if len(items) >= MAX_ITEMS:
            raise LimitError(f"playback holds {MAX_ITEMS} items: give the parts of a reply one id")
        return self._ledger.begin(item_id)

    def complete(self) -> None:
        """Tell that no more comes for the open item: what is there is all of it."""
        if self._ledger.items:
            self._ledger.items[-1].complete = True
            self._ledger.settle()

    def interrupt(self, force: bool = True, *, fade: bool = True) -> PlaybackPosition:
        """End what is heard; all items now queued are interrupted and what comes for them later is discarded.

        What was handed out is heard, unless :meth:`retract` says otherwise. Of what is queued, with ``force``, 5 ms are
        heard, fading out. Without it, it goes on to the end of the chunk that is heard: the next multiple of
        ``chunk_duration_ms`` (at most 500 ms) of the item that is at least 5 ms away, whose last 5 ms fade out.

        Args:
            force: At once.
            fade: False where the device fades by itself what it has taken: then nothing more is handed out.

        Returns:
            The position of the item that is heard; ``end_ms`` tells where it will be silent.
        """
        ends_soon = self._ending is not None and (not force or self._ending <= self._ending_fade)
        if not (ends_soon and fade):
            keep = self._kept(force) if fade else 0
            self._ending, self._ending_fade = keep, min(self._fade, keep)
        self._discard_beyond(self._ending or 0)
        if not self._ending:
            self._end()
        if not fade:
            self._declick.reset()
        items = self._ledger.items
        for item in items:
            item.interrupted = item.complete = True
        position = self._ledger.position(items[0]) if items else self.position()
        self._ledger.settle()
        return position

    def _kept(self, force: bool) -> int:
        """Frames still heard of what is queued when an interruption comes."""
        item = self._ledger.first_queued()
        if item is None or not self._flowing:
            return 0
        left = -item.taken % self._grid
        grace = left if left >= self._fade else left + self._grid
        return min(item.queued, self._fade if force else grace)

    def _discard_beyond(self, keep: int) -> None:
        """Drop all that is queued but the first ``keep`` frames."""
        self._store.keep(keep)
        for item in self._ledger.items:
            kept = min(keep, item.queued)
            keep -= kept
            self._ledger.discard(item, item.queued - kept)
            item.queued = kept

    # --- what goes out

    @property
    def handed_out(self) -> int:
        """Frames handed out so far, silence included, less what was taken back: what :meth:`played` counts in."""
        return self._ledger.handed

    def read(self, frames: int, *, pad: bool = True) -> Samples:
        """Hand out what is heard next.

        Args:
            frames: At most.
            pad: Fill with silence what is not there, as a device needs it; a relay that paces its sends does not.

        Returns:
            ``[frames, channels]``, or fewer without ``pad``. Silence counts in no item's position.
        """
        parts: list[Samples] = []
        left = frames
        while left > 0:
            self._begin()
            part = self._take(left)
            if not len(part):
                if not pad:
                    break
                part = self._pad(left)
            parts.append(part)
            left -= len(part)
        self._follow()
        return parts[0] if len(parts) == 1 else np.concatenate([silence(0, self.channels), *parts])

    def read_bytes(self, frames: int) -> bytes:
        """As :meth:`read` without ``pad``, in the encoding of ``form``."""
        assert self._packed is not None and self._form is not None
        if not self._flowing:
            self._begin()
        item = self._ledger.first_queued() if self._flowing else None
        if item is None or item.queued < frames or self._ending is not None:
            return encode(self.read(frames, pad=False), self._form)
        self._ledger.hand_out(item, frames)
        self._follow()
        return self._packed.read_bytes(frames)

    def _begin(self) -> None:
        """Let an item begin, or go on, once enough is there."""
        waiting = len(self._store)
        first = None if self._flowing or not waiting else self._ledger.first_queued()
        if first is None or not (waiting >= self._prebuffer or first.complete):
            return
        self._flowing = True
        if first.gap:
            self._gaps += 1
            self._gap_frames += first.gap
            first.gap = 0
            self._declick.rise()

    def _take(self, frames: int) -> Samples:
        """Up to ``frames`` of one item; none if nothing flows."""
        item = self._ledger.first_queued() if self._flowing else None
        if item is None:
            return silence(0, self.channels)
        n = min(frames, item.queued if self._ending is None else min(item.queued, self._ending))
        x = self._store.read(n)
        self._ledger.hand_out(item, n)
        if self._ending is not None:
            self._fade_out(x, self._ending)
            self._ending -= n
            if not self._ending:
                self._end()
        self._declick.audio(x)
        return x

    def _fade_out(self, x: Samples, left: int) -> None:
        """Fade a block that begins ``left`` frames before an interruption's silence, in place."""
        begin = left - self._ending_fade  # where the fade begins in the block
        if begin < len(x):
            fall = fade_in_curve(self._ending_fade)[::-1]
            x[max(0, begin) :] *= fall[max(0, -begin) : len(x) - begin]

    def _end(self) -> None:
        """An interruption has become silent: what follows begins anew."""
        self._ending = None
        self._flowing = False

    def _pad(self, frames: int) -> Samples:
        self._flowing = False
        last = self._ledger.items[-1] if self._ledger.items else None
        if last is not None and not last.complete and last.taken and not last.queued:
            last.gap += frames
        self._ledger.hand_out(None, frames)
        return self._declick.silence(frames)

    # --- what was heard

    def set_output_latency(self, frames: int) -> None:
        """Say how many of the frames handed out the device holds before they are heard."""
        self._latency = max(0, frames)
        self._follow()

    def _follow(self) -> None:
        if not self._reported:
            self._ledger.advance(self._ledger.handed - self._latency)

    def played(self, frames: int) -> None:
        """Say how many of all frames handed out so far, silence included, the device has played."""
        self._reported = True
        self._ledger.advance(frames)

    def report_played(self, played_ms: float, item_id: str | None = None) -> bool:
        """Take a client's word for what it has played, within what it was given.

        Args:
            played_ms: Of the item, or without an id of all audio so far, silence not counted.
            item_id: As it was queued.

        Returns:
            Whether there is such an item; an unknown one changes nothing.

        Raises:
            FormatError: ``played_ms`` is negative or no number.
        """
        known = self._ledger.reach(played_ms, item_id)
        self._reported = True
        return known

    def retract(self, frames: int | None = None) -> int:
        """Take back what was handed out last and will not be heard: a device or client dropped it.

        Args:
            frames: How many; by default all not yet heard.

        Returns:
            Frames taken back, silence included.
        """
        self._declick.reset()
        return self._ledger.retract(frames)

    def position(self, item_id: str | None = None) -> PlaybackPosition:
        """Where the listener is.

        Args:
            item_id: Of an item, one of the last 64 that ended or one still to come; by default the one heard now, or
                the last that was.

        Returns:
            All zeros if there is no such item.
        """
        ledger = self._ledger
        if item_id is not None:
            return ledger.position(ledger.find(item_id))
        if ledger.items:
            return ledger.position(ledger.items[0])
        return ledger.position(ledger.past[-1] if ledger.past else None)

    def events(self) -> list[PlaybackEvent]:
        """What has happened since last asked, in order; at most the last 1024."""
        return self._ledger.events()

    @property
    def heard_ms(self) -> float:
        """Heard of all items."""
        return frames_to_ms(self._ledger.totals.played, self.rate)

    def stats(self) -> PlaybackStats:
        """Totals so far."""
        totals = self._ledger.totals
        counts = (totals.played, totals.pending, len(self._store), totals.discarded)
        played, pending, queued, discarded = (frames_to_ms(n, self.rate) for n in counts)
        gap_ms = frames_to_ms(self._gap_frames, self.rate)
        return PlaybackStats(self._ledger.begun, played, pending, queued, discarded, self._gaps, gap_ms)
