"""What a client of ``/ws/realtime-control`` may ask: a class for each action."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from menura.audio.format import MAX_RATE, MIN_RATE, AudioFormat

__all__ = [
    "ACTION_MODELS",
    "MAX_EFFECTS",
    "Action",
    "AudioSide",
    "ClientAudio",
    "ConfigureAudio",
    "ControlAudio",
    "DeviceChoice",
    "EffectSpec",
    "GetStatus",
    "GetVoices",
    "InputChanges",
    "MixPart",
    "MixVoices",
    "PreviewVoice",
    "SelectVoice",
    "SetEffects",
    "SetInput",
    "SetParameters",
    "SetStatusInterval",
    "Sides",
    "Start",
    "StartRecording",
    "Stop",
    "StopPreview",
    "StopRecording",
    "WireMessage",
]

MAX_EFFECTS = 8
"""Longest chain of effects."""
VoiceId = Annotated[str, Field(min_length=1, max_length=128)]
Encoding = Annotated[AudioFormat, Field(strict=False)]
Rate = Annotated[int, Field(ge=MIN_RATE, le=MAX_RATE)]
DeviceName = Annotated[str, Field(min_length=1, max_length=256)] | Annotated[int, Field(ge=0, le=9999)] | None
Sides = Literal["both", "input", "output"]


class WireMessage(BaseModel):
    """Of all messages: what is not known is ignored, and nothing is converted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class ClientAudio(WireMessage):
    """Audio that the client sends and receives in binary messages, mono."""

    source: Literal["client"]
    sample_rate: Rate = 48_000
    format: Encoding = AudioFormat.PCM16


class AudioSide(WireMessage):
    """Rate and encoding of what the client receives; what is missing is as in what it sends."""

    sample_rate: Rate | None = None
    format: Encoding | None = None


class ControlAudio(ClientAudio):
    """The client's audio; ``output`` where what it receives differs from what it sends."""

    output: AudioSide | None = None


class AudioChanges(WireMessage):
    """What of the client's audio changes; what is missing stays."""

    sample_rate: Rate = 48_000
    format: Encoding = AudioFormat.PCM16
    output: AudioSide | None = None


class DeviceChoice(WireMessage):
    """The server machine's devices, by name, part of a name or index, as ``GET /api/devices`` tells them.

    What is missing is what the server was started with; ``monitor`` is a second output, where the speaker hears it.
    """

    input: DeviceName = None
    output: DeviceName = None
    monitor: DeviceName = None


class GetVoices(WireMessage):
    """Ask for the voices; from then on ``voicesChanged`` tells that there are others."""

    action: Literal["getVoices"]


class SelectVoice(WireMessage):
    """Choose a voice, before or while processing. It ends a mix."""

    action: Literal["selectVoice"]
    voice_id: VoiceId = Field(alias="voiceId")


class Start(WireMessage):
    """Begin: with the client's audio, or with the server machine's devices when ``audio`` is missing."""

    action: Literal["start"]
    audio: ControlAudio | None = None
    devices: DeviceChoice | None = None


class Stop(WireMessage):
    """End; what is still held comes first."""

    action: Literal["stop"]


class GetStatus(WireMessage):
    """Ask for levels and latency."""

    action: Literal["getStatus"]


class SetParameters(WireMessage):
    """Turn the voice's settings."""

    action: Literal["setParameters"]
    parameters: dict[str, float] = Field(max_length=16)


class ConfigureAudio(WireMessage):
    """Say what the client's audio is where ``start`` does not; not while processing."""

    action: Literal["configureAudio"]
    audio: AudioChanges


class InputChanges(WireMessage):
    """What of the input's treatment changes; what is missing stays.

    Attributes:
        muted: The microphone is silent.
        gain_db: Before all else.
        noise_suppression: Steady noise is taken away.
        auto_gain: Quiet speech is lifted.
        echo_cancellation: Only false: a browser cancels echo itself, and what the server's devices play is the
            speaker's own voice.
    """

    muted: bool | None = None
    gain_db: float | None = Field(default=None, ge=-60.0, le=30.0)
    noise_suppression: bool | None = None
    auto_gain: bool | None = None
    echo_cancellation: bool | None = None


class SetInput(WireMessage):
    """Treat the input, before the voice hears it."""

    action: Literal["setInput"]
    input: InputChanges


class EffectSpec(WireMessage):
    """An effect: its kind and parameters, as ``GET /api/effects`` tells them; what is missing is the default."""

    kind: str = Field(min_length=1, max_length=40)
    params: dict[str, float | str] = Field(default_factory=dict, max_length=16)
    enabled: bool = True


class SetEffects(WireMessage):
    """Have these effects after the voice, in this order, and no others."""

    action: Literal["setEffects"]
    effects: list[EffectSpec] = Field(max_length=MAX_EFFECTS)


class MixPart(WireMessage):
    """One voice of a mix."""

    voice_id: VoiceId = Field(alias="voiceId")
    gain: float = Field(default=0.5, ge=0.0, le=1.0)


class MixVoices(WireMessage):
    """Have two voices at once, of one input and aligned in time; with the same two, only the gains change."""

    action: Literal["mixVoices"]
    voices: list[MixPart] = Field(min_length=2, max_length=2)


class PreviewVoice(WireMessage):
    """Hear how a voice sounds, in binary messages; not while the client's own audio is processed."""

    action: Literal["previewVoice"]
    voice_id: VoiceId = Field(alias="voiceId")


class StopPreview(WireMessage):
    """Enough of the preview."""

    action: Literal["stopPreview"]


class StartRecording(WireMessage):
    """Record what goes in, what comes out, or both, on the server; while processing."""

    action: Literal["startRecording"]
    sides: Sides = "both"
    name: str | None = Field(default=None, max_length=200)


class StopRecording(WireMessage):
    """End the recording, and keep it."""

    action: Literal["stopRecording"]


class SetStatusInterval(WireMessage):
    """Have a status sent again and again; 0 ends that."""

    action: Literal["setStatusInterval"]
    interval_ms: Annotated[int, Field(ge=20, le=10_000)] | Literal[0]


Action = (
    GetVoices
    | SelectVoice
    | Start
    | Stop
    | GetStatus
    | SetParameters
    | ConfigureAudio
    | SetInput
    | SetEffects
    | MixVoices
    | PreviewVoice
    | StopPreview
    | StartRecording
    | StopRecording
    | SetStatusInterval
)
ACTION_MODELS: tuple[type[WireMessage], ...] = (
    GetVoices,
    SelectVoice,
    Start,
    Stop,
    GetStatus,
    SetParameters,
    ConfigureAudio,
    SetInput,
    SetEffects,
    MixVoices,
    PreviewVoice,
    StopPreview,
    StartRecording,
    StopRecording,
    SetStatusInterval,
)
"""Every action there is."""
