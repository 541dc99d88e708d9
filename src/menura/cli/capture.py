"""``menura capture``: a microphone to a file."""

import base64
import os
import sys
import threading
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from menura.audio.files import AudioWriter
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode
from menura.cli.interrupt import until_interrupted
from menura.cli.meters import bar, clock
from menura.cli.quiet import quiet_libraries
from menura.clock import monotonic_s
from menura.errors import DeviceError, FileError
from menura.live.capture_manager import AudioCaptureCallbacks, AudioCaptureConfig, AudioCaptureManager
from menura.live.sound_server import reached
from menura.live.speaking_stats import Devices, ServerDevice

__all__ = ["capture_to_file"]

LOOK_S = 0.05
PATIENCE_S = 1.0
"""How much longer than asked for is waited for a microphone that is away."""


class _Take:
    """Chunks into a file, from the capture's thread, and what went wrong with either.

    Args:
        writer: The file.
        form: Of the chunks.
        most: Frames to write at most; None without limit.
    """

    def __init__(self, writer: AudioWriter, form: StreamFormat, most: int | None) -> None:
        self.frames = 0
        self.fault: FileError | None = None
        self.failed = threading.Event()
        self._writer, self._form, self._most = writer, form, most
        self._console = Console(stderr=True)

    def audio(self, data: str, volume: float) -> None:
        if self.fault is not None:
            return
        x = decode(base64.b64decode(data), self._form)
        if self._most is not None:
            x = x[: max(0, self._most - self.frames)]
        self._writer.write(np.asarray(x, np.float32))
        self.frames += len(x)

    def error(self, error: Exception) -> None:
        if isinstance(error, FileError):
            self.fault = error
            self.failed.set()
        else:
            self._console.print(f"menura: {error}", style="red", highlight=False, markup=False, soft_wrap=True)


def capture_to_file(
    target: Path,
    device: str | int | None,
    *,
    rate: int = 48_000,
    channels: int = 1,
    seconds: float | None = None,
    vad: bool = False,
) -> None:
    """Record until Ctrl-C, or for so long; the file appears under its name when it is complete.

    A microphone that is lost is awaited; the time in which it is away is silence in the file, unless only speech is
    kept.

    Raises:
        DeviceError: There is no such microphone, or nothing was captured.
        FileError: The file cannot be written; one of that name stays as it was.
    """
    quiet_libraries()
    microphone = reached(Devices(input=device)).input
    if isinstance(microphone, ServerDevice):  # the only one that this process opens
        device, os.environ["PULSE_SOURCE"] = microphone.door, microphone.name
    config = AudioCaptureConfig(
        sample_rate=rate,
        channel_count=channels,
        chunk_size=rate // 10,
        vad_enabled=vad,
        fill_gaps=not vad,
        device=device if isinstance(device, str) else None,
        device_index=device if isinstance(device, int) else None,
    )
    most = None if seconds is None else round(seconds * rate)
    form = StreamFormat(AudioFormat.PCM16, rate, channels)
    with AudioWriter(target, rate, channels) as writer, until_interrupted() as ended:
        take = _Take(writer, form, None if vad else most)
        callbacks = AudioCaptureCallbacks(on_audio_data=take.audio, on_error=take.error)
        with AudioCaptureManager(config, callbacks) as manager:
            manager.start_recording()
            _watch(manager, take, ended, most)
            manager.stop_recording()
            stats = manager.stats()
        if take.fault is not None:
            raise take.fault
        if not take.frames:
            raise DeviceError(f"{'no speech was heard' if vad else 'nothing was captured'}: {target} was not written")
    gaps = "a gap" if stats.gaps == 1 else f"{stats.gaps} gaps"
    lost = f"; {stats.lost_ms / 1000.0:.1f} s were lost, in {gaps}" if stats.gaps else ""
    print(f"{target}: {take.frames / rate:.1f} s{lost}", file=sys.stderr)


def _watch(manager: AudioCaptureManager, take: _Take, ended: threading.Event, most: int | None) -> None:
    """Show the level until it is enough, though the microphone be away."""
    config = manager.config
    end_s = monotonic_s() + PATIENCE_S + (0.0 if most is None else most / config.sample_rate)
    with Live(console=Console(stderr=True), refresh_per_second=10, transient=True) as live:
        while not (ended.wait(LOOK_S) or take.failed.is_set()):
            stats = manager.stats()
            if most is not None and (stats.total_samples >= most or (stats.device_lost and monotonic_s() > end_s)):
                return
            if live.console.is_terminal:
                state = "away" if stats.device_lost else "speech" if stats.vad_speech_active else ""
                length = clock(take.frames / config.sample_rate)
                line = f"● {length}  {bar(manager.get_current_volume())}  {stats.device}  {state}   Ctrl-C ends"
                live.update(Text(line, no_wrap=True, overflow="ellipsis"))
