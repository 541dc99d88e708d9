"""How a voice sounds: a sentence spoken in it."""

import asyncio
import hashlib
import io
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from menura.audio.block import Samples
from menura.audio.files import read_audio
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import encode
from menura.errors import MenuraError
from menura.live.convert import stream_through
from menura.log import get_logger
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.store.library import NewFile, StoredVoice, VoiceLibrary
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["Preview", "Previews"]

_log = get_logger(__name__)
SAMPLE = Path(__file__).parents[1] / "voices" / "preview.flac"
"""One sentence of the project's own test speech, synthesised with Kokoro-82M (Apache-2.0)."""
ROLE, NAME = "preview", "preview.wav"
MAX_BYTES = 16 * 1024**2
KEPT = 32
"""In memory, of voices that no library has."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview.

    Attributes:
        wav: The file.
        tag: Changes when it does.
    """

    wav: bytes
    tag: str


class Previews:
    """Renders previews, one at a time beside all else, and keeps them: in the library, where there is one.

    Args:
        catalogue: The voices.
        figures: Counts them.
    """

    def __init__(self, catalogue: Catalogue, figures: ServerFigures) -> None:
        self._catalogue, self._figures = catalogue, figures
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="menura-preview")
        self._kept: dict[str, tuple[Voice, Preview]] = {}

    async def get(self, voice_id: str) -> Preview:
        """The preview of a voice; rendered if it was not, or if the voice has changed.

        Raises:
            VoiceNotFoundError: There is none of this id.
            ModelError: It cannot speak; the text says what is missing.
        """
        kept = await asyncio.to_thread(self._kept_of, voice_id)  # whoever wants this waits for nobody's rendering
        if kept is not None:
            return kept
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.find, voice_id)

    def find(self, voice_id: str) -> Preview:
        """The same; takes its time."""
        if (kept := self._kept_of(voice_id)) is not None:
            return kept
        library = self._library()
        if library is None:
            voice, parameters = self._catalogue.get(voice_id)
            with self._figures.preview():
                return self._remember(voice, _render(voice, parameters))
        stored = library.get(voice_id)
        with self._figures.preview():
            preview = _render(stored.voice, stored.parameters)
        self._keep(stored, preview)
        return preview

    def _library(self) -> VoiceLibrary | None:
        return None if self._catalogue.fixed else self._catalogue.library(make=False)

    def _kept_of(self, voice_id: str) -> Preview | None:
        """The preview of a voice as it is now, if it was rendered."""
        library = self._library()
        if library is None:
            voice, known = self._catalogue.get(voice_id)[0], self._kept.get(voice_id)
            return known[1] if known and known[0] == voice else None
        stored = library.get(voice_id)
        file = stored.files.get(ROLE)
        if file is not None and file.details.get("version") == stored.version:
            try:
                return Preview(file.path.read_bytes(), file.sha256)
            except OSError as error:
                _log.warning("a preview cannot be read, it is made again: %s", error)
        return None

    def _remember(self, voice: Voice, preview: Preview) -> Preview:
        kept = self._kept
        if voice.id not in kept and len(kept) >= KEPT:
            kept.pop(next(iter(kept)))
        kept[voice.id] = voice, preview
        return preview

    def _keep(self, stored: StoredVoice, preview: Preview) -> None:
        """In the library; a preview that cannot be kept is heard all the same."""
        library = self._catalogue.library()
        assert library is not None
        try:
            with library.incoming(MAX_BYTES) as incoming:
                incoming.write(preview.wav)
                library.set_file(stored.id, ROLE, NewFile(incoming, NAME, {"version": stored.version}))
        except MenuraError as error:
            _log.warning("a preview was not kept: %s", error)

    def close(self) -> None:
        """Render no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _render(voice: Voice, parameters: VoiceParameters) -> Preview:
    x, rate = read_audio(SAMPLE)
    blocks = list(stream_through(iter([x]), voice, rate, x.shape[1], parameters))
    wav = _wav(np.concatenate(blocks), rate)
    return Preview(wav, hashlib.sha256(wav).hexdigest())


def _wav(x: Samples, rate: int) -> bytes:
    """A file of 16 bits, in memory: on a disk a server that is killed would leave it."""
    form = StreamFormat(AudioFormat.PCM16, rate, x.shape[1])
    with io.BytesIO() as buffer:
        with wave.open(buffer, "wb") as file:
            file.setnchannels(form.channels)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(encode(x, form))
        return buffer.getvalue()
