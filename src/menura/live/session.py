"""A session: one voice at a time, its settings and its meters. All audio work of it happens in ``process``."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from menura.audio.block import Samples, silence
from menura.clock import Clock, monotonic_s
from menura.dsp.dynamics import Gain
from menura.dsp.meter import Meter
from menura.dsp.ring import Ring
from menura.live.rack import Entry, Rack
from menura.live.recorder import Recorder
from menura.units import frames_to_ms, ms_to_frames
from menura.voices.build import VoiceStage
from menura.voices.voice import VoiceParameters

if TYPE_CHECKING:
    from menura.neural.stream.pace import PaceStats

__all__ = ["SessionStats", "VoiceSession"]

METER_MS = 100.0
SWITCH_MS = 30.0
"""Crossfade between voices."""
HISTORY_MS = 1000.0
"""Audio a new voice is given before it is heard, so that it begins in the middle of the sentence."""
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
    """A voice fading in, once it has something to say."""

    def __init__(self, stage: VoiceStage, born: int, lead: int) -> None:
        self.stage, self.born = stage, born
        self.done = -lead

    def mix(self, old: Samples, new: Samples, length: int) -> Samples:
        t = np.clip((self.done + 1.0 + np.arange(len(new))) / (length + 1.0), 0.0, 1.0)
        self.done += len(new)
        gain = np.square(np.sin(0.5 * np.pi * t)).astype(np.float32)[:, None]
        return np.asarray(old + (new - old) * gain, np.float32)


class VoiceSession:
    """Audio through a voice that may be changed at any moment.

    ``process`` and ``finish`` belong to one thread; ``switch`` and ``set`` may be called from any, and take effect at
    the next block. Of several the last counts, and a switch waits for the one before it to end: never more than two
    voices run, however often they are changed. A voice that is a model is heard after its own latency, and until then
    the one before it.

    Args:
        stage: The voice to begin with.
        clock: For the processing time.

    Attributes:
        recorder: Gets what the voice hears and what comes out; may be set at any time.
    """

    def __init__(self, stage: VoiceStage, clock: Clock = monotonic_s) -> None:
        self.rate, self.channels = stage.rate_in, stage.channels
        self._stage = stage
        self._switch: _Switch | None = None
        self._orders = count(1)
        self._born = 0  # which order `stage` came with
        self._next_stage: deque[tuple[int, VoiceStage]] = deque(maxlen=1)  # one slot each, atomic between threads
        self._next_parameters: deque[tuple[int, VoiceParameters]] = deque(maxlen=1)
        self._clock = clock
        window = ms_to_frames(METER_MS, self.rate)
        self._input, self._output = Meter(window), Meter(window)
        self._fade = ms_to_frames(SWITCH_MS, self.rate)
        self._history = Ring(ms_to_frames(HISTORY_MS, self.rate), self.channels)
        self._processing_s = 0.0
        self._frames = 0
        self._level = Gain(self.rate, self.channels)
        self._treatment, self._effects = Rack(self.rate, self.channels), Rack(self.rate, self.channels)

        self.recorder: Recorder | None = None

    @property
    def stage(self) -> VoiceStage:
        """The voice heard, or fading in."""
        switch = self._switch  # once: the audio thread may end it meanwhile
        return switch.stage if switch else self._stage

    @property
    def latency(self) -> int:
        """Frames by which the output lags the input."""
        return self._treatment.latency + self.stage.latency + self._effects.latency

    def set_level(self, gain_db: float) -> None:
        """Turn the input louder or quieter; −inf mutes it. It glides there."""
        self._level.gain_db = gain_db

    def set_treatment(self, entries: Sequence[Entry]) -> None:
        """Have these stages before the voice, after the level."""
        self._treatment.set(entries)

    def set_effects(self, entries: Sequence[Entry]) -> None:
        """Have these stages after the voice."""
        self._effects.set(entries)

    def switch(self, stage: VoiceStage) -> None:
        """Crossfade to another voice, built for the same rate and channels; it keeps the settings it was built with."""
        self._next_stage.append((next(self._orders), stage))

    def set(self, parameters: VoiceParameters) -> None:
        """Turn the settings, of every voice that was given before."""
        self._next_parameters.append((next(self._orders), parameters))

    def _begin(self, born: int, stage: VoiceStage) -> None:
        if known := self.stage.speaker_hz:
            stage.seed_speaker(known)
        if len(self._history):
            self._switch = _Switch(stage, born, stage.warm(self._history.peek()))
        else:
            self._stage, self._born = stage, born

    def _turn(self, order: int, parameters: VoiceParameters) -> None:
        """Set the voice heard, the one fading in, and the one that waits, but for one that was given after that."""
        switch = self._switch
        fading = [(switch.born, switch.stage)] if switch else []
        for born, stage in [(self._born, self._stage), *fading, *self._next_stage.copy()]:
            if born < order:
                stage.set(parameters)

    def process(self, x: Samples) -> Samples:
        """Change the next block, ``[n, c]`` → ``[n, c]``, late by ``latency`` frames.

        Where a voice's model fails, its error is raised; the next block begins anew, and a voice that failed before it
        was heard is dropped.
        """
        start = self._clock()
        if self._next_stage and self._switch is None:
            self._begin(*self._next_stage.popleft())
        if self._next_parameters:
            self._turn(*self._next_parameters.popleft())
        x = self._treatment.process(self._level.process(x))
        self._input.push(x)
        y = self._change(x)
        self._history.write(x)
        y = self._effects.process(y)
        self._output.push(y)
        self._frames += len(x)
        if recorder := self.recorder:
            recorder.push(x, y)
        spent = self._clock() - start
        self._processing_s += (spent - self._processing_s) * (SMOOTH if self._processing_s else 1.0)
        return y

    def _change(self, x: Samples) -> Samples:
        y, switch = self._stage.process(x), self._switch
        if switch is None:
            return y
        try:
            y = switch.mix(y, switch.stage.process(x), self._fade)
        except BaseException:
            self._switch = None  # the voice that was heard goes on
            raise
        if switch.done >= self._fade:
            self._stage, self._born, self._switch = switch.stage, switch.born, None
        return y

    def leave(self) -> None:
        """Nobody listens any more: what is still waited for fails at once. Any thread."""
        switch = self._switch
        waiting = [stage for _, stage in self._next_stage.copy()]
        for stage in (self._stage, *waiting, *([switch.stage] if switch else ())):
            stage.leave()

    def left_out(self, x: Samples, y: Samples) -> None:
        """Something was not changed, and this was heard in its place: the recording has it too."""
        if recorder := self.recorder:
            recorder.push(x, y)

    def finish(self) -> Samples:
        """Return the ``latency`` frames still held; then the session is at its start, with its voice and settings."""
        rest = self._treatment.finish(silence(0, self.channels))
        tail = [self._change(rest)] if len(rest) else []
        switch, stage = self._switch, self.stage
        if switch is None:
            tail.append(stage.flush())
        else:
            tail.append(self._change(silence(stage.latency, self.channels)))
            stage.reset()
        self._level.reset()
        self._stage, self._born, self._switch = stage, switch.born if switch else self._born, None
        self._history.clear()
        self._input.reset()
        self._output.reset()
        y = self._effects.finish(np.concatenate(tail))
        if recorder := self.recorder:
            recorder.push_rest(y)
        return y

    def pace(self) -> "PaceStats | None":
        """How a voice that is a model keeps up; None for others."""
        return self.stage.pace()

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
