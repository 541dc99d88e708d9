"""What a control connection may do when: a state machine without sockets."""

from collections.abc import Mapping
from enum import StrEnum

from menura.errors import ProtocolError, StateError, VoiceNotFoundError
from menura.protocol.control_actions import ConfigureAudio, MixVoices, PreviewVoice
from menura.protocol.messages import MAX_AUDIO_BYTES, Action, SelectVoice, Start, VoiceInfo, parse_action

__all__ = ["Control", "ControlState"]


class ControlState(StrEnum):
    """What a connection is doing."""

    IDLE = "idle"
    PROCESSING = "processing"


class Control:
    """Rules of one connection. It checks; whoever owns it acts, and tells it what came of it.

    Args:
        voices: By id.
    """

    def __init__(self, voices: Mapping[str, VoiceInfo]) -> None:
        self.voices = voices
        self.state = ControlState.IDLE
        self.voice: VoiceInfo | None = None
        self.client_audio = False

    @property
    def processing(self) -> bool:
        """Whether audio is being processed."""
        return self.state is ControlState.PROCESSING

    def receive_text(self, text: str) -> Action:
        """Read an action and check that it fits the state.

        Raises:
            ProtocolError: The message is malformed.
            VoiceNotFoundError: It names a voice that is not there.
            StateError: ``start`` without a voice, or what may not be while processing.
        """
        action = parse_action(text)
        self.check(action)
        return action

    def check(self, action: Action) -> None:
        """Check that an action fits the state; errors as of :meth:`receive_text`."""
        if isinstance(action, SelectVoice | PreviewVoice) and action.voice_id not in self.voices:
            raise VoiceNotFoundError(f"Voice not found: {action.voice_id}")
        if isinstance(action, MixVoices):
            self._check_mix([part.voice_id for part in action.voices])
        beside = isinstance(action, PreviewVoice) and not self.client_audio
        if isinstance(action, Start | ConfigureAudio | PreviewVoice) and self.processing and not beside:
            raise AlreadyActiveError("Processing already active")
        if isinstance(action, Start):
            if action.audio and action.devices:
                raise ProtocolError("Invalid devices: the server's own are not used with the client's audio")
            if self.voice is None:
                raise NoVoiceError("No voice selected")

    def _check_mix(self, ids: list[str]) -> None:
        for voice_id in ids:
            if voice_id not in self.voices:
                raise VoiceNotFoundError(f"Voice not found: {voice_id}")
        if len(set(ids)) < len(ids):
            raise ProtocolError("Invalid voices: two different ones are mixed")

    def receive_audio(self, size: int) -> None:
        """Check that a binary message of ``size`` bytes may come now.

        Raises:
            ProtocolError: It is too long.
            StateError: No processing with the client's audio is active.
        """
        if size > MAX_AUDIO_BYTES:
            raise ProtocolError(f"Audio message too large: {size} bytes, at most {MAX_AUDIO_BYTES}")
        if not (self.processing and self.client_audio):
            raise NotActiveError('Audio without processing: send {"action":"start","audio":{"source":"client"}} first')

    def selected(self, voice_id: str) -> VoiceInfo:
        """Note the voice now in use."""
        self.voice = self.voices[voice_id]
        return self.voice

    def started(self, client_audio: bool) -> None:
        """Note that processing began."""
        self.state, self.client_audio = ControlState.PROCESSING, client_audio

    def stopped(self) -> None:
        """Note that processing ended."""
        self.state, self.client_audio = ControlState.IDLE, False


class NoVoiceError(StateError):
    """``start`` before a voice was selected."""

    code = "no_voice_selected"


class AlreadyActiveError(StateError):
    """``start`` while processing."""

    code = "already_active"


class NotActiveError(ProtocolError):
    """Audio while not processing."""

    code = "not_active"
