"""A client's audio on its way up: checked, converted, watched, in another voice. No sockets, no event loop."""

from collections.abc import Callable

from menura.audio.block import Samples, silence
from menura.audio.pcm import decode, encode
from menura.live.session import VoiceSession
from menura.server.relay_engine import RelayEngine
from menura.server.relay_gate import SpeechGate
from menura.server.relay_joint import Joint
from menura.server.relay_voices import VoiceFailures
from menura.units import frames_to_ms, ms_to_frames
from menura.vad.config import VADState
from menura.voices.build import VoiceStage
from menura.voices.voice import VoiceParameters

__all__ = ["Uplink"]

PIECE_MS = 20.0


class Uplink:
    """What a client says: checked, converted, watched for speech, in another voice. One thread at a time.

    A voice that fails is silent: never is the speaker's own heard instead.

    Args:
        engine: Of the client; its ``config`` is what the provider gets.
        voice: At the rate of that, or None.
        watch: Whether speech is detected.
        on_fail: Called when the voice fails for the first time, in the thread in which it does.
        gate: Lets only speech through; speech must be detected then.
    """

    def __init__(
        self,
        engine: RelayEngine,
        voice: VoiceSession | None,
        watch: bool,
        on_fail: Callable[[], None] | None = None,
        gate: SpeechGate | None = None,
    ) -> None:
        self._engine, self._voice, self._watch = engine, voice, watch
        self._gate = gate
        self._form = engine.target
        self._piece = self._form.bytes_for(ms_to_frames(PIECE_MS, self._form.rate))
        self._last = self._held = b""  # what was given last; what is to be given before all else
        self._joint: Joint | None = None
        self.state = VADState.SILENCE
        self.failures = VoiceFailures("up", on_fail)

    def process(self, data: bytes) -> bytes:
        """A message of the client; :attr:`state` is that of the voice detection then. ``b""`` for what is no audio, or
        is withheld."""
        audio = self._engine.process_audio(data)
        if self._gate is not None:
            return self._pass_speech(self._gate, audio)
        if self._watch and audio:
            self.state = self._engine.process_vad_chunk(audio)
        return self._change(audio)

    def _pass_speech(self, gate: SpeechGate, audio: bytes) -> bytes:
        out = []
        for i in range(0, len(audio), self._piece):  # one word must not be missed in a long message
            piece, was_open = audio[i : i + self._piece], gate.open
            self.state = self._engine.process_vad_chunk(piece)
            out.append(self._change(gate.take(piece, self.state, self._engine.get_pre_buffer)))
            if was_open and not gate.open:
                out.append(self._rest())
        return b"".join(out)

    def _rest(self) -> bytes:
        """What the voice still holds; what follows is by the same speaker."""
        speaker_hz = 0.0 if self._voice is None else self._voice.stage.speaker_hz
        tail = self._tail()
        if self._voice is not None and speaker_hz:
            self._voice.stage.seed_speaker(speaker_hz)
        return tail

    def withholds(self, data: bytes) -> bool:
        """Whether it is for want of speech that this gave nothing, not for being no audio."""
        return self._gate is not None and self._engine.validate_audio(data)

    @property
    def withheld_ms(self) -> float:
        """Audio that was no speech and did not go to the provider."""
        size = 0 if self._gate is None else self._gate.withheld
        return frames_to_ms(size // self._form.frame_bytes, self._form.rate)

    def _change(self, audio: bytes) -> bytes:
        if not audio or (self._voice is None and self._joint is None):
            self._last = audio or self._last
            return audio
        x = decode(audio, self._form)
        if self._joint is not None:
            self._joint.rise(x)
        y = self._voiced(x)
        if self._joint is not None:
            self._joint.fall(y)
            self._joint = None if self._joint.done else self._joint
        self._last = encode(y, self._form)
        held, self._held = self._held, b""
        return held + self._last

    def _voiced(self, x: Samples) -> Samples:
        if self._voice is None:
            return x
        try:
            return self._voice.process(x)
        except Exception as error:
            self.failures.note(error)
            return silence(len(x))

    def _tail(self) -> bytes:
        """What the voice still holds."""
        if self._voice is None:
            return b""
        try:
            return encode(self._voice.finish(), self._form)
        except Exception as error:
            self.failures.note(error)
            return b""

    def finish(self, discard: bool = False) -> bytes:
        """What is still held: a turn ends here, or is thrown away."""
        rest = self._engine.flush()
        if self._gate is not None:
            if discard:
                self._gate.clear()
            else:
                rest = self._gate.end_turn() + rest
        rest = self._change(rest) + self._tail()
        held, self._held = self._held, b""
        return held + rest

    def change(self, make: Callable[[], VoiceStage] | None) -> None:
        """From here on another voice, or none.

        Nothing of the speaker's own voice comes after this where a voice is to be: one voice fades over to the next,
        but from none to one there is no crossfade, only the last value falls to silence.

        Raises:
            ModelError: The voice cannot be built; all is as before.
        """
        stage = None if make is None else make()
        if self._voice is not None and stage is not None:
            self._voice.switch(stage)
            return
        if self._voice is not None:
            tail = self._tail()
            self._held += tail
            self._last = tail or self._last
        elif stage is None:
            return
        self._voice = None if stage is None else VoiceSession(stage)
        self._joint = Joint(decode(self._last[-self._form.frame_bytes :], self._form), self._form.rate)

    @property
    def voice(self) -> VoiceSession | None:
        """What changes the audio, if anything does."""
        return self._voice

    def turn(self, parameters: VoiceParameters) -> None:
        """Turn the voice's settings; any thread."""
        voice = self._voice
        if voice is not None:
            voice.set(parameters)
