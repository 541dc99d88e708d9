"""What a client of the control socket hears itself as: a voice or two mixed, and how it has turned them."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial

from menura.errors import ModelError
from menura.live.making import make_stage
from menura.live.session import VoiceSession
from menura.log import get_logger, log_internal_error
from menura.protocol.control_actions import MixPart
from menura.server.catalogue import Catalogue
from menura.voices.build import VoiceStage
from menura.voices.mix import VoiceMix
from menura.voices.voice import VoiceParameters

__all__ = ["ControlVoice"]

_log = get_logger(__name__)


class ControlVoice:
    """It outlives a start, and holds for the next. Event loop only; voices are built on a thread.

    Args:
        voices: On offer.
        pool: Threads to build on.

    Attributes:
        parameters: As they are now.
    """

    def __init__(self, voices: Catalogue, pool: Executor) -> None:
        self._voices, self._pool = voices, pool
        self.parameters = VoiceParameters()
        self._turned: dict[str, float] = {}  # by the client; voices that were kept with parameters have their own
        self._chosen = ""
        self._mixed: tuple[MixPart, ...] = ()
        self._mix: VoiceMix | None = None

    def _parameters_of(self, voice_id: str) -> VoiceParameters:
        """What a voice begins with when it is chosen."""
        own = self._voices.own(voice_id)
        return VoiceParameters().changed(self._turned) if own is None else own

    async def _build(self, voice_id: str, rate: int, parameters: VoiceParameters) -> VoiceStage:
        make = partial(make_stage, self._voices.get(voice_id)[0], rate, parameters=parameters)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, make)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"internal error {log_internal_error(_log, 'building a voice failed', error)}") from error

    async def _build_mix(self, parts: tuple[MixPart, ...], rate: int, parameters: VoiceParameters) -> VoiceMix:
        ids = [part.voice_id for part in parts]
        stages = [await self._build(one, rate, self._voices.own(one) or VoiceParameters()) for one in ids]
        mix = VoiceMix(stages, [part.gain for part in parts])
        mix.set(parameters)
        return mix

    async def stage(self, voice_id: str, rate: int) -> VoiceStage | VoiceMix:
        """For a session that begins: the mix if there is one, else this voice.

        Raises:
            VoiceNotFoundError, ModelError: There is none.
        """
        self._mix = await self._build_mix(self._mixed, rate, self.parameters) if self._mixed else None
        return self._mix or await self._build(voice_id, rate, self.parameters)

    async def select(self, voice_id: str, session: VoiceSession | None) -> bool:
        """Have one voice, in a running session too; else as :meth:`stage`.

        One that was kept with parameters begins with these, whatever the client has turned before.

        Returns:
            Whether the client is to be told the parameters: they are the voice's own, or not as they were.
        """
        parameters = self._parameters_of(voice_id)
        if session:
            session.switch(await self._build(voice_id, session.rate, parameters))
        self._mixed, self._mix = (), None
        return self._choose(voice_id, parameters)

    def _choose(self, voice_id: str, parameters: VoiceParameters) -> bool:
        own = self._voices.own(voice_id) is not None
        told = own or parameters != self.parameters
        self._chosen, self.parameters = voice_id, parameters
        if own:
            self._turned = {}
        return told

    async def mix(self, voices: list[MixPart], session: VoiceSession | None) -> bool:
        """Have two, in a running session too; of the same two only the gains change. Else as :meth:`stage`.

        The first is the one that is turned: where it is not chosen yet it is now, as by :meth:`select`.

        Returns:
            Whether the client is to be told the parameters.
        """
        same = self.mixes(voices)
        gains = {part.voice_id: part for part in voices}
        parts = tuple(gains[voice_id] for voice_id in self.mixed) if same else tuple(voices)
        other = not same and voices[0].voice_id != self._chosen
        parameters = self._parameters_of(voices[0].voice_id) if other else self.parameters
        if session and not (same and self._mix):
            mix = await self._build_mix(parts, session.rate, parameters)
            session.switch(mix)
            self._mix = mix
        elif session and self._mix:
            self._mix.gains = tuple(part.gain for part in parts)
        self._mixed = parts
        return other and self._choose(voices[0].voice_id, parameters)

    def mixes(self, voices: list[MixPart]) -> bool:
        """Whether these are mixed already, so that only their gains change."""
        return sorted(part.voice_id for part in voices) == sorted(self.mixed)

    def turn(self, changes: Mapping[str, float], session: VoiceSession | None) -> None:
        """Change parameters; of a mix, those of the first voice, and of the other as far.

        Raises:
            ConfigError: One cannot be so; nothing changes.
        """
        self.parameters = self.parameters.changed(changes)
        self._turned |= changes
        if session:
            session.set(self.parameters)

    @property
    def mixed(self) -> list[str]:
        """Ids of the voices mixed, the chosen one first."""
        return [part.voice_id for part in self._mixed]
