"""Voices by id: the built-in ones, and those of the user's library."""

from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from menura.errors import VoiceNotFoundError
from menura.places import library_there
from menura.voices.builtin import builtin_voices, find_voice
from menura.voices.voice import Voice, VoiceParameters

if TYPE_CHECKING:  # a database takes longer to be imported than to be asked, and most have none
    from menura.store.library import StoredVoice, VoiceLibrary

__all__ = ["all_voices", "choose", "library_there", "look_up"]


def look_up(wanted: str) -> tuple[Voice, VoiceParameters]:
    """A voice by its id or its name, and the parameters it begins with.

    The library is opened only where the built-in voices have no such id.

    Raises:
        VoiceNotFoundError: There is none, or several have this name; the text names those with nearly that name.
        LibraryError, FileError: The library cannot be read.
    """
    with suppress(VoiceNotFoundError):
        return find_voice(wanted), VoiceParameters()
    if library_there():
        from menura.store.library import VoiceLibrary

        with VoiceLibrary() as library:
            stored = choose(library, wanted)
            return stored.voice, stored.parameters
    for voice in builtin_voices():
        if voice.name.casefold() == wanted.casefold():
            return voice, VoiceParameters()
    raise _unknown(wanted, {voice.id: voice.name for voice in builtin_voices()})


def _unknown(wanted: str, there: Mapping[str, str]) -> VoiceNotFoundError:
    """The error, with what was perhaps meant.

    Args:
        wanted: As given.
        there: Names by id.
    """
    known = {word.casefold(): voice_id for voice_id, name in there.items() for word in (name, voice_id)}
    near = dict.fromkeys(known[word] for word in get_close_matches(wanted.casefold(), known, n=3))
    hint = f"; did you mean {' or '.join(near)}?" if near else "; menura voices lists them"
    said = "".join(letter if letter.isprintable() else "?" for letter in wanted[:64])
    return VoiceNotFoundError(f"Voice not found: {said}{hint}")


def choose(library: "VoiceLibrary", wanted: str) -> "StoredVoice":
    """A voice of a library by its id, or by its name, where only one has it.

    Raises:
        VoiceNotFoundError: There is none, or there are several.
    """
    try:
        return library.get(wanted)
    except VoiceNotFoundError:
        voices = library.voices()
        named = [voice for voice in voices if voice.data.name.casefold() == wanted.casefold()]
        if len(named) > 1:
            ids = ", ".join(voice.id for voice in named)
            raise VoiceNotFoundError(f"several voices are named {wanted!r}: give one of the ids {ids}") from None
        if not named:
            raise _unknown(wanted, {voice.id: voice.data.name for voice in voices}) from None
        return named[0]


def all_voices() -> list[Voice]:
    """Every voice there is: built-in ones, then the user's.

    Raises:
        LibraryError, FileError: The library cannot be read.
    """
    if not library_there():
        return list(builtin_voices())
    from menura.store.library import VoiceLibrary

    with VoiceLibrary() as library:
        return [*builtin_voices(), *(stored.voice for stored in library.voices() if not stored.builtin)]
