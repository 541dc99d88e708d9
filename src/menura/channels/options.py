"""What a channel carries, and what becomes of what a subscriber does not take."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypedDict

from menura.audio.format import check_channels, check_rate
from menura.audio.stream import FORMATS, AudioStream
from menura.errors import ConfigError

__all__ = ["ChannelOptions", "ChannelSettings", "Mismatch", "Policy", "check_name"]

MAX_NAME = 200
_NAME = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")


class Policy(StrEnum):
    """What happens when a subscriber's queue is full."""

    BLOCK = "block"
    """The publisher waits for room: nothing is lost, and the slowest sets the pace. For files and tests."""
    DROP_OLDEST = "drop_oldest"
    """The oldest item goes: what is read is as recent as can be, in one piece. For live audio."""
    DROP_NEWEST = "drop_newest"
    """The item that does not fit is not taken."""
    LATEST = "latest"
    """Only the newest item is kept, whatever ``max_queue`` says. For states, such as levels."""
    ERROR = "error"
    """The subscriber reads what was queued, then gets a ``SlowSubscriberError``, then what comes after."""


class Mismatch(StrEnum):
    """What happens to audio of another rate, channel count or format than the channel's."""

    ERROR = "error"
    """The publisher gets a ``FormatError``."""
    CONVERT = "convert"
    """It is resampled, remixed and re-encoded; a channel that converts has one source at a time."""


class ChannelSettings(TypedDict, total=False):
    """The fields of :class:`ChannelOptions` as keywords."""

    sample_rate: int | None
    channels: int | None
    format: str | None
    mismatch: str
    replay: int
    strict_timestamps: bool


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What a channel carries.

    Attributes:
        message_type: Type, or types, of every item; ``None`` for any.
        sample_rate: Of every ``AudioStream``, Hz; ``None`` for any.
        channels: Of every ``AudioStream``; ``None`` for any.
        format: Of every ``AudioStream``, such as ``"pcm_s16le"``; ``None`` for any.
        mismatch: What happens to audio that is otherwise.
        replay: Last items kept for who subscribes later.
        strict_timestamps: Refuse audio whose timestamp does not span its samples.

    Raises:
        ConfigError: A setting has a value it cannot have; the text names it.

    >>> ChannelOptions(sample_rate=48_000).message_type.__name__
    'AudioStream'
    """

    message_type: type | tuple[type, ...] | None = None
    sample_rate: int | None = None
    channels: int | None = None
    format: str | None = None
    mismatch: str = Mismatch.ERROR
    replay: int = 0
    strict_timestamps: bool = False

    def __post_init__(self) -> None:
        types = self.message_type if isinstance(self.message_type, tuple) else (self.message_type,)
        if self.message_type is not None and not (types and all(isinstance(kind, type) for kind in types)):
            raise ConfigError(f"message_type must be a type or a tuple of types, not {self.message_type!r}")
        if self.of_audio:
            self._check_audio(types)
        if self.mismatch not in tuple(Mismatch):
            raise ConfigError(f"mismatch must be one of {', '.join(Mismatch)}, not {self.mismatch!r}")
        if not is_count(self.replay, 0):
            raise ConfigError(f"replay must be a whole number of items, not {self.replay!r}")

    def _check_audio(self, types: tuple[Any, ...]) -> None:
        if self.message_type is None:
            object.__setattr__(self, "message_type", AudioStream)
        elif AudioStream not in types:
            raise ConfigError(
                "sample_rate, channels, format and strict_timestamps are of audio: message_type must be AudioStream"
            )
        if self.sample_rate is not None:
            check_rate(self.sample_rate)
        if self.channels is not None:
            check_channels(self.channels)
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(f"format must be one of {', '.join(FORMATS)}, not {self.format!r}")

    @property
    def of_audio(self) -> bool:
        """Whether something is laid down that only audio has."""
        return self.strict_timestamps or (self.sample_rate, self.channels, self.format) != (None, None, None)


def is_count(value: object, least: int) -> bool:
    """Whether it is a whole number of at least so much."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_name(name: str) -> str:
    """Return ``name`` if a channel can have it, in a process as across machines.

    Raises:
        ConfigError: It is empty or too long, has spaces, ``*`` or ``>``, or an empty part between dots.

    >>> check_name("room.7/left")
    'room.7/left'
    """
    if not isinstance(name, str) or len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise ConfigError(
            f"a channel's name has 1 to {MAX_NAME} characters, no spaces, no * and >, "
            f"no dots at its ends or side by side; not {name!r}"
        )
    return name
