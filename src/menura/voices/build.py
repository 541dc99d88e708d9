"""From a voice as data to a Stage that runs."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from menura.audio.block import Samples, silence
from menura.dsp.blend import Blend
from menura.dsp.chain import Chain
from menura.dsp.delay import Chorus, Echo, Vibrato
from menura.dsp.drive import Drive
from menura.dsp.dynamics import Compressor, Gain, Gate, Limiter
from menura.dsp.filter import Band, BandKind, Equalizer
from menura.dsp.modulate import RingModulator, Tremolo
from menura.dsp.noise import Hiss
from menura.dsp.resample import Resampler
from menura.dsp.reverb import Reverb
from menura.dsp.shift import PitchShift
from menura.dsp.spectral import Robot, Whisper
from menura.dsp.stage import Stage
from menura.dsp.sweep import Sweep
from menura.errors import ConfigError, MenuraError, ModelError
from menura.units import ms_to_frames
from menura.voices.voice import StageSpec, Voice, VoiceParameters

if TYPE_CHECKING:
    from menura.neural.stream.pace import PaceStats

__all__ = ["KINDS", "VoiceStage", "make_stage"]

_LOWEST_RATE, _HIGHEST_RATE = 16_000, 48_000
"""Rates voices run at as they are; others are converted on the way in and out."""
WARM_MS = 250.0
"""What a voice that is no model is run through before it is heard."""


def _equalizer(rate: int, channels: int, *, bands: list[Mapping[str, Any]] | None = None, **tone: float) -> Equalizer:
    """With bands as a voice has them, or with bass, middle and treble as the effect has them."""
    if bands is None:
        return Equalizer(rate, channels, bands=_tone(**tone))
    if tone:
        raise ConfigError(f"{', '.join(tone)}: not together with bands")
    made = [Band(**{**band, "kind": BandKind(band["kind"])}) for band in bands]
    return Equalizer(rate, channels, bands=made)


def _tone(*, bass_db: float = 0.0, mid_db: float = 0.0, treble_db: float = 0.0) -> list[Band]:
    return [
        Band(BandKind.LOW_SHELF, 200.0, bass_db),
        Band(BandKind.PEAK, 1000.0, mid_db, 0.8),
        Band(BandKind.HIGH_SHELF, 4000.0, treble_db),
    ]


def _shift(rate: int, channels: int, *, fmin_hz: float = 75.0, **settings: float) -> PitchShift:
    shift = PitchShift(rate, channels, fmin_hz=fmin_hz)
    for name, value in settings.items():
        if name not in _SHIFT_SETTINGS:
            raise ConfigError(f"unknown setting {name!r}; there are {', '.join(_SHIFT_SETTINGS)}")
        setattr(shift, name, value)
    return shift


_SHIFT_SETTINGS = ("pitch_st", "formant", "target_hz", "formant_follow", "intonation")


def _rvc(rate: int, channels: int, **params: Any) -> Stage:
    from menura.voices.rvc import make_rvc

    return make_rvc(rate, channels, **params)


KINDS: Mapping[str, Callable[..., Stage]] = {
    "chorus": Chorus,
    "compressor": Compressor,
    "drive": Drive,
    "echo": Echo,
    "equalizer": _equalizer,
    "gain": Gain,
    "gate": Gate,
    "hiss": Hiss,
    "reverb": Reverb,
    "ring_modulator": RingModulator,
    "robot": Robot,
    "rvc": _rvc,
    "shift": _shift,
    "sweep": Sweep,
    "tremolo": Tremolo,
    "vibrato": Vibrato,
    "whisper": Whisper,
}
"""Every kind of stage a voice may name: add one here, and voices can use it."""


def _make(spec: StageSpec, rate: int, channels: int) -> Stage:
    kind = KINDS.get(spec.kind)
    if kind is None:
        raise ModelError(f"unknown kind of stage {spec.kind!r}; there are {', '.join(KINDS)}")
    try:
        return kind(rate, channels, **spec.params)
    except ModelError:
        raise
    except KeyError as error:
        raise ModelError(f"stage {spec.kind!r}: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise ModelError(f"stage {spec.kind!r}: {error}") from error


@runtime_checkable
class Turnable(Protocol):
    """A stage that is a voice by itself, and has the user's settings too.

    Attributes:
        resting: It listens, and says nothing.
    """

    resting: bool

    def turn(self, pitch_st: float, formant: float) -> None:
        """Add semitones to the pitch, and a factor to the formants."""

    @property
    def speaker_hz(self) -> float:
        """Median pitch of who speaks; 0 while unknown."""

    def seed_speaker(self, hz: float) -> None:
        """Tell it."""

    def pace(self) -> "PaceStats | None":
        """How far back it looks, by the time there is; None where that does not change."""

    def leave(self) -> None:
        """Nobody listens any more."""


class VoiceStage:
    """A voice, running: its stages, mixed with the unchanged voice, then a limiter.

    Args:
        voice: What to build.
        rate: Of the audio in and out, Hz; rates the stages cannot run at are converted inside.
        channels: Of every block.
        parameters: The user's settings to begin with.
        speaker_hz: Median pitch of who speaks, if known from before; 0 if not.

    Raises:
        ModelError: The voice's data make no chain.
    """

    def __init__(
        self,
        voice: Voice,
        rate: int,
        channels: int = 1,
        *,
        parameters: VoiceParameters | None = None,
        speaker_hz: float = 0.0,
    ) -> None:
        self.voice = voice
        self.rate_in = self.rate_out = rate
        self.channels = channels
        inner = min(max(rate, _LOWEST_RATE), _HIGHEST_RATE)
        stages = [_make(spec, inner, channels) for spec in voice.stages]
        self._shifts = [(stage, stage.pitch_st, stage.formant) for stage in stages if isinstance(stage, PitchShift)]
        self._models = [stage for stage in stages if isinstance(stage, Turnable)]
        self._trackers: list[PitchShift | Turnable] = [shift for shift, _, _ in self._shifts]
        self._trackers += self._models
        self._blend = Blend(Chain(stages, inner))
        whole: list[Stage] = [self._blend, Limiter(inner, channels)]
        if inner != rate:
            whole = [
                Resampler(rate, inner, channels),
                *whole,
                Resampler(inner, rate, channels),
                Limiter(rate, channels),
            ]
        self._chain = Chain(whole)
        # there and back, whole frames at `inner` come up to one of them late: so much in hand keeps the cadence
        self._slack = -(-rate // inner) if inner != rate else 0
        self.latency = self._chain.latency + self._slack
        self.parameters = parameters or VoiceParameters()
        self.set(self.parameters)
        if speaker_hz:
            self.seed_speaker(speaker_hz)
        self._restart()

    def _restart(self) -> None:
        self._owed = silence(self._slack, self.channels)

    def set(self, parameters: VoiceParameters) -> None:
        """Turn the user's settings; the change is heard without a click."""
        self.parameters = parameters
        for shift, pitch_st, formant in self._shifts:
            shift.pitch_st = min(max(pitch_st + parameters.pitch_st, -24.0), 24.0)
            shift.formant = min(max(formant * parameters.formant, 0.5), 2.0)
        for model in self._models:
            model.turn(parameters.pitch_st, parameters.formant)
        self._blend.mix = parameters.mix

    @property
    def speaker_hz(self) -> float:
        """Median pitch of who speaks; 0 while unknown."""
        return max((tracker.speaker_hz for tracker in self._trackers), default=0.0)

    def seed_speaker(self, speaker_hz: float) -> None:
        """Tell the median pitch of who speaks."""
        for tracker in self._trackers:
            tracker.seed_speaker(speaker_hz)

    def pace(self) -> "PaceStats | None":
        """How its model keeps up; None where there is none, or it does not adapt. Any thread."""
        return next((found for model in self._models if (found := model.pace()) is not None), None)

    def leave(self) -> None:
        """Nobody listens any more: a model that is waited for fails at once. Any thread."""
        for model in self._models:
            model.leave()

    def warm(self, x: Samples) -> int:
        """Give a new voice what was said before it.

        Returns:
            Frames from now on until its output is to be heard: none, but for a model, which only remembers what was
            said, since computing it now would take too long.
        """
        for model in self._models:
            model.resting = True
        try:
            self.process(x if self._models else x[-ms_to_frames(WARM_MS, self.rate_in) :])
        finally:
            for model in self._models:
                model.resting = False
        return self.latency if self._models else 0

    def process(self, x: Samples) -> Samples:
        """Change the next block, ``[n, c]`` → ``[n, c]``.

        Where a model fails, its error is raised, and the voice is as new.
        """
        try:
            y = self._chain.process(x)
        except BaseException:
            self.reset()
            raise
        if not self._slack:
            return y
        y = np.concatenate([self._owed, y])
        self._owed = y[len(x) :]
        return y[: len(x)]

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held; then be as new."""
        y = self.process(silence(self.latency, self.channels))
        self.reset()
        return y

    def reset(self) -> None:
        """Forget all audio; settings stay."""
        self._chain.reset()
        self._restart()


def make_stage(
    voice: Voice,
    rate: int,
    channels: int = 1,
    *,
    parameters: VoiceParameters | None = None,
    speaker_hz: float = 0.0,
) -> VoiceStage:
    """Build a voice to run.

    >>> from menura.voices.builtin import find_voice
    >>> stage = make_stage(find_voice("robot"), 48000)

    Raises:
        ModelError: The voice's data make no chain.
    """
    try:
        return VoiceStage(voice, rate, channels, parameters=parameters, speaker_hz=speaker_hz)
    except (ModelError, ConfigError):
        raise
    except MenuraError as error:
        raise ModelError(f"voice {voice.id!r}: {error}") from error
