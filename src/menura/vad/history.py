"""The last bytes of a stream, and which of them a forwarder of speech has not sent yet."""

from menura.vad.config import VADState

__all__ = ["ByteRing", "PreBuffer"]

_SILENCE, _STARTING = VADState.SILENCE, VADState.SPEECH_STARTING
_SPEECH, _ENDING = VADState.SPEECH, VADState.SPEECH_ENDING


class ByteRing:
    """Keeps the last ``capacity`` bytes written.

    Attributes:
        written: Bytes written ever.

    >>> ring = ByteRing(4)
    >>> ring.write(b"abcdef")
    >>> ring.last(3), ring.last(9)
    (b'def', b'cdef')
    """

    __slots__ = ("_at", "_data", "_oldest", "capacity", "written")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.clear()

    def clear(self) -> None:
        """Forget all bytes."""
        self._data = bytearray(self.capacity)
        self._at = 0
        self._oldest = 0  # bytes written before the first that there was room to keep
        self.written = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        size = len(data)
        self.written += size
        end = self._at + size
        if end < self.capacity:
            self._data[self._at : end] = data
            self._at = end
        elif size < self.capacity:
            first = self.capacity - self._at
            self._data[self._at :] = data[:first]
            self._data[: size - first] = data[first:]
            self._at = size - first
        else:
            self._data[:] = data[size - self.capacity :]
            self._at = 0

    def last(self, count: int) -> bytes:
        """Copy of the last ``count`` bytes, fewer if fewer are held."""
        count = max(0, min(count, self.capacity, self.written - self._oldest))
        start = self._at - count
        if start >= 0:
            return bytes(self._data[start : self._at])
        return bytes(self._data[start:] + self._data[: self._at])

    def grow(self, capacity: int) -> None:
        """Keep more from now on."""
        held, written = self.last(self.capacity), self.written
        self.capacity = capacity
        self.clear()
        self.write(held)
        self.written = written
        self._oldest = written - len(held)


class PreBuffer:
    """What came before the chunks that are now forwarded, byte for byte; see ``FastVADDetector.get_pre_buffer``.

    Chunks of one reported state make a run. When a run begins, the bytes before it that belong to it are set aside, so
    that they can be asked for at any time while it lasts.

    Args:
        before_start: Most bytes wanted before the first chunk of ``SPEECH_STARTING``.
        before_speech: Most bytes wanted before the first chunk of ``SPEECH``.
        ending: Most bytes of a pause within speech; a chunk more of it is kept.
    """

    __slots__ = ("_asked", "_before_speech", "_before_start", "_ending", "_longest", "_marks", "_reported", "_run_at",
                 "_sent", "_taken", "ring")  # fmt: skip

    def __init__(self, before_start: int, before_speech: int, ending: int) -> None:
        self._before_start = before_start
        self._before_speech = before_speech
        self._ending = ending
        self._longest = 0
        self.ring = ByteRing(max(1, before_speech + ending))
        self.clear()

    def clear(self) -> None:
        """Forget all bytes."""
        self.ring.clear()
        self._reported = _SILENCE
        self._marks = dict.fromkeys(VADState, 0)  # end of the last chunk reported in this state
        self._sent = 0  # end of the last start that was forwarded and came to nothing
        self._asked = False
        self._run_at = 0  # where the present run began
        self._taken: bytes | None = None

    def turn(self, state: VADState) -> None:
        """The chunk about to be written is the first of a run of ``state``."""
        here, old = self.ring.written, self._reported
        self._marks[old] = here
        if self._asked:  # who asked while speech was starting has forwarded since
            self._sent, self._asked = here, False
        self._reported = state
        utterance = max(self._marks[_SPEECH], self._marks[_ENDING], self._sent)
        if state is _SILENCE or (state is _ENDING and old is _SPEECH):
            since, most = here, 0
        elif state is _STARTING:
            since, most = max(utterance, self._marks[_STARTING]), self._before_start
        elif old is _ENDING:
            since, most = max(self._marks[_SPEECH], self._sent), here - self._run_at + self._before_speech
        elif old is _STARTING:
            since, most = max(self._marks[_SPEECH], self._marks[_ENDING]), self._before_speech
        else:
            since, most = utterance, self._before_speech
        self._run_at = here
        self._taken = self.ring.last(min(most, here - since)) or None

    def expect(self, size: int) -> None:
        """Make room for chunks of this size: a pause is held from the start of the chunk it begins in."""
        if size > self._longest:
            self._longest = size
            need = self._before_speech + self._ending + size
            if need > self.ring.capacity:
                self.ring.grow(need)

    def ask(self) -> bytes | None:
        """What was set aside when the present run began."""
        self._asked = self._asked or self._reported is _STARTING
        return self._taken

    def __len__(self) -> int:
        return len(self._taken or b"")
