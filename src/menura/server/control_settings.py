"""What a client of the control socket has set: it outlives a start, and holds for the next."""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
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
    """Audio, treatment of the input, and effects. Event loop only.

    Args:
        pool: Threads on which stages are built.

    Attributes:
        input: How the input is treated.
        effects: After the voice.
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
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

    async def treat(self, changes: InputChanges, session: VoiceSession | None) -> InputSet:
        """Note how the input is to be treated, and treat that of a running session so.

        Raises:
            ConfigError: Echo is not cancelled here: measured with AEC3, the changed voice as reference takes more of
                the speaker away than the echo adds.
        """
        if changes.echo_cancellation:
            raise ConfigError(
                "echo_cancellation: what the server plays is the speaker's own voice, changed, which no canceller tells"
                " from the speaker: use headphones, or the browser's devices and its canceller"
            )
        given = {name: getattr(changes, name) for name in changes.model_fields_set}
        self.input = self.input.model_copy(update={name: value for name, value in given.items() if value is not None})
        if session:
            self._level(session)
            session.set_treatment(await self._treatment(session.rate))
        return InputSet(input=self.input)

    async def affect(self, specs: Sequence[EffectSpec], session: VoiceSession | None) -> EffectsSet:
        """Note the effects, and give them to a running session.

        Raises:
            ConfigError: One of them cannot be; nothing changes.
        """
        effects = check_effects(spec.model_dump() for spec in specs)
        if session:
            session.set_effects(await self._beside(partial(effect_entries, effects, session.rate)))
        self.effects = effects
        return EffectsSet(effects=[AppliedEffect(**effect.as_dict()) for effect in effects])

    async def furnish(self, session: VoiceSession) -> None:
        """Give all of it to a session that begins."""
        self._level(session)
        session.set_treatment(await self._treatment(session.rate))
        session.set_effects(await self._beside(partial(effect_entries, self.effects, session.rate)))

    async def _treatment(self, rate: int) -> tuple[Entry, ...]:
        build = partial(treatment_entries, rate, noise_suppression=self.input.noise_suppression)
        return await self._beside(partial(build, auto_gain=self.input.auto_gain))

    async def _beside(self, build: Callable[[], tuple[Entry, ...]]) -> tuple[Entry, ...]:
        """It takes its time."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, build)

    def _level(self, session: VoiceSession) -> None:
        session.set_level(-math.inf if self.input.muted else self.input.gain_db)

    def details(self) -> dict[str, float]:
        """For a status."""
        return {"muted": float(self.input.muted)}


def _merged(audio: ControlAudio, changes: ControlAudio | AudioChanges) -> ControlAudio:
    given = {name: getattr(changes, name) for name in changes.model_fields_set if name != "source"}
    return audio.model_copy(update=given)
