"""A session: one voice at a time, its settings and its meters. All audio work of it happens in ``process``."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from menura.audio.block import Samples
from menura.clock import Clock, monotonic_s
from menura.dsp.meter import Meter
from menura.dsp.ring import Ring
from menura.units import frames_to_ms, ms_to_frames
from menura.voices.build import VoiceStage
from menura.voices.voice import VoiceParameters

__all__ = ["SessionStats", "VoiceSession"]

METER_MS = 100.0
SWITCH_MS = 30.0
"""Crossfade between voices."""
HISTORY_MS = 250.0
"""Audio run through a new voice before it is heard, so that it begins in the middle of the sentence."""
SMOOTH = 0.1


@dataclass(frozen=True, slots=True)
class SessionStats:
    """Figures of a session at one moment. Levels are RMS, 0…1."""

    input_level: float
    output_level: float
    latency_ms: float
    processing_time_ms: float
    frames: int
    speaker_hz: float


class _Switch:
    """A voice fading in."""

    def __init__(self, stage: VoiceStage) -> None:
        self.stage = stage
        self.done = 0

    def mix(self, old: Samples, new: Samples, length: int) -> Samples:
        t = np.clip((self.done + 1.0 + np.arange(len(new))) / (length + 1.0), 0.0, 1.0)
        self.done += len(new)
        gain = np.square(np.sin(0.5 * np.pi * t)).astype(np.float32)[:, None]
        return np.asarray(old + (new - old) * gain, np.float32)


class VoiceSession:
    """Audio through a voice that may be changed at any moment.

    ``process`` and ``finish`` belong to one thread; ``switch`` and ``set`` may be called from any, and take effect at
    the next block.

    Args:
        stage: The voice to begin with.
        clock: For the processing time.
    """

    def __init__(self, stage: VoiceStage, clock: Clock = monotonic_s) -> None:
        self.rate, self.channels = stage.rate_in, stage.channels
        self._stage = stage
        self._switches: list[_Switch] = []
        self._changes: deque[Callable[[], None]] = deque()
        self._clock = clock
        window = ms_to_frames(METER_MS, self.rate)
        self._input, self._output = Meter(window), Meter(window)
        self._fade = ms_to_frames(SWITCH_MS, self.rate)
        self._history = Ring(ms_to_frames(HISTORY_MS, self.rate), self.channels)
        self._processing_s = 0.0
        self._frames = 0

    @property
    def stage(self) -> VoiceStage:
        """The voice now selected."""
        return self._switches[-1].stage if self._switches else self._stage

    @property
    def latency(self) -> int:
        """Frames by which the output lags the input."""
        return self.stage.latency

    def switch(self, stage: VoiceStage) -> None:
        """Crossfade to another voice, built for the same rate and channels."""
        self._changes.append(lambda: self._begin(stage))

    def set(self, parameters: VoiceParameters) -> None:
        """Turn the settings."""
        self._changes.append(lambda: self.stage.set(parameters))

    def _begin(self, stage: VoiceStage) -> None:
        if known := self.stage.speaker_hz:
            stage.seed_speaker(known)
        if len(self._history):
            stage.process(self._history.peek())
            self._switches.append(_Switch(stage))
        else:
            self._stage = stage

    def process(self, x: Samples) -> Samples:
        """Change the next block, ``[n, c]`` → ``[n, c]``, late by ``latency`` frames."""
        start = self._clock()
        while self._changes:
            self._changes.popleft()()
        self._input.push(x)
        y = self._stage.process(x)
        for switch in self._switches:
            y = switch.mix(y, switch.stage.process(x), self._fade)
        while self._switches and self._switches[0].done >= self._fade:
            self._stage = self._switches.pop(0).stage
        self._history.write(x)
        self._output.push(y)
        self._frames += len(x)
        spent = self._clock() - start
        self._processing_s += (spent - self._processing_s) * (SMOOTH if self._processing_s else 1.0)
        return y

    def finish(self) -> Samples:
        """Return the ``latency`` frames still held; then the session is at its start, with its voice and settings."""
        stage = self.stage
        tail = stage.flush()
        self._stage, self._switches = stage, []
        self._history.clear()
        self._input.reset()
        self._output.reset()
        return tail

    def stats(self) -> SessionStats:
        """Figures now."""
        return SessionStats(
            input_level=self._input.level,
            output_level=self._output.level,
            latency_ms=frames_to_ms(self.latency, self.rate),
            processing_time_ms=1000.0 * self._processing_s,
            frames=self._frames,
            speaker_hz=self.stage.speaker_hz,
        )
