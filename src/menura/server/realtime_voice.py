"""Audio of answers in another voice and format. No sockets, no event loop."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from menura.audio.block import Samples, silence
from menura.audio.format import StreamFormat
from menura.audio.pcm import decode, encode
from menura.dsp.resample import Resampler
from menura.live.session import VoiceSession
from menura.server.relay_voices import VoiceFailures

__all__ = ["AnswerVoice", "Place"]


class Place(NamedTuple):
    """Where audio belongs."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class AnswerVoice:
    """Changes and converts audio of answers. One thread at a time.

    What voice and rate conversion delay is taken off: an answer begins where it begins and is as long as it was.

    Args:
        voice: At any rate; None changes nothing.
        wire: What the provider sends.
        client: What the client gets.
        on_failure: Called when the voice fails for the first time; then the provider's own is heard.
    """

    def __init__(
        self,
        voice: VoiceSession | None,
        wire: StreamFormat,
        client: StreamFormat,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self._voice, self._wire, self._client = voice, wire, client
        inner = voice.rate if voice else wire.rate
        self._into, self._resampler = Resampler(wire.rate, inner), Resampler(inner, client.rate)
        self._place: Place | None = None
        self._rest = b""
        self._skip_voice = self._skip = 0
        self.failures = VoiceFailures("down", on_failure)

    def change(self, audio: bytes, place: Place) -> list[tuple[bytes, Place]]:
        """More of an answer: what of it, and of the one before if that has not ended, may be heard now."""
        out = []
        if place != self._place:
            out = self.finish()
            self._place, self._skip = place, self._resampler.latency
            self._skip_voice = self._into.latency + (self._voice.latency if self._voice else 0)
        audio = self._rest + audio
        whole = len(audio) - len(audio) % self._wire.frame_bytes
        self._rest = audio[whole:]
        return [*out, (self._converted(self._changed(decode(audio[:whole], self._wire))), place)]

    def finish(self) -> list[tuple[bytes, Place]]:
        """What is still held: the end of the answer."""
        place, self._place, self._rest = self._place, None, b""
        if place is None:
            return []
        tail = self._converted(self._tail())
        end = self._resampler.flush()[self._skip :]
        return [(tail + encode(end, self._client), place)]

    def forget(self, cut: Callable[[Place], bool]) -> None:
        """The rest of answers at these places will not be heard."""
        if self._place is not None and cut(self._place):
            self.finish()

    def _changed(self, x: Samples) -> Samples:
        x = self._into.process(x)
        if self._voice is None:
            return x
        try:
            y = self._voice.process(x)
        except Exception as error:
            self.failures.note(error)
            y = x  # of the provider there is nothing to hide
        n = min(self._skip_voice, len(y))
        self._skip_voice -= n
        return y[n:]

    def _tail(self) -> Samples:
        rest = self._into.flush()
        if self._voice is None:
            return rest
        speaker_hz = self._voice.stage.speaker_hz
        try:
            tail = np.concatenate([self._voice.process(rest), self._voice.finish()])
        except Exception as error:
            self.failures.note(error)
            return silence(0)
        if speaker_hz:
            self._voice.stage.seed_speaker(speaker_hz)  # the next answer is by the same
        return tail[self._skip_voice :]

    def _converted(self, x: Samples) -> bytes:
        y = self._resampler.process(x)
        n = min(self._skip, len(y))
        self._skip -= n
        return encode(y[n:], self._client)
