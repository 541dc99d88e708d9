"""What a provider answers, on its way down: queued, in another voice. No sockets, no event loop."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from menura.audio.block import Samples
from menura.audio.pcm import decode, encode
from menura.engine.position import PlaybackPosition
from menura.errors import LimitError
from menura.live.session import VoiceSession
from menura.server.relay_engine import RelayEngine
from menura.server.relay_joint import Joint
from menura.server.relay_voices import VoiceFailures
from menura.units import frames_to_ms, ms_to_frames
from menura.voices.build import VoiceStage
from menura.voices.voice import VoiceParameters

__all__ = ["Piece", "Replies"]

MAX_WAITING = 256
"""Answers that wait to be sent: one is one, or a few."""
ALL_MS = 1e12


@dataclass(frozen=True, slots=True)
class Piece:
    """Audio for the client, of one answer.

    Attributes:
        duration_ms: Of the provider's audio in it.
        last: The answer is complete with it.
    """

    item_id: str
    audio: bytes
    duration_ms: float
    last: bool


@dataclass(slots=True)
class _Queued:
    """What waits of one answer."""

    item_id: str
    frames: int = 0
    complete: bool = False


class Replies:
    """What a provider answers: in another voice, queued, handed out in the client's format.

    One thread adds and reads; :meth:`stop` may come from another. The voice's delay is taken off: an answer begins
    where it begins and is as long as it was, so that positions are those of the provider's audio.

    Args:
        engine: Of the client.
        voice: At the rate of the provider's audio, or None.
        max_ms: What waits at most.
        on_fail: Called when the voice fails for the first time, in the thread in which it does.
    """

    def __init__(
        self,
        engine: RelayEngine,
        voice: VoiceSession | None,
        max_ms: float,
        on_fail: Callable[[], None] | None = None,
    ) -> None:
        self._engine, self._voice = engine, voice
        self._form = engine.target
        self._frame_bytes = self._form.frame_bytes
        self._max = ms_to_frames(max_ms, self._form.rate)
        self._lock = threading.Lock()  # between an answer that is stopped and audio of it that is queued
        self._queue: deque[_Queued] = deque()
        self._waiting = 0
        self._voiced = ""
        self._last_name = ("", -1, "")
        self._last = (b"", "", -1)  # what was put last, of which answer
        self._joint: Joint | None = None
        self._skip = 0
        self.era = 0
        self.dropped_ms = 0.0
        self.failures = VoiceFailures("down", on_fail)

    def add(self, audio: bytes, item_id: str, era: int) -> None:
        """More of an answer; of an era that is over it is dropped, like what is no whole frame."""
        if era != self.era:
            return
        whole = audio[: len(audio) - len(audio) % self._frame_bytes]
        if self._last[1:] != (item_id, era):
            self._last, self._joint = (b"", item_id, era), None
        if self._voice is None and self._joint is None:
            self._put(whole, item_id, era)
            return
        x = decode(whole, self._form)
        if self._joint is not None:
            self._joint.rise(x)
        if self._voice is None:
            self._put_voiced(x, item_id, era)
            return
        if item_id != self._voiced:
            self._finish_voice(era)
            self._voiced, self._skip = item_id, self._voice.latency
        try:
            y = self._voice.process(x)
        except Exception as error:
            self.failures.note(error)
            y, self._skip = x, 0  # of the provider there is nothing to hide
        self._put_voiced(y, item_id, era)

    def _put_voiced(self, y: Samples, item_id: str, era: int) -> None:
        n = min(self._skip, len(y))
        self._skip -= n
        y = y[n:]
        if self._joint is not None:
            self._joint.fall(y)
            self._joint = None if self._joint.done else self._joint
        self._put(encode(y, self._form), item_id, era)

    def _finish_voice(self, era: int) -> None:
        item, self._voiced = self._voiced, ""
        if self._voice is None or not item:
            return
        speaker_hz = self._voice.stage.speaker_hz
        try:
            tail = self._voice.finish()
        except Exception as error:
            self.failures.note(error)
            return
        if speaker_hz:
            self._voice.stage.seed_speaker(speaker_hz)  # the next answer is by the same
        self._put_voiced(tail, item, era)

    def _put(self, audio: bytes, item_id: str, era: int) -> None:
        frames = len(audio) // self._frame_bytes
        if not frames:
            return
        with self._lock:
            if era != self.era:
                return
            self._last = (audio, item_id, era)
            if self._waiting + frames > self._max or len(self._queue) >= MAX_WAITING:
                self.dropped_ms += frames_to_ms(frames, self._form.rate)
                return
            if not self._queue_playback(audio, self._named(item_id, era)):
                self.dropped_ms += frames_to_ms(frames, self._form.rate)
                return
            if not self._queue or self._queue[-1].item_id != item_id:
                self._complete_last()
                self._queue.append(_Queued(item_id))
            self._queue[-1].frames += frames
            self._waiting += frames

    def _queue_playback(self, audio: bytes, name: str) -> bool:
        for _ in range(2):
            try:
                self._engine.queue_playback(audio, name)
            except LimitError:  # the client has ceased to say what it heard: by now it was all that it got
                self._engine.report_played(ALL_MS)
            else:
                return True
        return False

    def _named(self, item_id: str, era: int) -> str:
        if self._last_name[:2] != (item_id, era):
            self._last_name = (item_id, era, _name(item_id, era))
        return self._last_name[2]

    def _complete_last(self) -> None:
        if self._queue:
            self._queue[-1].complete = True

    def end(self, era: int) -> None:
        """The answer has all its audio: what the voice still holds is its end."""
        self._finish_voice(era)
        self._last, self._joint = (b"", "", -1), None
        with self._lock:
            if era == self.era:
                self._engine.mark_playback_complete()
                self._complete_last()

    def change(self, make: Callable[[], VoiceStage] | None) -> None:
        """What comes from here on is in another voice, or in none; what waits is heard as it is.

        Raises:
            ModelError: The voice cannot be built; all is as before.
        """
        stage = None if make is None else make()
        if self._voice is not None and stage is not None:
            self._voice.switch(stage)
            return
        if self._voice is None and stage is None:
            return
        self._finish_voice(self.era)
        last, _, era = self._last
        self._voice = None if stage is None else VoiceSession(stage)
        if last and era == self.era:
            self._joint = Joint(decode(last[-self._frame_bytes :], self._form), self._form.rate)

    def turn(self, parameters: VoiceParameters) -> None:
        """Turn the voice's settings; any thread."""
        voice = self._voice
        if voice is not None:
            voice.set(parameters)

    def read(self, duration_ms: float) -> Piece | None:
        """The next to be heard, at most so much; None if nothing waits."""
        with self._lock:
            if not self._queue:
                return None
            head = self._queue[0]
            frames = min(head.frames, ms_to_frames(duration_ms, self._form.rate))
            audio = self._engine.read_playback(frames_to_ms(frames, self._form.rate)) if frames else b""
            head.frames -= frames
            self._waiting -= frames
            last = head.complete and not head.frames
            if last:
                self._queue.popleft()
                if not self._queue:
                    audio += self._engine.read_playback()  # what rate conversion still holds
            if not frames and not last:
                return None
            return Piece(head.item_id, audio, frames_to_ms(frames, self._form.rate), last)

    def stop(self) -> PlaybackPosition | None:
        """Another era begins: nothing of what came before is sent. What was heard, if anything was to be."""
        with self._lock:
            self.era += 1
            self._queue.clear()
            self._waiting = 0
            position = self._engine.stop_playback()
            return position and replace(position, item_id=_item_id(position.item_id))

    def played(self, played_ms: float, item_id: str) -> bool:
        """The client has played so much of an answer; whether there is such a one."""
        return self._engine.report_played(played_ms, _name(item_id, self.era))

    @property
    def waiting_ms(self) -> float:
        """Audio that waits to be read."""
        return frames_to_ms(self._waiting, self._form.rate)


def _name(item_id: str, era: int) -> str:
    """What the engine knows it by: a provider may use a name again in another session."""
    return f"{era}:{item_id}"


def _item_id(name: str | None) -> str | None:
    return name and name.partition(":")[2]
