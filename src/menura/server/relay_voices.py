"""Which voices a relay speaks in, and how they are made."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from menura.errors import MenuraError, ModelError
from menura.live.making import make_stage
from menura.live.session import VoiceSession
from menura.log import get_logger, log_internal_error
from menura.voices.build import VoiceStage
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["DIRECTIONS", "Direction", "Settings", "VoiceChoice", "VoiceFailures"]

_log = get_logger(__name__)
Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, Direction] = ("up", "down")


class VoiceFailures:
    """Counts how often a voice fails. Any thread.

    Args:
        direction: Its way.
        on_first: Called once, after the first was logged.

    Attributes:
        count: So far.
    """

    def __init__(self, direction: Direction, on_first: Callable[[], None] | None = None) -> None:
        self._direction, self._on_first = direction, on_first
        self.count = 0

    def note(self, error: Exception) -> None:
        """It has failed."""
        self.count += 1
        if self.count == 1:
            log_internal_error(_log, f"a voice on the way {self._direction} failed", error)
            if self._on_first is not None:
                self._on_first()


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the voice of a direction.

    Attributes:
        own: What it was kept with, if it was.
        turned: Since then, and before a voice that has no settings of its own.
    """

    own: VoiceParameters = field(default_factory=VoiceParameters)
    turned: Mapping[str, float] = field(default_factory=dict)

    @property
    def now(self) -> VoiceParameters:
        """All of them."""
        return self.own.changed(self.turned)


class VoiceChoice:
    """Makes voices for both directions, with the settings as they were turned.

    Args:
        rate: Of the audio they change.
        pool: Threads to make them on.
        own: Settings that the voices begin with.
    """

    def __init__(self, rate: int, pool: Executor, own: Mapping[Direction, VoiceParameters] | None = None) -> None:
        self._rate = rate
        self.pool = pool
        self._settings = {name: Settings((own or {}).get(name, VoiceParameters())) for name in DIRECTIONS}

    def turn(self, direction: Direction, changes: Mapping[str, float]) -> VoiceParameters:
        """Note settings; returns all of them.

        Raises:
            ConfigError: There is no such setting, or it cannot have this value.
        """
        last = self._settings[direction]
        settings = Settings(last.own, {**last.turned, **changes})
        parameters = settings.now
        self._settings[direction] = settings
        return parameters

    def parameters(self, direction: Direction) -> VoiceParameters:
        """Settings as they are now."""
        return self._settings[direction].now

    def begin_with(self, direction: Direction, own: VoiceParameters | None) -> Settings:
        """Another voice is next. One that was kept with settings begins with these; for another, what was turned stays.

        Returns:
            Those of the last one, for :meth:`restore`.
        """
        last = self._settings[direction]
        self._settings[direction] = Settings(turned=last.turned) if own is None else Settings(own)
        return last

    def restore(self, direction: Direction, settings: Settings) -> None:
        """The other voice did not come."""
        self._settings[direction] = settings

    def make(self, direction: Direction, voice: Voice, rate: int | None = None) -> VoiceStage:
        """A voice that runs, at another rate than most if need be. It takes its time.

        Raises:
            ModelError: It cannot be built.
        """
        try:
            return make_stage(voice, rate or self._rate, parameters=self.parameters(direction))
        except MenuraError:
            raise
        except Exception as error:
            raise ModelError(f"internal error {log_internal_error(_log, 'building a voice failed', error)}") from error

    async def build(self, direction: Direction, voice: Voice | None, rate: int | None = None) -> VoiceSession | None:
        """A session of a voice, made beside the event loop.

        Raises:
            ModelError: It cannot be built.
        """
        if voice is None:
            return None
        make = partial(self.make, direction, voice, rate)
        return VoiceSession(await asyncio.get_running_loop().run_in_executor(self.pool, make))
