"""What a client of the control socket has set: it outlives a start, and holds for the next."""

import math
from collections.abc import Sequence
from functools import partial

from menura.audio.format import StreamFormat
from menura.errors import ConfigError
from menura.live.rack import Entry
from menura.live.session import VoiceSession
from menura.live.treatment import effect_entries, treatment_entries
from menura.protocol.control_actions import (
    AudioChanges,
    AudioSide,
    ControlAudio,
    EffectSpec,
    InputChanges,
)
from menura.protocol.control_replies import (
    AppliedEffect,
    AudioConfigured,
    AudioInUse,
    AudioOutput,
    EffectsSet,
    InputSet,
    InputSettings,
)
from menura.voices.effects import Effect, check_effects

__all__ = ["ControlSettings"]


class ControlSettings:
    """Audio, treatment of the input, and effects.

    Attributes:
        input: How the input is treated.
        effects: After the voice.
    """

    def __init__(self) -> None:
        self._audio = ControlAudio(source="client")
        self.input = InputSettings()
        self.effects: tuple[Effect, ...] = ()

    # --- the client's audio

    def configure(self, changes: AudioChanges) -> AudioConfigured:
        """Note what the client's audio is."""
        self._audio = _merged(self._audio, changes)
        sent, received = self.forms(ControlAudio(source="client"))
        output = AudioOutput(sample_rate=received.rate, format=received.encoding)
        return AudioConfigured(audio=AudioInUse(sample_rate=sent.rate, format=sent.encoding, output=output))

    def forms(self, audio: ControlAudio) -> tuple[StreamFormat, StreamFormat]:
        """What the client sends and what it receives, with what ``start`` says of it."""
        merged = _merged(self._audio, audio)
        side = merged.output or AudioSide()
        sent = StreamFormat(merged.format, merged.sample_rate)
        return sent, StreamFormat(side.format or sent.encoding, side.sample_rate or sent.rate)

    # --- before and after the voice

    def treat(self, changes: InputChanges) -> InputSet:
        """Note how the input is to be treated.

        Raises:
            ConfigError: Echo is not cancelled here.
        """
        if changes.echo_cancellation:
            raise ConfigError("echo_cancellation: the server does not cancel echo: let the browser do it")
        given = {name: getattr(changes, name) for name in changes.model_fields_set}
        self.input = self.input.model_copy(update={name: value for name, value in given.items() if value is not None})
        return InputSet(input=self.input)

    def affect(self, specs: Sequence[EffectSpec]) -> EffectsSet:
        """Note the effects.

        Raises:
            ConfigError: One cannot be; nothing changes.
        """
        self.effects = check_effects(spec.model_dump() for spec in specs)
        return EffectsSet(effects=[AppliedEffect(**effect.as_dict()) for effect in self.effects])

    def build_effects(self, rate: int) -> tuple[Entry, ...]:
        """To be given to a session. It takes its time."""
        return effect_entries(self.effects, rate)

    def build_treatment(self, rate: int) -> tuple[Entry, ...]:
        """To be given to a session. It takes its time."""
        build = partial(treatment_entries, rate, noise_suppression=self.input.noise_suppression)
        return build(auto_gain=self.input.auto_gain)

    def level(self, session: VoiceSession) -> None:
        """Mute a session, or turn its gain."""
        session.set_level(-math.inf if self.input.muted else self.input.gain_db)

    def details(self) -> dict[str, float]:
        """For a status."""
        return {"muted": float(self.input.muted)}


def _merged(audio: ControlAudio, changes: ControlAudio | AudioChanges) -> ControlAudio:
    given = {name: getattr(changes, name) for name in changes.model_fields_set if name != "source"}
    return audio.model_copy(update=given)
