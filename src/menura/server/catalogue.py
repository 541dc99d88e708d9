"""The voices on offer now, for everything that a server has."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

from menura.errors import MenuraError, StateError, VoiceNotFoundError, public_text
from menura.log import get_logger
from menura.protocol.control_replies import VoiceInfo, VoiceSettings
from menura.store.base_models import models_here, needed_models
from menura.store.library import StoredVoice, VoiceLibrary
from menura.store.lookup import library_there
from menura.store.recordings import Recordings
from menura.voices.builtin import builtin_voices
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["Catalogue"]

_log = get_logger(__name__)
LOOK_S = 3.0
"""How often it is looked whether another process has changed the library."""
Callback = Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Offer:
    voice: Voice
    parameters: VoiceParameters
    own: bool
    info: VoiceInfo


class Catalogue:
    """The voices on offer: those of the library as it is now, or fixed ones.

    What is read often is kept here: :meth:`get`, :meth:`infos` and :attr:`by_id` never wait. The library is opened when
    there is one, and made when something is put into it. While it cannot be read the voices stay as they were, and
    :attr:`problem` says why.

    May be used from any thread; what reads the library takes its time, and is not for an event loop.

    Args:
        voices: Fixed ones, without a library; None for the library.

    Attributes:
        fixed: Whether there is no library behind it.
        problem: Why the library could not be read when it was last looked at; "" if it could.
    """

    def __init__(self, voices: Sequence[Voice] | None = None) -> None:
        self.fixed = voices is not None
        self.problem = ""
        self._offers = {voice.id: _fixed(voice) for voice in (builtin_voices() if voices is None else voices)}
        self._seen: object = None
        self._library: VoiceLibrary | None = None
        self._looking, self._opening, self._telling = Lock(), Lock(), Lock()
        self._subscribers: dict[Callback, asyncio.AbstractEventLoop] = {}
        if voices is None:
            self.refresh()

    # --- what is on offer

    def get(self, voice_id: str) -> tuple[Voice, VoiceParameters]:
        """A voice, and the parameters it begins with.

        Raises:
            VoiceNotFoundError: There is none of this id.
        """
        offer = self._offer(voice_id)
        return offer.voice, offer.parameters

    def own(self, voice_id: str) -> VoiceParameters | None:
        """The parameters that a voice was kept with; None if none were: it begins as whoever chooses it has them.

        Raises:
            VoiceNotFoundError: There is none of this id.
        """
        offer = self._offer(voice_id)
        return offer.parameters if offer.own else None

    def _offer(self, voice_id: str) -> _Offer:
        offer = self._offers.get(voice_id)
        if offer is None:
            raise VoiceNotFoundError(f"Voice not found: {voice_id}")
        return offer

    def infos(self) -> list[VoiceInfo]:
        """All of them as clients see them: built-in ones first."""
        return [offer.info for offer in self._offers.values()]

    @property
    def by_id(self) -> Mapping[str, VoiceInfo]:
        """The same by id; a view that changes as they do."""
        return _View(self)

    # --- the library behind it

    def library(self, *, make: bool = True) -> VoiceLibrary | None:
        """The library, opened once; takes its time.

        Args:
            make: If there is none, whether one is made; else None is returned.

        Raises:
            ConfigError, FileError, LibraryError, MissingExtraError: It cannot be opened.
            StateError: The voices are fixed.
        """
        if self.fixed:
            raise StateError("the voices of this server are fixed")
        with self._opening:
            if self._library is None and (make or library_there()):
                self._library = VoiceLibrary()
            return self._library

    def recordings(self, *, make: bool = True) -> Recordings | None:
        """The recordings of the library; the same conditions and errors as :meth:`library`."""
        library = self.library(make=make)
        return None if library is None else Recordings.of(library)

    def refresh(self) -> bool:
        """Look whether the library has changed, and tell the subscribers; takes its time.

        Returns:
            Whether the library could be read.
        """
        if self.fixed:
            return True
        with self._looking:
            try:
                changed = self._look()
            except MenuraError as error:
                self._failed(error)
                return False
            if self.problem:
                _log.info("the library can be read again")
                self.problem = ""
        if changed:
            self._tell()
        return True

    def _look(self) -> bool:
        library = self.library(make=False)
        if library is None:
            return False
        ready = models_here()
        seen = (library.changes(), ready)
        if seen == self._seen:
            return False
        self._offers = {stored.id: offer for stored in library.voices() if (offer := _offered(stored, ready))}
        self._seen = seen
        return True

    def _failed(self, error: MenuraError) -> None:
        """The voices stay; what is open is left, for a file in its place would not be seen."""
        if not self.problem:
            _log.warning("the library cannot be read, the voices stay as they were: %s", error)
        self.problem = public_text(error)
        self._leave()

    def _leave(self) -> None:
        with self._opening:
            library, self._library = self._library, None
        if library is not None:
            library.close()

    async def watch(self, look_s: float = LOOK_S) -> None:
        """Look again and again, beside the event loop, until cancelled."""
        while not self.fixed:
            await asyncio.sleep(look_s)
            await asyncio.to_thread(self.refresh)

    def close(self) -> None:
        """Leave the library. Twice is fine."""
        self._leave()

    # --- who is told

    def subscribe(self, callback: Callback) -> None:
        """Call this in the running event loop whenever the voices have changed."""
        with self._telling:
            self._subscribers[callback] = asyncio.get_running_loop()

    def unsubscribe(self, callback: Callback) -> None:
        """Call it no more. One that is not subscribed is nothing."""
        with self._telling:
            self._subscribers.pop(callback, None)

    def _tell(self) -> None:
        with self._telling:
            subscribers = list(self._subscribers.items())
        for callback, loop in subscribers:
            with suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(self._call, callback)

    def _call(self, callback: Callback) -> None:
        if callback in self._subscribers:
            callback()


class _View(Mapping[str, VoiceInfo]):
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __getitem__(self, voice_id: str) -> VoiceInfo:
        return self._catalogue._offers[voice_id].info

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogue._offers)

    def __len__(self) -> int:
        return len(self._catalogue._offers)


def _fixed(voice: Voice) -> _Offer:
    parameters = VoiceParameters()
    return _Offer(voice, parameters, False, _info(voice, parameters, builtin=True, favourite=False, preview=True))


def _offered(stored: StoredVoice, ready: frozenset[str]) -> _Offer | None:
    """None where another version of menura has written what this one does not understand."""
    try:
        voice, parameters = stored.voice, stored.parameters
    except MenuraError as error:
        _log.warning("the voice %s is not on offer: %s", stored.id, error)
        return None
    preview = set(needed_models(stored)) <= ready
    info = _info(voice, parameters, builtin=stored.builtin, favourite=stored.favourite, preview=preview)
    return _Offer(voice, parameters, bool(stored.data.parameters), info)


def _info(voice: Voice, parameters: VoiceParameters, *, builtin: bool, favourite: bool, preview: bool) -> VoiceInfo:
    return VoiceInfo(
        id=voice.id,
        name=voice.name,
        category=str(voice.category),
        description=voice.description,
        builtin=builtin,
        favourite=favourite,
        preview=preview,
        parameters=VoiceSettings(**parameters.as_dict()),
    )
