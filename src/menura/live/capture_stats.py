"""Figures of a capture."""

from dataclasses import dataclass

__all__ = ["AudioCaptureStats"]


@dataclass(frozen=True, slots=True)
class AudioCaptureStats:
    """What a capture has done since it was made.

    Attributes:
        state: What it does now.
        is_recording: Whether audio is being sent.
        is_paused: Whether it is paused.
        total_samples: Frames captured; those of a pause are not.
        total_chunks: Chunks sent.
        buffer_samples: Frames that wait for their chunk to fill.
        buffer_ms: The same as time.
        vad_enabled: Whether only speech is sent.
        vad_speech_active: Whether someone speaks.
        sample_rate: Hz.
        channels: Of the chunks.
        device: Name of the microphone.
        device_lost: Whether it is lost and awaited.
        reopened: Times it came back.
        xruns: Times the device says it lost audio.
        gaps: Times audio was lost, by what the device says and by its times.
        lost_ms: Audio lost in these, as far as the device's times tell.
        dropped_chunks: Chunks lost because a callback took too long.
        latency_ms: From the microphone until its audio is here; a chunk waits for its last frame besides.
        utterances: Times speech began.
        sent_bytes: Audio sent, before Base64.
        callback_errors: Times a callback raised.
        connection_errors: Events that the connection did not take.
    """

    state: str
    is_recording: bool
    is_paused: bool
    total_samples: int
    total_chunks: int
    buffer_samples: int
    buffer_ms: float
    vad_enabled: bool
    vad_speech_active: bool
    sample_rate: int
    channels: int
    device: str
    device_lost: bool
    reopened: int
    xruns: int
    gaps: int
    lost_ms: float
    dropped_chunks: int
    latency_ms: float
    utterances: int
    sent_bytes: int
    callback_errors: int
    connection_errors: int
