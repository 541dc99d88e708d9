"""What ``menura serve`` is told about the relay to an AI provider."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from menura.errors import ConfigError
from menura.server.relay_options import RelaySettings
from menura.server.relay_socket import NO_VOICE
from menura.voices.builtin import builtin_voices
from menura.voices.voice import Voice

__all__ = ["KeyFile", "RelayFlags", "relay_settings"]

MAX_KEY_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A provider's key in a file of its own, read again before each connection: it may be replaced at any time.

    Raises:
        ConfigError: When called: the file cannot be read, or is no key.
    """

    path: Path

    def __call__(self) -> str:
        """The key as it is now."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_KEY_BYTES)
        except OSError as error:
            raise ConfigError(f"--relay-key-file: cannot read {self.path} ({error.strerror})") from None
        key = data.decode("ascii", "replace").strip()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigError(f"--relay-key-file: {self.path} must hold the key and nothing else")
        return key


@dataclass(frozen=True, slots=True)
class RelayFlags:
    """As given on the command line.

    Attributes:
        url: Of the provider.
        model: Named to it.
        key_file: Where its key is.
        voice_up: Id of the voice in which it hears clients that name none.
        voice_down: Id of the voice in which these hear it.
        require_voice: No client may speak in its own voice.
        client_model: Clients may choose the model.
        off: There shall be no relay.
    """

    url: str | None = None
    model: str | None = None
    key_file: Path | None = None
    voice_up: str | None = None
    voice_down: str | None = None
    require_voice: bool = False
    client_model: bool = False
    off: bool = False


def relay_settings(
    flags: RelayFlags, environment: Mapping[str, str] = os.environ, voices: Sequence[Voice] | None = None
) -> RelaySettings | Literal[False]:
    """The relay's settings: what the flags say goes before what the environment says. False for no relay.

    Args:
        flags: As given.
        environment: Where the provider may be named too.
        voices: On offer; the built-in ones by default.

    Raises:
        ConfigError: The flags contradict each other, or what they name is not there.

    >>> relay_settings(RelayFlags(model="m"), {"OPENAI_API_KEY": "sk-secret"}).model
    'm'
    >>> relay_settings(RelayFlags(), {})
    False
    """
    if flags.off:
        if flags != RelayFlags(off=True):
            raise ConfigError("--no-relay: leave out the other --relay options")
        return False
    _check_voices(flags, {voice.id for voice in (builtin_voices() if voices is None else voices)})
    settings = _provider(flags, environment)
    if settings is None:
        if flags != RelayFlags():
            raise ConfigError("the relay has no provider: give --relay-url, --relay-key-file or set OPENAI_API_KEY")
        return False
    return replace(
        settings,
        voice_up=flags.voice_up,
        voice_down=flags.voice_down,
        require_voice=flags.require_voice,
        client_model=flags.client_model,
    )


def _check_voices(flags: RelayFlags, known: set[str]) -> None:
    for option, voice_id in (("--relay-voice-up", flags.voice_up), ("--relay-voice-down", flags.voice_down)):
        if voice_id not in known | {None, NO_VOICE}:
            raise ConfigError(f"{option}: Voice not found: {voice_id}; menura voices lists them")
    if flags.require_voice and flags.voice_up in (None, NO_VOICE):
        raise ConfigError("--relay-require-voice needs --relay-voice-up: the voice of clients that name none")


def _provider(flags: RelayFlags, environment: Mapping[str, str]) -> RelaySettings | None:
    said = dict(environment)
    if flags.url or flags.key_file:
        said.pop("MENURA_RELAY", None)  # who names a provider wants a relay
    said |= {
        name: value
        for name, value in (("MENURA_REALTIME_URL", flags.url), ("MENURA_REALTIME_MODEL", flags.model))
        if value
    }
    key = KeyFile(flags.key_file) if flags.key_file is not None else None
    try:
        settings = RelaySettings.from_environment(said | ({"OPENAI_API_KEY": key()} if key else {}))
    except ConfigError as error:
        raise ConfigError(f"--relay-url: {error}" if flags.url else str(error)) from None
    return replace(settings, api_key=key) if settings is not None and key is not None else settings
