"""What is turned while somebody speaks: the voice, its pitch, the microphone."""

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from menura.errors import MenuraError
from menura.live.making import make_stage
from menura.live.session import VoiceSession
from menura.store.lookup import look_up
from menura.voices.build import VoiceStage
from menura.voices.voice import PARAMETER_RANGES, Voice, VoiceParameters

__all__ = ["HELP", "Desk"]

HELP = "n next voice  p previous  + - pitch  b your own voice  m mute  q end"
_Built = tuple[Voice, VoiceParameters, VoiceStage]


class Desk:
    """Keys for a session. Nothing here waits: a voice is built beside it, and heard when it is there.

    Args:
        session: What is turned.
        voice: That it has.
        parameters: That this has.
        voices: Ids, in the order in which they follow one another.

    Attributes:
        name: Of the voice.
        parameters: As they were turned.
        own: One hears the speaker's own voice, to compare.
        muted: The microphone is silent.
        ended: It is enough.
        trouble: Why the last voice could not be had.
    """

    def __init__(self, session: VoiceSession, voice: Voice, parameters: VoiceParameters, voices: Sequence[str]) -> None:
        self._session, self._voices = session, list(voices) or [voice.id]
        self._wanted = self._has = voice.id
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="menura-desk")
        self._building: Future[_Built] | None = None
        self.name, self.parameters = voice.name, parameters
        self.own = self.muted = self.ended = False
        self.trouble = ""

    def press(self, keys: str) -> None:
        """Do what these keys are for; others are for nothing."""
        for key in keys:
            match key:
                case "n" | "p":
                    self._step(1 if key == "n" else -1)
                case "+" | "=" | "-":
                    self._pitch(-1.0 if key == "-" else 1.0)
                case "b":
                    self.own = not self.own
                    self._session.set(self._heard(self.parameters))
                case "m":
                    self.muted = not self.muted
                    self._session.set_level(-math.inf if self.muted else 0.0)
                case "q":
                    self.ended = True

    def _step(self, step: int) -> None:
        at = self._voices.index(self._wanted) if self._wanted in self._voices else -step
        self._wanted = self._voices[(at + step) % len(self._voices)]

    def _pitch(self, step_st: float) -> None:
        low, high = PARAMETER_RANGES["pitch_st"]
        self.parameters = replace(self.parameters, pitch_st=min(max(self.parameters.pitch_st + step_st, low), high))
        self._session.set(self._heard(self.parameters))

    def _heard(self, parameters: VoiceParameters) -> VoiceParameters:
        return replace(parameters, mix=0.0) if self.own else parameters

    def look(self) -> None:
        """Go on with what was asked for: to be called now and then."""
        if self._building is not None and self._building.done():
            building, self._building = self._building, None
            try:
                voice, self.parameters, stage = building.result()
            except MenuraError as error:
                self._wanted, self.trouble = self._has, str(error)
                return
            stage.set(self._heard(self.parameters))
            self._session.switch(stage)
            self._has, self.name, self.trouble = voice.id, voice.name, ""
        if self._building is None and self._wanted != self._has:
            self._building = self._pool.submit(self._build, self._wanted, self.parameters)

    def _build(self, voice_id: str, turned: VoiceParameters) -> _Built:
        """A voice that was kept with settings begins with these, another with what was turned."""
        voice, own = look_up(voice_id)
        parameters = turned if own == VoiceParameters() else own
        return voice, parameters, make_stage(voice, self._session.rate, parameters=parameters)

    def close(self) -> None:
        """Build no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
