"""From captured bytes to chunks: cut to length, and to what is speech."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from menura.live.capture_config import AudioCaptureConfig
from menura.units import ms_to_frames
from menura.vad.config import VADState
from menura.vad.fast import FastVADDetector

__all__ = ["Chunker", "Piece", "PieceKind"]

LOOK_MS = 20.0
"""Speech is looked for in pieces this long, so that it begins and ends at the same frame however the device cuts."""
_IN_SPEECH = (VADState.SPEECH, VADState.SPEECH_ENDING)


class PieceKind(StrEnum):
    """What comes out."""

    AUDIO = "audio"
    SPEECH_START = "speech_start"
    SPEECH_END = "speech_end"


class Piece(NamedTuple):
    """A chunk, or that speech begins or ends here."""

    kind: PieceKind
    data: bytes = b""


class Chunker:
    """Cuts a stream of bytes into chunks; with the detector on, into chunks of utterances alone.

    An utterance begins with what the detector kept from before its onset and goes to the end of its last pause; no byte
    of it is missing, and none is given twice, even where the next follows at once. The last chunk of it may be shorter.

    Args:
        config: Length of the chunks, and whether speech is looked for.

    >>> [len(piece.data) for piece in Chunker(AudioCaptureConfig(chunk_size=480)).push(bytes(2000))]
    [960, 960]
    """

    def __init__(self, config: AudioCaptureConfig) -> None:
        audio = config.audio
        self._frame_bytes = audio.frame_bytes
        self._full = config.full_frames * audio.frame_bytes
        self._look = ms_to_frames(LOOK_MS, config.sample_rate) * audio.frame_bytes
        self._detector = FastVADDetector(config.speech, audio) if config.vad_enabled else None
        self._speaking = False
        self._unheard = bytearray()  # not yet a whole piece for the detector
        self._held = bytearray()  # not yet a whole chunk

    @property
    def held(self) -> int:
        """Frames that wait for their chunk to fill."""
        return len(self._held) // self._frame_bytes

    @property
    def speaking(self) -> bool:
        """Whether an utterance goes on."""
        return self._speaking

    def push(self, data: bytes) -> list[Piece]:
        """Take whole frames; returns what is due."""
        if self._detector is None:
            self._held += data
            return list(self._full_chunks())
        self._unheard += data
        whole = len(self._unheard) // self._look * self._look
        heard, self._unheard = bytes(self._unheard[:whole]), self._unheard[whole:]
        pieces: list[Piece] = []
        for at in range(0, whole, self._look):
            pieces += self._hear(self._detector, heard[at : at + self._look])
        return pieces

    def _hear(self, detector: FastVADDetector, data: bytes) -> list[Piece]:
        pieces = []
        speaking = detector.process_chunk(data) in _IN_SPEECH
        if speaking and not self._speaking:
            pieces.append(Piece(PieceKind.SPEECH_START))
            self._held += detector.get_pre_buffer() or b""
        if speaking:
            self._held += data
            pieces += self._full_chunks()
        elif self._speaking:
            pieces += [*self.flush(), Piece(PieceKind.SPEECH_END)]
        self._speaking = speaking
        return pieces

    def _full_chunks(self) -> Iterator[Piece]:
        whole = len(self._held) // self._full * self._full
        if whole:
            ready, self._held = bytes(self._held[:whole]), self._held[whole:]
            yield from (Piece(PieceKind.AUDIO, ready[at : at + self._full]) for at in range(0, whole, self._full))

    def flush(self) -> list[Piece]:
        """What waits for its chunk to fill, as it is."""
        data, self._held = bytes(self._held), bytearray()
        return [Piece(PieceKind.AUDIO, data)] if data else []

    def end(self) -> list[Piece]:
        """The stream breaks here: return what is left of it; what comes next begins anew."""
        if self._detector is None:
            return self.flush()
        if self._speaking:
            self._held += self._unheard
        self._unheard = bytearray()
        pieces = [*self._full_chunks(), *self.flush()]
        if self._speaking:
            pieces.append(Piece(PieceKind.SPEECH_END))
        self._speaking = False
        self._detector.reset()
        return pieces
