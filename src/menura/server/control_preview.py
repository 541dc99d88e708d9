"""A voice's preview, sent to a client of the control socket."""

import asyncio
import io
import wave
from collections.abc import Callable
from concurrent.futures import Executor
from urllib.parse import quote

from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode, encode
from menura.dsp.resample import Resampler
from menura.errors import FileError
from menura.protocol.control_replies import PreviewEnded, PreviewStarted, Reply, VoiceSummary
from menura.server.outbox import Outbox
from menura.server.previews import Previews

__all__ = ["ControlPreview"]

PIECE_MS, WAITING_MS = 100.0, 500.0
"""Of one message, and of what waits to be sent at most."""


class ControlPreview:
    """At most one at a time. Event loop only; it is rendered and decoded on threads while the client does other things.

    Args:
        previews: Where they come from.
        pool: Threads to decode on.
        outbox: Where the audio goes, as fast as the client reads it.
        tell: Sends a reply.
        refuse: Sends an error: the voice cannot be heard.
    """

    def __init__(
        self,
        previews: Previews,
        pool: Executor,
        outbox: Outbox,
        tell: Callable[[Reply], None],
        refuse: Callable[[Exception], None],
    ) -> None:
        self._previews, self._pool, self._outbox = previews, pool, outbox
        self._tell, self._refuse = tell, refuse
        self._playing: asyncio.Task[None] | None = None
        self._voice_id = ""

    @property
    def active(self) -> bool:
        """Whether one is being made or sent."""
        return self._playing is not None

    def start(self, voice: VoiceSummary, form: StreamFormat) -> None:
        """Begin; one that is being made or sent ends."""
        self.stop()
        self._voice_id = voice.id
        self._playing = asyncio.create_task(self._play(voice, form))

    async def _play(self, voice: VoiceSummary, form: StreamFormat) -> None:
        try:
            preview = await self._previews.get(voice.id)
            audio = await asyncio.get_running_loop().run_in_executor(self._pool, _encoded, preview.wav, form)
        except Exception as error:
            self._playing = None
            self._refuse(error)
            return
        started = PreviewStarted(
            voice=voice,
            sample_rate=form.rate,
            format=form.encoding,
            duration_ms=round(1000.0 * form.frames_in(audio) / form.rate, 3),
            url=f"/api/voices/{quote(voice.id, safe='')}/preview",
        )
        self._tell(started)
        size = int(PIECE_MS * form.rate / 1000.0) * form.frame_bytes
        for at in range(0, len(audio), size):
            await self._outbox.audio_room(int(WAITING_MS / PIECE_MS) * size)
            self._outbox.put_audio(audio[at : at + size])
        self._end()

    def stop(self) -> None:
        """End it, and tell; nothing if there is none."""
        if self._playing:
            self._playing.cancel()
            self._end()

    def leave(self) -> None:
        """End it: nobody listens any more."""
        if self._playing:
            self._playing.cancel()
            self._playing = None

    def _end(self) -> None:
        self._playing = None
        self._tell(PreviewEnded(voice_id=self._voice_id))


def _encoded(wav: bytes, form: StreamFormat) -> bytes:
    """A 16-bit WAV file as mono audio of a form."""
    try:
        with wave.open(io.BytesIO(wav)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise FileError("the preview cannot be read: change the voice, and it is made again") from error
    if width != 2:
        raise FileError(f"the preview has {8 * width} bits, not 16: change the voice, and it is made again")
    x = decode(data, StreamFormat(AudioFormat.PCM16, rate, channels)).mean(axis=1, keepdims=True)
    resampler = Resampler(rate, form.rate)
    return encode(resampler.process(x), form) + encode(resampler.flush(), form)
