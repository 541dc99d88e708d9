"""Only speech goes to the provider: silence costs there as much as speech does."""

from collections import deque
from collections.abc import Callable

from menura.audio.format import StreamFormat
from menura.client.connection import RealtimeConnectionManager
from menura.protocol.realtime_server import ServerEvent
from menura.server.relay_options import RelayOptions, Upload
from menura.units import ms_to_frames
from menura.vad.config import VADConfig, VADState

__all__ = ["ProviderEar", "SpeechGate"]

KEPT_MS = 2000.0
"""Of what is withheld, for a turn that is ended by hand and in which no speech was found."""
LEAST_MS = 100.0
"""A provider takes no shorter turn that is ended by hand."""
_ABOUT_SPEECH = (
    "session.created",
    "input_audio_buffer.cleared",
    "input_audio_buffer.committed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
)
_SPEECH = frozenset({VADState.SPEECH, VADState.SPEECH_ENDING})


class SpeechGate:
    """Lets speech through, with what came before it and what follows it.

    The gate opens when speech is confirmed, with the audio from before its onset, and closes ``hangover_ms`` after its
    end; not before the provider has found the end, as a provider that counts silence must be sent some. What was let
    through once is never let through again.

    Args:
        form: Of the audio.
        hangover_ms: Audio let through after the end of speech.
        heard: Whether the provider still hears speech.
        kept_ms: Of what is withheld, so much may still be wanted.

    >>> gate = SpeechGate(StreamFormat(rate=8000), 20.0, lambda: False)
    >>> gate.take(b"ab", VADState.SILENCE, lambda: None), gate.take(b"cd", VADState.SPEECH, lambda: b"ab")
    (b'', b'abcd')
    """

    def __init__(
        self, form: StreamFormat, hangover_ms: float, heard: Callable[[], bool], kept_ms: float = KEPT_MS
    ) -> None:
        self._form = form
        self._hangover = form.bytes_for(ms_to_frames(hangover_ms, form.rate))
        self._least = form.bytes_for(ms_to_frames(LEAST_MS, form.rate))
        self._most = form.bytes_for(ms_to_frames(kept_ms, form.rate))
        self._heard = heard
        self._kept: deque[bytes] = deque()
        self._kept_size = 0
        self._left = 0  # of the hangover
        self._turn = 0  # let through in this turn
        self.open = False
        self.withheld = 0
        """Bytes in all, so far."""

    def take(self, audio: bytes, state: VADState, before: Callable[[], bytes | None]) -> bytes:
        """What of the next audio goes on.

        Args:
            audio: A short piece, 20 ms or so.
            state: Of the voice detection after it.
            before: Gives what came before it and belongs to the speech that now begins.
        """
        if state in _SPEECH:
            if not self.open:
                audio = self._before(before() or b"") + audio
            self.open, self._left = True, self._hangover
        elif self.open:
            self._left -= len(audio)
            self.open = self._left > 0 or self._heard()
        else:
            self._keep(audio)
            return b""
        self._turn += len(audio)
        return audio

    def _before(self, audio: bytes) -> bytes:
        """Of what came before speech, what was withheld: the rest the provider has."""
        audio = audio[max(0, len(audio) - self._kept_size) :]
        self.withheld -= len(audio)
        self._kept.clear()
        self._kept_size = 0
        return audio

    def _keep(self, audio: bytes) -> None:
        self.withheld += len(audio)
        self._kept.append(audio)
        self._kept_size += len(audio)
        while self._kept_size - len(self._kept[0]) >= self._most:
            self._kept_size -= len(self._kept.popleft())

    def end_turn(self) -> bytes:
        """The turn is ended by hand: what must go before that, if too little went for a turn. Speech may have been too
        low to be found."""
        short, self._turn = self._turn < self._least, 0
        return self._before(b"".join(self._kept)) if short else b""

    def clear(self) -> None:
        """The turn is thrown away."""
        self._turn = self._kept_size = 0
        self._kept.clear()


class ProviderEar:
    """Whether a provider hears speech, whose end it finds by the silence after it."""

    def __init__(self) -> None:
        self.hears = False

    def listen_to(self, connection: RealtimeConnectionManager) -> None:
        """Follow what it says."""
        for kind in _ABOUT_SPEECH:
            connection.on(kind, self._note)

    def _note(self, event: ServerEvent) -> None:
        self.hears = event.type == "input_audio_buffer.speech_started"

    def make_gate(self, form: StreamFormat, options: RelayOptions) -> SpeechGate | None:
        """A gate, where the options want one."""
        if options.upload is not Upload.SPEECH:
            return None
        before_ms = (options.vad or VADConfig()).pre_buffer_ms
        return SpeechGate(form, options.hangover_ms, lambda: self.hears, max(KEPT_MS, before_ms + 1000.0))
