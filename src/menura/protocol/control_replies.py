"""What a client of ``/ws/realtime-control`` is told: a class for each message."""

from typing import Any, Literal

from pydantic import AliasChoices, Field

from menura.audio.format import AudioFormat
from menura.protocol.control_actions import WireMessage

__all__ = [
    "REPLY_MODELS",
    "AppliedEffect",
    "AudioConfigured",
    "AudioInUse",
    "AudioOutput",
    "Connected",
    "EffectsSet",
    "ErrorReply",
    "InputSet",
    "InputSettings",
    "MixedVoice",
    "ParametersSet",
    "PreviewEnded",
    "PreviewStarted",
    "Recording",
    "RecordingStarted",
    "RecordingStopped",
    "Reply",
    "Status",
    "StatusFigures",
    "StatusInterval",
    "VoiceInfo",
    "VoiceSelected",
    "VoiceSettings",
    "VoiceSummary",
    "Voices",
    "VoicesChanged",
    "VoicesMixed",
]


class Reply(WireMessage):
    """A message of the server."""

    def as_dict(self) -> dict[str, Any]:
        """What is sent as JSON: what is not known is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class VoiceSummary(WireMessage):
    """A voice, in short."""

    id: str
    name: str
    category: str


class VoiceSettings(WireMessage):
    """What may be turned of a voice while it runs."""

    pitch_st: float
    formant: float
    mix: float


class VoiceInfo(VoiceSummary):
    """A voice, as a client sees it; of what is no library's, only the document's four fields are known.

    Attributes:
        builtin: Whether it came with menura.
        favourite: Whether the user has marked it.
        preview: Whether it can be heard: the models that it needs are here.
        parameters: With which it begins.
    """

    description: str
    builtin: bool | None = None
    favourite: bool | None = None
    preview: bool | None = None
    parameters: VoiceSettings | None = None

    @property
    def summary(self) -> VoiceSummary:
        """In short."""
        return VoiceSummary(id=self.id, name=self.name, category=self.category)


class Connected(Reply):
    """The greeting."""

    type: Literal["connected"] = "connected"


class Voices(Reply):
    """All voices."""

    type: Literal["voices"] = "voices"
    voices: list[VoiceInfo]


class VoicesChanged(Reply):
    """There are other voices now, or they have changed: ask again."""

    type: Literal["voicesChanged"] = "voicesChanged"


class VoiceSelected(Reply):
    """The voice now selected."""

    type: Literal["voiceSelected"] = "voiceSelected"
    voice: VoiceSummary


class MixedVoice(VoiceSummary):
    """A voice of a mix."""

    gain: float


class VoicesMixed(Reply):
    """The two voices now mixed."""

    type: Literal["voicesMixed"] = "voicesMixed"
    voices: list[MixedVoice]


class ParametersSet(Reply):
    """All parameters as they are now."""

    type: Literal["parametersSet"] = "parametersSet"
    parameters: dict[str, float]


class AudioOutput(WireMessage):
    """What the client receives."""

    sample_rate: int
    format: AudioFormat


class AudioInUse(AudioOutput):
    """What the client sends, and in ``output`` what it receives."""

    output: AudioOutput


class AudioConfigured(Reply):
    """What ``start`` with the client's audio takes where it says nothing else."""

    type: Literal["audioConfigured"] = "audioConfigured"
    audio: AudioInUse


class InputSettings(WireMessage):
    """How the input is treated."""

    muted: bool = False
    gain_db: float = 0.0
    noise_suppression: bool = False
    auto_gain: bool = False
    echo_cancellation: bool = False


class InputSet(Reply):
    """How the input is treated now."""

    type: Literal["inputSet"] = "inputSet"
    input: InputSettings


class AppliedEffect(WireMessage):
    """An effect with all its parameters."""

    kind: str
    params: dict[str, float | str]
    enabled: bool


class EffectsSet(Reply):
    """The effects as they are now."""

    type: Literal["effectsSet"] = "effectsSet"
    effects: list[AppliedEffect]


class PreviewStarted(Reply):
    """What follows in binary messages is this voice's preview."""

    type: Literal["previewStarted"] = "previewStarted"
    voice: VoiceSummary
    sample_rate: int
    format: AudioFormat
    duration_ms: float
    url: str


class PreviewEnded(Reply):
    """No more of the preview follows."""

    type: Literal["previewEnded"] = "previewEnded"
    voice_id: str = Field(serialization_alias="voiceId", validation_alias=AliasChoices("voiceId", "voice_id"))


class Recording(WireMessage):
    """A recording.

    Attributes:
        state: ``recording``, ``done``, or ``cut`` where the process that made it ended first.
        sides: ``input``, ``output``.
        size: Bytes of its files.
        created_at: ISO 8601, UTC.
        ended_at: The same; missing while it goes on.
    """

    id: str
    name: str
    state: Literal["recording", "done", "cut"]
    sides: list[Literal["input", "output"]]
    voice_name: str
    rate: int
    duration_ms: float
    size: int
    created_at: str
    ended_at: str | None = None


class RecordingStarted(Reply):
    """The session is recorded from now on."""

    type: Literal["recordingStarted"] = "recordingStarted"
    recording: Recording


class RecordingStopped(Reply):
    """The recording has ended, and is kept."""

    type: Literal["recordingStopped"] = "recordingStopped"
    recording: Recording


class StatusFigures(WireMessage):
    """The document's five figures."""

    processing: bool
    input_level: float = 0.0
    output_level: float = 0.0
    latency_ms: float = 0.0
    processing_time_ms: float = 0.0


class Status(Reply):
    """How it goes; ``details`` is what the figures are made of."""

    type: Literal["status"] = "status"
    status: StatusFigures
    details: dict[str, float] = Field(default_factory=dict)


class StatusInterval(Reply):
    """How often a status is sent; 0 for only when asked."""

    type: Literal["statusInterval"] = "statusInterval"
    interval_ms: int


class ErrorReply(Reply):
    """What went wrong.

    Attributes:
        error: For people.
        code: For programs; it stays the same when the words change.
        reason: More, where the document fixes the words of ``error``.
        action: Which the error answers; missing where it answers none that could be read.
        retry_after_ms: When to ask again, where that may help.
    """

    type: Literal["error"] = "error"
    error: str
    code: str
    reason: str | None = None
    action: str | None = None
    retry_after_ms: int | None = None


REPLY_MODELS: tuple[type[Reply], ...] = (
    Connected,
    Voices,
    VoicesChanged,
    VoiceSelected,
    VoicesMixed,
    ParametersSet,
    AudioConfigured,
    InputSet,
    EffectsSet,
    PreviewStarted,
    PreviewEnded,
    RecordingStarted,
    RecordingStopped,
    Status,
    StatusInterval,
    ErrorReply,
)
"""Every message of the server."""
