"""Settings, states and callbacks of an :class:`~menura.live.capture_manager.AudioCaptureManager`."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real
from typing import Any

from menura.audio.config import AudioConfig
from menura.audio.format import check_rate
from menura.errors import ConfigError
from menura.units import frames_to_ms, ms_to_frames
from menura.vad.config import VADConfig

__all__ = ["MOVES", "AudioCaptureCallbacks", "AudioCaptureConfig", "CaptureState"]

BLOCK_MS = 20.0
"""Longest callback of the device: what it holds comes in parts, so that its times stay true and chunks leave evenly."""
MAX_FRAMES = 1_000_000


class CaptureState(StrEnum):
    """What a capture does; equal to the plain strings."""

    INACTIVE = "inactive"
    RECORDING = "recording"
    PAUSED = "paused"


MOVES: dict[tuple[CaptureState, str], CaptureState] = {
    (CaptureState.INACTIVE, "start"): CaptureState.RECORDING,
    (CaptureState.RECORDING, "pause"): CaptureState.PAUSED,
    (CaptureState.PAUSED, "resume"): CaptureState.RECORDING,
    (CaptureState.RECORDING, "stop"): CaptureState.INACTIVE,
    (CaptureState.PAUSED, "stop"): CaptureState.INACTIVE,
}
"""Every move there is; what is missing changes nothing."""


@dataclass(frozen=True, slots=True)
class AudioCaptureConfig:
    """Settings of a capture.

    Attributes:
        sample_rate: Of the audio sent, Hz; a device that has another rate is converted.
        channel_count: 1 or 2. A connection always gets one.
        chunk_size: Frames of a chunk.
        buffer_size: Frames that the device may hold: more delays more and costs less.
        device_index: Which microphone, as ``list_audio_devices`` says; None for the default. Indexes change when
            devices come and go: once opened, the device is found again by its name.
        vad_enabled: Whether only speech is sent.
        vad_threshold: RMS level, 0…1, from which sound is speech.
        auto_flush_ms: Audio waits for its chunk to fill no longer than this; 0 is for ever.
        device: Name of the microphone, or a part that only one has: in place of ``device_index``.
        vad: Detector and times; None is by energy at ``vad_threshold``. Each utterance begins with the
            ``pre_buffer_ms`` before its onset.
        commit_on_speech_end: Whether the connection is told ``input_audio_buffer.commit`` after each utterance: for a
            provider that does not itself find where turns end.
        end_silence_ms: Without it, silence that the connection is sent after each utterance: a provider that finds
            where turns end waits for so much of it, and would hear none until the next utterance; 0 sends none.
        lost_after_s: Time without a sign of the device after which it is lost.
        reopen: Whether a lost device is opened again when it returns; else its loss ends the recording.
        silent_after_s: Digital silence this long is reported once: a muted microphone; 0 is never.
        fill_gaps: Whether the time in which a lost device is away is sent as silence, once it is back, so that what
            comes after lies in its place.

    Raises:
        ConfigError: A value it cannot have.

    >>> AudioCaptureConfig().chunk_ms
    200.0
    """

    sample_rate: int = 24_000
    channel_count: int = 1
    chunk_size: int = 4800
    buffer_size: int = 4096
    device_index: int | None = None
    vad_enabled: bool = False
    vad_threshold: float = 0.02
    auto_flush_ms: int = 200
    device: str | None = None
    vad: VADConfig | None = None
    commit_on_speech_end: bool = False
    lost_after_s: float = 1.0
    reopen: bool = True
    silent_after_s: float = 5.0
    end_silence_ms: int = 500
    fill_gaps: bool = False

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)
        self._make_whole("channel_count", 1, 2)
        self._make_whole("chunk_size", 1, MAX_FRAMES)
        self._make_whole("buffer_size", 1, MAX_FRAMES)
        self._make_whole("auto_flush_ms", 0, 60_000)
        self._make_whole("end_silence_ms", 0, 10_000)
        self._check("vad_threshold", 0.0, 1.0)
        self._check("lost_after_s", 1e-3, 60.0)
        self._check("silent_after_s", 0.0, 3600.0)
        if self.device_index is not None:
            self._make_whole("device_index", 0, MAX_FRAMES)
        if self.device is not None and (not isinstance(self.device, str) or not self.device.strip()):
            raise ConfigError(f"device must be a name, or None for the default, not {self.device!r}")
        if self.vad is not None and not isinstance(self.vad, VADConfig):
            raise ConfigError(f"vad must be a VADConfig, or None, not {type(self.vad).__name__}")
        if self.device is not None and self.device_index is not None:
            raise ConfigError("give device or device_index, not both: a name survives when devices come and go")

    def _make_whole(self, name: str, least: int, most: int) -> None:
        """A whole number, which may have come as a float: ``24000 * 0.2``, and NumPy's."""
        value = getattr(self, name)
        if not _lies_in(value, least, most) or value % 1:
            raise ConfigError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
        object.__setattr__(self, name, int(value))

    def _check(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if not _lies_in(value, least, most):
            raise ConfigError(f"{name} must be {least} to {most}, not {value!r}")

    @property
    def chunk_ms(self) -> float:
        """Length of a full chunk."""
        return frames_to_ms(self.chunk_size, self.sample_rate)

    @property
    def full_frames(self) -> int:
        """Frames with which a chunk is sent: ``chunk_size``, or what ``auto_flush_ms`` holds, if that is less."""
        most = ms_to_frames(self.auto_flush_ms, self.sample_rate) or self.chunk_size
        return min(self.chunk_size, most)

    @property
    def block(self) -> int:
        """Frames of a callback of the device."""
        return max(1, min(self.buffer_size // 2, ms_to_frames(BLOCK_MS, self.sample_rate)))

    @property
    def device_s(self) -> float:
        """What the device is asked to hold: half, for it fills one while the other is taken."""
        return min(2.0, max(0.005, 0.5 * self.buffer_size / self.sample_rate))

    @property
    def audio(self) -> AudioConfig:
        """Form of the bytes."""
        return AudioConfig(sample_rate=self.sample_rate, channels=self.channel_count)

    @property
    def speech(self) -> VADConfig:
        """Settings of the detector."""
        return self.vad or VADConfig(energy_threshold=self.vad_threshold)


def _lies_in(value: Any, least: float, most: float) -> bool:
    return type(value) is not bool and isinstance(value, Real) and least <= float(value) <= most


@dataclass(frozen=True, slots=True)
class AudioCaptureCallbacks:
    """What is called, in order, one at a time, mostly from the capture's own thread; each may be left out.

    What one raises goes to ``on_error``; what that raises is logged. Every method of the capture may be called from
    within. A callback that takes long holds up the capture: after a second audio is lost, and counted.

    Attributes:
        on_audio_data: A chunk, as Base64 of PCM16, and its RMS level, 0…1.
        on_volume_change: RMS level, 0…1, of what was captured last, whenever it changes.
        on_error: What went wrong.
        on_state_change: The new state.
        on_vad_speech_start: Someone speaks; before the first chunk of the utterance.
        on_vad_speech_end: No longer; after its last chunk.
    """

    on_audio_data: Callable[[str, float], Any] | None = None
    on_volume_change: Callable[[float], Any] | None = None
    on_error: Callable[[Exception], Any] | None = None
    on_state_change: Callable[[CaptureState], Any] | None = None
    on_vad_speech_start: Callable[[], Any] | None = None
    on_vad_speech_end: Callable[[], Any] | None = None
