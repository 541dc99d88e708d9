"""What a live voice runs on, and how it goes."""

from dataclasses import dataclass

from menura.devices.port import DeviceInfo

__all__ = ["Devices", "Name", "ServerDevice", "SpeakingStats", "have_one_clock"]


@dataclass(frozen=True, slots=True)
class ServerDevice:
    """A device that only the sound server knows.

    Attributes:
        door: Name of PortAudio's device that leads there.
        name: At the server.
    """

    door: str
    name: str


Name = str | int | ServerDevice | None


@dataclass(frozen=True, slots=True)
class Devices:
    """Which devices, by name, part of a name or index; None is the default, but for the monitor, where it is none.

    Attributes:
        input: The microphone.
        output: Where the voice goes.
        monitor: Where it goes besides, for the speaker to hear.
        one_clock: Whether the microphone and the output are one device with one clock; None finds out.
    """

    input: Name = None
    output: Name = None
    monitor: Name = None
    one_clock: bool | None = None


@dataclass(frozen=True, slots=True)
class SpeakingStats:
    """How it goes.

    Attributes:
        running: Whether audio flows.
        input_level: RMS, 0…1.
        output_level: RMS, 0…1.
        capture_ms: From the microphone to the voice; with one clock, that and ``playback_ms`` are told together.
        voice_ms: The voice's own delay.
        playback_ms: From the voice to the loudspeaker.
        latency_ms: All three.
        xruns: Times a device says it lost or lacked audio.
        gaps: Times audio was lost, or came too late.
        drift_ppm: By how much the output's clock had to be followed.
        load: Share of the time that the voice takes.
        one_clock: Whether the devices run on one.
        speaker_hz: Median pitch of the speaker; 0 while unknown.
        lost: Whether a device is lost and awaited.
        reopened: Times the devices came back.
    """

    running: bool
    input_level: float
    output_level: float
    capture_ms: float
    voice_ms: float
    playback_ms: float
    latency_ms: float
    xruns: int
    gaps: int
    drift_ppm: float
    load: float
    one_clock: bool
    speaker_hz: float
    lost: bool = False
    reopened: int = 0


def have_one_clock(source: DeviceInfo, sink: DeviceInfo) -> bool:
    """Whether a microphone and a loudspeaker are one piece of hardware.

    ALSA's names that are no hardware (``default``, ``pulse``) are doors to a sound server, behind which each direction
    has a device, and a clock, of its own.
    """
    return source.index == sink.index and (source.host_api != "ALSA" or "(hw:" in source.name)
