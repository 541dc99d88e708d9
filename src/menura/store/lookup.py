"""Voices by id: the built-in ones, and those of the user's library."""

from menura.errors import VoiceNotFoundError
from menura.places import data_folder, database_url
from menura.store.library import StoredVoice, VoiceLibrary
from menura.voices.builtin import builtin_voices, find_voice
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["all_voices", "choose", "library_there", "look_up"]


def look_up(wanted: str) -> tuple[Voice, VoiceParameters]:
    """A voice by its id, or one of the user's by its name; and the parameters it begins with.

    The library is opened only where the built-in voices have no such id.

    Raises:
        VoiceNotFoundError: There is none, or several have this name.
        LibraryError, FileError: The library cannot be read.
    """
    try:
        return find_voice(wanted), VoiceParameters()
    except VoiceNotFoundError:
        if not library_there():
            raise
    with VoiceLibrary() as library:
        stored = choose(library, wanted)
        return stored.voice, stored.parameters


def choose(library: VoiceLibrary, wanted: str) -> StoredVoice:
    """A voice of a library by its id, or by its name, where only one has it.

    Raises:
        VoiceNotFoundError: There is none, or there are several.
    """
    try:
        return library.get(wanted)
    except VoiceNotFoundError:
        named = [voice for voice in library.voices() if voice.data.name.casefold() == wanted.casefold()]
        if len(named) > 1:
            ids = ", ".join(voice.id for voice in named)
            raise VoiceNotFoundError(f"several voices are named {wanted!r}: give one of the ids {ids}") from None
        if not named:
            raise
        return named[0]


def all_voices() -> list[Voice]:
    """Every voice there is: built-in ones, then the user's.

    Raises:
        LibraryError, FileError: The library cannot be read.
    """
    if not library_there():
        return list(builtin_voices())
    with VoiceLibrary() as library:
        return [*builtin_voices(), *(stored.voice for stored in library.voices() if not stored.builtin)]


def library_there() -> bool:
    """Whether there is a library: it is made when something is put into it."""
    folder = data_folder()
    return not database_url(folder).startswith("sqlite:") or (folder / "library.db").exists()
