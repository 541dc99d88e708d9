"""What a stage may be given as, and how it is made to fit a stream."""

from collections.abc import Callable
from typing import cast

from menura.dsp.chain import Chain
from menura.dsp.stage import Stage
from menura.live.making import make_stage
from menura.voices.builtin import find_voice
from menura.voices.voice import Voice

__all__ = ["AnyStage", "Through", "build", "channels_of"]

AnyStage = Stage | Voice | str | Callable[[int, int], Stage]
"""A stage; a voice or its id; or what makes a stage of a rate in Hz and a number of channels."""


class Through(Chain):
    """Changes nothing; with ``mismatch="convert"``, whatever comes is made to have this rate and so many channels."""

    def __init__(self, rate: int, channels: int) -> None:
        super().__init__([], rate)
        self.channels = channels


def build(given: AnyStage, rate: int, channels: int) -> Stage:
    """The stage that was given, or one made for a stream.

    Raises:
        ModelError, VoiceNotFoundError: It cannot be made.
    """
    if isinstance(given, str):
        given = find_voice(given)
    if isinstance(given, Voice):
        return make_stage(given, rate, channels)
    if isinstance(given, Stage) and not isinstance(given, type):  # a class is what makes one
        return given
    return cast(Callable[[int, int], Stage], given)(rate, channels)


def channels_of(stage: object) -> int | None:
    """Channels that a stage says it takes, or the first of a chain that says so."""
    channels = getattr(stage, "channels", None)
    if channels is not None:
        return int(channels)
    inner = (*getattr(stage, "stages", ()), getattr(stage, "stage", None))
    return next((found for part in inner if part is not None and (found := channels_of(part))), None)
